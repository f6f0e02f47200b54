"""The region generator G_k: repaints one region inside its mask."""
from __future__ import annotations

import tensorflow as tf

from redo_tf.layers import Orthogonal, SelfAttention, UpBlock
from redo_tf.layers.instance_normalization import CONDITIONAL_NORMALIZATIONS
from redo_tf.layers.spectral_normalization import normalized
from redo_tf.sizes import SMALLEST_MAP, halvings


class RegionGenerator(tf.keras.Model):
    """G_k: (M_k [B, S, S, 1], z_k [B, d]) → M_k ⊙ V_k [B, S, S, 3] float32 in −1…1.

    z → linear → 4×4 maps → one up block a doubling → conditional norm, ReLU, 3×3 convolution, tanh, × mask. The width at
    size r is channels·min(16, S/r): 16-fold up to size S/16, then halved at each doubling, as in Table 4. The
    mask enters every block and the last convolution, averaged to the size there.

    Args:
      image_size: S = 32·2^k.
      channels: ch, the width at full size; the paper has 64 for LFW and c2-MNIST, 32 for Flowers and CUB.
      normalization: `instance` (released code) or `batch` (the paper's text).
      attention: self-attention before the last block, at half the size.
      gain: of the orthogonal initialisation.
    """

    def __init__(self, image_size: int, channels: int = 64, normalization: str = "instance", attention: bool = True,
                 gain: float = 0.8, **kwargs):
        super().__init__(autocast=False, **kwargs)  # The mask multiplies the result in float32.
        doublings = halvings(image_size)
        sizes = [SMALLEST_MAP << i for i in range(doublings + 1)]
        widths = [channels * min(16, image_size // size) for size in sizes]
        self.first_width = widths[0]
        self.seed = tf.keras.layers.Dense(
            SMALLEST_MAP * SMALLEST_MAP * widths[0], kernel_initializer=Orthogonal(gain))
        self.blocks = [UpBlock(width, normalization, gain) for width in widths[1:]]
        self.attention = SelfAttention(gain) if attention else None
        self.norm = CONDITIONAL_NORMALIZATIONS[normalization](gain)
        self.to_rgb = normalized(tf.keras.layers.Conv2D, 3, gain, kernel_size=3, padding="same")

    def call(self, inputs, training=None):
        mask, z = inputs
        pyramid = [tf.cast(mask, self.compute_dtype)]
        for _ in self.blocks:
            pyramid.insert(0, tf.nn.avg_pool2d(pyramid[0], 2, 2, "VALID"))
        x = tf.reshape(self.seed(z), [-1, SMALLEST_MAP, SMALLEST_MAP, self.first_width])
        for small_mask, block in zip(pyramid, self.blocks):
            if self.attention and block is self.blocks[-1]:
                x = self.attention(x)
            x = block((x, small_mask, z), training=training)
        x = tf.nn.relu(self.norm((x, z), training=training))
        x = self.to_rgb(tf.concat([x, pyramid[-1]], axis=-1))
        return tf.tanh(tf.cast(x, tf.float32)) * mask
