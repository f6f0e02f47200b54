from __future__ import annotations

import numpy as np
import pytest

from redo_tf.areas import mean_areas, most_probable


def test_areas_are_means_over_all_pixels():
    masks = np.random.default_rng(0).uniform(size=(2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(mean_areas(masks), masks.reshape(2, 15, 4).sum(1) / 15, rtol=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_most_probable_region_is_the_first_of_the_highest(n):
    masks = np.random.default_rng(n).integers(0, 4, size=(2, 6, 5, n)).astype(np.float32)  # Many are equal.
    region = most_probable(masks)
    assert region.dtype == "uint8"
    np.testing.assert_array_equal(region, masks.argmax(-1))
