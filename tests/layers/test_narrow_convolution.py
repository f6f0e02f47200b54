from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import convolution, value
from redo_tf.layers import NarrowConv2D

CASES = pytest.mark.parametrize("height, width, channels, filters, size", [
    (4, 4, 1, 1, 7), (5, 8, 3, 1, 7), (6, 4, 2, 3, 5), (3, 2, 4, 2, 3)])


def layer_and_input(height, width, channels, filters, size):
    """In float64, so that only the identity can fail and not the order of the sums."""
    layer = NarrowConv2D(filters, size, dtype="float64")
    x = tf.constant(np.random.default_rng(0).normal(size=[2, height, width, channels]))
    layer.build(x.shape)
    layer.bias.assign(np.random.default_rng(1).normal(size=[filters]))
    return layer, x


def plain(x, kernel, bias):
    margin = kernel.shape[0] // 2
    padded = tf.pad(x, [[0, 0], [margin, margin], [margin, margin], [0, 0]], "REFLECT")
    return tf.nn.conv2d(padded, kernel, 1, "VALID") + bias


@CASES
def test_it_is_the_convolution_of_a_map_with_reflected_borders(height, width, channels, filters, size):
    layer, x = layer_and_input(height, width, channels, filters, size)
    margin = size // 2
    reflected = np.pad(x.numpy(), [(0, 0), (margin, margin), (margin, margin), (0, 0)], "reflect")
    expected = convolution(reflected, value(layer.kernel), value(layer.bias), pad=0)
    assert [weight.shape for weight in layer.weights] == [(size, size, channels, filters), (filters,)]
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(layer(x), expected, atol=1e-12)


@CASES
def test_gradients_are_those_of_one_convolution(height, width, channels, filters, size):
    layer, x = layer_and_input(height, width, channels, filters, size)

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(function(x)))
        return tape.gradient(loss, [x, layer.kernel, layer.bias])

    expected = gradients(lambda x: plain(x, tf.convert_to_tensor(layer.kernel), tf.convert_to_tensor(layer.bias)))
    for actual, gradient in zip(gradients(layer), expected):
        np.testing.assert_allclose(actual, gradient, atol=1e-11)


def test_rows_in_bfloat16_are_summed_in_float32():
    """256 + 1 + 1 = 258; with its 8 digits bfloat16 knows 256 and 258, but not 257, and would sum to 256."""
    layer = NarrowConv2D(1, 3, use_bias=False, dtype="mixed_bfloat16")
    x = tf.fill([1, 4, 4, 1], 1.0)
    layer.build(x.shape)
    kernel = np.zeros([3, 3, 1, 1])
    kernel[:, 1, 0, 0] = 256, 1, 1
    layer.kernel.assign(kernel)
    assert layer(x).dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(layer(x), tf.float32), np.full([1, 4, 4, 1], 258))
