"""A convolution to very few channels."""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from redo_tf.layers.bias import add_bias
from redo_tf.layers.scopes import SUMS


class NarrowConv2D(tf.keras.layers.Conv2D):
    """A k×k convolution of a map with reflected borders, for few filters: [B, H, W, C] → [B, H, W, filters], k odd.

    Processors compute many filters side by side and one in hardly less time. So each of the kernel's rows is k·filters
    filters of size 1×k at first; then the k results, rounded to the dtype of x, are summed in float32, each shifted by its row.
    """

    def __init__(self, filters: int, kernel_size: int, **kwargs):
        kwargs.update(kernel_size=kernel_size, padding="same")  # For Keras' output size: borders are reflected.
        super().__init__(filters, **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = self.convolution_op(inputs, self.kernel)
        return self.activation(add_bias(outputs, self.bias) if self.use_bias else outputs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        size, _, channels, filters = kernel.shape
        margin = size // 2
        rows = tf.reshape(tf.transpose(kernel, [1, 2, 0, 3]), [1, size, channels, size * filters])
        by_row = tf.nn.conv2d(reflect_pad(inputs, 0, margin), rows, 1, "VALID")
        with tf.name_scope(SUMS):
            shifts = tf.constant(_row_sums(size, filters), by_row.dtype)
            return tf.nn.conv2d(reflect_pad(by_row, margin, 0), shifts, 1, "VALID")


def reflect_pad(x: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """[B, H, W, C] → [B, H + 2·rows, W + 2·columns, C], mirrored at the first and last pixels, which are not repeated."""
    return tf.pad(x, [[0, 0], [rows, rows], [columns, columns], [0, 0]], "REFLECT")


def _row_sums(size: int, filters: int) -> np.ndarray:
    """The kernel [k, 1, k·filters, filters] that takes each row's result from the row of the map that it belongs to."""
    return np.einsum("ij,fg->ijfg", np.eye(size), np.eye(filters)).reshape(size, 1, size * filters, filters)
