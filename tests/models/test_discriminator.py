from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import reference
from redo_tf.models import Discriminator

pytestmark = pytest.mark.usefixtures("seeded")

RELEASED = (64, 128, 256, 512, 1024, 1024)
TABLE_4 = (64, 64, 128, 256, 512, 1024)


def pictures(size=32, batch=2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, [batch, size, size, 3]).astype(np.float32)


def build(size=32, **options) -> Discriminator:
    network = Discriminator(size, (3, 4, 6, 6), **options)
    network(pictures(size))
    rng = np.random.default_rng(1)
    for weight in network.trainable_weights:
        if "bias" in weight.name:
            weight.assign(0.3 * rng.normal(size=weight.shape))
    if network.trunk.attention:
        network.trunk.attention.gamma.assign(0.7)
    return network


@pytest.mark.parametrize("widths, count", [
    # A block from a to b channels: (9ab + b) + (9bb + b), and ab + b for the shortcut where it has one.
    # 3 → 64: 38,976   64 → 128: 229,760   128 → 256: 918,272   256 → 512: 3,671,552   512 → 1024: 14,683,136
    # 1024 → 1024, not pooled and without shortcut: 18,876,416
    # attention at 64: 64·8 + 64·8 + 64·32 + 32·64 + 1 = 5,121   linear: 1,025
    (RELEASED, 38_424_258),
    # 3 → 64: 38,976   64 → 64: 78,016   then as above, 512 → 1024 not pooled but with a shortcut
    (TABLE_4, 19_625_858),
])
def test_parameters_by_hand(widths, count):
    with tf.Graph().as_default():  # Shapes only: nothing is initialised.
        network = Discriminator(128, widths)
        network(tf.zeros([1, 128, 128, 3]))
    assert reference.parameters(network) == count


@pytest.mark.parametrize("attention", [True, False])
def test_score_is_that_of_the_definition_summed_over_space(attention):
    network = build(attention=attention)
    expected = reference.dense(network.score, reference.trunk(network.trunk, pictures().astype(np.float64)))[:, 0]
    # Values near 50 (sums over 16 places), float32 through a dozen layers.
    np.testing.assert_allclose(network(pictures()), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_one_score_a_picture(size):
    scores = build(size)(pictures(size, batch=2))
    assert scores.shape == [2] and scores.dtype == tf.float32 and scores[0] != scores[1]


def test_a_pictures_score_does_not_depend_on_its_batch():
    network = build()
    np.testing.assert_allclose(network(pictures(batch=3))[1:2], network(pictures(batch=3)[1:2]), rtol=1e-5, atol=1e-5)
