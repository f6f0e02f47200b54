"""A folder of a person's own pictures, with masks if there are any.

Every file with one of `picture_tree.EXTENSIONS` in the folder and below is a picture, unless it is a mask. Those that
cannot be read are named once and left out. The rest is split by the names of the files. A mask has its picture's name,
whatever its extension, at the same place below the folder of masks; or it lies beside its picture and is called NAME_mask.
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
from redo_tf.data.folder_masks import BESIDE, LAST_OBJECT, Contents, masks_among, objects, read_mask
from redo_tf.data.parallel import ordered_map
from redo_tf.decoding import PictureError
from redo_tf.errors import UserError
from redo_tf.own_pngs import is_result

FEWEST_PICTURES = 10
SHORTEST_SIDE = 8  # Of a picture, in pixels; smaller ones are icons, tracking pixels, mistakes.
LONGEST_SHAPE = 100  # How many times as long as wide a picture may be.


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
      PictureError: it cannot be read, or is too small, or too long: resized by its short side it might not fit into memory.
    """
    image = decoding.read(str(path))
    if min(image.size) < SHORTEST_SIDE:
        raise PictureError(f"has only {image.width}×{image.height} pixels; {SHORTEST_SIDE} a side are the fewest")
    if max(image.size) > LONGEST_SHAPE * min(image.size):
        raise PictureError(f"has {image.width}×{image.height} pixels, and is more than {LONGEST_SHAPE} times as long as wide")
    return image


def _looks_readable(path: pathlib.Path) -> bool:
    """Whether the head of a file is a picture's, which is far faster to tell than reading it."""
    try:
        if not path.is_file():  # Opening a pipe would wait for ever.
            return False
        with Image.open(path, formats=decoding.FORMATS) as image:
            return SHORTEST_SIDE <= min(image.size) and max(image.size) <= LONGEST_SHAPE * min(image.size)
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


class Folder(PhotographBuilder):
    """TFDS builder of a person's own pictures: a tenth, at most 1,000, for each of val and test."""

    name = picture_tree.PREPARED
    VERSION = tfds.core.Version("6.0.0")  # To be raised when any picture or mask changes, as in the other data sets.
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "2.0.0": "Index 255 of masks with a palette has no label; pictures are kept without their colour profiles.",
        "3.0.0": "Masks among the pictures are masks, found by extensions in any case; grey ones may hold labels of several "
                 "objects; a transparent grey of 16 bits is white.",
        "4.0.0": "Masks are turned by their EXIF orientation; of cut-outs the opaque is the object; 8 bits may lie in 16.",
        "5.0.0": "Masks with numbers of objects need no 1 among them; those in which no object can be told have no label.",
        "6.0.0": "Objects keep their numbers.",
    }
    SOURCES = Tree()
    MERGEABLE = True
    LARGEST_LABEL = LAST_OBJECT
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Name the folder of the pictures as --manual_dir."
    DESCRIPTION = (
        "A person's own pictures. Masks: 0 background, 1 to 30 objects, by the person's numbers, 255 no label; 255 throughout "
        "where there is no mask."
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

    def _mask_dirs(self, folder: pathlib.Path) -> List[pathlib.Path]:
        """Folders of masks, which are not entered for pictures; the first one's are used."""
        return [path for path in (self.builder_config.mask_dir, masks_among(folder)) if path]

    def fingerprint(self, folder: pathlib.Path) -> Dict[str, str]:
        mask_dirs = self._mask_dirs(folder)
        # With the masks that lie beside them.
        prints = {"pictures": picture_tree.fingerprint(folder, mask_dirs, lambda path: not is_result(str(path)))}
        prints["masks"] = picture_tree.fingerprint(mask_dirs[0]) if mask_dirs else None  # They may be taken away, too.
        return prints

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        contents = Contents(folder, self._mask_dirs(folder))
        division = picture_tree.Division(self._readable(folder, contents))
        if len(division) < FEWEST_PICTURES:
            raise UserError(
                f"{folder} holds {len(division)} readable pictures ({', '.join(picture_tree.EXTENSIONS)}), and "
                f"{FEWEST_PICTURES} are the fewest to train on: add more, or name another folder with --data_dir=FOLDER."
            )
        numbered = contents.are_numbered()
        return {
            split: self._with_bar(
                split, division.sizes[split], self._generate_examples(folder, contents, split, division, numbered))
            for split in ("train", "val", "test")
        }

    def _note_objects(self, mask: np.ndarray) -> None:
        """Keeps the numbers of objects that occur, in any split."""
        found = objects(mask)
        with self._lock:  # Pictures are worked on by several threads.
            self.info.metadata["objects"] = sorted({*self.info.metadata.get("objects", []), *found})

    @property
    def classes(self):
        return max(self.REGIONS, 1 + len(self.info.metadata.get("objects", [])))

    def labels(self, mask):
        ranks = np.arange(256, dtype=np.uint8)
        for rank, number in enumerate(self.info.metadata.get("objects", []), start=1):
            ranks[number] = rank
        return ranks[mask]

    def _readable(self, folder: pathlib.Path, contents: Contents) -> Iterator[str]:
        """Names of the pictures that look readable; the others are reported, and so is where the masks are."""
        apart = beside = 0
        for name in contents.pictures(lambda path, error: logging.warning(
                "%s cannot be entered (%s): left out.", path, error.strerror)):
            if not _is_left_out(folder / name):
                apart += contents.mask_apart(name) is not None
                beside += contents.mask_beside(name) is not None
                yield name
        if self.builder_config.mask_dir and not apart:
            raise UserError(
                f"--mask_dir={contents.mask_dir} holds no mask of any picture of {folder}: masks have their pictures' "
                "names and lie in the same subfolders."
            )
        if contents.mask_dir:
            logging.info("%s is taken for the folder of masks; pictures with a mask there: %d.", contents.mask_dir, apart)
        if beside:
            logging.info("Pictures with a mask beside them, NAME%s: %d.", BESIDE, beside)

    def _generate_examples(self, folder: pathlib.Path, contents: Contents, split: str, division: picture_tree.Division,
                           numbered: bool):
        def example(name):
            try:
                image = read_picture(folder / name)
            except PictureError as error:  # Its head was in order.
                logging.warning("%s %s: left out.", folder / name, error)
                return None
            mask = read_mask(contents.mask(name), image.size, numbered)
            self._note_objects(mask)
            identifier = os.fsencode(name).decode("utf-8", "backslashreplace")
            return identifier, self._features(image, mask, identifier)

        names = (name for name in contents.pictures() if division.split_of(name) == split)
        found = False
        for item in ordered_map(example, names):
            if item is not None:
                found = True
                yield item
        if not found:
            raise UserError(f"No picture of {folder} that falls to the {split} split is readable: replace the pictures "
                            "named above.")
