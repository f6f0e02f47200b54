"""The released code's first weights."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tiny
from redo_tf.build import build_model
from redo_tf.layers import InstanceNormalization, SpectralNormalization
from redo_tf.models import Redo
from redo_tf.recipes import load_recipe, recipe_names

SETTINGS = ("model.generator.attention=True", "model.discriminator.attention=True", "model.discriminator.widths=64,64")


@pytest.fixture(scope="module")
def built():
    """(as the paper's text has them, as the released code has them): networks of one seed."""
    def build(initialization: str) -> Redo:
        tf.keras.utils.set_random_seed(5)
        return build_model(tiny.config(f"model.initialization={initialization}", *SETTINGS).model, 32)
    return build("orthogonal"), build("released")


def normalized(model: Redo):
    return [layer.layer for layer in model.submodules if isinstance(layer, SpectralNormalization)]


def biased(model: Redo):
    return [layer for layer in model.submodules
            if isinstance(layer, (tf.keras.layers.Conv2D, tf.keras.layers.Dense)) and layer.use_bias]


def norms(model: Redo):
    return [layer for layer in model.submodules if isinstance(layer, InstanceNormalization)]


def fan_in(layer) -> int:
    return np.prod(layer.kernel.shape[:-1])


def assert_uniform(values: np.ndarray) -> None:
    """In −1…1. Of N such numbers the mean is within 5 standard errors of 0, and the mean square of 1/3."""
    assert np.abs(values).max() <= 1 + 1e-6
    assert abs(values.mean()) < 5 * np.sqrt(1 / 3 / len(values))
    assert abs(np.square(values).mean() - 1 / 3) < 5 * np.sqrt((1 / 5 - 1 / 9) / len(values))


def test_normalized_kernels_are_uniform_up_to_one_over_the_root_of_their_fan_in(built):
    assert_uniform(np.concatenate([
        layer.kernel.numpy().ravel() * np.sqrt(fan_in(layer)) for layer in normalized(built[1])]))


def test_biases_are_uniform_up_to_one_over_the_root_of_their_layers_fan_in(built):
    assert_uniform(np.concatenate([layer.bias.numpy() * np.sqrt(fan_in(layer)) for layer in biased(built[1])]))
    assert not np.concatenate([layer.bias.numpy() for layer in biased(built[0])]).any()


def test_the_scales_of_the_mask_networks_norms_are_uniform_up_to_1(built):
    assert_uniform(2 * np.concatenate([layer.scale.numpy() for layer in norms(built[1])]) - 1)
    assert not np.concatenate([layer.offset.numpy() for layer in norms(built[1])]).any()


def test_from_pytorch_1_2_on_those_scales_begin_at_1(built):
    tf.keras.utils.set_random_seed(5)
    newer = build_model(tiny.config("model.initialization=released_pytorch_1.2", *SETTINGS).model, 32)
    assert (np.concatenate([layer.scale.numpy() for layer in norms(newer)]) == 1).all()
    assert_uniform(np.concatenate([layer.kernel.numpy().ravel() * np.sqrt(fan_in(layer)) for layer in normalized(newer)]))
    assert_uniform(np.concatenate([layer.bias.numpy() * np.sqrt(fan_in(layer)) for layer in biased(newer)]))


def test_all_other_weights_are_as_before(built):
    changed = {id(weight) for weights in (
        [layer.kernel for layer in normalized(built[1])], [layer.bias for layer in biased(built[1])],
        [layer.scale for layer in norms(built[1])]) for weight in weights}
    same = [(old, new) for old, new in zip(built[0].variables, built[1].variables) if id(new) not in changed]
    assert len(same) + len(changed) == len(built[1].variables) and len(same) > 20
    for old, new in same:
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("released, least", [(False, 1), (True, 0.5)])
def test_singular_values_of_a_kernel_of_equal_widths(built, released, least):
    # Of a uniform [9·64, 64] matrix they lie between (1 − 1/3)/(1 + 1/3) = 1/2 of the largest one and itself (Marchenko, Pastur).
    kernel = built[released].discriminator.trunk.first.conv2.layer.kernel.numpy()
    assert kernel.shape == (3, 3, 64, 64)
    singular = np.linalg.svd(kernel.reshape(-1, 64), compute_uv=False)
    assert singular.min() / singular.max() == pytest.approx(least, abs=0.05)


def test_a_seed_gives_the_same_weights(built):
    tf.keras.utils.set_random_seed(5)
    again = build_model(tiny.config("model.initialization=released", *SETTINGS).model, 32)
    for old, new in zip(built[1].variables, again.variables):
        np.testing.assert_array_equal(old, new)


def test_published_recipes_begin_so_and_others_as_the_paper_says():
    recipes = {name: load_recipe(name) for name in recipe_names()}
    found = {name: (recipe.model.initialization, recipe.data.resize) for name, recipe in recipes.items()}
    assert {name: found.pop(name) for name in ("lfw", "cub", "flowers")} == dict.fromkeys(
        ("lfw", "cub", "flowers"), ("released_pytorch_1.2", "nearest"))
    assert found.pop("c2mnist") == ("released_pytorch_1.2", "antialias")  # Digits are enlarged by nearest pixels whatever the setting.
    assert set(found.values()) == {("orthogonal", "antialias")} and "lfw_cpu" in found
