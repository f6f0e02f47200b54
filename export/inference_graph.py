"""The mask network in operations that TensorFlow Lite's CPU kernels (XNNPACK) run fast.

The function is the network's; only the order of float additions differs. What differs in form:

- Reflected borders are reversed slices, concatenated: XNNPACK has no mirror padding, and TensorFlow Lite's own is slow.
- Instance norm divides by a square root, as XNNPACK had no reciprocal one for long.
- Pyramid pooling pools and enlarges in two steps, between which strips add up what each has pooled.
- Upsampled convolutions compute blocks of 2×2 pixels as channels and spread them out. Transposed convolutions are three
  times slower, enlarging before the convolution twice.
- The last convolution has one output channel for n = 2, a sixteenth of what XNNPACK computes at a time. It is split
  into columns of taps, with an output for each, and their sums along the rows, for blocks of pixels at a time.
- For TensorFlow's own threads a picture may be cut into strips, each a chain of operations of its own.
"""
from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from redo_tf.layers import InstanceNormalization, PyramidPooling, ResidualBlock
from redo_tf.layers.instance_normalization import EPSILON
from redo_tf.layers.pyramid_pooling import Size, bilinear_matrix, bins_of, pooling_matrix
from redo_tf.layers.resampled_convolution import box_filtered
from redo_tf.models import MaskNetwork

BLOCK = 2  # rows and columns that the last convolution computes together
Strips = List[tf.Tensor]  # [B, h, w, C] each: a map cut into strips of h rows, from its top to its bottom.


class Precision:
    """In what numbers the convolutions compute: here, float32."""

    def convolve(self, name: str, strips: Strips, kernel: np.ndarray, strides, padding: str) -> Strips:
        """[B, h, w, in] with [kh, kw, in, out] → [B, h', w', out] each; the input has passed `activation`."""
        del name
        kernel = tf.constant(kernel)  # One for all strips.
        return [tf.nn.conv2d(x, kernel, strides, padding) for x in strips]

    def activation(self, name: str, strips: Strips) -> Strips:
        """The input of convolution `name`, before it is padded."""
        del name
        return strips


class InferenceGraph:
    """Pictures float32 [B, H, W, 3] in 0…1 → masks float32 [B, H, W, n] in the labels' order, summing to 1 over n.

    H and W are multiples of 4, known when the graph is traced or not; at least 24 where `equal` windows pool into six bins.

    Args:
      network: f, built.
      order: region of each label, background first.
      precision: of the convolutions.
      strips: a picture's rows are cut into so many, which threads may compute side by side: they meet where a convolution
        sees its neighbours' rows, and in means over the whole picture. For more than one H is known, and a multiple of
        four times their number.
    """

    def __init__(self, network: MaskNetwork, order: Sequence[int], precision: Optional[Precision] = None, strips: int = 1):
        self.network, self.order, self.precision = network, list(order), precision or Precision()
        self.strips = strips

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        network = self.network
        x = self._normalized(network.stem[1], self._stem(cut(images, self.strips)))
        for name, (convolution, norm) in (("down1", network.down1), ("down2", network.down2)):
            x = zero_pad(self.precision.activation(name, x))
            x = self._normalized(norm, self._convolve(name, x, value(convolution.kernel), strides=2))
        for i, block in enumerate(network.blocks):
            x = self._residual(f"block{i}", block, x)
        if network.pyramid:
            x = [tf.concat(parts, axis=-1) for parts in zip(x, context(network.pyramid, x))]
        for name, (convolution, norm), upsampled in (
                ("up1", network.up1, self._upsampled_by_pooling), ("up2", network.up2, self._upsampled_by_merging)):
            x = zero_pad(self.precision.activation(name, x))
            x = self._normalized(norm, upsampled(name, x, value(convolution.kernel)))
        return joined(self._masks(x))

    def _stem(self, x: Strips) -> Strips:
        x = reflect_pad(self.precision.activation("stem", x))
        kernel = value(self.network.stem[0].kernel)
        # The network sees 2·images − 1; the −1 adds a constant to each channel, which the norm takes out.
        return self._convolve("stem", [reflect(part, 2) for part in x], 2 * kernel)

    def _residual(self, name: str, block: ResidualBlock, x: Strips) -> Strips:
        h = self._normalized(block.norm1, self._convolve_same(name + "a", x, value(block.conv1.kernel)))
        # Without the bias, which the norm would take out.
        h = self._convolve_same(name + "b", h, value(block.conv2.kernel))
        return self._normalized(block.norm2, [part + own for part, own in zip(h, x)])

    def _convolve_same(self, name: str, x: Strips, kernel: np.ndarray) -> Strips:
        """3×3, zero-padded."""
        x = self.precision.activation(name, x)
        if len(x) == 1:  # Without an operation for the border, in TensorFlow Lite.
            return self._convolve(name, x, kernel, padding="SAME")
        return self._convolve(name, zero_pad(x), kernel)

    def _upsampled_by_merging(self, name: str, x: Strips, kernel: np.ndarray) -> Strips:
        """conv_3×3(nearest_upsample_2×2(·)) of x [B, h + 2, w + 2, in], zero-padded: [B, 2h, 2w, out].

        A pixel of the result sees 2×2 pixels of x, through sums of the kernel's taps: 16 products for each pixel of x.
        Blocks of 2×2 pixels that see the same pixels lie across those of x by one.
        """
        merged = box_filtered(kernel)
        blocks = np.concatenate([merged[row::2, column::2] for row in (1, 0) for column in (1, 0)], axis=-1)
        return [tf.nn.depth_to_space(part, 2)[:, 1:-1, 1:-1] for part in self._convolve(name, x, blocks)]

    def _upsampled_by_pooling(self, name: str, x: Strips, kernel: np.ndarray) -> Strips:
        """The same with the nine products of the kernel itself, so that no larger kernel has to be stored.

        Repeating each pixel is inserting zeros, then adding four neighbours, which may as well come last: with the
        zeros every second row needs the kernel's outer two rows of taps, the others the middle one; so do columns.
        """
        taps, first = ([0, 2], [1]), (0, 1)
        blocks = [self._convolve(name, [part[:, first[row]:, first[column]:] for part in x],
                                 kernel[np.ix_(taps[row], taps[column])])
                  for row in (0, 1) for column in (0, 1)]
        sparse = [tf.nn.depth_to_space(tf.concat(parts, axis=-1), 2) for parts in zip(*blocks)]
        box = np.ones([2, 2, kernel.shape[-1], 1], np.float32)
        return [tf.nn.depthwise_conv2d(part, box, [1, 1, 1, 1], "VALID")[:, :-1, :-1] for part in sparse]

    def _masks(self, x: Strips) -> Strips:
        kernel, bias = self._logit_weights()
        x = reflect_pad(self.precision.activation("columns", x))
        x = self._convolve("columns", x, column_taps(kernel), strides=[1, BLOCK, 1, 1])
        sums, labels = row_sums(), len(bias)
        if self.network.regions == 2:  # x and −x
            sums, bias = np.stack([sums, -sums], axis=-1).reshape(*sums.shape[:-1], -1), np.array([bias[0], -bias[0]])
        # One label at a time: of kernels of 1,024 numbers and more TFLite's dynamic quantization keeps 8 bits, which made
        # nonsense of this one for three labels.
        x = [[tf.nn.conv2d(part[..., label::labels], sums, [1, 1, BLOCK, 1], "VALID") for label in range(labels)]
             for part in (reflect(part, 2) for part in x)]
        x = [tf.concat([tf.nn.depth_to_space(logits, BLOCK) for logits in part], axis=-1) for part in x]
        logits = [tf.nn.bias_add(part, bias) for part in x]
        # Last of all, as whatever follows a sigmoid takes over its 8-bit range where convolutions are in 8 bits.
        return [tf.sigmoid(part) if self.network.regions == 2 else tf.nn.softmax(part) for part in logits]

    def _logit_weights(self):
        """Kernel and bias of the last convolution, in the labels' order and divided by the temperature."""
        kernel, bias = (value(weight) / self.network.temperature for weight in self.network.logits.weights)
        if self.network.regions == 2:
            sign = -1 if self.order == [1, 0] else 1  # 1 − sigmoid(x) = sigmoid(−x)
            return sign * kernel, sign * bias
        return kernel[..., self.order], bias[self.order]

    def _convolve(self, name: str, x: Strips, kernel: np.ndarray, strides=1, padding: str = "VALID") -> Strips:
        return self.precision.convolve(name, x, kernel.astype(np.float32), strides, padding)

    def _normalized(self, norm: InstanceNormalization, x: Strips) -> Strips:
        """ReLU of the instance norm."""
        mean = pixel_means(x)
        x = [part - self._per_channel(mean, part) for part in x]
        variance = pixel_means([part * part for part in x])
        scale, offset = value(norm.scale), value(norm.offset)[None, None, None]
        # scale / √(σ² + ε), which the converter would turn back into a reciprocal square root.
        gain = np.sign(scale) * tf.sqrt(scale**2 / (variance + EPSILON))
        return [tf.nn.relu(part * self._per_channel(gain, part) + self._per_channel(offset, part)) for part in x]

    def _per_channel(self, values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """[B or 1, 1, 1, C] in a form that broadcasts fast to x's [B, H, W, C]."""
        del x
        return values


def value(variable: tf.Variable) -> np.ndarray:
    """Also while a graph is traced, where it becomes a constant."""
    with tf.init_scope():
        return variable.numpy()


def cut(x: tf.Tensor, strips: int) -> Strips:
    """Into strips of as many rows each.

    Raises:
      ValueError: their rows are not known, or not a multiple of 4, so that they would not meet where the network halves them.
    """
    if strips == 1:
        return [x]
    if not x.shape[1] or x.shape[1] % (4 * strips):
        raise ValueError(f"A picture of {x.shape[1]} rows cannot be cut into {strips} strips of a multiple of 4.")
    return tf.split(x, strips, axis=1)


def joined(strips: Strips) -> tf.Tensor:
    return strips[0] if len(strips) == 1 else tf.concat(strips, axis=1)


def neighbouring(strips: Strips, i: int, lines: int) -> Tuple[Strips, Strips]:
    """What strip i sees of the strips above and below it, `lines` rows of each: one or none, and one or none."""
    return [x[:, -lines:] for x in strips[:i][-1:]], [x[:, :lines] for x in strips[i + 1:][:1]]


def zero_pad(strips: Strips) -> Strips:
    """A border of one pixel: zeros around the picture, the neighbours' rows between strips."""
    padded = []
    for i, x in enumerate(strips):
        above, below = neighbouring(strips, i, 1)
        x = joined([*above, x, *below])
        padded.append(tf.pad(x, [[0, 0], [1 - len(above), 1 - len(below)], [1, 1], [0, 0]]))
    return padded


def reflect_pad(strips: Strips) -> Strips:
    """Three rows above and below: mirrored ones around the picture, see `reflect`, the neighbours' between strips."""
    padded = []
    for i, x in enumerate(strips):
        first, last = mirrored(x, 1)
        above, below = neighbouring(strips, i, 3)
        padded.append(tf.concat([*(above or [first]), x, *(below or [last])], axis=1))
    return padded


def reflect(x: tf.Tensor, axis: int) -> tf.Tensor:
    """Three lines mirrored at either end of the rows (axis 1) or columns (axis 2), the edge itself not repeated."""
    first, last = mirrored(x, axis)
    return tf.concat([first, x, last], axis)


def mirrored(x: tf.Tensor, axis: int) -> Tuple[tf.Tensor, tf.Tensor]:
    """The lines that `reflect` adds. Not by slices of stride −1, which are copied value by value."""
    if axis == 1:
        first, last = x[:, 1:4], x[:, -4:-1]
    else:
        first, last = x[:, :, 1:4], x[:, :, -4:-1]
    return tf.reverse(first, [axis]), tf.reverse(last, [axis])


def pixel_means(strips: Strips) -> tf.Tensor:
    """Of every channel over the whole picture: [B, 1, 1, C]."""
    means = [tf.reduce_mean(x, axis=[1, 2], keepdims=True) for x in strips]
    return means[0] if len(means) == 1 else tf.add_n(means) / len(means)


def context(pyramid: PyramidPooling, strips: Strips) -> Strips:
    """Pyramid pooling's maps alone: [B, h, w, C] → [B, h, w, bins]."""
    kernel = np.concatenate([value(projection.kernel) for projection in pyramid.projections], axis=-1)
    bias = np.concatenate([value(projection.bias) for projection in pyramid.projections])
    maps = [tf.transpose(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "VALID"), bias), [0, 3, 1, 2]) for x in strips]
    dynamic = tf.shape(strips[0])
    height, width = (strips[0].shape[axis] or dynamic[axis] for axis in (1, 2))
    height *= len(strips)
    columns = _pooling(pyramid, width)
    pooled = [part @ tf.matmul(own, columns, transpose_b=True)
              for part, own in zip(tf.split(_pooling(pyramid, height), len(strips), axis=2), maps)]
    columns = tf.matmul(tf.add_n(pooled), _enlarging(pyramid, width), transpose_b=True)
    return [tf.transpose(part @ columns, [0, 2, 3, 1])
            for part in tf.split(_enlarging(pyramid, height), len(strips), axis=1)]


def _pooling(pyramid: PyramidPooling, size: Size) -> tf.Tensor:
    """For each number of bins the matrix that pools a line of `size` values: [number, most bins, size], 0 below."""
    counts, most = _counts(pyramid, size)
    return tf.stack([tf.pad(pooling_matrix(size, bins, pyramid.windows), [[0, most - count], [0, 0]])
                     for bins, count in zip(pyramid.bins, counts)])


def _enlarging(pyramid: PyramidPooling, size: Size) -> tf.Tensor:
    """For each number of bins the matrix that interpolates them to `size` values: [number, size, most bins]."""
    counts, most = _counts(pyramid, size)
    return tf.stack([tf.pad(bilinear_matrix(count, size), [[0, 0], [0, most - count]]) for count in counts])


def _counts(pyramid: PyramidPooling, size: Size) -> Tuple[List[Size], Size]:
    """How many bins there are of each kind, and at most."""
    counts = [bins_of(size, bins, pyramid.windows) for bins in pyramid.bins]
    return counts, tf.reduce_max(counts) if tf.is_tensor(size) else max(counts)


def column_taps(kernel: np.ndarray) -> np.ndarray:
    """[7, 7, in, out] → [8, 1, in, 2·7·out]: each column with outputs of its own, for both rows of a block."""
    size, _, inputs, outputs = kernel.shape
    taps = np.zeros([size - 1 + BLOCK, 1, inputs, BLOCK, size, outputs], kernel.dtype)
    for row in range(BLOCK):
        taps[row:row + size, 0, :, row] = kernel.transpose(0, 2, 1, 3)
    return taps.reshape(size - 1 + BLOCK, 1, inputs, BLOCK * size * outputs)


def row_sums() -> np.ndarray:
    """Adds up what `column_taps` gives of one output, for both columns of a block: [1, 8, 2·7, 2·2]."""
    size = 7
    sums = np.zeros([size - 1 + BLOCK, BLOCK, size, BLOCK, BLOCK], np.float32)
    for row in range(BLOCK):
        for column in range(BLOCK):
            for tap in range(size):
                sums[column + tap, row, tap, row, column] = 1
    return sums.reshape(1, size - 1 + BLOCK, BLOCK * size, BLOCK * BLOCK)
