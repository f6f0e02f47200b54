"""The mask network f: which pixel belongs to which region."""
from __future__ import annotations

from typing import Optional

import tensorflow as tf

from redo_tf.layers import (
    InstanceNormalization, NarrowConv2D, Orthogonal, PyramidPooling, ResidualBlock, UpsampledConv2D)
from redo_tf.layers.narrow_convolution import reflect_pad


class MaskNetwork(tf.keras.Model):
    """f: I [B, S, S, 3] in −1…1 → M [B, S, S, n] float32 in 0…1, summing to 1 over the n regions.

    Table 4 of the paper's supplement. The paper prints its last convolution as 3×3 with padding 3; 7×7 is meant, and is
    what the released code has. 274,966 parameters at 16 channels and n = 2. No spectral normalization here.

    Args:
      regions: n. For n = 2 one sigmoid channel m gives (m, 1 − m); for more a softmax.
      channels: ch, the width at full size; 16 in the paper.
      residual_blocks: blocks at a quarter of the size; 3 in the paper.
      temperature: divides the logits; 1 in the paper.
      pooling_windows: `equal` (released code) or `adaptive`, see `PyramidPooling`; None leaves pyramid pooling out.
      gain: of the orthogonal initialisation.
    """

    def __init__(self, regions: int = 2, channels: int = 16, residual_blocks: int = 3, temperature: float = 1.0,
                 pooling_windows: Optional[str] = "equal", gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.regions, self.temperature = regions, temperature

        def convolution(filters, kernel_size, **options):
            return tf.keras.layers.Conv2D(
                filters, kernel_size, kernel_initializer=Orthogonal(gain), use_bias=False, **options)

        self.stem = [convolution(channels, 7), InstanceNormalization()]
        self.down1 = [convolution(2 * channels, 3, strides=2), InstanceNormalization()]
        self.down2 = [convolution(4 * channels, 3, strides=2), InstanceNormalization()]
        self.blocks = [ResidualBlock(gain) for _ in range(residual_blocks)]
        self.pyramid = PyramidPooling(windows=pooling_windows, gain=gain) if pooling_windows else None
        width = 4 * channels + (len(self.pyramid.bins) if self.pyramid else 0)
        self.up1 = [UpsampledConv2D(width // 2, use_bias=False, kernel_initializer=Orthogonal(gain)),
                    InstanceNormalization()]
        self.up2 = [UpsampledConv2D(width // 4, use_bias=False, kernel_initializer=Orthogonal(gain)),
                    InstanceNormalization()]
        self.logits = NarrowConv2D(1 if regions == 2 else regions, 7, kernel_initializer=Orthogonal(gain))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        x = self._normalized(self.stem, reflect_pad(tf.cast(images, self.compute_dtype), 3, 3))
        for stage in (self.down1, self.down2):
            x = self._normalized(stage, tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))
        for block in self.blocks:
            x = block(x)
        if self.pyramid:
            x = self.pyramid(x)
        x = self._normalized(self.up2, self._normalized(self.up1, x))
        logits = tf.cast(self.logits(x), tf.float32) / self.temperature
        if self.regions == 2:
            mask = tf.sigmoid(logits)
            return tf.concat([mask, 1 - mask], axis=-1)
        return tf.nn.softmax(logits)

    @staticmethod
    def _normalized(stage, x: tf.Tensor) -> tf.Tensor:
        convolution, norm = stage
        return tf.nn.relu(norm(convolution(x)))
