"""A folder of a person's own pictures, with masks if there are any.

Every .jpg, .jpeg, .png, .webp and .bmp file in the folder and below is a picture. Those that cannot be read are named
once and left out. The rest is split by the names of the files. A mask is a picture of the same name, whatever its
extension, at the same place below the folder of masks.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import Dict, Iterator, List, Mapping, Optional

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from redo_tf import decoding
from redo_tf.data import picture_tree
from redo_tf.data.builder import PhotographBuilder, short_side
from redo_tf.data.parallel import ordered_map
from redo_tf.decoding import PictureError
from redo_tf.errors import UserError
from redo_tf.metrics import UNLABELLED

FEWEST_PICTURES = 10
SHORTEST_SIDE = 8  # Of a picture, in pixels; smaller ones are icons, tracking pixels, mistakes.
LAST_OBJECT = 30  # The highest number of an object in a mask; what is above is a grey.


class Tree:
    """Stands where other data sets have their archives; see `archives.Sources`."""

    urls: Mapping[str, str] = {}

    def find(self, data_dir: Optional[pathlib.Path]) -> Optional[pathlib.Path]:
        return data_dir if data_dir and data_dir.is_dir() and any(data_dir.iterdir()) else None

    def missing(self, data_dir: Optional[pathlib.Path]) -> UserError:
        if data_dir is None:
            return UserError("Which pictures? Name their folder with --data_dir=FOLDER.")
        state = "is empty" if data_dir.is_dir() else "does not exist"
        return UserError(f"--data_dir={data_dir} {state}: name the folder that holds the pictures.")

    def absent(self, folder: pathlib.Path) -> List[str]:
        del folder
        return []


def read_picture(path: pathlib.Path) -> Image.Image:
    """A picture, upright, RGB.

    Raises:
      PictureError: it cannot be read, or is too small.
    """
    image = decoding.read(str(path))
    if min(image.size) < SHORTEST_SIDE:
        raise PictureError(f"has only {image.width}×{image.height} pixels; {SHORTEST_SIDE} a side are the fewest")
    return image


def _looks_readable(path: pathlib.Path) -> bool:
    """Whether the head of a file is a picture's, which is far faster to tell than reading it."""
    try:
        if not path.is_file():  # Opening a pipe would wait for ever.
            return False
        with Image.open(path, formats=decoding.FORMATS) as image:
            return min(image.size) >= SHORTEST_SIDE
    except Exception:  # Decoders fail in many ways; `read_picture` says how.
        return False


def _is_left_out(path: pathlib.Path) -> bool:
    """Whether a file cannot be a picture; tells the person so."""
    if _looks_readable(path):
        return False
    try:
        read_picture(path)
        return False
    except PictureError as error:
        logging.warning("%s %s: left out.", path, error)
        return True


def _is_grey(mask: Image.Image) -> bool:
    """Whether the palette gives every pixel the grey of its index."""
    return bool((np.asarray(mask.convert("RGB")) == np.asarray(mask)[..., None]).all())


def to_labels(mask: Image.Image) -> np.ndarray:
    """A person's mask → labels uint8 [H, W]: 0 background, 1 object, 255 no label.

    Read as labels if there is a 1 and nothing above `LAST_OBJECT` but 255: each but 0 and 255 is an object's. Otherwise the
    object is what is lighter than mid-grey.

    In a picture with a palette the object is whatever is not black; but where index 1 is used index 255 is no label, as in
    PASCAL VOC's, which number their objects from 1. Where the palette gives every pixel the grey of its index the picture
    counts as a grey one.
    """
    if mask.mode == "P" and not _is_grey(mask):
        indices, labels = np.asarray(mask), np.asarray(mask.convert("RGB")).any(axis=-1).astype(np.uint8)
        void = (indices == UNLABELLED) & np.any(indices == 1)
        return np.where(void, np.uint8(UNLABELLED), labels)
    wide = mask.mode == "I" or mask.mode.startswith("I;16")
    values = np.asarray(mask if wide else mask.convert("RGB").convert("L"))
    void = values == UNLABELLED
    if np.any(values == 1) and np.all(void | (values <= LAST_OBJECT)):
        return np.where(void, np.uint8(UNLABELLED), values > 0)
    return (values > (32_767 if wide else 127)).astype(np.uint8)


def _find_mask(mask_dir: Optional[pathlib.Path], name: str) -> Optional[pathlib.Path]:
    if mask_dir is None:
        return None
    stem = mask_dir / os.path.splitext(name)[0]
    candidates = (stem.with_name(stem.name + extension) for extension in (".png", ".bmp", ".webp", ".jpg", ".jpeg"))
    return next((path for path in (*candidates, mask_dir / name) if path.is_file()), None)


def _read_mask(path: Optional[pathlib.Path], size) -> np.ndarray:
    """Labels uint8 [H, W] of a picture of (W, H) `size`; 255 throughout where there is no mask, or none that will do."""
    unlabelled = np.full(size[::-1], UNLABELLED, np.uint8)
    if path is None:
        return unlabelled
    try:
        with Image.open(path, formats=decoding.FORMATS) as mask:
            mask.load()
            if mask.size == size:
                return to_labels(mask)
            reason = f"has {mask.width}×{mask.height} pixels and its picture {size[0]}×{size[1]}"
    except Exception as error:  # As above.
        reason = f"cannot be read ({error})"
    logging.warning("%s %s: its picture is used without a mask.", path, reason)
    return unlabelled


class Folder(PhotographBuilder):
    """TFDS builder of a person's own pictures: a tenth, at most 1,000, for each of val and test."""

    name = picture_tree.PREPARED
    VERSION = tfds.core.Version("2.0.0")  # To be raised when any picture or mask changes, as in the other data sets.
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "2.0.0": "Index 255 of masks with a palette has no label; pictures are kept without their colour profiles.",
    }
    SOURCES = Tree()
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Name the folder of the pictures as --manual_dir."
    DESCRIPTION = (
        "A person's own pictures. Masks: 0 background, 1 object, 255 no label; 255 throughout where there is no mask."
    )
    HOMEPAGE = "https://arxiv.org/abs/1905.13539"
    CITATION = ""

    @classmethod
    def configuration(cls, image_size, resize, mask_dir):
        config = short_side(image_size, resize)
        if mask_dir is not None:
            config.mask_dir = mask_dir
            config.name += "_masks_" + hashlib.sha256(os.fsencode(mask_dir.resolve())).hexdigest()[:8]
        return config

    @property
    def _mask_dirs(self):
        return () if self.builder_config.mask_dir is None else (self.builder_config.mask_dir,)

    def fingerprint(self, folder: pathlib.Path) -> Dict[str, str]:
        prints = {"pictures": picture_tree.fingerprint(folder, self._mask_dirs)}
        for mask_dir in self._mask_dirs:
            prints["masks"] = picture_tree.fingerprint(mask_dir)
        return prints

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        division = picture_tree.Division(self._readable(folder))
        if len(division) < FEWEST_PICTURES:
            raise UserError(
                f"{folder} holds {len(division)} readable pictures ({', '.join(picture_tree.EXTENSIONS)}), and "
                f"{FEWEST_PICTURES} are the fewest to train on: add more, or name another folder with --data_dir=FOLDER."
            )
        return {
            split: self._with_bar(split, division.sizes[split], self._generate_examples(folder, split, division))
            for split in ("train", "val", "test")
        }

    def _readable(self, folder: pathlib.Path) -> Iterator[str]:
        """Names of the pictures that look readable; the others are reported."""
        masks = 0
        for name in picture_tree.walk(folder, self._mask_dirs, lambda path, error: logging.warning(
                "%s cannot be entered (%s): left out.", path, error.strerror)):
            if not _is_left_out(folder / name):
                masks += _find_mask(self.builder_config.mask_dir, name) is not None
                yield name
        if self._mask_dirs and not masks:
            raise UserError(
                f"--mask_dir={self._mask_dirs[0]} holds no mask of any picture of {folder}: masks have their pictures' "
                "names and lie in the same subfolders."
            )

    def _generate_examples(self, folder: pathlib.Path, split: str, division: picture_tree.Division):
        def example(name):
            try:
                image = read_picture(folder / name)
            except PictureError as error:  # Its head was in order.
                logging.warning("%s %s: left out.", folder / name, error)
                return None
            mask = _read_mask(_find_mask(self.builder_config.mask_dir, name), image.size)
            identifier = os.fsencode(name).decode("utf-8", "backslashreplace")
            return identifier, self._features(image, mask, identifier)

        names = (name for name in picture_tree.walk(folder, self._mask_dirs) if division.split_of(name) == split)
        found = False
        for item in ordered_map(example, names):
            if item is not None:
                found = True
                yield item
        if not found:
            raise UserError(f"No picture of {folder} that falls to the {split} split is readable: replace the pictures "
                            "named above.")
