"""The discriminator D, and the trunk that it shares in shape with the encoder δ."""
from __future__ import annotations

from typing import Sequence

import tensorflow as tf

from redo_tf.layers import DownBlock, Orthogonal, SelfAttention
from redo_tf.sizes import fit_widths


class ResidualTrunk(tf.keras.layers.Layer):
    """Residual down blocks to 4×4, one block more, the *sum* over places: [B, S, S, 3] → [B, widths[-1]] float32.

    Args:
      image_size: S = 32·2^k.
      widths: of the down blocks and the last block; see `fit_widths`.
      attention: self-attention after the first block, at half the size.
      gain: of the orthogonal initialisation.
    """

    def __init__(self, image_size: int, widths: Sequence[int], attention: bool, gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        *down_widths, last_width = fit_widths(widths, image_size)
        self.first = DownBlock(down_widths[0], leading_relu=False, gain=gain)
        self.attention = SelfAttention(gain) if attention else None
        self.blocks = [DownBlock(width, gain=gain) for width in down_widths[1:]]
        self.blocks.append(DownBlock(last_width, pool=False, gain=gain))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        x = self.first(images)
        if self.attention:
            x = self.attention(x)
        for block in self.blocks:
            x = block(x)
        return tf.reduce_sum(tf.cast(x, tf.float32), axis=[1, 2])


class Discriminator(tf.keras.Model):
    """D: I [B, S, S, 3] in −1…1 → score [B] float32, high for real pictures. The last, linear, layer has no
    spectral normalization, as in the released code."""

    def __init__(self, image_size: int, widths: Sequence[int], attention: bool = True, gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.trunk = ResidualTrunk(image_size, widths, attention, gain)
        self.score = tf.keras.layers.Dense(1, kernel_initializer=Orthogonal(gain), dtype="float32")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return tf.squeeze(self.score(self.trunk(images)), axis=-1)
