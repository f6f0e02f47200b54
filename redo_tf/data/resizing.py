"""Resizing pictures: the short side to a size, with one resize for each picture from the published pixels on."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Pillow, because its NEAREST is the one that the released code resizes with, and
# because its BILINEAR widens the filter by the factor of reduction, hence antialiases.
RESIZE = {"antialias": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}


def _to_short_side(picture: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    width, height = picture.size
    short = min(width, height)
    return picture if short == size else picture.resize((width * size // short, height * size // short), resample)


def shrink(picture: Image.Image, size: int, resample: Image.Resampling) -> Image.Image:
    """The picture with a short side of `size`, or as it is if it is no larger. `resize` to `size` then only crops it."""
    return _to_short_side(picture, size, resample) if min(picture.size) > size else picture


def resize(picture: Image.Image, size: int, resample: Image.Resampling) -> np.ndarray:
    """Resizes the short side to `size` and crops the centre, uint8 [S, S, …]."""
    picture = _to_short_side(picture, size, resample)
    width, height = picture.size
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))
