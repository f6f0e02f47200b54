from __future__ import annotations

import numpy as np

from redo_tf.areas import mean_areas


def test_areas_are_means_over_all_pixels():
    masks = np.random.default_rng(0).uniform(size=(2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(mean_areas(masks), masks.reshape(2, 15, 4).sum(1) / 15, rtol=1e-6)
