from __future__ import annotations

import numpy as np
import pytest

import reference
from redo_tf.models import MaskNetwork

pytestmark = pytest.mark.usefixtures("seeded")


def pictures(size=32, batch=2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, [batch, size, size, 3]).astype(np.float32)


def randomized(network):
    """Moved away from the initial weights, so that biases, scales and offsets matter."""
    network(pictures())
    rng = np.random.default_rng(1)
    for weight in network.weights:
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    return network


@pytest.mark.parametrize("options, count", [
    # 7×7 to 16:            7·7·3·16 + 2·16          =   2,384
    # 3×3 s2 to 32, to 64:  9·16·32 + 64, 9·32·64 + 128 = 4,672 + 18,560
    # 3 residual blocks:    3·(9·64·64 + 128 + 9·64·64 + 64 + 128) = 3·74,048 = 222,144
    # pyramid pooling:      4·(64 + 1)               =     260
    # up to 34, to 17:      9·68·34 + 68, 9·34·17 + 34 = 20,876 + 5,236
    # 7×7 to 1:             7·7·17·1 + 1             =     834
    ({}, 274_966),
    ({"regions": 3}, 274_966 - 834 + 7 * 7 * 17 * 3 + 3),
    ({"residual_blocks": 5}, 274_966 + 2 * 74_048),
    # Without the pyramid the way up is 64 → 32 → 16.
    ({"pooling_windows": None}, 274_966 - 260 - 20_876 - 5_236 - 834
     + 9 * 64 * 32 + 64 + 9 * 32 * 16 + 32 + 49 * 16 + 1),
])
def test_parameters_by_hand(options, count):
    network = MaskNetwork(**options)
    network(pictures())
    assert reference.parameters(network) == count


@pytest.mark.parametrize("options", [{}, {"pooling_windows": None}, {"regions": 3, "residual_blocks": 1}])
def test_masks_are_those_of_the_table(options):
    network = randomized(MaskNetwork(channels=2, **options))
    logits = reference.mask_network(network, pictures().astype(np.float64))
    if network.regions == 2:
        logits = np.concatenate([logits, np.zeros_like(logits)], axis=-1)  # softmax of (l, 0) is (σ(l), 1 − σ(l)).
    # About twenty layers in float32.
    np.testing.assert_allclose(network(pictures()), reference.softmax(logits), atol=1e-4)


@pytest.mark.parametrize("size, regions", [(32, 2), (32, 3), (64, 5), (128, 2)])
def test_masks_have_the_pictures_size_and_sum_to_1(size, regions):
    masks = MaskNetwork(regions, channels=2, residual_blocks=1)(pictures(size, batch=1)).numpy()
    assert masks.shape == (1, size, size, regions) and masks.dtype == np.float32
    assert masks.min() >= 0 and masks.max() <= 1 and masks.std() > 0
    np.testing.assert_allclose(masks.sum(-1), np.ones([1, size, size]), atol=1e-6)


def test_two_regions_are_m_and_1_minus_m():
    masks = randomized(MaskNetwork(channels=2))(pictures()).numpy()
    np.testing.assert_array_equal(masks[..., 1], 1 - masks[..., 0])


@pytest.mark.parametrize("regions", [2, 3])
def test_temperature_divides_the_logits(regions):
    plain = randomized(MaskNetwork(regions, channels=2, residual_blocks=1))
    warm = MaskNetwork(regions, channels=2, residual_blocks=1, temperature=4.0)
    warm(pictures())
    warm.set_weights(plain.get_weights())
    ratios = [np.log(masks[..., 0] / masks[..., 1]) for masks in (plain(pictures()).numpy(), warm(pictures()).numpy())]
    np.testing.assert_allclose(ratios[1], ratios[0] / 4, atol=1e-4)
