from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from redo_tf import losses

SCORES = np.random.default_rng(0).normal(size=[3, 5]).astype(np.float32)  # D of three fakes of five pictures


def test_hinge_losses_by_hand():
    scores = tf.constant([2.0, 1.0, 0.5, -1.0, -3.0])
    np.testing.assert_array_equal(losses.hinge_real(scores), [0.0, 0.0, 0.5, 2.0, 4.0])
    np.testing.assert_array_equal(losses.hinge_fake(scores), [3.0, 2.0, 1.5, 0.0, 0.0])


def test_adversarial_mean_by_hand():
    np.testing.assert_array_equal(losses.adversarial_mean(tf.constant([[1.0, 2.0], [3.0, -4.0]])), [-2.0, 1.0])


def test_adversarial_worst_by_hand():
    scores = tf.constant([[0.0], [np.log(3.0)]], tf.float32)
    # β = 1: log((1 + 1/3)/2) = log(2/3) = −0.405465;  β = 2: ½·log((1 + 1/9)/2) = ½·log(5/9) = −0.293893.
    np.testing.assert_allclose(losses.adversarial_worst(scores, 1.0), [-0.405465], atol=1e-6)
    np.testing.assert_allclose(losses.adversarial_worst(scores, 2.0), [-0.293893], atol=1e-6)


def test_adversarial_worst_tends_to_the_published_mean_for_small_beta():
    # The next term of the series is β/2 times the variance over the fakes.
    beta = 0.01
    expected = -SCORES.mean(0) + beta / 2 * SCORES.var(0)
    np.testing.assert_allclose(losses.adversarial_worst(SCORES, beta), expected, atol=1e-4)  # β² ≈ 1e-4 is next
    np.testing.assert_allclose(losses.adversarial_mean(SCORES), -SCORES.mean(0), atol=1e-6)


def test_adversarial_worst_tends_to_the_maximum_for_large_beta():
    # The mean of three exponentials is at least a third of the largest: at most log(3)/β below the maximum.
    beta = 1000.0
    worst, largest = losses.adversarial_worst(SCORES, beta).numpy(), (-SCORES).max(0)
    assert (worst <= largest + 1e-6).all() and (worst >= largest - np.log(3) / beta - 1e-6).all()


def test_adversarial_worst_of_equal_scores_is_minus_the_score():
    np.testing.assert_allclose(losses.adversarial_worst(tf.fill([4, 2], -300.0), 4.0), [300.0, 300.0], rtol=1e-6)
    np.testing.assert_allclose(losses.adversarial_worst(SCORES[:1], 4.0), -SCORES[0], rtol=1e-6)  # one region alone


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_gradient_of_adversarial_worst_weighs_fakes_by_a_softmax_of_minus_beta_d(beta):
    scores = tf.constant(SCORES)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = tf.reduce_sum(losses.adversarial_worst(scores, beta))
    np.testing.assert_allclose(tape.gradient(loss, scores), -softmax(-beta * SCORES, axis=0), atol=1e-6)


def test_information_conservation_is_the_mean_over_regions_and_components_by_hand():
    estimates = tf.constant([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    latents = tf.constant([[[0.0, 2.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 2.0]]])
    # (1 + 0 + 4 + 9)/4 and (0 + 0 + 0 + 4)/4
    np.testing.assert_array_equal(losses.information_conservation(estimates, latents), [3.5, 1.0])


def test_objects_at_border_by_hand():
    """3×4 pixels have 10 at the border. First picture: region 0 has all of them, and nothing inside. Second: it has half of
    each pixel of the first line, all of the other 6. Third: nothing but what is inside. The last corner counts once."""
    background = np.zeros([3, 3, 4], np.float32)
    background[:2] = 1
    background[:, 1, 1:3] = [[0.0], [0.5], [1.0]]
    background[1, 0] = 0.5
    masks = np.stack([background, 0.75 * (1 - background), 0.25 * (1 - background)], axis=-1)
    np.testing.assert_allclose(losses.objects_at_border(tf.constant(masks)), [0, 0.2, 1], atol=1e-6)


def test_missing_area_by_hand():
    """2×2 pixels and a = 1/4. A region with a pixel or more lacks nothing, one with nothing all of it; half of one pixel is a
    sixteenth, half of every pixel a quarter, a quarter of every pixel a 64th of what it takes."""
    masks = np.zeros([3, 2, 2, 3], np.float32)
    masks[0, ..., 0], masks[0, 0, 0] = 1, [0.0, 1.0, 0.0]
    masks[1, ..., 0], masks[1, 0, 0] = 1, [0.0, 0.5, 0.5]
    masks[2, ...] = [0.5, 0.25, 0.25]
    np.testing.assert_allclose(losses.missing_area(tf.constant(masks), 0.25), [1, 15 / 16 * 2, 3 / 4 + 63 / 64 * 2], atol=1e-6)
