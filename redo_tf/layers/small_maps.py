"""Convolutions of small maps with many channels, as products of matrices.

Where a map has few places and the kernel many channels, preparing the kernel for a convolution routine takes longer than
the arithmetic. A product of matrices takes the kernel as it lies in memory. Which of the two is faster depends on the
number of rows of that product, the batch's places, against the number of filters; docs/speed.md has the figures.
"""
from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# Rows for each filter up to which products of matrices were the faster ones: for the kernel's gradient, and for all three.
KERNEL_GRADIENT, ALL = 3, 0.5


def convolve(x: tf.Tensor, kernel: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """`tf.nn.conv2d(x, kernel, stride, "SAME")`: [B, H, W, C] → [B, H/stride, W/stride, filters].

    Computed by matrices where all sizes are known and the batch's places are few. Has no second derivative then.

    Args:
      kernel: [k, k, C, filters]; `stride` divides H and W.
    """
    filters, pixels = kernel.shape[-1], x.shape[:3].num_elements()
    if pixels is None or pixels // stride**2 > KERNEL_GRADIENT * filters:
        return tf.nn.conv2d(x, kernel, stride, "SAME")
    return _by_matrices(x, kernel, stride, everything=pixels // stride**2 <= ALL * filters)


def scope(size: int, stride: int) -> str:
    """Names the products that stand for a convolution in the graph."""
    return f"convolution_{size}x{size}_stride_{stride}"


class Conv3x3(tf.keras.layers.Conv2D):
    """Keras' own with a 3×3 kernel and zeros around the map, through `convolve`: [B, H, W, C] → [B, H, W, filters]."""

    def __init__(self, filters: int, **kwargs):
        kwargs.update(kernel_size=3, padding="same")
        super().__init__(filters, **kwargs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolve(inputs, kernel)


def _by_matrices(x: tf.Tensor, kernel: tf.Tensor, stride: int, everything: bool) -> tf.Tensor:
    """The convolution with its kernel's gradient as a product, and `everything` else, too, if so told."""
    size, filters = kernel.shape[0], kernel.shape[-1]
    height, width, channels = x.shape[1:]

    def product(a, b, **transpose):
        with tf.name_scope(scope(size, stride)):
            return tf.matmul(a, b, **transpose)

    @tf.custom_gradient
    def convolution(x, kernel):
        matrix = tf.reshape(kernel, [-1, filters])
        patches = _patches(x, size, stride)
        if everything:
            outputs = tf.reshape(product(patches, matrix), [-1, height // stride, width // stride, filters])
        else:
            outputs = tf.nn.conv2d(x, kernel, stride, "SAME")

        def gradients(upstream):
            rows = tf.reshape(upstream, [-1, filters])
            if everything:
                of_x = _sum_of_patches(product(rows, matrix, transpose_b=True), height, width, size, stride)
            else:
                of_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), stride, "SAME")
            return of_x, tf.reshape(product(patches, rows, transpose_a=True), [size, size, channels, filters])

        return outputs, gradients

    return convolution(x, kernel)


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
    return tf.reshape(cover @ patches, [-1, height, width, channels])


@functools.lru_cache(maxsize=None)
def _cover(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """1 where a pixel [H·W] lies at a place of a patch [H/stride·W/stride·size·size], else 0."""
    def along(length: int) -> np.ndarray:  # [length, length/stride, size]
        pixel, patch, place = np.ogrid[:length, :length // stride, :size]
        return (pixel == _first(patch, size, stride) + place).astype(np.float32)

    cover = np.einsum("hia,wjb->hwijab", along(height), along(width))
    return cover.reshape(height * width, -1)
