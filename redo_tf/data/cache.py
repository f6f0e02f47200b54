"""Splits of a data set, resized once and memory-mapped ever after.

Training reads its pictures from a memory map: no picture is decoded or resized
twice, and two processes that use one data set share its pages.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pathlib
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

from redo_tf.data import storage
from redo_tf.data.builder import PictureBuilder
from redo_tf.data.resizing import RESIZE, resize
from redo_tf.errors import UserError
from redo_tf.files import write_text
from redo_tf.metrics import UNLABELLED
from redo_tf.progress import bar

@dataclasses.dataclass(frozen=True)
class Split:
    """Pictures of one split at one size.

    Attributes:
      images: uint8 [N, S, S, 3], memory-mapped.
      masks: uint8 [N, S, S], memory-mapped: 0 background, 1…n−1 objects, 255 no
        label. None if no picture of the split has a label.
      ids: N names.
    """

    images: np.ndarray
    masks: Optional[np.ndarray]
    ids: Sequence[str]


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
    except tf.errors.OpError as error:
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
        return Split(images, masks, index["ids"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        logging.warning("%s is damaged (%s): making it anew.", files.index, error)
        return None


def _write(builder: PictureBuilder, split: str, files: _Files, size: int, resize_name: str) -> None:
    count = builder.info.splits[split].num_examples
    resample = RESIZE[resize_name]
    files.index.unlink(missing_ok=True)
    images = _ArrayWriter(files.images, (count, size, size, 3))
    masks = _ArrayWriter(files.masks, (count, size, size))
    ids, labelled = [], False
    try:
        with bar(count, f"{builder.name} {split} at {size} pixels", unit="picture") as progress:
            for image, mask, name in _examples(builder, split):
                # Labels cannot be averaged: masks are always resized with NEAREST.
                mask = resize(mask, size, Image.Resampling.NEAREST)
                images.append(resize(image, size, resample))
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
    index = {"ids": ids, "labelled": labelled, "made_from": dict(builder.info.metadata)}
    write_text(str(files.index), json.dumps(index))


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
    prepared = pathlib.Path(builder.data_path).relative_to(builder.data_dir_root)
    folders = [root / prepared / "redo_cache" for root in roots]
    made_from = dict(builder.info.metadata)
    for folder in folders:
        found = _open(_Files(folder, split, size, resize_name), size, made_from)
        if found:
            return found
    folder = storage.first_writable(folders)
    files = _Files(folder, split, size, resize_name)
    with storage.writing_to(folder), storage.exclusive(folder):
        found = _open(files, size, made_from)  # Another process may have made it meanwhile.
        if not found:
            _write(builder, split, files, size, resize_name)
            found = _open(files, size, made_from)
    return found
