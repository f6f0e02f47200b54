from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from redo_tf.data.resizing import RESIZE, resize


def test_masks_are_nearest_and_images_by_choice():
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    nearest = resize(Image.fromarray(image), 20, RESIZE["nearest"])
    centres = ((np.arange(20) + 0.5) * 2.5).astype(int)
    np.testing.assert_array_equal(nearest, image[centres][:, centres])
    smooth = resize(Image.fromarray(image), 20, RESIZE["antialias"])
    # Every source pixel counts the same: noise loses its variance, the mean stays.
    assert abs(smooth.mean() - image.mean()) < 1 and smooth.std() < 0.5 * image.std()


@pytest.mark.parametrize("width, height", [(90, 60), (60, 90), (61, 60), (60, 60)])
def test_short_side_is_resized_and_the_centre_kept(width, height):
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    picture = Image.fromarray(np.stack([columns, rows, rows], axis=-1).astype(np.uint8))
    resized = resize(picture, 30, RESIZE["antialias"]).astype(float)
    assert resized.shape == (30, 30, 3)
    assert resized[..., 0].mean() == pytest.approx((width - 1) / 2, abs=1)
    assert resized[..., 1].mean() == pytest.approx((height - 1) / 2, abs=1)
    assert np.diff(resized[..., 0], axis=1).mean() == pytest.approx(2, abs=0.1)  # Nothing is stretched.
    assert np.diff(resized[..., 1], axis=0).mean() == pytest.approx(2, abs=0.1)
