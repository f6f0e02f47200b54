"""A bias on maps of many pixels."""
from __future__ import annotations

import tensorflow as tf


def add_bias(maps: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """`tf.nn.bias_add`, with the bias' gradient summed in float32: maps [B, H, W, C] and bias [C] of one dtype.

    TensorFlow sums it in that dtype, where it does not do so together with a convolution's gradient. In bfloat16, which has 8
    binary digits, a sum of a few hundred equal numbers grows no further, so that of 16,384 pixels' gradients most may be lost.
    """
    bias = tf.convert_to_tensor(bias)  # A variable under mixed precision calls itself float32.
    if maps.dtype.size > 2:  # float32 and float64.
        return tf.nn.bias_add(maps, bias)

    @tf.custom_gradient
    def differentiable(maps, bias):
        def gradient(upstream):
            summed = tf.reduce_sum(tf.cast(upstream, tf.float32), axis=[0, 1, 2])
            return upstream, tf.cast(summed, bias.dtype)

        return tf.nn.bias_add(maps, bias), gradient

    return differentiable(maps, bias)
