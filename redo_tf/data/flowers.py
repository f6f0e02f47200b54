"""Oxford Flowers-102 with its segmentations: the object is the flower.

Made from the archives as published. A segmentation is the photograph with its background painted blue, kept as JPEG,
so that blue comes with the noise of compression. The authors of the paper train on the largest of the published splits,
the test set.
"""

from __future__ import annotations

import pathlib
import re
from typing import Dict, List, Optional, Set

import numpy as np
import scipy.io
import tensorflow_datasets as tfds
from PIL import Image

from redo_tf.data import archives
from redo_tf.data.builder import PhotographBuilder
from redo_tf.data.parallel import ordered_map
from redo_tf.errors import UserError

IMAGES = "102flowers.tgz"
SEGMENTATIONS = "102segmentations.tgz"
SPLIT_LIST = "setid.mat"

FIELDS = {"train": "tstid", "val": "valid", "test": "trnid"}

BLUE = np.array([0, 0, 254], np.int32)
# Euclidean distance in RGB up to which a colour is still taken for blue: what JPEG makes of it at the rims of petals.
NOISE = 80


def _number(kind: str, member: str) -> Optional[int]:
    """`…/image_00012.jpg` → 12 for the kind `image`; None for any other file."""
    match = re.fullmatch(rf"{kind}_(\d+)\.jpg", pathlib.PurePosixPath(member).name)
    return int(match.group(1)) if match else None


def read_splits(path: pathlib.Path) -> Dict[str, List[int]]:
    """The numbers of each split's pictures.

    Raises:
      UserError: not the published MATLAB file, or an empty split, or a picture in two splits.
    """
    try:
        content = scipy.io.loadmat(path)
        splits = {split: [int(number) for number in np.ravel(content[field])] for split, field in FIELDS.items()}
    except Exception as error:  # SciPy fails in many ways on what is no MATLAB file.
        raise archives.damaged(path, error) from error
    numbers = sum(splits.values(), [])
    if not all(splits.values()) or len(set(numbers)) < len(numbers):
        raise archives.damaged(path, "a split is empty, or a picture is in two")
    return splits


def object_mask(segmentation: np.ndarray) -> np.ndarray:
    """Mask from a decoded segmentation, uint8 [H, W, 3] → uint8 [H, W]: 1 where it is not blue.

    The released code takes for background whatever has R = 0, G = 0 or B = 254, petals included: the published scores are of
    slightly different masks.
    """
    distance = segmentation.astype(np.int32) - BLUE
    return (np.square(distance).sum(axis=-1) > NOISE**2).astype(np.uint8)


class Flowers(PhotographBuilder):
    """TFDS builder of Flowers-102: 6,149 train, 1,020 val, 1,020 test."""

    name = "redo_flowers"  # TFDS's oxford_flowers102 has no segmentations.
    VERSION = tfds.core.Version("1.0.1")
    RELEASE_NOTES = {"1.0.0": "First release.", "1.0.1": "Dark blue petals are no background."}
    SOURCES = archives.Sources(
        folder="flowers",
        required=(IMAGES, SEGMENTATIONS, SPLIT_LIST),
        optional=(),
        page="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        # No checksum of the segmentations is known: they are downloaded by hand.
        urls={
            IMAGES: "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz",
            SPLIT_LIST: "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat",
        },
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = SOURCES.instructions
    DESCRIPTION = (
        "Photographs of flowers with masks: 0 background, 1 flower. As in the ReDO paper, train is the published test "
        "set, val the validation set, test the training set."
    )
    HOMEPAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    CITATION = """@inproceedings{nilsback2008automated,
  title={Automated Flower Classification over a Large Number of Classes},
  author={Nilsback, Maria-Elena and Zisserman, Andrew},
  booktitle={Indian Conference on Computer Vision, Graphics and Image Processing},
  year={2008}
}"""

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        splits = read_splits(folder / SPLIT_LIST)
        members = archives.names(folder / IMAGES, lambda member: _number("image", member) is not None)
        absent = set().union(*splits.values()) - {_number("image", member) for member in members}
        if absent:
            raise UserError(
                f"{folder / IMAGES} lacks image_{min(absent):05d}.jpg, which {SPLIT_LIST} lists: "
                "download the published files."
            )
        return {
            split: self._with_bar(split, len(numbers), self._generate_examples(folder, set(numbers)))
            for split, numbers in splits.items()
        }

    def _generate_examples(self, folder: pathlib.Path, wanted: Set[int]):
        masks = {
            _number("segmim", member): content
            for member, content in archives.members(
                folder / SEGMENTATIONS, lambda member: _number("segmim", member) in wanted
            )
        }

        def example(item):
            member, content = item
            number = _number("image", member)
            if number not in masks:
                raise UserError(f"{folder / SEGMENTATIONS} has no segmim_{number:05d}.jpg: download it again.")
            image = archives.decode(content, folder / IMAGES, member)
            segmentation = archives.decode(masks[number], folder / SEGMENTATIONS, f"segmim_{number:05d}.jpg")
            mask, name = object_mask(segmentation), f"image_{number:05d}"
            archives.check_same_size(image, mask, name, folder / SEGMENTATIONS)
            return name, self._features(Image.fromarray(image), mask, name)

        pictures = archives.members(folder / IMAGES, lambda member: _number("image", member) in wanted)
        return ordered_map(example, pictures)
