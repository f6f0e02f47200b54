"""Orthogonal first weights, of all four networks; redo_tf/released_weights.py has the released code's."""
from __future__ import annotations

import tensorflow as tf


class Orthogonal(tf.keras.initializers.Orthogonal):
    """Orthogonal initialisation, always computed on the CPU.

    A kernel [kh, kw, in, out] is treated as the matrix [kh·kw·in, out]. The QR decomposition runs on the CPU so that a
    seed gives the same initial weights on every device. The paper stresses the gain: training works at 0.8 to 1 and
    fails at 0.2 and 1.4 (section 4).
    """

    def __call__(self, shape, dtype=None, **kwargs):
        with tf.device("CPU:0"):
            return super().__call__(shape, dtype=dtype, **kwargs)
