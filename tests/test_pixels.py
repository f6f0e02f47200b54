from __future__ import annotations

import numpy as np

from redo_tf.pixels import to_model_range, to_uint8


def test_minus_1_to_1_becomes_0_to_255_rounded_and_clipped():
    values = np.array([-1.0, 1.0, 0.0, -1.5, 7.0, 2 / 255 - 1, 2.98 / 255 - 1, 3.02 / 255 - 1])
    np.testing.assert_array_equal(to_uint8(values), [0, 255, 128, 0, 255, 1, 1, 2])


def test_every_grey_value_survives_the_models_range():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_model_range(values)), values)
    np.testing.assert_allclose(to_model_range(values[[0, 51, 255]]), [-1, -0.6, 1], atol=1e-7)
