"""Pictures in other colours: what f sees at first in training with `objective.recolour_steps`.

Most runs make one region of what is light and the other of what is dark. An f to which the same picture comes as light or dark
as chance has it cannot, and finds what has a shape. Afterwards colours help it to follow edges (docs/learning.md).
"""
from __future__ import annotations

import tensorflow as tf

GAIN = (0.5, 1.0)
SHIFT = 0.4


def recolouring(count: int, seeds: tf.Tensor) -> tf.Tensor:
    """A random change of colours for each of `count` pictures: [count, 2, 3], gain and shift of each channel.

    v ↦ s·(g·v + b) for v in −1…1, with g uniform in `GAIN` and b uniform in ±`SHIFT` for each channel, and for each picture
    s = −1, a negative, in one case of two. A function of `seeds`, int64 [2].
    """
    gain, shift, sign = tf.unstack(tf.random.stateless_uniform([3, count, 3], seeds))
    gain = GAIN[0] + (GAIN[1] - GAIN[0]) * gain
    shift = SHIFT * (2 * shift - 1)
    sign = tf.where(sign[:, :1] < 0.5, -1.0, 1.0)
    return tf.stack([sign * gain, sign * shift], axis=1)


def recolour(images: tf.Tensor, changes: tf.Tensor) -> tf.Tensor:
    """[B, S, S, 3] in −1…1 and [B, 2, 3] → [B, S, S, 3] in −1.4…1.4."""
    return changes[:, None, None, 0] * images + changes[:, None, None, 1]
