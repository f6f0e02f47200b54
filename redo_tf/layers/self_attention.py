"""Self-attention over the pixels of a feature map (Zhang et al., SAGAN, 2019)."""
from __future__ import annotations

import tensorflow as tf

from redo_tf.layers.spectral_normalization import SpectralNormalization, normalized


class SelfAttention(tf.keras.layers.Layer):
    """`x + γ · o(softmax(q(x) kᵀ) v)`: [B, H, W, C] → [B, H, W, C], H and W even.

    Query and key have C/8 channels, the value C/2; keys and values are max-pooled 2×2, so that the softmax runs over
    H·W/4 places. All four 1×1 convolutions are spectrally normalised and without bias. γ starts at 0: the layer is the
    identity at first. As in the released code the products are not divided by the root of the key's size.
    """

    def __init__(self, gain: float = 0.8, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def build(self, input_shape):
        channels = input_shape[-1]
        self.query = self._pointwise(max(channels // 8, 1))
        self.key = self._pointwise(max(channels // 8, 1))
        self.value = self._pointwise(max(channels // 2, 1))
        self.output_projection = self._pointwise(channels)
        self.gamma = self.add_weight("gamma", [], initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        query, key, value = self.query(x), self._pooled(self.key(x)), self._pooled(self.value(x))
        attended = attend(self._places(query), self._places(key), self._places(value))
        attended = tf.reshape(attended, tf.concat([tf.shape(x)[:3], attended.shape[-1:]], axis=0))
        return x + self.gamma * self.output_projection(attended)

    def _pointwise(self, filters: int) -> SpectralNormalization:
        return normalized(tf.keras.layers.Conv2D, filters, self.gain, kernel_size=1, use_bias=False)

    @staticmethod
    def _pooled(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    @staticmethod
    def _places(x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] → [B, H·W, C]."""
        shape = tf.shape(x)
        return tf.reshape(x, [shape[0], shape[1] * shape[2], x.shape[-1]])


@tf.custom_gradient
def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor):
    """`o = p v` with `p = softmax(q kᵀ)`: [B, Q, d], [B, K, d], [B, K, e] → [B, Q, e].

    The gradient of q kᵀ is `p ⊙ (∂o vᵀ − δ)` with `δ = Σ_K p ⊙ (∂o vᵀ)`, a sum over a row of the largest matrix here. It
    is also `Σ_e ∂o ⊙ o`, since p v = o (Dao et al., FlashAttention, 2022), a sum over few channels; and it is subtracted
    by the product itself, as one more channel: `[∂o, −δ] [v, 1]ᵀ`. One pass over the matrix is left of four.
    """
    weights = tf.nn.softmax(tf.linalg.matmul(query, key, transpose_b=True))
    attended = tf.linalg.matmul(weights, value)

    def gradients(upstream):
        delta = tf.reduce_sum(upstream * attended, axis=-1, keepdims=True)
        of_products = weights * tf.linalg.matmul(
            tf.concat([upstream, -delta], axis=-1), tf.concat([value, tf.ones_like(value[..., :1])], axis=-1),
            transpose_b=True)
        return (tf.linalg.matmul(of_products, key), tf.linalg.matmul(of_products, query, transpose_a=True),
                tf.linalg.matmul(weights, upstream, transpose_a=True))

    return attended, gradients
