from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from redo_tf import pictures

WHITE, BLACK = [255] * 3, [0] * 3


def test_background_is_black_the_first_object_white_and_unlabelled_pixels_grey():
    colours = pictures.colour_labels(np.array([[[0, 1, 255]]], np.uint8))
    np.testing.assert_array_equal(colours, [[[BLACK, WHITE, [128] * 3]]])


def test_labels_have_different_colours_until_those_of_objects_repeat():
    colours = pictures.colour_labels(np.arange(255, dtype=np.uint8)[None, None])[0, 0]
    assert len({tuple(colour) for colour in colours[:6]} | {tuple(pictures.GREY)}) == 7
    np.testing.assert_array_equal(colours[6:], colours[1:-5])
    np.testing.assert_array_equal(pictures.palette(8), colours[:8])


def test_background_alone_is_black_among_many_soft_masks():
    np.testing.assert_array_equal(pictures.blend_masks(np.eye(8)), pictures.palette(8))
    assert pictures.palette(8).any(axis=-1).tolist() == [False] + 7 * [True]


def test_soft_masks_mix_their_regions_colours():
    # Two regions: black and white, so the object's share in grey: ¾·255 = 191.25. Three: ½ white + ½ (230, 120, 30).
    np.testing.assert_array_equal(pictures.blend_masks(np.array([[[[0.25, 0.75], [0, 1], [1, 0]]]])),
                                  [[[[191] * 3, WHITE, BLACK]]])
    np.testing.assert_array_equal(pictures.blend_masks(np.array([[[[0, 0.5, 0.5]]]])), [[[[243, 188, 143]]]])


def grid(size=40, **options):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [2, size, size, 3], dtype=np.uint8)
    masks = np.zeros([2, size, size, 2], np.float32)
    masks[..., 1] = 1
    redrawn = [np.full([2, size, size, 3], value, np.float32) for value in (-1, 1)]
    return images, pictures.sample_grid(images, masks, redrawn, **options)


@pytest.mark.parametrize("size, factor", [(32, 3), (40, 3), (48, 2), (96, 1), (128, 1)])
def test_small_pictures_are_enlarged_by_a_whole_factor_to_at_least_96_pixels(size, factor):
    images, drawn = grid(size)
    cell = size * factor + 2  # a pixel of white on each side
    assert drawn.shape == (2 * cell, 4 * cell, 3) and drawn.dtype == np.uint8
    second = drawn[cell + 1:2 * cell - 1, 1:cell - 1]
    np.testing.assert_array_equal(second[::factor, ::factor], images[1])
    np.testing.assert_array_equal(second[factor - 1::factor, factor - 1::factor], images[1])


def test_a_row_is_picture_truth_mask_and_each_region_redrawn_on_white():
    truth = np.zeros([2, 40, 40], np.uint8)
    truth[1] = 255
    images, drawn = grid(truth=truth)
    cells = drawn.reshape(2, 122, 5, 122, 3).transpose(0, 2, 1, 3, 4)
    inner = cells[:, :, 1:-1, 1:-1]
    np.testing.assert_array_equal(inner[:, 0, ::3, ::3], images)
    for column, colours in enumerate([(BLACK, [128] * 3), (WHITE, WHITE), (BLACK, BLACK), (WHITE, WHITE)], start=1):
        np.testing.assert_array_equal(inner[:, column] - np.array(colours)[:, None, None], np.zeros([2, 120, 120, 3]))
    border = np.ones([122, 122], bool)
    border[1:-1, 1:-1] = False
    assert (cells[:, :, border] == 255).all()


def test_titled_grids_lie_below_their_titles_with_a_gap_between():
    black, grey = (np.full([2, 96, 96, 3], value, np.uint8) for value in (0, 128))
    drawn = pictures.titled_grids([("one", [black]), ("two\nlines", [grey, grey])])
    top, gap, cell = pictures.TITLE_HEIGHT, pictures.BLOCK_GAP, 98
    assert drawn.shape == (top + 2 * cell, 3 * cell + gap, 3)
    np.testing.assert_array_equal(drawn[top:, :cell], pictures.grid([black]))
    np.testing.assert_array_equal(drawn[top:, cell + gap:], pictures.grid([grey, grey]))
    assert (drawn[:, cell:cell + gap] == 255).all()
    for title in (drawn[:top, :cell], drawn[:top, cell + gap:]):
        dark = np.argwhere(title[..., 0] < 128)
        # In the middle, to some pixels, and not cut off.
        assert np.abs((dark.min(0) + dark.max(0) + 1) / 2 - np.array(title.shape[:2]) / 2).max() < 4
        assert (dark.min(0) > 0).all() and (dark.max(0) < np.array(title.shape[:2]) - 1).all()


def test_png_keeps_every_pixel():
    image = np.random.default_rng(0).integers(0, 256, [5, 7, 3], dtype=np.uint8)
    data = pictures.png(image)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(data))), image)
    np.testing.assert_array_equal(tf.io.decode_png(data), image)
