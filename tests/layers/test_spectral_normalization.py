from __future__ import annotations

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf

from reference import convolution, spectral_kernel, value
from redo_tf.layers import SpectralNormalization
from redo_tf.layers.kernel_cache import kernels_kept
from redo_tf.layers.spectral_normalization import power_iteration


def build(kernel_size=3, channels=4, filters=6, seed=0, **options) -> SpectralNormalization:
    """A layer with Gaussian weights: orthogonal ones would have all singular values equal."""
    layer = SpectralNormalization(tf.keras.layers.Conv2D(filters, kernel_size, padding="same"), **options)
    layer.build([None, 5, 6, channels])
    rng = np.random.default_rng(seed)
    layer.w.assign(rng.normal(size=layer.w.shape))
    layer.layer.bias.assign(rng.normal(size=[filters]))
    return layer


def pictures(channels=4, batch=2) -> np.ndarray:
    return np.random.default_rng(1).normal(size=[batch, 5, 6, channels]).astype(np.float32)


def matrix(layer) -> np.ndarray:
    return value(layer.w).reshape(-1, layer.w.shape[-1])


def largest_singular_value(layer) -> float:
    return np.linalg.svd(matrix(layer), compute_uv=False)[0]


@pytest.mark.parametrize("kernel_size, channels, filters", [(3, 4, 6), (1, 4, 6), (1, 6, 4), (1, 3, 1)])
def test_sigma_is_the_largest_singular_value_after_many_power_iterations(kernel_size, channels, filters):
    layer = build(kernel_size, channels, filters)
    for _ in range(300):
        layer.power_iteration()
    # Sums of at most 36 float32 products: 36 · 6e-8 at worst.
    np.testing.assert_allclose(layer.sigma(), largest_singular_value(layer), rtol=2e-6)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_output_is_the_convolution_with_the_kernel_over_its_largest_singular_value(kernel_size):
    layer, x = build(kernel_size, power_iterations=300), pictures()
    layer.power_iteration()
    expected = convolution(x, value(layer.w) / largest_singular_value(layer), value(layer.layer.bias))
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_sigma_is_the_length_of_w_u_directly_after_w_changed():
    layer = build()
    layer.w.assign(np.random.default_rng(7).normal(size=layer.w.shape))
    u = value(layer.u).ravel()
    np.testing.assert_allclose(layer.sigma(), np.linalg.norm(matrix(layer) @ u) / np.linalg.norm(u), rtol=1e-6)


def gradients_of_weighted_sum(layer, x, weights):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights * layer(x))
    return tape.gradient(loss, layer.w).numpy().astype(np.float64)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_gradient_is_that_of_finite_differences_through_sigma(kernel_size):
    layer, x = build(kernel_size), pictures()
    weights = np.random.default_rng(2).normal(size=[2, 5, 6, 6])
    kernel, u, bias = value(layer.w), value(layer.u), value(layer.layer.bias)

    def loss(kernel):  # In float64, where central differences of 1e-5 are exact to about 1e-9.
        return np.sum(weights * convolution(x, spectral_kernel(kernel, u), bias))

    expected = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-5
        expected[place] = (loss(kernel + step) - loss(kernel - step)) / 2e-5
    actual = gradients_of_weighted_sum(layer, x, weights)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=1e-5 * scale)  # float32 sums over 60 pixels
    # With σ held constant the gradient would be that of a plain convolution, over σ.
    constant = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1
        constant[place] = np.sum(weights * convolution(x, step)) / layer.sigma().numpy()
    assert np.abs(actual - constant).max() > 0.05 * scale


def test_gradient_is_orthogonal_to_w_because_scaling_w_changes_nothing():
    layer, x = build(), pictures()
    gradient, w = gradients_of_weighted_sum(layer, x, 1.0), value(layer.w)
    assert abs(np.sum(gradient * w)) < 1e-5 * np.linalg.norm(gradient) * np.linalg.norm(w)


def test_a_kept_kernel_is_computed_once_and_has_the_gradient_of_all_its_calls():
    layer, x = build(), pictures()
    weights = np.random.default_rng(2).normal(size=[2, 5, 6, 6])
    expected = gradients_of_weighted_sum(layer, x, weights)
    with tf.GradientTape() as tape, kernels_kept():
        loss = sum(tf.reduce_sum(weights[i:i + 1] * layer(x[i:i + 1])) for i in range(2))
        assert layer.normalized_kernel(tf.float32) is layer.normalized_kernel(tf.float32)
        assert layer.normalized_kernel(tf.bfloat16).dtype == tf.bfloat16
    np.testing.assert_allclose(tape.gradient(loss, layer.w), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_kernels_are_kept_no_longer_and_by_their_own_thread_alone():
    layer = build()
    with kernels_kept():
        first = layer.normalized_kernel(tf.float32)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            assert pool.submit(layer.normalized_kernel, tf.float32).result() is not first
        with kernels_kept():
            assert layer.normalized_kernel(tf.float32) is not first
        assert layer.normalized_kernel(tf.float32) is first
    layer.w.assign(2 * layer.w[..., ::-1])
    assert not np.allclose(layer.normalized_kernel(tf.float32), first)


def test_u_is_not_trainable():
    layer = build()
    assert [w.name for w in layer.non_trainable_weights] == [layer.u.name]
    assert len(layer.trainable_weights) == 2  # W and the bias


def test_calls_and_power_iterations_leave_w_alone():
    layer = build()
    before = layer.w.numpy()
    for training in (True, False, None):
        layer(pictures(), training=training)
        layer.power_iteration()
    np.testing.assert_array_equal(layer.w, before)


def test_calls_leave_u_alone():
    layer = build()
    before = layer.u.numpy()
    for training in (True, False, None):
        layer(pictures(), training=training)
    np.testing.assert_array_equal(layer.u, before)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_power_iteration_moves_u_so_many_steps(steps):
    layer = build(power_iterations=steps)
    u = value(layer.u).ravel()
    for _ in range(steps):  # u ← WᵀW u, normalised
        u = matrix(layer).T @ matrix(layer) @ u
        u /= np.linalg.norm(u)
    layer.power_iteration()
    np.testing.assert_allclose(layer.u[0], u, atol=1e-6)


def test_module_power_iteration_moves_every_layer_one_step_wherever_it_hides():
    layers = [build(seed=seed) for seed in range(4)]
    module = tf.Module()
    module.attribute, module.listed, module.named = layers[0], [layers[1], [layers[2]]], {"name": layers[3]}
    module.again = layers[0]  # A second path to a layer is no second step.
    expected = []
    for layer in layers:
        u = matrix(layer).T @ matrix(layer) @ value(layer.u).ravel()
        expected.append(u / np.linalg.norm(u))
    power_iteration(module)
    np.testing.assert_allclose([layer.u[0] for layer in layers], expected, atol=1e-6)


def test_output_does_not_depend_on_the_scale_of_w():
    layer, x = build(), pictures()
    before = layer(x)
    layer.w.assign(layer.w * 37)
    np.testing.assert_allclose(layer(x), before, atol=2e-6)


@pytest.mark.parametrize("inside", [False, True], ids=["between_replicas", "inside_each_replica"])
def test_two_replicas_hold_the_u_of_one(two_replicas, inside):
    alone = build()
    with two_replicas.scope():
        layer = build()
        layer.u.assign(alone.u)
        iterate = tf.function(lambda: two_replicas.run(layer.power_iteration) if inside else layer.power_iteration())
        for _ in range(3):
            iterate()
            alone.power_iteration()
        replicas = two_replicas.experimental_local_results(layer.u)
    assert len(replicas) == 2
    np.testing.assert_array_equal(replicas[0], replicas[1])
    np.testing.assert_array_equal(replicas[0], alone.u)


def test_mixed_bfloat16_keeps_sigma_in_float32():
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = build()
    outputs = layer(pictures())
    u = value(layer.u).ravel()
    assert outputs.dtype == tf.bfloat16 and layer.w.dtype == layer.sigma().dtype == tf.float32
    # bfloat16 would be off by up to 4e-3.
    np.testing.assert_allclose(layer.sigma(), np.linalg.norm(matrix(layer) @ u) / np.linalg.norm(u), rtol=1e-6)


def test_the_convolution_keeps_its_own_strides_padding_and_activation():
    layer = SpectralNormalization(tf.keras.layers.Conv2D(6, 3, strides=2, padding="valid", activation="relu"))
    x = pictures()
    actual = layer(x)
    kernel = spectral_kernel(value(layer.w), value(layer.u))
    np.testing.assert_allclose(
        actual, np.maximum(convolution(x, kernel, stride=2, pad=0), 0), atol=1e-5)


def test_only_convolutions_are_accepted():
    with pytest.raises(TypeError, match="wraps convolutions, not Dense"):
        SpectralNormalization(tf.keras.layers.Dense(3))
