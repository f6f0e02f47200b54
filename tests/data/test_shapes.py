"""Facts about the shapes data set."""
from __future__ import annotations

import numpy as np
import pytest

from redo_tf.data import load, shapes


@pytest.fixture(scope="module")
def pictures():
    return [shapes.draw(shapes.picture_seed("train", index), 32) for index in range(600)]


def test_types_and_labels(pictures):
    for image, mask in pictures[:50]:
        assert image.shape == (32, 32, 3) and image.dtype == np.uint8
        assert mask.shape == (32, 32) and mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}


def test_object_share_is_a_seventh_to_a_half(pictures):
    # Shares are drawn from .28 to .50; an outline that does not fit is scaled down, and one in ten is cut off a little.
    shares = np.array([mask.mean() for _, mask in pictures])
    assert 1 / 7 < shares.min() and shares.max() < 0.5
    assert np.percentile(shares, 90) - np.percentile(shares, 10) > 0.15


def test_mask_is_exactly_where_another_background_changes_nothing(monkeypatch):
    for index in range(30):
        seed = shapes.picture_seed("val", index)
        drawn = []
        for level in (0.0, 1.0):
            monkeypatch.setattr(shapes, "_draw_background", lambda rng, size: np.full((size, size, 3), level))
            image, mask = shapes.draw(seed, 48)
            drawn.append(image)
        np.testing.assert_array_equal((drawn[0] == drawn[1]).all(axis=-1), mask == 1)


def test_background_does_not_depend_on_the_object(pictures):
    """Mean colours inside and outside are uncorrelated over the pictures."""
    inside = np.array([image[mask == 1].mean(axis=0) for image, mask in pictures])
    outside = np.array([image[mask == 0].mean(axis=0) for image, mask in pictures])
    correlations = np.corrcoef(inside.T, outside.T)[:3, 3:]
    assert np.abs(correlations).max() < 4 / np.sqrt(len(pictures))  # Four standard deviations.


def test_no_threshold_on_one_colour_feature_solves_it(pictures):
    images = np.stack([image for image, _ in pictures]) / 255
    masks = np.stack([mask for _, mask in pictures]) == 1
    red, green, blue = np.moveaxis(images, -1, 0)
    warmth = red - (green + blue) / 2
    saturation = (images.max(axis=-1) - images.min(axis=-1)) / np.maximum(images.max(axis=-1), 1e-6)
    for feature in (warmth, saturation):  # The two that separate best.
        for threshold in np.linspace(feature.min(), feature.max(), 25):
            chosen = feature > threshold
            iou = (chosen & masks).sum(axis=(1, 2)) / np.maximum((chosen | masks).sum(axis=(1, 2)), 1)
            assert iou.mean() < 0.9
            assert (iou < 0.5).mean() > 0.05  # On these pictures it fails altogether.


@pytest.mark.parametrize("index", range(20))
def test_a_seed_gives_the_same_picture_at_any_size(index):
    """At three times the size, the middle of each 3×3 block lies where the small picture's pixel does."""
    seed = shapes.picture_seed("test", index)
    (small, small_mask), (large, large_mask) = shapes.draw(seed, 32), shapes.draw(seed, 96)
    agree = large_mask[1::3, 1::3] == small_mask
    assert agree.mean() > 0.998  # Rounding may move a pixel centre across the outline.
    difference = np.abs(large[1::3, 1::3].astype(int) - small)[agree]
    assert difference.max() <= 2


def test_no_picture_is_in_two_splits():
    drawn = [
        shapes.draw(shapes.picture_seed(split, index), 32)[0].tobytes()
        for split in ("train", "val", "test") for index in range(300)
    ]
    assert len(set(drawn)) == len(drawn)


def test_seeds_of_all_pictures_differ():
    states = {
        tuple(shapes.picture_seed(split, index).generate_state(4))
        for split, count in shapes.SPLIT_SIZES.items() for index in range(count)
    }
    assert len(states) == 12_000


def test_builder_yields_what_draw_draws(few_shapes, tmp_path):
    for split, count in (("train", 12), ("val", 5), ("test", 4)):
        loaded = load("shapes", split, data_dir=tmp_path, image_size=40)
        assert loaded.images.shape == (count, 40, 40, 3)
        for image, mask, name in zip(loaded.images, loaded.masks, loaded.ids):
            expected_image, expected_mask = shapes.draw(shapes.picture_seed(split, int(name.split("_")[1])), 40)
            np.testing.assert_array_equal(image, expected_image)
            np.testing.assert_array_equal(mask, expected_mask)
