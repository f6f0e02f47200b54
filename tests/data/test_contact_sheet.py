"""Facts about outlines and contact sheets."""
from __future__ import annotations

import numpy as np

from redo_tf.data.contact_sheet import contact_sheet, outline


def test_an_outline_is_the_rim_of_an_object():
    labels = np.zeros((6, 7), np.uint8)
    labels[1:5, 2:6] = 1
    expected = np.zeros((6, 7), bool)
    expected[1:5, 2:6] = True
    expected[2:4, 3:5] = False
    np.testing.assert_array_equal(outline(labels), expected)


def test_where_objects_touch_both_have_a_rim_and_the_border_and_unlabelled_pixels_make_none():
    labels = np.array([[1, 1, 2, 2, 2, 255, 255]], np.uint8)
    assert outline(labels).tolist() == [[False, True, True, False, False, False, False]]
    assert not outline(np.ones((4, 4), np.uint8)).any()
    assert not outline(np.full((4, 4), 255, np.uint8)).any()


def test_a_sheet_has_enlarged_pictures_in_rows_with_outlines_in_colour():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
    masks = np.zeros((5, 32, 32), np.uint8)
    masks[3, 8:24, 8:24] = 1
    sheet = contact_sheet(images, masks, columns=3)
    assert sheet.shape == (2 * 98, 3 * 98, 3) and sheet.dtype == np.uint8
    assert sheet[0].min() == 255  # White between the pictures.
    for number in (0, 1, 2, 4):
        top, left = number // 3 * 98 + 1, number % 3 * 98 + 1
        assert (sheet[top : top + 96, left : left + 96] == number).all()
    fourth = sheet[99:195, 1:97]
    magenta = (fourth == [255, 0, 255]).all(-1)
    assert magenta.sum() == 4 * 47 and magenta[24, 24:72].all() and magenta[71, 24:72].all()  # 48×48, one pixel wide.
    assert (fourth[~magenta] == 3).all()
    assert (sheet[99:, 2 * 98 :] == 255).all()  # No sixth picture.
    assert (images[3] == 3).all()  # The pictures themselves are not drawn on.


def test_without_masks():
    images = np.full((2, 100, 100, 3), 9, np.uint8)
    sheet = contact_sheet(images, None, columns=2)
    assert sheet.shape == (102, 204, 3) and (sheet[1:101, 1:101] == 9).all()
