"""The encoder δ: reads each region's noise back from a repainted picture."""
from __future__ import annotations

from typing import Sequence

import tensorflow as tf

from redo_tf.layers import Orthogonal
from redo_tf.models.discriminator import ResidualTrunk


class Encoder(tf.keras.Model):
    """δ: I' [B, S, S, 3] in −1…1 → estimate of z [B, n, d] float32.

    The trunk is shared by the regions, the last linear layer is each region's own. No attention, as in the released code.
    """

    def __init__(self, image_size: int, regions: int, latent_size: int, widths: Sequence[int], attention: bool = False,
                 gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.shape_of_z = [-1, regions, latent_size]
        self.trunk = ResidualTrunk(image_size, widths, attention, gain)
        self.latents = tf.keras.layers.Dense(
            regions * latent_size, kernel_initializer=Orthogonal(gain), dtype="float32")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(self.latents(self.trunk(images)), self.shape_of_z)
