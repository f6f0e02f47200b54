"""Normalisation of each feature map of each picture over its own pixels, and its conditional forms."""
from __future__ import annotations

import tensorflow as tf

from redo_tf.layers.initializers import Orthogonal

EPSILON = 1e-5  # PyTorch's default, which the released code uses; Keras' layers default to 1e-3.


@tf.custom_gradient
def instance_normalize(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor):
    """`(x − μ) / √(σ² + ε) · scale + offset`, μ and σ² over the pixels of each map.

    With x̂ the result before scale and offset, r = 1 / √(σ² + ε), g the result's gradient and ⟨·⟩ means over the pixels,
    that of x is `scale · r · (g − ⟨g⟩ − ⟨g x̂⟩ x̂)`. It is written out as one sum `a g + b x + c` with a, b and c for each
    map, which passes over the maps less often than the gradients of the mean and the variance.

    Args:
      x: [B, H, W, C], any float dtype; the statistics are float32.
      scale, offset: float32 tensors, [C] or [B, 1, 1, C].

    Returns:
      [B, H, W, C] in the dtype of x.
    """
    wide = tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(wide, axes=[1, 2], keepdims=True)
    rate = tf.math.rsqrt(variance + EPSILON)
    gain = rate * scale

    def gradients(upstream):
        upstream = tf.cast(upstream, tf.float32)
        along = tf.reduce_mean(upstream, axis=[1, 2], keepdims=True)  # ⟨g⟩
        along_x = (tf.reduce_mean(upstream * wide, axis=[1, 2], keepdims=True) - mean * along) * rate  # ⟨g x̂⟩
        slope = -gain * rate * along_x
        of_x = tf.cast(gain * upstream + slope * wide - (gain * along + slope * mean), x.dtype)
        pixels = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float32)
        return of_x, _summed_like(pixels * along_x, scale), _summed_like(pixels * along, offset)

    return x * tf.cast(gain, x.dtype) + tf.cast(offset - mean * gain, x.dtype), gradients


def _summed_like(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[B, 1, 1, C], or summed over the batch → [C]."""
    return values if like.shape.rank == 4 else tf.reduce_sum(values, axis=[0, 1, 2])


class InstanceNormalization(tf.keras.layers.Layer):
    """Instance normalisation with a learned scale γ (1 at first) and offset β (0 at first) for each channel: x [B, H, W, C] →
    the same shape and dtype."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.scale = self.add_weight("scale", [channels], initializer="ones", experimental_autocast=False)
        self.offset = self.add_weight("offset", [channels], initializer="zeros", experimental_autocast=False)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return instance_normalize(x, tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.offset))


class _Conditional(tf.keras.layers.Layer):
    """γ(z) and β(z), both linear in z: the part that the two conditional normalisations share."""

    def __init__(self, gain: float = 0.8, **kwargs):
        super().__init__(autocast=False, **kwargs)  # z stays float32.
        self.gain = gain

    def build(self, input_shapes):
        channels = input_shapes[0][-1]
        # float32 throughout: B·d·C products cost nothing, and bfloat16 would coarsen every activation's scale.
        self.scale = tf.keras.layers.Dense(channels, kernel_initializer=Orthogonal(self.gain), dtype="float32")
        self.offset = tf.keras.layers.Dense(channels, kernel_initializer=Orthogonal(self.gain), dtype="float32")

    def modulation(self, z: tf.Tensor):
        """z [B, d] → γ(z), β(z), each float32 [B, 1, 1, C]."""
        return self.scale(z)[:, None, None], self.offset(z)[:, None, None]


class ConditionalInstanceNormalization(_Conditional):
    """`norm(x) · γ(z) + β(z)`, instance statistics: what the released code uses. Call with `(x, z)`, x
    [B, H, W, C] and z [B, d]; the result is like x."""

    def call(self, inputs, training=None):
        del training  # The same in training and inference.
        x, z = inputs
        return instance_normalize(x, *self.modulation(z))


class ConditionalBatchNormalization(_Conditional):
    """`norm(x) · γ(z) + β(z)`, batch statistics (over all replicas): the paper's text, section 4. Call with
    `(x, z)`, x [B, H, W, C] and z [B, d]; the result is like x."""

    def build(self, input_shapes):
        super().build(input_shapes)
        self.normalization = tf.keras.layers.BatchNormalization(
            center=False, scale=False, epsilon=EPSILON, momentum=0.9, synchronized=True)

    def call(self, inputs, training=None):
        x, z = inputs
        scale, offset = self.modulation(z)
        x = self.normalization(x, training=training)
        return x * tf.cast(scale, x.dtype) + tf.cast(offset, x.dtype)


CONDITIONAL_NORMALIZATIONS = {"instance": ConditionalInstanceNormalization, "batch": ConditionalBatchNormalization}
