"""3×3 convolutions merged with the factor-2 resampling beside them.

Both are exact identities, found by swapping two linear maps; only the order of the float additions differs. They need
16 instead of 36 products for each output (down) or input (up) pixel and keep nothing at the larger size but the result.
The variable stays the 3×3 kernel, so checkpoints and spectral normalization see the published layer.
"""
from __future__ import annotations

import tensorflow as tf

from redo_tf.layers.small_maps import convolve


def box_filtered(kernel: tf.Tensor) -> tf.Tensor:
    """The full convolution of a kernel [3, 3, in, out] with a 2×2 box of ones: [4, 4, in, out]."""
    columns = tf.pad(kernel, [[0, 0], [0, 1], [0, 0], [0, 0]]) + tf.pad(kernel, [[0, 0], [1, 0], [0, 0], [0, 0]])
    return tf.pad(columns, [[0, 1], [0, 0], [0, 0], [0, 0]]) + tf.pad(columns, [[1, 0], [0, 0], [0, 0], [0, 0]])


class PooledConv2D(tf.keras.layers.Conv2D):
    """`average_pool_2×2(conv_3×3(x))`: [B, H, W, C] → [B, H/2, W/2, filters], H and W even.

    Averaging four neighbours of a stride-1 convolution is one stride-2 convolution with the kernel averaged over the
    four shifts.
    """

    def __init__(self, filters: int, **kwargs):
        kwargs.update(kernel_size=3, padding="same")
        super().__init__(filters, **kwargs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolve(inputs, box_filtered(kernel) * 0.25, stride=2)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        return tf.TensorShape([batch, height and height // 2, width and width // 2, self.filters])


class UpsampledConv2D(tf.keras.layers.Conv2D):
    """`conv_3×3(nearest_upsample_2×2(x))`: [B, H, W, C] → [B, 2H, 2W, filters].

    Nearest upsampling is four times the transpose of 2×2 average pooling, so the pair is a transposed stride-2
    convolution with the flipped kernel summed over the four shifts.
    """

    def __init__(self, filters: int, **kwargs):
        kwargs.update(kernel_size=3, padding="same")
        super().__init__(filters, **kwargs)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        # Not kernel[::-1, ::-1], which TensorFlow copies ten times more slowly than this.
        flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
        batch, height, width = tf.unstack(tf.shape(inputs)[:3])
        outputs = tf.nn.conv2d_transpose(
            inputs, box_filtered(flipped), [batch, 2 * height, 2 * width, self.filters], strides=2, padding="SAME")
        outputs.set_shape(self.compute_output_shape(inputs.shape))
        return outputs

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        return tf.TensorShape([batch, height and height * 2, width and width * 2, self.filters])


def upsample_nearest(x: tf.Tensor) -> tf.Tensor:
    """Every pixel repeated 2×2: [B, H, W, C] → [B, 2H, 2W, C]. A broadcast, whose gradient is a plain sum."""
    batch = tf.shape(x)[0]
    _, height, width, channels = x.shape
    spread = tf.broadcast_to(x[:, :, None, :, None], [batch, height, 2, width, 2, channels])
    return tf.reshape(spread, [batch, 2 * height, 2 * width, channels])
