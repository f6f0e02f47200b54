"""Which of a folder's files are masks, whose they are, and what their pixels mean."""

from __future__ import annotations

import itertools
import os
import pathlib
from typing import Callable, Iterable, Iterator, List, Optional, Sequence

import numpy as np
from absl import logging
from PIL import Image

from redo_tf import decoding
from redo_tf.data import picture_tree
from redo_tf.decoding import PictureError
from redo_tf.labels import UNLABELLED
from redo_tf.own_pngs import is_result

MASKS = "masks"  # A folder of masks that lies among the pictures.
BESIDE = "_mask"  # Ends the name of a mask that lies beside its picture.
LAST_OBJECT = 30  # The highest number of an object in a mask; what is above is a grey.
LOOKED_AT = 100  # Masks that tell whether a folder's hold greys.


def _is_grey(mask: Image.Image, values: np.ndarray) -> bool:
    """Whether every pixel is shown as the grey of its value."""
    return bool((np.asarray(mask.convert("RGB")) == values[..., None]).all())


def _is_wide(mask: Image.Image) -> bool:
    return mask.mode == "I" or mask.mode.startswith("I;16")


def _is_colourless(mask: Image.Image) -> bool:
    """Whether every pixel is shown as some grey."""
    pixels = np.asarray(mask if _is_wide(mask) else mask.convert("RGB"))
    return _is_wide(mask) or bool((pixels == pixels[..., :1]).all())


def _holds_numbers(values: np.ndarray) -> bool:
    """Whether values are numbers of objects, beside those of the background and of pixels without a label."""
    known = values[values != UNLABELLED]
    return known.size > 0 and 0 < known.max() <= LAST_OBJECT


def _is_object(labels: np.ndarray) -> np.ndarray:
    return (labels > 0) & (labels != UNLABELLED)


def objects(labels: np.ndarray) -> List[int]:
    """Which objects' numbers occur."""
    return np.flatnonzero(np.bincount(labels[_is_object(labels)])).tolist()


def _is_uniform(mask: Image.Image) -> bool:
    pixels = np.asarray(mask)
    return bool((pixels == pixels[0, 0]).all())


def to_labels(mask: Image.Image, numbered: bool = True) -> np.ndarray:
    """A person's mask → labels uint8 [H, W]: 0 background, 1 and up objects, 255 no label.

    By the kind of picture:

    * With transparent pixels, a cut-out: what is not transparent is object, whatever its colour.
    * Grey: if masks are `numbered`, and the values beside 0 and 255 are all numbers up to `LAST_OBJECT`, and there are any, they
      are labels. Otherwise what is lighter than mid-grey is object.
    * With a palette of colours: what is not black is object. Indices that could be labels (as above) number the objects, unless
      index 0 is not black, or all colours are greys, as at soft edges. Index 255 is no label where indices could be labels or
      index 1 is used, as in PASCAL VOC's, which number their objects from 1.
    * With a palette that gives every pixel the grey of its index: as grey.

    Raises:
      PictureError: its pixels differ, and none is an object's, so that it is no mask of these kinds.
    """
    if mask.mode == "F":
        raise PictureError("has floating-point pixels, whose range is not known (save it with 8 or 16 bits)")
    if mask.mode in ("RGBA", "LA", "PA"):
        opaque = np.asarray(mask.getchannel("A")) > 127
        if not opaque.all():
            return opaque.astype(np.uint8)
    of_palette = mask.mode == "P" and not _is_grey(mask, np.asarray(mask))
    labels = _palette_labels(mask) if of_palette else _grey_labels(mask, numbered)
    if not _is_object(labels).any() and not _is_uniform(mask) and (numbered or not _is_colourless(mask)):
        raise PictureError(f"has several values, of which none is an object's (a light one, or a number from 1 to {LAST_OBJECT})")
    return labels


def _palette_labels(mask: Image.Image) -> np.ndarray:
    indices, coloured = np.asarray(mask), np.asarray(mask.convert("RGB")).any(axis=-1)
    numbered = _holds_numbers(indices)
    void = (indices == UNLABELLED) & (numbered or bool(np.any(indices == 1)))
    numbers = indices if numbered and not coloured[indices == 0].any() and not _is_colourless(mask) else np.uint8(1)
    return np.where(void, np.uint8(UNLABELLED), np.where(coloured, numbers, np.uint8(0)))


def _values(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask if _is_wide(mask) else mask.convert("RGB").convert("L"))


def _grey_labels(mask: Image.Image, numbered: bool) -> np.ndarray:
    wide, values = _is_wide(mask), _values(mask)
    if numbered and _holds_numbers(values) and (wide or _is_grey(mask, values)):
        return values.astype(np.uint8)
    return (values > (32_767 if wide and values.max() > 255 else 127)).astype(np.uint8)


class _Finder:
    """Finds files by their names without extensions, which may be in any case.

    Remembers no names, of which there may be millions, but the few extensions that occur: each of them is tried.
    """

    def __init__(self, folder: pathlib.Path, extensions: Iterable[str]):
        self._folder = folder
        # Of several masks of a picture, one without loss goes first.
        self._extensions = sorted(
            extensions, key=lambda known: (picture_tree.EXTENSIONS.index(known.lower()), known.swapcase()))

    @classmethod
    def below(cls, folder: pathlib.Path) -> _Finder:
        return cls(folder, {os.path.splitext(name)[1] for name in picture_tree.walk(folder)})

    def find(self, stem: str, taken: Callable[[pathlib.Path], bool] = os.path.isfile) -> Optional[pathlib.Path]:
        paths = (self._folder / (stem + extension) for extension in self._extensions)
        return next((path for path in paths if taken(path)), None)


def masks_among(folder: pathlib.Path) -> Optional[pathlib.Path]:
    """The subfolder `masks` of a folder of pictures, if it holds a mask of any of them; else it is one of pictures."""
    masks = folder / MASKS
    if not masks.is_dir():
        return None
    finder = _Finder.below(masks)
    stems = (os.path.splitext(name)[0] for name in picture_tree.walk(folder, [masks]))
    return masks if any(finder.find(stem) for stem in stems) else None


class Contents:
    """The pictures of a folder, and the mask of each. What this package has written there is neither.

    Args:
      folder: of the pictures.
      mask_dirs: folders that hold no pictures; of several, the masks of the first one are used.

    Attributes:
      mask_dir: that one; None if there is none.
    """

    def __init__(self, folder: pathlib.Path, mask_dirs: Sequence[pathlib.Path]):
        self._folder, self._mask_dirs = folder, mask_dirs
        self.mask_dir = mask_dirs[0] if mask_dirs else None
        names = picture_tree.walk(folder, mask_dirs)
        kinds = {(stem.endswith(BESIDE), extension) for stem, extension in map(os.path.splitext, names)}
        self._files = _Finder(folder, {extension for _, extension in kinds})
        self._beside = _Finder(folder, {extension for beside, extension in kinds if beside})
        self._apart = _Finder.below(self.mask_dir) if self.mask_dir else _Finder(folder, ())

    def pictures(self, on_error: Optional[picture_tree.OnError] = None) -> Iterator[str]:
        """Names of all that are no masks, readable or not; `on_error` as for `picture_tree.walk`."""
        return (name for name in picture_tree.walk(self._folder, self._mask_dirs, on_error)
                if not self._is_mask(name) and not is_result(str(self._folder / name)))

    def _is_mask(self, name: str) -> bool:
        stem = os.path.splitext(name)[0]
        return stem.endswith(BESIDE) and self._files.find(stem[:-len(BESIDE)]) is not None

    def mask_apart(self, name: str) -> Optional[pathlib.Path]:
        return self._apart.find(os.path.splitext(name)[0])

    def mask_beside(self, name: str) -> Optional[pathlib.Path]:
        return self._beside.find(
            os.path.splitext(name)[0] + BESIDE, lambda path: os.path.isfile(path) and not is_result(str(path)))

    def mask(self, name: str) -> Optional[pathlib.Path]:
        return self.mask_apart(name) or self.mask_beside(name)

    def are_numbered(self) -> bool:
        """Whether grey masks may hold objects' numbers.

        They do not if any of the first `LOOKED_AT` has a grey that is no number, nor 255: then greys are probabilities, and
        dark ones background.
        """
        masks = (path for path in map(self.mask, self.pictures()) if path)
        looked_at = list(itertools.islice(masks, LOOKED_AT))
        greys = [_greys(path) for path in looked_at]
        soft = [path for path, values in zip(looked_at, greys) if (values > LAST_OBJECT).any()]
        numbered = [path for path, values in zip(looked_at, greys) if len(values) and (values <= LAST_OBJECT).all()]
        if soft and numbered:
            logging.warning("%s has greys that are no objects' numbers, %s has nothing but such numbers: grey masks are all read "
                            "as dark and light, and numbers as background. If they are numbers, mend the first.",
                            soft[0], numbered[0])
        return not soft


def _greys(path: pathlib.Path) -> np.ndarray:
    """The values of a mask without colours, other than 0 and 255; none of another one."""
    try:
        with Image.open(path, formats=decoding.FORMATS) as mask:
            values = np.unique(_values(mask))
            if mask.mode in ("1", "L", "RGB") and _is_colourless(mask):
                return values[(values > 0) & (values < UNLABELLED)]
    except Exception:  # `read_mask` says how it is damaged.
        pass
    return np.empty(0)


def read_mask(path: Optional[pathlib.Path], size, numbered: bool = True) -> np.ndarray:
    """Labels uint8 [H, W] of a picture of (W, H) `size`; 255 throughout where there is no mask, or none that will do.
    `numbered` as for `to_labels`."""
    unlabelled = np.full(size[::-1], UNLABELLED, np.uint8)
    if path is None:
        return unlabelled
    try:
        with Image.open(path, formats=decoding.FORMATS) as mask:
            mask.load()
            mask = decoding.upright(mask, decoding.turn_of(mask))
            if mask.size != size:
                raise PictureError(f"has {mask.width}×{mask.height} pixels and its picture {size[0]}×{size[1]}")
            return to_labels(mask, numbered)
    except PictureError as error:
        reason = str(error)
    except Exception as error:  # Decoders fail in many ways.
        reason = decoding.why_unreadable(error)
    logging.warning("%s %s: its picture is used without a mask.", path, reason)
    return unlabelled
