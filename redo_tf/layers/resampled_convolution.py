"""3×3 convolutions merged with the factor-2 resampling beside them.

Both are exact identities, found by swapping two linear maps; only the order of the float additions differs (on a GPU with
TF32 the kernel is also rounded before its sums, as convolutions round theirs). They need 16 instead of 36 products for each
output (down) or input (up) pixel and keep nothing at the larger size but the result.
The variable stays the 3×3 kernel, so checkpoints and spectral normalization see the published layer.
"""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from redo_tf.layers.kernel_cache import kept
from redo_tf.layers.scopes import SUMS
from redo_tf.layers.small_maps import Conv3x3, convolve, convolve_transposed

# The place [4, 4] of the sum that each place [3, 3] of a kernel is added to: four of them, a 2×2 box.
_ADDS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]])
_BOX = np.einsum("ia,jb->ijab", _ADDS, _ADDS)


def box_filtered(kernel: np.ndarray) -> np.ndarray:
    """The full convolution of a kernel [3, 3, in, out] with a 2×2 box of ones: [4, 4, in, out], in the kernel's dtype."""
    return np.einsum("ijab,abcd->ijcd", _BOX.astype(kernel.dtype), kernel)


def _combined(weights: np.ndarray, kernel: tf.Tensor) -> tf.Tensor:
    """Weighted sums [4, 4, 3, 3] over a kernel's places. One product reads and writes the kernel once; shifts and sums
    would do so many times, which counts where it has millions of weights."""
    places = tf.reshape(kernel, [9, -1])
    with tf.name_scope(SUMS):
        sums = tf.matmul(tf.constant(weights.reshape(16, 9), places.dtype), places)
    return tf.reshape(sums, [4, 4, *kernel.shape[2:]])


class PooledConv2D(Conv3x3):
    """`average_pool_2×2(conv_3×3(x))`: [B, H, W, C] → [B, H/2, W/2, filters], H and W even.

    Averaging four neighbours of a stride-1 convolution is one stride-2 convolution with the kernel averaged over the
    four shifts.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        merged = kept(self, kernel, lambda: _combined(_BOX / 4, kernel))
        return convolve(inputs, merged, stride=2)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        return tf.TensorShape([batch, height and height // 2, width and width // 2, self.filters])


class UpsampledConv2D(Conv3x3):
    """`conv_3×3(nearest_upsample_2×2(x))`: [B, H, W, C] → [B, 2H, 2W, filters].

    Nearest upsampling is four times the transpose of 2×2 average pooling, so the pair is a transposed stride-2
    convolution with the flipped kernel summed over the four shifts.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        merged = kept(self, kernel, lambda: _combined(_BOX[..., ::-1, ::-1], tf.transpose(kernel, [0, 1, 3, 2])))
        return convolve_transposed(inputs, merged, stride=2)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        return tf.TensorShape([batch, height and height * 2, width and width * 2, self.filters])


@tf.custom_gradient
def upsample_nearest(x: tf.Tensor):
    """Every pixel repeated 2×2: [B, H, W, C] → [B, 2H, 2W, C]. A broadcast; its gradient, a sum over 2×2, by pooling, which
    TensorFlow computes more than ten times faster on a CPU than sums over two axes between others."""
    batch = tf.shape(x)[0]
    _, height, width, channels = x.shape
    spread = tf.broadcast_to(x[:, :, None, :, None], [batch, height, 2, width, 2, channels])
    return (tf.reshape(spread, [batch, 2 * height, 2 * width, channels]),
            lambda upstream: 4 * tf.nn.avg_pool2d(upstream, 2, 2, "VALID"))
