"""Pyramid pooling (Zhao et al., PSPNet, 2017), as the mask network uses it."""
from __future__ import annotations

from typing import Union

import tensorflow as tf

from redo_tf.layers.bias import add_bias
from redo_tf.layers.initializers import Orthogonal
from redo_tf.layers.scopes import SUMS

Size = Union[int, tf.Tensor]  # A number, or a scalar int32 tensor where it is only known when the graph runs.


def bins_of(size: Size, bins: int, windows: str) -> Size:
    """Into how many a line of `size` values is pooled where `bins` are asked for.

    Args:
      windows: `equal` — the released code's: bins of size // bins values each, as many as there are; what is left over at the
        end is dropped. Of 32 values, as at 128×128, that makes 6 bins of 5, of 16 values 8 bins of 2. `adaptive` — so many
        bins as are asked for: bin i covers ⌊i·size/bins⌋ to ⌈(i+1)·size/bins⌉, so that every value counts.

    Raises:
      ValueError: there are fewer values than bins, where their number is known in Python, or `windows` is neither of the two.
    """
    if not tf.is_tensor(size) and bins > size:
        raise ValueError(f"{size} values cannot be pooled into {bins} bins.")
    if windows not in ("equal", "adaptive"):
        raise ValueError(f"windows is 'equal' or 'adaptive', not {windows!r}.")
    return size // (size // bins) if windows == "equal" else bins


def pooling_matrix(size: Size, bins: int, windows: str) -> tf.Tensor:
    """Average pooling of a line of `size` values, as a matrix [`bins_of(size, bins, windows)`, size]; rows sum to 1."""
    i = tf.range(bins_of(size, bins, windows))[:, None]
    if windows == "equal":
        first, last = i * (size // bins), (i + 1) * (size // bins)
    else:
        first, last = i * size // bins, ((i + 1) * size + bins - 1) // bins
    column = tf.range(size)[None]
    return tf.cast((first <= column) & (column < last), tf.float32) / tf.cast(last - first, tf.float32)


def bilinear_matrix(bins: Size, size: Size) -> tf.Tensor:
    """Bilinear resampling of a line of `bins` values to `size`, half-pixel centres: [size, bins]; rows sum to 1."""
    scale = tf.cast(bins, tf.float32) / tf.cast(size, tf.float32)
    centres = (tf.cast(tf.range(size), tf.float32) + 0.5) * scale - 0.5
    centres = tf.clip_by_value(centres, 0.0, tf.cast(bins - 1, tf.float32))
    return tf.maximum(0.0, 1 - tf.abs(centres[:, None] - tf.cast(tf.range(bins), tf.float32)[None]))


class PyramidPooling(tf.keras.layers.Layer):
    """[B, H, W, C] → [B, H, W, C + len(bins)]: the input and, for each number of bins b, one map of wider context.

    Each: average pooling to b×b (`bins_of`), 1×1 convolution to one channel, bilinear resampling back to H×W. All three are
    linear and averages keep a bias as it is, so the convolution comes first, on all pixels, and leaves one channel for each b
    to pool and resample.
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
        maps = tf.transpose(add_bias(tf.nn.conv2d(x, kernel, 1, "VALID"), bias), [0, 3, 1, 2])
        with tf.name_scope(SUMS):
            maps = tf.matmul(tf.matmul(rows, maps), columns, transpose_b=True)
        return tf.concat([x, tf.transpose(maps, [0, 2, 3, 1])], axis=-1)

    def _smoothing(self, size: Size) -> tf.Tensor:
        """For each b the matrix that pools a line of values and resamples it to its size: [len(bins), size, size]."""
        with tf.name_scope(SUMS):  # Of a known size they are the graph's constants, no work for each picture.
            return tf.stack([bilinear_matrix(bins_of(size, bins, self.windows), size)
                             @ pooling_matrix(size, bins, self.windows) for bins in self.bins])
