"""The networks' pieces in float64 NumPy, written from the equations: what the tests compare the layers with.

Pictures and maps are [B, H, W, C], kernels [kh, kw, in, out]. A `layer` argument only lends its variables.
"""
from __future__ import annotations

import numpy as np
import tensorflow as tf

EPSILON = 1e-5


def value(variable) -> np.ndarray:
    return variable.numpy().astype(np.float64)


def parameters(network) -> int:
    """How many numbers it learns."""
    return sum(weight.shape.num_elements() for weight in network.trainable_weights)


def relu(x):
    return np.maximum(x, 0)


def convolution(x, kernel, bias=0.0, stride=1, pad=None):
    """Σ over the kernel's places; zeros around the picture, k // 2 of them unless told otherwise."""
    size = kernel.shape[0]
    pad = size // 2 if pad is None else pad
    x = np.pad(np.asarray(x, np.float64), [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    rows, columns = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    result = np.zeros([len(x), rows, columns, kernel.shape[3]]) + bias
    for a in range(size):
        for b in range(size):
            result += x[:, a:a + stride * rows:stride, b:b + stride * columns:stride] @ kernel[a, b]
    return result


def average_pool(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def window_means(x, height, width):
    """Means over windows that do not overlap, those that lie wholly in the map, as PyTorch's AvgPool2d takes them."""
    rows = [[x[:, top:top + height, left:left + width].mean((1, 2)) for left in range(0, x.shape[2] - width + 1, width)]
            for top in range(0, x.shape[1] - height + 1, height)]
    return np.array(rows).transpose(2, 0, 1, 3)


def max_pool(x):
    return np.max([x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]], axis=0)


def upsample(x):
    return np.repeat(np.repeat(x, 2, axis=1), 2, axis=2)


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def normalized(x, axes):
    """(x − μ)/√(σ² + ε), with the biased variance."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPSILON)


def dense(layer, x):
    return x @ value(layer.kernel) + value(layer.bias)


def instance_norm(layer, x):
    return normalized(x, (1, 2)) * value(layer.scale) + value(layer.offset)


def conditional_norm(layer, x, z, axes=(1, 2)):
    return normalized(x, axes) * dense(layer.scale, z)[:, None, None] + dense(layer.offset, z)[:, None, None]


def spectral_kernel(kernel, u):
    """W/σ with σ = vᵀ W u = ‖W u‖ for the unit u."""
    u = u.ravel() / np.linalg.norm(u)
    return kernel / np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]) @ u)


def spectral_convolution(layer, x):
    bias = value(layer.layer.bias) if layer.layer.use_bias else 0.0
    return convolution(x, spectral_kernel(value(layer.w), value(layer.u)), bias)


def self_attention(layer, x):
    batch, height, width, _ = x.shape
    query = spectral_convolution(layer.query, x)
    key = max_pool(spectral_convolution(layer.key, x))
    value_ = max_pool(spectral_convolution(layer.value, x))
    attended = np.zeros([batch, height, width, value_.shape[-1]])
    for b in range(batch):
        for row in range(height):
            for column in range(width):
                weights = softmax(np.array([key[b, i, j] @ query[b, row, column]
                                            for i in range(height // 2) for j in range(width // 2)]))
                attended[b, row, column] = weights @ value_[b].reshape(-1, value_.shape[-1])
    return x + value(layer.gamma) * spectral_convolution(layer.output_projection, attended)


def residual_block(layer, x):
    h = convolution(x, value(layer.conv1.kernel))
    h = convolution(relu(instance_norm(layer.norm1, h)), value(layer.conv2.kernel), value(layer.conv2.bias))
    return relu(instance_norm(layer.norm2, h + x))


def down_block(layer, x, leading_relu=True, pool=True):
    h = spectral_convolution(layer.conv1, relu(x) if leading_relu else x)
    h = spectral_convolution(layer.conv2, relu(h))
    if pool:
        return average_pool(h) + spectral_convolution(layer.shortcut, average_pool(x))
    return h + (x if x.shape[-1] == h.shape[-1] else spectral_convolution(layer.shortcut, x))


def up_block(layer, x, mask, z):
    h = np.concatenate([relu(conditional_norm(layer.norm1, x, z)), mask], axis=-1)
    h = spectral_convolution(layer.conv1, upsample(h))
    h = spectral_convolution(layer.conv2, relu(conditional_norm(layer.norm2, h, z)))
    return h + spectral_convolution(layer.shortcut, upsample(x))


def mask_network(network, images):
    """The logits of f, pyramid windows `equal`: [B, S, S, 1 or n]."""
    def stage(parts, x, **options):
        return relu(instance_norm(parts[1], convolution(x, value(parts[0].kernel), **options)))

    def reflected(x):
        return np.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)], "reflect")

    x = stage(network.stem, reflected(images), pad=0)
    x = stage(network.down2, stage(network.down1, x, stride=2), stride=2)
    for block in network.blocks:
        x = residual_block(block, x)
    if network.pyramid:
        contexts = []
        for bins, projection in zip((1, 2, 3, 6), network.pyramid.projections):
            pooled = window_means(x, x.shape[1] // bins, x.shape[2] // bins)
            projected = pooled @ value(projection.kernel)[0, 0] + value(projection.bias)
            contexts.append(tf.image.resize(projected, x.shape[1:3], "bilinear"))
        x = np.concatenate([x, *contexts], axis=-1)
    x = stage(network.up2, upsample(stage(network.up1, upsample(x))))
    return convolution(reflected(x), value(network.logits.kernel), value(network.logits.bias), pad=0)


def trunk(layer, images):
    """Down blocks to 4×4, a block more, the sum over places: [B, S, S, 3] → [B, width]."""
    x = down_block(layer.first, images, leading_relu=False)
    if layer.attention:
        x = self_attention(layer.attention, x)
    for block in layer.blocks[:-1]:
        x = down_block(block, x)
    return down_block(layer.blocks[-1], x, pool=False).sum((1, 2))


def region_generator(network, mask, z):
    """M_k ⊙ G_k(M_k, z_k)."""
    x = dense(network.seed, z).reshape(len(z), 4, 4, -1)
    for i, block in enumerate(network.blocks):
        if network.attention and i == len(network.blocks) - 1:
            x = self_attention(network.attention, x)
        side = mask.shape[1] // x.shape[1]  # m↓: each place's average over its window of the full-size mask
        small = mask.reshape(len(mask), x.shape[1], side, x.shape[2], side, 1).mean((2, 4))
        x = up_block(block, x, small, z)
    x = np.concatenate([relu(conditional_norm(network.norm, x, z)), mask], axis=-1)
    return np.tanh(spectral_convolution(network.to_rgb, x)) * mask
