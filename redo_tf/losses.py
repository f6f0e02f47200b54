"""The objectives, as pure functions. Scores of fakes are [n, B], every image redrawn in each of its n regions, or [1, B],
redrawn in one."""
from __future__ import annotations

import tensorflow as tf

from redo_tf.areas import mean_areas


def hinge_real(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 − D(I)) for each score, the same shape."""
    return tf.nn.relu(1 - scores)


def hinge_fake(scores: tf.Tensor) -> tf.Tensor:
    """max(0, 1 + D(I')) for each score, the same shape."""
    return tf.nn.relu(1 + scores)


def adversarial_mean(scores: tf.Tensor) -> tf.Tensor:
    """The published generator term, −mean_k D(I'_k): [n, B] → [B]."""
    return -tf.reduce_mean(scores, axis=0)


def adversarial_worst(scores: tf.Tensor, beta: float) -> tf.Tensor:
    """Judges each image by its worst fake: (1/β)·log mean_k exp(−β·D(I'_k)): [n, B] → [B].

    A soft maximum of −D over the regions of an image; β → 0 gives `adversarial_mean`. With the mean, a split that gives
    one region everything is rewarded for its other fake, which is nearly the real picture (docs/learning.md).
    """
    regions = tf.cast(tf.shape(scores)[0], scores.dtype)
    return (tf.reduce_logsumexp(-beta * scores, axis=0) - tf.math.log(regions)) / beta


def information_conservation(estimates: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
    """L_z for each image: the *mean* over regions and components of (δ(I') − z)²: two [B, n, d] → [B].

    The paper writes a squared norm, a sum over d; the released code takes the mean, which its λ_z = 5 belongs to.
    """
    return tf.reduce_mean(tf.square(estimates - latents), axis=[1, 2])


def objects_at_border(masks: tf.Tensor) -> tf.Tensor:
    """L_B for each image: how much of its outermost pixels is not region 0's, 0…1: [B, H, W, n] → [B].

    Not in the paper. Pictures are taken of objects, so what surrounds them touches the border and they rarely do: an old
    prior of saliency (Wei et al., "Geodesic saliency using background priors", ECCV 2012). Without it any split into two
    regions that can be redrawn by themselves will do, of light and dark for one (docs/learning.md).
    """
    background = masks[..., 0]
    height, width = background.shape[1:]
    lines = [background[:, 0], background[:, -1], background[:, 1:-1, 0], background[:, 1:-1, -1]]
    return 1 - tf.reduce_sum(tf.concat(lines, axis=1), axis=1) / (2 * (height + width) - 4)


def missing_area(masks: tf.Tensor, smallest: float) -> tf.Tensor:
    """L_A for each image: Σ_k max(0, 1 − (mean over pixels of M_k⁴)/a), 0…n, with a = `smallest`: [B, H, W, n] → [B].

    Not in the paper; a floor under each region's area as in Bielski and Favaro, "Emergence of object segmentation in
    perturbed generative models" (NeurIPS 2019). Fourth powers are the area of a mask of zeros and ones. A tint of the whole
    picture, which G and D do not mind, fills a floor of .02 at .02 in their area itself, at .14 in its square and only at
    .38 in its fourth power; and they push most where a mask is highest.
    """
    return tf.reduce_sum(tf.nn.relu(1 - mean_areas(tf.square(tf.square(masks))) / smallest), axis=-1)
