"""Splits of a data set, resized once and memory-mapped ever after.

Training reads its pictures from a memory map: no picture is decoded or resized
twice, and two processes that use one data set share its pages.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import os
import pathlib
from typing import Any, Dict, Iterator, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from redo_tf.data import storage
from redo_tf.data.builder import PictureBuilder
from redo_tf.data.names import Names
from redo_tf.data.resizing import RESIZE, resize
from redo_tf.errors import UserError
from redo_tf.files import write_text
from redo_tf.metrics import UNLABELLED
from redo_tf.progress import bar

# Image [S, S, 3], mask [S, S] and name of each picture.
Rows = Iterator[Tuple[np.ndarray, np.ndarray, str]]


@dataclasses.dataclass(frozen=True)
class Split:
    """Pictures of one split at one size.

    Attributes:
      images: uint8 [N, S, S, 3], memory-mapped.
      masks: uint8 [N, S, S], memory-mapped: 0 background, 1…K−1 objects, 255 no
        label. None if no picture of the split has a label.
      ids: N names.
      parts: how many pictures come from each data set of a mixture, in order; empty for a single one.
      classes: K, number of labels, background included.
      mergeable: whether of more objects than there can be regions the last ones are one, as in a person's own masks.
    """

    images: np.ndarray
    masks: Optional[np.ndarray]
    ids: Sequence[str]
    parts: Tuple[int, ...] = ()
    classes: int = 2
    mergeable: bool = False

    def scored_classes(self, regions: int) -> int:
        """K of the labels that `truth` gives."""
        return min(self.classes, regions) if self.mergeable else self.classes

    def truth(self, regions: int, rows: Any = slice(None)) -> Optional[np.ndarray]:
        """The masks of some rows, in memory, by which n regions are scored; None if there are no masks."""
        if self.masks is None:
            return None
        labels = np.arange(256, dtype=np.uint8)
        labels[self.scored_classes(regions):UNLABELLED] = self.scored_classes(regions) - 1
        return labels[self.masks[rows]]

    def fingerprint(self) -> str:
        """How many pictures, and a hash of their names and of a few dozen pictures themselves: tells splits apart."""
        digest = hashlib.sha256()
        for name in self.ids:
            digest.update(name.encode() + b"\0")
        for row in np.linspace(0, len(self.images) - 1, min(len(self.images), 50)).astype(int):
            digest.update(self.images[row].tobytes())
        return f"{len(self.images)} pictures, {digest.hexdigest()[:16]}"


def _examples(builder: PictureBuilder, split: str) -> Iterator[Tuple[Image.Image, Image.Image, str]]:
    """Image, mask and name of each picture, always in the same order."""
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        # TensorFlow decodes JPEG with a faster, less exact transform than Pillow.
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    try:
        for example in dataset.as_numpy_iterator():
            image = Image.open(io.BytesIO(example["image"])).convert("RGB")
            yield image, Image.fromarray(example["mask"]), example["id"].decode()
    except (tf.errors.OpError, OSError) as error:  # A record that is cut short; a picture in it that is none.
        raise UserError(
            f"The prepared data in {builder.data_path} is damaged: remove that folder to have it prepared anew."
        ) from error


class _ArrayWriter:
    """Writes a uint8 .npy file piece by piece under a temporary name.

    Plain writes, not a memory map: on a full disk a write raises an error, where
    touching a mapped page would kill the process.
    """

    def __init__(self, path: pathlib.Path, shape: Tuple[int, ...]):
        self.path = path
        self._temporary = path.with_name(path.name + ".incomplete")
        self._file = self._temporary.open("wb")
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, array: np.ndarray) -> None:
        self._file.write(array.tobytes())

    def publish(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._temporary, self.path)

    def discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class _Files:
    """The three files of one split at one size; the index comes last and says that the others are whole."""

    def __init__(self, folder: pathlib.Path, split: str, size: int, resize_name: str):
        self._folder = folder
        self._stem = f"{split}_{size}_{resize_name}"

    @property
    def images(self) -> pathlib.Path:
        return self._folder / f"{self._stem}.images.npy"

    @property
    def masks(self) -> pathlib.Path:
        return self._folder / f"{self._stem}.masks.npy"

    @property
    def index(self) -> pathlib.Path:
        return self._folder / f"{self._stem}.json"


def _open_array(path: pathlib.Path, shape: Tuple[int, ...]) -> np.ndarray:
    # Copy on write: TensorFlow shares the memory of writable arrays only. Nothing writes to it.
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape} instead of uint8 {shape}")
    return array


def _open(files: _Files, size: int, made_from: Dict[str, Any]) -> Optional[Split]:
    """The cached split, or None if it is not there, not whole, or made from other data."""
    if not files.index.exists():
        return None
    try:
        index = json.loads(files.index.read_text(encoding="utf-8"))
        if index["made_from"] != made_from:
            return None
        count = len(index["ids"])
        images = _open_array(files.images, (count, size, size, 3))
        masks = _open_array(files.masks, (count, size, size)) if index["labelled"] else None
        return Split(images, masks, Names(index["ids"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        logging.warning("%s is damaged (%s): making it anew.", files.index, error)
        return None


def stored_sizes(builder: PictureBuilder, split: str, at_most: int) -> Set[Tuple[int, int]]:
    """(W, H) of the pictures that a prepared builder keeps, of the first `at_most`."""
    return {image.size for image, _, _ in itertools.islice(_examples(builder, split), at_most)}


def _resized(builder: PictureBuilder, split: str, size: int, resize_name: str) -> Rows:
    for image, mask, name in _examples(builder, split):
        # Labels cannot be averaged: masks are always resized with NEAREST.
        yield resize(image, size, RESIZE[resize_name]), builder.labels(resize(mask, size, RESIZE["nearest"])), name


def _write(files: _Files, size: int, count: int, rows: Rows, made_from: Dict[str, Any], description: str) -> None:
    files.index.unlink(missing_ok=True)
    images = _ArrayWriter(files.images, (count, size, size, 3))
    masks = _ArrayWriter(files.masks, (count, size, size))
    ids, labelled = [], False
    try:
        with bar(count, description, unit="picture") as progress:
            for image, mask, name in rows:
                images.append(image)
                masks.append(mask)
                ids.append(name)
                labelled = labelled or bool(np.any(mask != UNLABELLED))
                progress.update()
        images.publish()
        if labelled:
            masks.publish()
    finally:
        images.discard()
        masks.discard()
    write_text(str(files.index), json.dumps({"ids": ids, "labelled": labelled, "made_from": made_from}))


def _folders(builder: PictureBuilder, roots: Sequence[pathlib.Path]) -> Sequence[pathlib.Path]:
    prepared = pathlib.Path(builder.data_path).relative_to(builder.data_dir_root)
    return [root / prepared / "redo_cache" for root in roots]


def _find(folders: Sequence[pathlib.Path], split: str, size: int, resize_name: str, made_from: Dict[str, Any]
          ) -> Optional[Split]:
    candidates = (_open(_Files(folder, split, size, resize_name), size, made_from) for folder in folders)
    return next((found for found in candidates if found), None)


def _make(folders: Sequence[pathlib.Path], split: str, size: int, resize_name: str, made_from: Dict[str, Any],
          count: int, rows: Rows, description: str) -> Split:
    folder = storage.first_writable(folders)
    files = _Files(folder, split, size, resize_name)
    with storage.writing_to(folder), storage.exclusive(folder):
        found = _open(files, size, made_from)  # Another process may have made it meanwhile.
        if not found:
            _write(files, size, count, rows, made_from, description)
            found = _open(files, size, made_from)
    return found


def find_split(
    builder: PictureBuilder, roots: Sequence[pathlib.Path], split: str, size: int, resize_name: str
) -> Optional[Split]:
    """The split if it is cached; arguments as for `cached_split`."""
    found = _find(_folders(builder, roots), split, size, resize_name, dict(builder.info.metadata))
    return found and dataclasses.replace(found, classes=builder.classes, mergeable=builder.MERGEABLE)


def cached_split(
    builder: PictureBuilder, roots: Sequence[pathlib.Path], split: str, size: int, resize_name: str
) -> Split:
    """Opens a split's cache, which is made first if need be.

    Args:
      builder: a prepared builder.
      roots: folders under which the cache may lie, best first.
      split: name of the split.
      size: side S of the pictures.
      resize_name: a key of `RESIZE`.

    Raises:
      UserError: there is no place to write.
    """
    found = find_split(builder, roots, split, size, resize_name) or _make(
        _folders(builder, roots), split, size, resize_name, dict(builder.info.metadata),
        builder.info.splits[split].num_examples, _resized(builder, split, size, resize_name),
        f"{builder.name} {split} at {size} pixels")
    return dataclasses.replace(found, classes=builder.classes, mergeable=builder.MERGEABLE)


def _one_after_another(parts: Dict[str, Split], size: int) -> Rows:
    unlabelled = np.full((size, size), UNLABELLED, np.uint8)
    for name, part in parts.items():
        for row, identifier in enumerate(part.ids):
            yield part.images[row], unlabelled if part.masks is None else part.masks[row], f"{name}/{identifier}"


def cached_mixture(folders: Sequence[pathlib.Path], parts: Dict[str, Split], made_from: Dict[str, Any], split: str,
                   size: int, resize_name: str, make: bool) -> Optional[Split]:
    """The pictures of several data sets one after another, in a cache of their own.

    A copy, so that a mixture is one memory map like any other split.

    Args:
      folders: where the cache may lie, best first.
      parts: the split of each data set, by its name.
      made_from: tells these parts from others.
      split, size, resize_name: as for `cached_split`.
      make: whether to make it if it is not there.

    Raises:
      UserError: there is no place to write.
    """
    sizes = tuple(len(part.images) for part in parts.values())
    found = _find(folders, split, size, resize_name, made_from)
    if not found and make:
        found = _make(folders, split, size, resize_name, made_from, sum(sizes), _one_after_another(parts, size),
                      f"{'+'.join(parts)} {split} at {size} pixels")
    return found and dataclasses.replace(found, parts=sizes, classes=max(part.classes for part in parts.values()))
