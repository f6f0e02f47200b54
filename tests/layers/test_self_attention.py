from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import self_attention
from redo_tf.layers import SelfAttention
from redo_tf.layers.self_attention import attend

pytestmark = pytest.mark.usefixtures("seeded")


def maps(channels=16) -> np.ndarray:
    return np.random.default_rng(0).normal(size=[2, 4, 6, channels]).astype(np.float32)


def build(channels=16, gamma=0.7) -> SelfAttention:
    layer = SelfAttention()
    layer(maps(channels))
    layer.gamma.assign(gamma)
    return layer


def test_attention_is_that_of_a_loop_over_pixels():
    layer, x = build(), 3 * maps()  # Times 3: weights far from uniform, so that order and temperature of places show.
    expected = self_attention(layer, x.astype(np.float64))
    assert np.abs(expected - x).max() > 0.1
    # Sums of 16 float32 products of values near 10, then exponentials of them.
    np.testing.assert_allclose(layer(x), expected, atol=5e-5)


def test_attention_is_the_identity_at_first():
    layer = SelfAttention()
    np.testing.assert_array_equal(layer(maps()), maps())
    assert layer.gamma.numpy() == 0


def test_output_is_linear_in_gamma():
    layer = build(gamma=0.5)
    half = layer(maps()) - maps()
    layer.gamma.assign(-1.0)
    np.testing.assert_allclose(layer(maps()) - maps(), -2 * half, atol=1e-5)


@pytest.mark.parametrize("channels, parameters", [
    (16, 16 * 2 + 16 * 2 + 16 * 8 + 8 * 16 + 1),  # query and key C/8, value C/2, back, γ; no biases
    (4, 4 * 1 + 4 * 1 + 4 * 2 + 2 * 4 + 1),  # at least one channel for query and key
])
def test_parameters_by_hand(channels, parameters):
    assert sum(weight.shape.num_elements() for weight in build(channels).trainable_weights) == parameters


def test_gradients_are_those_of_the_products_and_the_softmax():
    rng = np.random.default_rng(0)
    inputs = [tf.constant(rng.normal(size=shape)) for shape in ([2, 12, 3], [2, 5, 3], [2, 5, 4])]
    upstream = tf.constant(rng.normal(size=[2, 12, 4]))

    def plainly(query, key, value):
        return tf.nn.softmax(query @ tf.transpose(key, [0, 2, 1])) @ value

    def results(function):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return outputs, *tape.gradient(outputs, inputs, upstream)

    for actual, expected in zip(results(attend), results(plainly)):
        np.testing.assert_allclose(actual, expected, atol=1e-13)  # float64
