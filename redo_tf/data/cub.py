"""Caltech-UCSD Birds-200-2011 with its segmentations: the object is the bird.

Made from the archives as published. Segmentations are grey PNGs that hold how many of several people marked a pixel;
the released code takes what is above one half of white. The authors of the paper split the pictures in a way of their
own; their list, `train_val_test_split.txt` of the released code, is used where it lies beside the archives.
"""

from __future__ import annotations

import hashlib
import pathlib
from typing import Dict, List, Mapping, Set

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from redo_tf.data import archives
from redo_tf.data.builder import PhotographBuilder
from redo_tf.data.parallel import ordered_map
from redo_tf.errors import UserError

IMAGES = "CUB_200_2011.tgz"
SEGMENTATIONS = "segmentations.tgz"
SPLIT_LIST = "train_val_test_split.txt"

PUBLISHED_SIZES = {"train": 10_000, "val": 788, "test": 1_000}
SPLIT_NUMBERS = {"0": "train", "1": "val", "2": "test"}

Splits = Dict[str, List[str]]  # Split → names of its pictures, CLASS/NAME.


def _name(member: str) -> str:
    """`…/CLASS/NAME.jpg` → `CLASS/NAME`."""
    path = pathlib.PurePosixPath(member)
    return f"{path.parent.name}/{path.stem}"


def _is_picture(member: str) -> bool:
    parts = pathlib.PurePosixPath(member).parts
    return len(parts) > 2 and parts[-3] == "images" and member.endswith(".jpg") and not parts[-1].startswith(".")


def _is_segmentation(member: str) -> bool:
    path = pathlib.PurePosixPath(member)
    return path.suffix == ".png" and not path.name.startswith(".")


def _is_index(member: str) -> bool:
    return pathlib.PurePosixPath(member).name == "images.txt"


def read_index(path: pathlib.Path) -> Dict[str, str]:
    """Number → name of every picture, from the images.txt in the archive at `path`.

    Raises:
      UserError: the archive is damaged, or has no images.txt.
    """
    for _, content in archives.members(path, _is_index):
        lines = [line.split(maxsplit=1) for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        return {number: _name(name.strip()) for number, name in lines}
    raise UserError(f"{path} holds no images.txt, which numbers the pictures: download the published archive.")


def read_split_list(path: pathlib.Path, index: Mapping[str, str]) -> Splits:
    """Reads the released split, `NUMBER SPLIT` a line with 0 for train, 1 for val and 2 for test.

    Args:
      path: the list.
      index: name of each numbered picture.

    Raises:
      UserError: a line is malformed, a number is unknown or listed twice, or a split is empty.
    """
    splits: Splits = {split: [] for split in PUBLISHED_SIZES}
    seen: Set[str] = set()
    for position, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        where = f"{path}, line {position}"
        if len(fields) != 2 or fields[1] not in SPLIT_NUMBERS:
            raise UserError(f"{where}: expected NUMBER and 0, 1 or 2, found {line.strip()!r}; correct it.")
        number, split = fields
        if number not in index:
            raise UserError(f"{where}: {IMAGES} has no picture of number {number}; correct the line.")
        if number in seen:
            raise UserError(f"{where}: picture {number} is listed before; remove one of the two.")
        seen.add(number)
        splits[SPLIT_NUMBERS[split]].append(index[number])
    for split, names in splits.items():
        if not names:
            raise UserError(f"{path} lists no picture of {split}: fill it, or remove it to have the pictures split.")
    return splits


def split_by_hash(names: List[str]) -> Splits:
    """Splits pictures in the published proportions, the same way every time; val and test have one at least."""
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    total = sum(PUBLISHED_SIZES.values())
    val, test = (max(1, round(len(names) * PUBLISHED_SIZES[split] / total)) for split in ("val", "test"))
    return {"val": order[:val], "test": order[val : val + test], "train": order[val + test :]}


def object_mask(segmentation: np.ndarray) -> np.ndarray:
    """Mask from a decoded segmentation, uint8 [H, W, 3] → uint8 [H, W]: 1 where more than half of white."""
    return (segmentation[..., 0] > 127).astype(np.uint8)


class Cub(PhotographBuilder):
    """TFDS builder of CUB-200-2011: 10,000 train, 788 val, 1,000 test."""

    name = "redo_cub"  # TFDS's caltech_birds2011 has the classification split.
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    SOURCES = archives.Sources(
        folder="cub",
        required=(IMAGES, SEGMENTATIONS),
        optional=(SPLIT_LIST,),
        page="https://www.vision.caltech.edu/datasets/cub_200_2011/",
        urls={
            IMAGES: "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",
            SEGMENTATIONS: "https://data.caltech.edu/records/w9d68-gec53/files/segmentations.tgz?download=1",
        },
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = SOURCES.instructions
    DESCRIPTION = (
        "Photographs of birds with masks: 0 background, 1 bird. The split is the one of the ReDO paper's released "
        "code if its list is there, otherwise a fixed one of the same sizes."
    )
    HOMEPAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    CITATION = """@techreport{wah2011caltech,
  title={The {Caltech-UCSD} {Birds}-200-2011 Dataset},
  author={Wah, Catherine and Branson, Steve and Welinder, Peter and Perona, Pietro and Belongie, Serge},
  institution={California Institute of Technology},
  number={CNS-TR-2011-001},
  year={2011}
}"""

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        path = folder / IMAGES
        index = read_index(path)
        present = {_name(member) for member in archives.names(path, _is_picture)}
        absent = sorted(set(index.values()) - present)
        if absent or not index:
            raise UserError(
                f"{path} lacks {len(absent)} of the {len(index)} pictures in its images.txt: "
                "download the published archive."
            )
        if (folder / SPLIT_LIST).is_file():
            splits = read_split_list(folder / SPLIT_LIST, index)
        else:
            logging.info("%s is not in %s: splitting the pictures by a fixed rule.", SPLIT_LIST, folder)
            splits = split_by_hash(list(index.values()))
        return {
            split: self._with_bar(split, len(names), self._generate_examples(folder, set(names)))
            for split, names in splits.items()
        }

    def _generate_examples(self, folder: pathlib.Path, wanted: Set[str]):
        masks = {
            _name(member): content
            for member, content in archives.members(
                folder / SEGMENTATIONS, lambda member: _is_segmentation(member) and _name(member) in wanted
            )
        }

        def example(item):
            member, content = item
            name = _name(member)
            if name not in masks:
                raise UserError(f"{folder / SEGMENTATIONS} has no segmentation of {name}: download it again.")
            image = archives.decode(content, folder / IMAGES, member)
            mask = object_mask(archives.decode(masks[name], folder / SEGMENTATIONS, f"{name}.png"))
            archives.check_same_size(image, mask, name, folder / SEGMENTATIONS)
            return name, self._features(Image.fromarray(image), mask, name)

        pictures = archives.members(folder / IMAGES, lambda name: _is_picture(name) and _name(name) in wanted)
        return ordered_map(example, pictures)
