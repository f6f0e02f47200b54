from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from redo_tf.layers import NarrowConv2D, SpectralNormalization
from redo_tf.layers.bias import add_bias
from redo_tf.layers.small_maps import Conv3x3


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.bfloat16])
def test_it_adds_each_channels_number(dtype):
    maps = np.arange(24.0).reshape(2, 2, 3, 2)
    sums = add_bias(tf.constant(maps, dtype), tf.constant([1, -2], dtype))
    np.testing.assert_array_equal(tf.cast(sums, tf.float64), maps + [1, -2])


def bias_gradient(layer, x, upstream):
    """In a graph, as in training, where TensorFlow computes some biases' gradients together with their kernels'."""
    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            outputs = layer(x)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream)
        return tape.gradient(loss, bias)

    layer(x)
    bias = layer.trainable_variables[-1]
    return gradient().numpy()


@pytest.mark.parametrize("layer, shape", [
    (lambda: NarrowConv2D(1, 7, dtype="mixed_bfloat16"), [4, 64, 64, 17]),  # f's last
    (lambda: SpectralNormalization(Conv3x3(512, dtype="mixed_bfloat16")), [64, 8, 8, 16]),  # kernel's gradient by matrices
    (lambda: SpectralNormalization(Conv3x3(16, dtype="mixed_bfloat16")), [4, 64, 64, 3]),  # TensorFlow's
    (lambda: SpectralNormalization(tf.keras.layers.Conv2D(4, 1, dtype="mixed_bfloat16")), [4, 32, 32, 3]),
], ids=["narrow", "small_maps", "native", "1x1"])
def test_gradient_in_bfloat16_is_the_sum_over_all_pixels(layer, shape):
    """Of 4,096 to 16,384 numbers between 0 and 1: in bfloat16 their sum would not get past 256.

    Each number is rounded to 8 digits, 2⁻⁹ at most, in either direction, and so is the sum at its end.
    """
    layer = layer()
    layer.build(shape)
    outputs = layer.compute_output_shape(shape)
    upstream = np.random.default_rng(0).uniform(size=outputs).astype(np.float32)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    actual = bias_gradient(layer, tf.cast(x, tf.bfloat16), upstream)
    np.testing.assert_allclose(actual, upstream.astype(np.float64).sum((0, 1, 2)), rtol=2**-8)
