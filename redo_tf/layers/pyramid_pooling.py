"""Pyramid pooling (Zhao et al., PSPNet, 2017), as the mask network uses it."""
from __future__ import annotations

from typing import Union

import tensorflow as tf

from redo_tf.layers.initializers import Orthogonal
from redo_tf.layers.scopes import SUMS


def pooling_matrix(size: Union[int, tf.Tensor], bins: int, windows: str) -> tf.Tensor:
    """Average pooling of a line of `size` values into `bins`, as a matrix [bins, size]; rows sum to 1.

    Args:
      size: a number, or a scalar int32 tensor where it is only known when the graph runs.
      windows: `equal` — the released code's: bins of size // bins values each; what is left over at the end is
        dropped (two columns of 32 for 3 and 6 bins). `adaptive` — bin i covers ⌊i·size/bins⌋ to ⌈(i+1)·size/bins⌉,
        so that every value counts.

    Raises:
      ValueError: there are fewer values than bins, or `windows` is neither of the two.
    """
    if not tf.is_tensor(size) and bins > size:
        raise ValueError(f"{size} values cannot be pooled into {bins} bins.")
    i = tf.range(bins)[:, None]
    if windows == "equal":
        first, last = i * (size // bins), (i + 1) * (size // bins)
    elif windows == "adaptive":
        first, last = i * size // bins, ((i + 1) * size + bins - 1) // bins
    else:
        raise ValueError(f"windows is 'equal' or 'adaptive', not {windows!r}.")
    column = tf.range(size)[None]
    return tf.cast((first <= column) & (column < last), tf.float32) / tf.cast(last - first, tf.float32)


def bilinear_matrix(bins: int, size: Union[int, tf.Tensor]) -> tf.Tensor:
    """Bilinear resampling of a line of `bins` values to `size`, half-pixel centres: [size, bins]; rows sum to 1."""
    centres = (tf.cast(tf.range(size), tf.float32) + 0.5) * (bins / tf.cast(size, tf.float32)) - 0.5
    centres = tf.clip_by_value(centres, 0.0, bins - 1.0)
    return tf.maximum(0.0, 1 - tf.abs(centres[:, None] - tf.range(bins, dtype=tf.float32)[None]))


class PyramidPooling(tf.keras.layers.Layer):
    """[B, H, W, C] → [B, H, W, C + len(bins)]: the input and, for each number of bins b, one map of wider context.

    Each: average pooling to b×b, 1×1 convolution to one channel, bilinear resampling back to H×W. All three are linear
    and averages keep a bias as it is, so the convolution comes first, on all pixels, and leaves one channel for each b to pool and resample.
    """

    def __init__(self, bins=(1, 2, 3, 6), windows: str = "equal", gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.bins, self.windows, self.gain = tuple(bins), windows, gain

    def build(self, input_shape):
        self.projections = [
            tf.keras.layers.Conv2D(1, 1, kernel_initializer=Orthogonal(self.gain)) for _ in self.bins]
        for projection in self.projections:
            with tf.name_scope(projection.name):
                projection.build([None, None, None, input_shape[-1]])

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # Constants where the size is known; a picture of another size may come at any time where it is not.
        dynamic = tf.shape(x)
        height, width = (x.shape[axis] or dynamic[axis] for axis in (1, 2))
        rows, columns = (tf.cast(self._smoothing(size), x.dtype) for size in (height, width))
        kernel, bias = (tf.concat([getattr(projection, name) for projection in self.projections], axis=-1)
                        for name in ("kernel", "bias"))
        maps = tf.transpose(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias), [0, 3, 1, 2])
        with tf.name_scope(SUMS):
            maps = tf.matmul(tf.matmul(rows, maps), columns, transpose_b=True)
        return tf.concat([x, tf.transpose(maps, [0, 2, 3, 1])], axis=-1)

    def _smoothing(self, size: Union[int, tf.Tensor]) -> tf.Tensor:
        """For each b the matrix that pools a line of values and resamples it to its size: [len(bins), size, size]."""
        with tf.name_scope(SUMS):  # Of a known size they are the graph's constants, no work for each picture.
            return tf.stack([bilinear_matrix(bins, size) @ pooling_matrix(size, bins, self.windows) for bins in self.bins])
