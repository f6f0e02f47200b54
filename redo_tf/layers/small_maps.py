"""Convolutions of small maps with many channels, as products of matrices.

Where a map has few places and the kernel many channels, preparing the kernel for a convolution routine takes longer than
the arithmetic. A product of matrices takes the kernel as it lies in memory. Which of the two is faster depends on the
number of rows of that product, the batch's places, against the number of filters; docs/trials_speed.md has the figures.
"""
from __future__ import annotations

import functools
from typing import Callable, Iterable, NamedTuple, Optional

import numpy as np
import tensorflow as tf

from redo_tf.layers import scopes

# Up to so many rows a filter products of matrices were faster: the kernel's gradient, in bfloat16 for longer as TensorFlow's
# is slow, and all three.
KERNEL_GRADIENT, KERNEL_GRADIENT_BFLOAT16, ALL = 3, 8, 0.5
LARGEST_MAP = 64  # Pixels of the larger map up to which its sums over patches are cheap.


def convolve(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """`tf.nn.conv2d(x, kernel, stride, "SAME")`: [B, H, W, C] → [B, H/stride, W/stride, filters].

    Computed by matrices where all sizes are known and the batch's places are few. Has no second derivative then.

    Args:
      kernel: [k, k, C, filters]; `stride` divides H and W.
    """
    kernel = tf.convert_to_tensor(kernel)  # A variable under mixed precision calls itself float32.
    products = _products_for(x.shape[:3], kernel, stride)
    if products is None:
        return tf.nn.conv2d(x, kernel, stride, "SAME")
    return _bilinear(products.reduce, products.enlarge, products.kernel_gradient)(x, kernel)


def convolve_transposed(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """`tf.nn.conv2d_transpose(x, kernel, …, stride, "SAME")`: [B, H, W, C] → [B, stride·H, stride·W, filters].

    The gradient of `convolve` for its maps, computed by matrices under the same conditions.

    Args:
      kernel: [k, k, filters, C].
    """
    kernel = tf.convert_to_tensor(kernel)
    larger = [x.shape[0], *(size and stride * size for size in x.shape[1:3])]
    products = _products_for(larger, kernel, stride)
    if products is None:
        batch, height, width = tf.unstack(tf.shape(x)[:3])
        outputs = tf.nn.conv2d_transpose(
            x, kernel, [batch, stride * height, stride * width, kernel.shape[2]], stride, "SAME")
        outputs.set_shape([*larger, kernel.shape[2]])
        return outputs
    return _bilinear(
        products.enlarge, products.reduce, lambda x, upstream: products.kernel_gradient(upstream, x))(x, kernel)


class Conv3x3(tf.keras.layers.Conv2D):
    """Keras' own with a 3×3 kernel and zeros around the map, through `convolve`: [B, H, W, C] → [B, H, W, filters]."""

    def __init__(self, filters: int, **kwargs):
        kwargs.update(kernel_size=3, padding="same")
        super().__init__(filters, **kwargs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolve(inputs, kernel)


def _products_for(shape: Iterable[Optional[int]], kernel: tf.Tensor, stride: int) -> Optional[_Products]:
    """The products for a kernel [k, k, C, filters] and larger maps of such a `shape` (batch, height, width); None where
    TensorFlow's convolution is the faster one, or a size is unknown."""
    batch, height, width = shape
    if None in (batch, height, width):
        return None
    rows_a_filter = batch * (height // stride) * (width // stride) / kernel.shape[3]
    if rows_a_filter > (KERNEL_GRADIENT_BFLOAT16 if kernel.dtype == tf.bfloat16 else KERNEL_GRADIENT):
        return None
    everything = rows_a_filter <= ALL and height * width <= LARGEST_MAP
    return _Products(batch, height, width, kernel.shape, stride, everything)


def _bilinear(function: Callable, transpose: Callable, kernel_gradient: Callable) -> Callable:
    """`function(x, kernel)`, of which `transpose(g, kernel)` and `kernel_gradient(x, g)` are the gradients."""
    @tf.custom_gradient
    def differentiable(x, kernel):
        return function(x, kernel), lambda upstream: (transpose(upstream, kernel), kernel_gradient(x, upstream))

    return differentiable


class _Products(NamedTuple):
    """The three products of a convolution between larger maps [B, H, W, C] and smaller ones [B, H/stride, W/stride, filters]:
    that of the kernel's gradient by matrices, and `everything` else, too, if so told."""
    batch: int
    height: int
    width: int
    kernel_shape: tf.TensorShape  # [k, k, C, filters]
    stride: int
    everything: bool

    def reduce(self, larger: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """The convolution."""
        if not self.everything:
            return tf.nn.conv2d(larger, kernel, self.stride, "SAME")
        rows = self._multiply(self._patches(larger), self._flat(kernel))
        return tf.reshape(rows, [self.batch, self.height // self.stride, self.width // self.stride, self.kernel_shape[3]])

    def enlarge(self, smaller: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Its transpose."""
        size, _, channels, _ = self.kernel_shape
        if not self.everything:
            shape = [self.batch, self.height, self.width, channels]
            return tf.nn.conv2d_transpose(smaller, kernel, shape, self.stride, "SAME")
        patches = self._multiply(self._flat(smaller), self._flat(kernel), transpose_b=True)
        return _sum_of_patches(patches, self.height, self.width, size, self.stride)

    def kernel_gradient(self, larger: tf.Tensor, smaller: tf.Tensor) -> tf.Tensor:
        """The kernel's gradient, of maps of one kind and the gradient of the other."""
        return tf.reshape(
            self._multiply(self._patches(larger), self._flat(smaller), transpose_a=True), self.kernel_shape)

    def _multiply(self, a: tf.Tensor, b: tf.Tensor, **transpose) -> tf.Tensor:
        with tf.name_scope(scopes.convolution(self.kernel_shape[0], self.stride)):
            return tf.matmul(a, b, **transpose)

    def _patches(self, larger: tf.Tensor) -> tf.Tensor:
        size, _, channels, _ = self.kernel_shape
        larger = tf.reshape(larger, [self.batch, self.height, self.width, channels])  # A gradient may not know its shape.
        return _patches(larger, size, self.stride)

    def _flat(self, values: tf.Tensor) -> tf.Tensor:
        """Of smaller maps or a kernel, [places, filters]."""
        return tf.reshape(values, [-1, self.kernel_shape[3]])


def _patches(x: tf.Tensor, size: int, stride: int) -> tf.Tensor:
    """What the kernel lies on at each place: [B, H, W, C] → [B·H/stride·W/stride, size·size·C].

    Pixels are copied by their number, which takes a quarter to a tenth of the time of `tf.image.extract_patches` on a CPU.
    """
    _, height, width, channels = x.shape
    pixels = tf.pad(tf.reshape(x, [-1, height * width, channels]), [[0, 0], [0, 1], [0, 0]])  # The last one is zero.
    patches = tf.gather(pixels, _pixels_of_patches(height, width, size, stride), axis=1)
    return tf.reshape(patches, [-1, size * size * channels])


@functools.lru_cache(maxsize=None)
def _pixels_of_patches(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """The number of the pixel at each place of each patch [H/stride·W/stride·size·size]; H·W outside of the map."""
    row, column, down, right = np.ogrid[:height // stride, :width // stride, :size, :size]
    y, x = _first(row, size, stride) + down, _first(column, size, stride) + right
    inside = (0 <= y) & (y < height) & (0 <= x) & (x < width)
    return np.where(inside, y * width + x, height * width).astype(np.int32).reshape(-1)


def _first(patch, size: int, stride: int):
    """Where a patch begins. "SAME" pads size − stride in all, the smaller half before the map."""
    return patch * stride - (size - stride) // 2


def _sum_of_patches(patches: tf.Tensor, height: int, width: int, size: int, stride: int) -> tf.Tensor:
    """The transpose of `_patches`, → [B, H, W, C]: each pixel's sum over the patches that it lies in."""
    channels = patches.shape[-1] // size**2
    cover = tf.constant(_cover(height, width, size, stride), patches.dtype)
    patches = tf.reshape(patches, [-1, cover.shape[1], channels])
    with tf.name_scope(scopes.SUMS):
        sums = tf.matmul(cover, patches)
    return tf.reshape(sums, [-1, height, width, channels])


@functools.lru_cache(maxsize=None)
def _cover(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """1 where a pixel [H·W] lies at a place of a patch [H/stride·W/stride·size·size], else 0."""
    def along(length: int) -> np.ndarray:  # [length, length/stride, size]
        pixel, patch, place = np.ogrid[:length, :length // stride, :size]
        return (pixel == _first(patch, size, stride) + place).astype(np.float32)

    cover = np.einsum("hia,wjb->hwijab", along(height), along(width))
    return cover.reshape(height * width, -1)
