"""The residual blocks of the four networks (Table 4 of the paper's supplement; SAGAN's, for G, D and δ)."""
from __future__ import annotations

import tensorflow as tf

from redo_tf.layers.initializers import Orthogonal
from redo_tf.layers.instance_normalization import CONDITIONAL_NORMALIZATIONS, InstanceNormalization
from redo_tf.layers.resampled_convolution import PooledConv2D, UpsampledConv2D, upsample_nearest
from redo_tf.layers.small_maps import Conv3x3
from redo_tf.layers.spectral_normalization import normalized


class ResidualBlock(tf.keras.layers.Layer):
    """The mask network's: conv-IN-ReLU-conv, add, IN-ReLU: [B, H, W, C] → the same shape.

    As in the released code the second convolution has a bias, though the norm after it takes it out again.
    """

    def __init__(self, gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def build(self, input_shape):
        channels = input_shape[-1]
        self.conv1 = tf.keras.layers.Conv2D(
            channels, 3, padding="same", use_bias=False, kernel_initializer=Orthogonal(self.gain))
        self.norm1 = InstanceNormalization()
        self.conv2 = tf.keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer=Orthogonal(self.gain))
        self.norm2 = InstanceNormalization()

    def call(self, x: tf.Tensor) -> tf.Tensor:
        h = self.conv2(tf.nn.relu(self.norm1(self.conv1(x))))
        return tf.nn.relu(self.norm2(h + x))


class DownBlock(tf.keras.layers.Layer):
    """D's and δ's: ReLU-conv-ReLU-conv-pool plus a 1×1 shortcut: [B, H, W, C] → [B, H/2, W/2, width].

    Args:
      width: channels of the result.
      leading_relu: False for the first block, which sees the picture itself.
      pool: False for the last block, which keeps the size; its shortcut is the identity when the width does not change.
    """

    def __init__(self, width: int, leading_relu: bool = True, pool: bool = True, gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.width, self.leading_relu, self.pool, self.gain = width, leading_relu, pool, gain

    def build(self, input_shape):
        self.conv1 = normalized(Conv3x3, self.width, self.gain)
        self.conv2 = normalized(PooledConv2D if self.pool else Conv3x3, self.width, self.gain)
        if self.pool or input_shape[-1] != self.width:
            self.shortcut = normalized(tf.keras.layers.Conv2D, self.width, self.gain, kernel_size=1)
        else:
            self.shortcut = tf.identity

    def call(self, x: tf.Tensor) -> tf.Tensor:
        # `ensure_shape` changes nothing. A ReLU that follows a sum directly is fused with it by TensorFlow 2.15, which then
        # finds that the preceding block's sum is used by this one's shortcut, too, and drops all its fusions.
        h = tf.nn.relu(tf.ensure_shape(x, x.shape)) if self.leading_relu else x
        h = self.conv2(tf.nn.relu(self.conv1(h)))
        if self.pool:
            x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
        return h + self.shortcut(x)


class UpBlock(tf.keras.layers.Layer):
    """G's: [B, H, W, C] → [B, 2H, 2W, width], told of the mask and of z. Call with `(x, mask, z)`.

        h = conv(up(concat(relu(norm(x)·γ(z)+β(z)), m↓)))
        h = conv(relu(norm(h)·γ(z)+β(z)))
        out = h + conv1×1(up(x))

    x [B, H, W, C]; mask m↓ [B, H, W, 1], already averaged to the size of x; z [B, d]. The shortcut's 1×1 convolution
    runs before its upsampling, which is the same and four times cheaper.
    """

    def __init__(self, width: int, normalization: str = "instance", gain: float = 0.8, **kwargs):
        super().__init__(autocast=False, **kwargs)  # z stays float32.
        self.width, self.normalization, self.gain = width, normalization, gain

    def build(self, input_shapes):
        norm = CONDITIONAL_NORMALIZATIONS[self.normalization]
        self.norm1, self.norm2 = norm(self.gain), norm(self.gain)
        self.conv1 = normalized(UpsampledConv2D, self.width, self.gain, use_bias=False)
        self.conv2 = normalized(Conv3x3, self.width, self.gain)
        self.shortcut = normalized(tf.keras.layers.Conv2D, self.width, self.gain, kernel_size=1)

    def call(self, inputs, training=None):
        x, mask, z = inputs
        h = tf.nn.relu(self.norm1((x, z), training=training))
        h = self.conv1(tf.concat([h, tf.cast(mask, h.dtype)], axis=-1))
        h = self.conv2(tf.nn.relu(self.norm2((h, z), training=training)))
        return h + upsample_nearest(self.shortcut(x))
