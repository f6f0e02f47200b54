from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from redo_tf.data.folder_masks import to_labels


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
    (Image.fromarray(np.array([[0, 1, 2, 30, 255]], np.uint8)), [0, 1, 1, 1, 255]),  # Of several objects.
    (Image.fromarray(np.array([[0, 1, 2, 255]], np.uint16)), [0, 1, 1, 255]),
    (Image.fromarray(np.array([[0, 1, 31, 255]], np.uint8)), [0, 0, 0, 1]),  # No such number: grey, …
    (Image.fromarray(np.array([[0, 2, 3, 255]], np.uint8)), [0, 0, 0, 1]),  # … as without a 1.
    (Image.fromarray(np.array([[False, True, True]])), [0, 1, 1]),
    (Image.fromarray(np.array([[0, 40_000, 65_535]], np.uint16)), [0, 1, 1]),
    (Image.fromarray(np.array([[0, 0, 255]], np.uint16)), [0, 0, 1]),  # 8 bits in 16.
    (Image.fromarray(np.array([[[255, 255, 255, 0], [255, 255, 255, 255], [0, 0, 0, 255]]], np.uint8)), [0, 1, 1]),  # A cut-out.
    (Image.fromarray(np.array([[[0, 0, 0, 255], [255, 255, 255, 255], [9, 9, 9, 255]]], np.uint8)), [0, 1, 0]),  # None.
    (Image.fromarray(np.array([[[9, 0], [9, 255]]], np.uint8), "LA"), [0, 1]),
    (Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255], [9, 9, 9]]], np.uint8)), [0, 1, 0]),
    (_with_palette([(255, 255, 255), (0, 0, 0), (255, 0, 0)]), [1, 0, 1]),  # The order of a palette means nothing.
    (_with_palette([(0, 0, 0), (128, 0, 0), (0, 128, 0)]), [0, 1, 1]),
    (_with_palette(VOC, [0, 1, 255]), [0, 1, 255]),  # The void between objects, …
    (_with_palette(VOC, [0, 1, 2, 255]), [0, 1, 1, 255]),
    (_with_palette(VOC, [0, 2, 255]), [0, 1, 1]),  # … which is only known beside a 1.
    (_with_palette(VOC[:2], [0, 1, 255]), [0, 1, 255]),  # Its colour may be missing.
    (_with_palette(GREYS, [0, 1, 255]), [0, 1, 255]),  # As without a palette.
    (_with_palette(GREYS, [0, 1, 2, 255]), [0, 1, 1, 255]),
    (_with_palette(GREYS, [0, 1, 100, 200, 255]), [0, 0, 0, 1, 1])])
def test_what_a_mask_means(mask, labels):
    assert to_labels(mask).tolist() == [labels]
