from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from redo_tf.data.folder_masks import read_mask, to_labels
from redo_tf.decoding import PictureError


def _with_palette(colours, indices=(0, 1, 2)) -> Image.Image:
    picture = Image.fromarray(np.array([indices], np.uint8))
    picture.putpalette(sum(colours, ()))
    return picture


VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0)] + 252 * [(64, 64, 64)] + [(224, 224, 192)]
GREYS = [(grey, grey, grey) for grey in range(256)]


@pytest.mark.parametrize("mask, labels", [
    (Image.fromarray(np.array([[0, 255, 255]], np.uint8)), [0, 1, 1]),  # Black and white.
    (Image.fromarray(np.array([[0, 127, 128]], np.uint8)), [0, 0, 1]),  # Grey.
    (Image.fromarray(np.array([[0, 1, 255]], np.uint8)), [0, 1, 255]),  # Labels.
    (Image.fromarray(np.array([[0, 1, 1]], np.uint8)), [0, 1, 1]),
    (Image.fromarray(np.array([[0, 0, 0]], np.uint8)), [0, 0, 0]),
    (Image.fromarray(np.array([[0, 1, 2, 30, 255]], np.uint8)), [0, 1, 2, 30, 255]),  # Of several objects.
    (Image.fromarray(np.array([[0, 1, 2, 255]], np.uint16)), [0, 1, 2, 255]),
    (Image.fromarray(np.array([[0, 1, 31, 255]], np.uint8)), [0, 0, 0, 1]),  # No such number: grey.
    (Image.fromarray(np.array([[0, 2]], np.uint8)), [0, 2]),  # Whichever objects a picture shows.
    (Image.fromarray(np.array([[0, 2, 3, 255]], np.uint8)), [0, 2, 3, 255]),
    (Image.fromarray(np.array([[2, 2, 2]], np.uint8)), [2, 2, 2]),
    (Image.fromarray(np.array([[255, 255, 255]], np.uint8)), [1, 1, 1]),
    (Image.fromarray(np.array([[100, 100, 100]], np.uint8)), [0, 0, 0]),
    (Image.fromarray(np.array([[0, 2, 30]], np.uint16)), [0, 2, 30]),
    (Image.fromarray(np.array([[[0, 0, 0], [2, 2, 2], [255, 255, 255]]], np.uint8)), [0, 2, 255]),
    (Image.fromarray(np.array([[[0, 0, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)), [0, 0, 1]),  # Dark blue is no number.
    (Image.fromarray(np.array([[False, True, True]])), [0, 1, 1]),
    (Image.fromarray(np.array([[0, 40_000, 65_535]], np.uint16)), [0, 1, 1]),
    (Image.fromarray(np.array([[0, 0, 255]], np.uint16)), [0, 0, 1]),  # 8 bits in 16.
    (Image.fromarray(np.array([[[255, 255, 255, 0], [255, 255, 255, 255], [0, 0, 0, 255]]], np.uint8)), [0, 1, 1]),  # A cut-out.
    (Image.fromarray(np.array([[[0, 0, 0, 255], [255, 255, 255, 255], [99, 99, 99, 255]]], np.uint8)), [0, 1, 0]),  # None.
    (Image.fromarray(np.array([[[9, 0], [9, 255]]], np.uint8), "LA"), [0, 1]),
    (Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255], [99, 99, 99]]], np.uint8)), [0, 1, 0]),
    (_with_palette([(255, 255, 255), (0, 0, 0), (255, 0, 0)]), [1, 0, 1]),  # The order of a palette means nothing.
    (_with_palette([(0, 0, 0), (128, 0, 0), (0, 128, 0)]), [0, 1, 2]),
    (_with_palette([(0, 0, 0), (90, 90, 90), (255, 255, 255)]), [0, 1, 1]),  # A soft edge.
    (_with_palette(VOC, [0, 1, 255]), [0, 1, 255]),  # The void between objects, …
    (_with_palette(VOC, [0, 1, 2, 255]), [0, 1, 2, 255]),
    (_with_palette(VOC, [0, 2, 255]), [0, 2, 255]),
    (_with_palette(VOC, [0, 31, 255]), [0, 1, 1]),  # … which is only known beside numbers, …
    (_with_palette(VOC, [0, 1, 31, 255]), [0, 1, 1, 255]),  # … or a 1 at least.
    (_with_palette(VOC[:2], [0, 1, 255]), [0, 1, 255]),  # Its colour may be missing.
    (_with_palette(GREYS, [0, 1, 255]), [0, 1, 255]),  # As without a palette.
    (_with_palette(GREYS, [0, 1, 2, 255]), [0, 1, 2, 255]),
    (_with_palette(GREYS, [0, 2, 255]), [0, 2, 255]),
    (_with_palette(GREYS, [0, 1, 100, 200, 255]), [0, 0, 0, 1, 1])])
def test_what_a_mask_means(mask, labels):
    assert to_labels(mask).tolist() == [labels]


@pytest.mark.parametrize("mask", [
    Image.fromarray(np.array([[0, 100, 127]], np.uint8)),
    Image.fromarray(np.array([[0, 2, 31]], np.uint8)),
    Image.fromarray(np.array([[0, 300, 20_000]], np.uint16)),
    Image.fromarray(np.array([[[0, 0, 0], [128, 0, 0], [0, 0, 255]]], np.uint8)),
    _with_palette([(0, 0, 0)] * 3)])
def test_a_mask_without_anything_that_could_be_an_object_is_reported_and_labels_nothing(tmp_path, caplog, mask):
    with pytest.raises(PictureError, match="^has several values, of which none is an object's"):
        to_labels(mask)
    mask.save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png", mask.size) == 255).all()
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'a.png'} has several values, of which none is an object's (a light one, or a number from 1 to 30): "
        "its picture is used without a mask."]


def test_a_mask_of_floating_point_pixels_is_reported(tmp_path, caplog):
    Image.fromarray(np.array([[0, 0.7, 1]], np.float32)).save(tmp_path / "a.tif")
    assert (read_mask(tmp_path / "a.tif", (3, 1)) == 255).all()
    assert "a.tif has floating-point pixels, whose range is not known" in caplog.text
