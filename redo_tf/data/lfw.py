"""Labeled Faces in the Wild, funneled, with the part labels as masks.

Made from the archives as published. Part labels: red hair, green face, blue
background; the object is hair and face. The authors of the paper train on the
pictures without part labels and split those with labels in two by person.
"""

from __future__ import annotations

import collections
import hashlib
import pathlib
from typing import Dict, Iterable, List, Mapping, Set

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from redo_tf.data import archives
from redo_tf.data.builder import PictureBuilder
from redo_tf.errors import UserError
from redo_tf.labels import UNLABELLED

IMAGES = "lfw-funneled.tgz"
PARTS = "parts_lfw_funneled_gt_images.tgz"
LISTS = {split: f"splits/{split}.txt" for split in ("train", "val", "test")}

PUBLISHED_SIZES = {"train": 10_306, "val": 1_327, "test": 1_600}

Splits = Dict[str, List[str]]  # Split → names of its pictures, NAME_0001.


def _stem(member: str) -> str:
    return pathlib.PurePosixPath(member).stem


def _is_picture(member: str) -> bool:
    return member.endswith(".jpg")


def _is_label(member: str) -> bool:
    return member.endswith(".ppm")


def read_lists(folder: pathlib.Path, pictures: Mapping[str, str]) -> Splits:
    """Reads the split lists, `PERSON PICTURE` a line.

    Args:
      folder: the folder of the archives.
      pictures: person of each picture in the archive.

    Raises:
      UserError: a list is missing or empty, a line is malformed, or a picture
        is not in the archive, or listed twice.
    """
    splits: Splits = {}
    listed_in: Dict[str, pathlib.Path] = {}
    for split, name in LISTS.items():
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{path} is missing although other split lists are there: add it, or remove the others "
                "to have the pictures split by person."
            )
        splits[split] = []
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 2:
                raise UserError(f"{path}, line {number}: expected PERSON PICTURE, found {line.strip()!r}; correct it.")
            person, picture = fields
            if pictures.get(picture) != person:
                raise UserError(
                    f"{path}, line {number}: {person}/{picture}.jpg is not in {folder / IMAGES}; correct the line."
                )
            if picture in listed_in:
                raise UserError(
                    f"{path}, line {number}: {picture} is listed before, in {listed_in[picture]}; remove one of the two."
                )
            listed_in[picture] = path
            splits[split].append(picture)
        if not splits[split]:
            raise UserError(f"{path} lists no picture: fill it, or remove {path.parent} to have the pictures split.")
    return splits


def _people_in_order(people: Iterable[str]) -> List[str]:
    """A fixed order that has nothing to do with the alphabet."""
    return sorted(people, key=lambda person: hashlib.sha256(person.encode()).digest())


def _fill(chosen: List[str], pictures_of: Dict[str, List[str]], size: int) -> None:
    """Moves whole people's pictures to `chosen` as long as they fit in `size`."""
    for person in _people_in_order(pictures_of):
        if len(chosen) + len(pictures_of[person]) <= size:
            chosen.extend(pictures_of.pop(person))


def split_by_person(pictures: Mapping[str, str], labelled: Set[str]) -> Splits:
    """Splits pictures in the published proportions, the same way every time.

    Pictures with labels are never in train. No person is in both val and test,
    and those that fill up val and test for want of labelled pictures are not in
    train either.

    Args:
      pictures: person of each picture.
      labelled: the pictures with part labels.
    """
    total = sum(PUBLISHED_SIZES.values())
    sizes = {split: round(len(pictures) * size / total) for split, size in PUBLISHED_SIZES.items()}
    with_labels: Dict[str, List[str]] = collections.defaultdict(list)
    without_labels: Dict[str, List[str]] = collections.defaultdict(list)
    people_with_labels = {pictures[picture] for picture in labelled}
    for picture, person in sorted(pictures.items()):
        if picture in labelled:
            with_labels[person].append(picture)
        elif person not in people_with_labels:
            without_labels[person].append(picture)

    splits: Splits = {"train": [], "val": [], "test": []}
    _fill(splits["val"], with_labels, sizes["val"])
    _fill(splits["test"], with_labels, len(pictures))  # All the others.
    _fill(splits["val"], without_labels, sizes["val"])
    _fill(splits["test"], without_labels, sizes["test"])
    held_out = set(splits["val"] + splits["test"])
    splits["train"] = [picture for picture in sorted(pictures) if picture not in held_out]
    return splits


def object_mask(label: np.ndarray) -> np.ndarray:
    """Mask from a part label, uint8 [H, W, 3] → uint8 [H, W]: 1 where it is hair or face."""
    return (label.argmax(axis=-1) != 2).astype(np.uint8)


def _read_masks(folder: pathlib.Path, wanted: Set[str]) -> Dict[str, np.ndarray]:
    path = folder / PARTS
    if not path.is_file():
        return {}
    labels = archives.members(path, lambda member: _is_label(member) and _stem(member) in wanted)
    return {_stem(member): object_mask(archives.decode(content, path, member)) for member, content in labels}


class Lfw(PictureBuilder):
    """TFDS builder of LFW: 10,306 train, 1,327 val, 1,600 test, 250 by 250 pixels."""

    name = "redo_lfw"  # TFDS has an "lfw", neither funneled nor with masks.
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    SOURCES = archives.Sources(
        folder="lfw",
        required=(IMAGES,),
        optional=(PARTS, *LISTS.values()),
        page=(
            "https://ndownloader.figshare.com/files/5976015 (the pictures; the part labels were at "
            "http://vis-www.cs.umass.edu/lfw/part_labels/, and no mirror is known: without them nothing is scored)"
        ),
        urls={IMAGES: "https://ndownloader.figshare.com/files/5976015"},
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = SOURCES.instructions
    DESCRIPTION = (
        "Labeled Faces in the Wild, funneled, with masks from the part labels: 0 background, 1 hair or face. "
        "The mask of a picture without part label is 255 throughout."
    )
    HOMEPAGE = "http://vis-www.cs.umass.edu/lfw/"
    CITATION = """@techreport{huang2007labeled,
  title={Labeled Faces in the Wild: A Database for Studying Face Recognition in Unconstrained Environments},
  author={Huang, Gary B. and Ramesh, Manu and Berg, Tamara and Learned-Miller, Erik},
  institution={University of Massachusetts, Amherst},
  number={07-49},
  year={2007}
}
@inproceedings{kae2013augmenting,
  title={Augmenting {CRFs} with {Boltzmann} Machine Shape Priors for Image Labeling},
  author={Kae, Andrew and Sohn, Kihyuk and Lee, Honglak and Learned-Miller, Erik},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2013}
}"""

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        members = archives.names(folder / IMAGES, _is_picture)
        pictures = {_stem(member): pathlib.PurePosixPath(member).parent.name for member in members}
        if not pictures:
            raise UserError(f"{folder / IMAGES} holds no .jpg picture: download the published archive.")
        if not (folder / PARTS).is_file():
            logging.warning("%s is not in %s: no picture will have a mask.", PARTS, folder)
        if any((folder / name).is_file() for name in LISTS.values()):
            splits = read_lists(folder, pictures)
        else:
            labels = archives.names(folder / PARTS, _is_label) if (folder / PARTS).is_file() else []
            splits = split_by_person(pictures, {_stem(member) for member in labels} & set(pictures))
        return {
            split: self._with_bar(split, len(names), self._generate_examples(folder, set(names)))
            for split, names in splits.items()
        }

    def _generate_examples(self, folder: pathlib.Path, wanted: Set[str]):
        masks = _read_masks(folder, wanted)
        path = folder / IMAGES
        for member, content in archives.members(path, lambda name: _is_picture(name) and _stem(name) in wanted):
            name = _stem(member)
            image = archives.decode(content, path, member)
            mask = masks.get(name, np.full(image.shape[:2], UNLABELLED, np.uint8))
            archives.check_same_size(image, mask, name, folder / PARTS)
            # The file's own bytes: nothing is encoded anew.
            yield name, {"image": content, "mask": mask, "id": name}
