from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import conditional_norm, instance_norm, value
from redo_tf.layers import ConditionalBatchNormalization, ConditionalInstanceNormalization, InstanceNormalization
from redo_tf.layers.instance_normalization import instance_normalize

pytestmark = pytest.mark.usefixtures("seeded")

# float32 sums over 30 to 120 pixels of values near 3: about 1e-6.
TOLERANCE = 1e-5


def maps(batch=4, scale=2.0) -> np.ndarray:
    """Each picture and channel with its own mean."""
    rng = np.random.default_rng(0)
    return (scale * rng.normal(size=[batch, 5, 6, 3]) + rng.normal(size=[batch, 1, 1, 3])).astype(np.float32)


def latents(batch=4) -> np.ndarray:
    return np.random.default_rng(1).normal(size=[batch, 2]).astype(np.float32)


def build(layer_class):
    """A layer whose γ and β depend on z and have a bias."""
    layer = layer_class()
    layer((maps(), latents()))
    layer.scale.bias.assign([1.0, -2.0, 0.5])
    layer.offset.bias.assign([0.3, 0.0, -1.0])
    return layer


def test_instance_norm_is_that_of_the_definition():
    layer = InstanceNormalization()
    layer.build([None, 5, 6, 3])
    layer.scale.assign([1.0, -2.0, 0.5])
    layer.offset.assign([0.3, 0.0, -1.0])
    np.testing.assert_allclose(layer(maps()), instance_norm(layer, maps().astype(np.float64)), atol=TOLERANCE)


def test_instance_norm_of_0_and_2_is_minus_and_plus_1_over_the_root_of_1_and_epsilon():
    # Mean 1, biased variance 1 (unbiased: 2): (0 − 1)/√(1 + 1e-5) = −0.999995.
    np.testing.assert_allclose(
        InstanceNormalization()(np.array([0.0, 2.0], np.float32).reshape(1, 1, 2, 1)).numpy().ravel(),
        [-0.999995, 0.999995], atol=2e-7)


@pytest.mark.parametrize("shape", [[3], [4, 1, 1, 3]], ids=["of_a_channel", "of_a_picture_and_channel"])
def test_gradients_of_instance_norm_are_finite_differences(shape):
    rng = np.random.default_rng(3)
    arguments = [maps().astype(np.float64), rng.normal(size=shape), rng.normal(size=shape)]
    weights, step = rng.normal(size=[4, 5, 6, 3]), 1e-4

    def loss(x, scale, offset) -> float:
        mean = x.mean(axis=(1, 2), keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=(1, 2), keepdims=True)
        return np.sum(weights * ((x - mean) / np.sqrt(variance + 1e-5) * scale + offset))

    def difference(which: int, place) -> float:
        sides = [[value.copy() for value in arguments] for _ in range(2)]
        sides[0][which][place] += step
        sides[1][which][place] -= step
        return (loss(*sides[0]) - loss(*sides[1])) / (2 * step)

    tensors = [tf.constant(value, tf.float32) for value in arguments]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = instance_normalize(*tensors)
    actual = tape.gradient(outputs, tensors, tf.constant(weights, tf.float32))
    for which, gradient in enumerate(actual):
        expected = [difference(which, place) for place in np.ndindex(*arguments[which].shape)]
        # Sums of 30 to 120 float32 products near 1; the differences' own error is step² times third derivatives near 1.
        np.testing.assert_allclose(gradient.numpy().ravel(), expected, atol=2e-5)


@pytest.mark.parametrize("dtype, added, tolerance", [
    (tf.bfloat16, 0, 2e-2),  # x, its result's gradient and its own are rounded by up to 1/256 each.
    (tf.float32, 100, 1e-4)])  # x is known to 100 · 6e-8, as are its products, whose differences are taken.
def test_gradients_of_instance_norm_in_bfloat16_and_far_from_zero(dtype, added, tolerance):
    scale, offset = tf.constant([1.0, -2.0, 0.5]), tf.constant([0.3, 0.0, -1.0])
    upstream = np.random.default_rng(3).normal(size=[4, 5, 6, 3])

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch([x, scale, offset])
            outputs = instance_normalize(x, scale, offset)
        return tape.gradient(outputs, [x, scale, offset], tf.cast(upstream, x.dtype))

    compiled = tf.function(gradients, input_signature=[tf.TensorSpec([None, 5, 6, 3], dtype)])
    found = compiled(tf.cast(maps() + added, dtype))
    assert [gradient.dtype for gradient in found] == [dtype, tf.float32, tf.float32]
    for actual, expected in zip(found, gradients(tf.constant(maps()))):  # What is added to a whole map has no effect.
        np.testing.assert_allclose(tf.cast(actual, tf.float32), expected, atol=tolerance * np.abs(expected).max(), rtol=0)


def test_epsilon_is_1e_5():
    # Values ±0.001 have variance 1e-6: 0.001/√(1e-6 + 1e-5) = 0.301511. Keras' default of 1e-3 would give 0.0316.
    x = np.array([-0.001, 0.001], np.float32).reshape(1, 1, 2, 1)
    assert InstanceNormalization()(x).numpy().max() == pytest.approx(0.301511, rel=1e-5)
    layer = ConditionalBatchNormalization()
    layer((x, np.ones([1, 2], np.float32)))
    layer.scale.kernel.assign(np.zeros([2, 1]))
    layer.scale.bias.assign([1.0])
    layer.offset.kernel.assign(np.zeros([2, 1]))
    assert layer((x, np.ones([1, 2], np.float32)), training=True).numpy().max() == pytest.approx(0.301511, rel=1e-5)


def test_conditional_instance_norm_is_that_of_the_definition():
    layer = build(ConditionalInstanceNormalization)
    expected = conditional_norm(layer, maps().astype(np.float64), latents())
    np.testing.assert_allclose(layer((maps(), latents())), expected, atol=TOLERANCE)


def test_conditional_instance_norm_treats_each_picture_by_itself():
    layer = build(ConditionalInstanceNormalization)
    np.testing.assert_allclose(
        layer((maps()[1:2], latents()[1:2])), layer((maps(), latents()))[1:2], atol=TOLERANCE)


def test_conditional_batch_norm_in_training_uses_the_statistics_of_the_batch():
    layer = build(ConditionalBatchNormalization)
    expected = conditional_norm(layer, maps().astype(np.float64), latents(), axes=(0, 1, 2))
    np.testing.assert_allclose(layer((maps(), latents()), training=True), expected, atol=TOLERANCE)


def test_conditional_batch_norm_moves_its_statistics_by_a_tenth():
    layer = build(ConditionalBatchNormalization)
    layer((maps(), latents()), training=True)
    x = maps().astype(np.float64)
    np.testing.assert_allclose(layer.normalization.moving_mean, 0.1 * x.mean((0, 1, 2)), atol=TOLERANCE)
    np.testing.assert_allclose(layer.normalization.moving_variance, 0.9 + 0.1 * x.var((0, 1, 2)), atol=TOLERANCE)


def test_conditional_batch_norm_in_inference_uses_the_moving_statistics_and_leaves_them():
    layer = build(ConditionalBatchNormalization)
    mean, variance = np.array([0.5, 0.0, -1.0]), np.array([4.0, 1.0, 0.25])
    layer.normalization.moving_mean.assign(mean)
    layer.normalization.moving_variance.assign(variance)
    scale, offset = [latents() @ value(part.kernel) + value(part.bias) for part in (layer.scale, layer.offset)]
    expected = (maps() - mean) / np.sqrt(variance + 1e-5) * scale[:, None, None] + offset[:, None, None]
    for training in (False, None):
        np.testing.assert_allclose(layer((maps(), latents()), training=training), expected, atol=TOLERANCE)
    np.testing.assert_array_equal(layer.normalization.moving_mean, mean)


def test_conditional_batch_norm_and_its_gradients_see_the_batch_of_all_replicas(two_replicas):
    alone = build(ConditionalBatchNormalization)
    with two_replicas.scope():
        layer = build(ConditionalBatchNormalization)
    layer.set_weights(alone.get_weights())

    def outputs_and_gradients(layer, x, z, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer((x, z), training=True)
            loss = tf.reduce_sum(weights * outputs)
        return [outputs, *tape.gradient(loss, [x, layer.scale.kernel])]

    arguments = [tf.constant(part) for part in (maps(), latents(), maps()[::-1])]
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tuple(tf.split(part, 2)[context.replica_id_in_sync_group] for part in arguments))
    results = two_replicas.run(tf.function(lambda parts: outputs_and_gradients(layer, *parts)), args=(halves,))
    outputs, by_x, by_kernel = [two_replicas.experimental_local_results(part) for part in results]
    expected = outputs_and_gradients(alone, *arguments)
    np.testing.assert_allclose(tf.concat(outputs, axis=0), expected[0], atol=TOLERANCE)
    np.testing.assert_allclose(tf.concat(by_x, axis=0), expected[1], atol=TOLERANCE)
    np.testing.assert_allclose(tf.add_n(by_kernel), expected[2], atol=1e-3)  # sums of 240 values near 10


@pytest.mark.parametrize("layer_class", [ConditionalInstanceNormalization, ConditionalBatchNormalization])
def test_mixed_bfloat16_rounds_only_the_maps(layer_class):
    """Statistics, γ and β in bfloat16 would each add an error of their own of up to 2⁻⁸."""
    exact = build(layer_class)
    expected = exact((maps(), latents()), training=True).numpy()
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = build(layer_class)
    layer.set_weights(exact.get_weights())
    actual = layer((tf.cast(maps(), tf.bfloat16), latents()), training=True)
    assert actual.dtype == tf.bfloat16
    # Input, product, offset and sum are each rounded, by at most 2⁻⁹ of the largest value in play.
    np.testing.assert_allclose(tf.cast(actual, tf.float32), expected, atol=4 * 2**-9 * np.abs(expected).max())
