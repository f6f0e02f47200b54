"""That every field of the configuration reaches the networks it is meant for, and no other."""
from __future__ import annotations

from typing import Dict

import numpy as np
import pytest

import tiny
from redo_tf.build import build_model
from redo_tf.models import Redo, networks

GENERATORS = {"generator_0", "generator_1"}


def model_of(*assignments: str) -> Redo:
    return build_model(tiny.config(*assignments).model, 32)


def shapes(model: Redo) -> Dict[str, list]:
    return {name: [tuple(weight.shape) for weight in network.weights] for name, network in networks(model).items()}


@pytest.mark.parametrize("assignment, changed", [
    ("model.mask_network.channels=3", {"mask_network"}),
    ("model.mask_network.residual_blocks=2", {"mask_network"}),
    ("model.mask_network.pooling_windows=None", {"mask_network"}),
    ("model.generator.channels=3", GENERATORS),
    ("model.generator.normalization=batch", GENERATORS),
    ("model.generator.attention=True", GENERATORS),
    ("model.discriminator.widths=3,3,3,3", {"discriminator"}),
    ("model.discriminator.attention=True", {"discriminator"}),
    ("model.encoder.widths=3,3,3,3", {"encoder"}),
    ("model.encoder.attention=True", {"encoder"}),
    ("model.latent_size=3", {"encoder"} | GENERATORS),
    ("model.regions=3", {"mask_network", "encoder", "generator_2"})])
def test_a_field_changes_its_networks_and_no_other(assignment, changed):
    plain, other = shapes(model_of()), shapes(model_of(assignment))
    assert {name for name in other if plain.get(name) != other[name]} == changed


def test_fields_without_a_weight_of_their_own_reach_f():
    network = model_of("model.mask_network.temperature=0.25", "model.mask_network.pooling_windows=adaptive").mask_network
    assert network.temperature == 0.25 and network.pyramid.windows == "adaptive"


def test_the_gain_is_every_networks():
    """All singular values of an orthogonal kernel, a matrix with a column for each of its filters, are the gain."""
    for name, network in networks(model_of("model.gain=0.5")).items():
        kernels = [weight.numpy() for weight in network.trainable_weights if "kernel" in weight.name and weight.shape.rank > 1]
        assert len(kernels) > 5, name
        for kernel in kernels:
            values = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)
            np.testing.assert_allclose(values, 0.5, rtol=1e-5, err_msg=name)
