from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import reference
from redo_tf.models import Encoder

pytestmark = pytest.mark.usefixtures("seeded")


def pictures(batch=2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, [batch, 32, 32, 3]).astype(np.float32)


def test_estimates_are_those_of_the_definition_region_by_region():
    network = Encoder(32, regions=3, latent_size=5, widths=(3, 4, 6, 6))
    assert network(pictures()).shape == [2, 3, 5]
    network.latents.bias.assign(np.arange(15.0))
    features = reference.trunk(network.trunk, pictures().astype(np.float64))
    kernel, bias = reference.value(network.latents.kernel), reference.value(network.latents.bias)
    for k in range(3):  # Each region has d columns of its own in the last layer.
        own = slice(5 * k, 5 * k + 5)
        np.testing.assert_allclose(
            network(pictures())[:, k], features @ kernel[:, own] + bias[own], rtol=1e-5, atol=1e-4)


def test_parameters_by_hand():
    # The discriminator's six blocks, 38,418,112 (test_discriminator.py), then 1024 features and a bias to n·d = 2·32.
    with tf.Graph().as_default():  # Shapes only: nothing is initialised.
        network = Encoder(128, regions=2, latent_size=32, widths=(64, 128, 256, 512, 1024, 1024))
        network(tf.zeros([1, 128, 128, 3]))
    assert reference.parameters(network) == 38_418_112 + 1025 * 64


def test_no_attention_unless_told():
    assert Encoder(32, 2, 3, (4,)).trunk.attention is None
    assert Encoder(32, 2, 3, (4,), attention=True).trunk.attention is not None
