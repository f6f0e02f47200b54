"""The released code's first weights."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tiny
from redo_tf.build import build_model
from redo_tf.layers import SpectralNormalization
from redo_tf.models import Redo

ATTENTION = ("model.generator.attention=True", "model.discriminator.attention=True", "model.discriminator.widths=16,16")


@pytest.fixture(scope="module")
def built():
    """(as the paper's text has them, as the released code has them): networks of one seed."""
    def build(initialization: str) -> Redo:
        tf.keras.utils.set_random_seed(5)
        return build_model(tiny.config(f"model.initialization={initialization}", *ATTENTION).model, 32)
    return build("orthogonal"), build("released")


def normalized(model: Redo):
    return [layer.layer for layer in model.submodules if isinstance(layer, SpectralNormalization)]


def biased(model: Redo):
    return [layer for layer in model.submodules
            if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.Dense)) and layer.use_bias]


def test_normalized_kernels_are_uniform_up_to_one_over_the_root_of_their_fan_in(built):
    scaled = []
    for layer in normalized(built[1]):
        fan_in = np.prod(layer.kernel.shape[:-1])
        scaled.append(layer.kernel.numpy().ravel() * np.sqrt(fan_in))
    scaled = np.concatenate(scaled)
    assert np.abs(scaled).max() <= 1 + 1e-6
    # Of N uniform numbers in −1…1 the mean is within 5 standard errors of 0, and the mean square of 1/3.
    assert abs(scaled.mean()) < 5 * np.sqrt(1 / 3 / len(scaled))
    assert abs(np.square(scaled).mean() - 1 / 3) < 5 * np.sqrt((1 / 5 - 1 / 9) / len(scaled))


def test_biases_are_uniform_up_to_one_over_the_root_of_their_layers_fan_in(built):
    scaled = np.concatenate([
        layer.bias.numpy() * np.sqrt(np.prod(layer.kernel.shape[:-1])) for layer in biased(built[1])])
    assert np.abs(scaled).max() <= 1 + 1e-6
    assert abs(np.square(scaled).mean() - 1 / 3) < 5 * np.sqrt((1 / 5 - 1 / 9) / len(scaled))
    assert not np.concatenate([layer.bias.numpy() for layer in biased(built[0])]).any()


def test_all_other_weights_are_as_before(built):
    changed = {id(layer.kernel) for layer in normalized(built[1])} | {id(layer.bias) for layer in biased(built[1])}
    same = [(old, new) for old, new in zip(built[0].variables, built[1].variables) if id(new) not in changed]
    assert len(same) + len(changed) == len(built[1].variables) and len(same) > 20
    for old, new in same:
        np.testing.assert_array_equal(old, new)


def test_singular_values_spread_where_an_orthogonal_kernel_has_one(built):
    # A uniform [9·64, 64] matrix: between (1 − 1/3)/(1 + 1/3) = 1/2 of the largest one and itself (Marchenko and Pastur).
    kernel = np.random.default_rng(0).uniform(-1, 1, [9 * 64, 64])
    singular = np.linalg.svd(kernel, compute_uv=False)
    assert singular.min() / singular.max() == pytest.approx(0.5, abs=0.05)
    for model, spread in zip(built, (False, True)):
        for layer in normalized(model):
            matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
            if min(matrix.shape) >= 8:
                singular = np.linalg.svd(matrix, compute_uv=False)
                assert (singular.min() < 0.95 * singular.max()) == spread


def test_a_seed_gives_the_same_weights(built):
    tf.keras.utils.set_random_seed(5)
    again = build_model(tiny.config("model.initialization=released", *ATTENTION).model, 32)
    for old, new in zip(built[1].variables, again.variables):
        np.testing.assert_array_equal(old, new)
