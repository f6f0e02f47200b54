"""Pyramid pooling (Zhao et al., PSPNet, 2017), as the mask network uses it."""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from redo_tf.layers.initializers import Orthogonal


def pooling_matrix(size: int, bins: int, windows: str) -> np.ndarray:
    """Average pooling of a line of `size` values into `bins`, as a matrix [bins, size]; rows sum to 1.

    Args:
      windows: `equal` — the released code's: bins of size // bins values each; what is left over at the end is
        dropped (two columns of 32 for 3 and 6 bins). `adaptive` — bin i covers ⌊i·size/bins⌋ to ⌈(i+1)·size/bins⌉,
        so that every value counts.

    Raises:
      ValueError: there are fewer values than bins, or `windows` is neither of the two.
    """
    if bins > size:
        raise ValueError(f"{size} values cannot be pooled into {bins} bins.")
    matrix = np.zeros([bins, size], np.float32)
    for i in range(bins):
        if windows == "equal":
            first, last = i * (size // bins), (i + 1) * (size // bins)
        elif windows == "adaptive":
            first, last = i * size // bins, -(-(i + 1) * size // bins)
        else:
            raise ValueError(f"windows is 'equal' or 'adaptive', not {windows!r}.")
        matrix[i, first:last] = 1 / (last - first)
    return matrix


def bilinear_matrix(bins: int, size: int) -> np.ndarray:
    """Bilinear resampling of a line of `bins` values to `size`, half-pixel centres: [size, bins]; rows sum to 1."""
    centres = np.clip((np.arange(size) + 0.5) * bins / size - 0.5, 0, bins - 1)
    below = np.floor(centres).astype(int)
    above = np.minimum(below + 1, bins - 1)
    matrix = np.zeros([size, bins], np.float32)
    np.add.at(matrix, (np.arange(size), below), 1 - (centres - below))
    np.add.at(matrix, (np.arange(size), above), centres - below)
    return matrix


class PyramidPooling(tf.keras.layers.Layer):
    """[B, H, W, C] → [B, H, W, C + len(bins)]: the input and, for each number of bins b, one map of wider context.

    Each: average pooling to b×b, 1×1 convolution to one channel, bilinear resampling back to H×W.
    """

    def __init__(self, bins=(1, 2, 3, 6), windows: str = "equal", gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.bins, self.windows, self.gain = tuple(bins), windows, gain

    def build(self, input_shape):
        _, height, width, _ = input_shape
        self.projections = [
            tf.keras.layers.Conv2D(1, 1, kernel_initializer=Orthogonal(self.gain)) for _ in self.bins]
        self.pooling = [(pooling_matrix(height, b, self.windows), pooling_matrix(width, b, self.windows))
                        for b in self.bins]
        self.resampling = [(bilinear_matrix(b, height), bilinear_matrix(b, width)) for b in self.bins]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.concat([x] + [self._context(x, i) for i in range(len(self.bins))], axis=-1)

    def _context(self, x: tf.Tensor, i: int) -> tf.Tensor:
        (rows, columns), (up_rows, up_columns) = self.pooling[i], self.resampling[i]
        pooled = tf.einsum("ah,bhwc,dw->badc", tf.cast(rows, x.dtype), x, tf.cast(columns, x.dtype))
        projected = self.projections[i](pooled)
        return tf.einsum("ha,badc,wd->bhwc", tf.cast(up_rows, x.dtype), projected, tf.cast(up_columns, x.dtype))
