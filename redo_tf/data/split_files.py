"""A split on disk: two arrays that are written once and memory-mapped ever after, and an index."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np
from absl import logging

from redo_tf.data.compact_names import Names
from redo_tf.data.split import Split
from redo_tf.files import write_text
from redo_tf.labels import UNLABELLED
from redo_tf.progress import bar

# Image [S, S, 3], mask [S, S] and name of each picture.
Rows = Iterator[Tuple[np.ndarray, np.ndarray, str]]


class SplitFiles:
    """The three files of one split at one size; the index comes last and says that the others are whole.

    Args:
      folder: that holds them.
      split: its name.
      size: side S of the pictures.
      resize_name: how they were resized, a key of `resizing.RESIZE`.
    """

    def __init__(self, folder: pathlib.Path, split: str, size: int, resize_name: str):
        self._size = size
        stem = f"{split}_{size}_{resize_name}"
        self._images, self._masks, self._index = (
            folder / f"{stem}.{ending}" for ending in ("images.npy", "masks.npy", "json"))

    def open(self, made_from: Dict[str, Any]) -> Optional[Split]:
        """The split, memory-mapped, or None if it is not there, not whole, or made from other data."""
        if not self._index.exists():
            return None
        try:
            index = json.loads(self._index.read_text(encoding="utf-8"))
            if index["made_from"] != made_from:
                return None
            shape = (len(index["ids"]), self._size, self._size)
            images = _open_array(self._images, (*shape, 3))
            masks = _open_array(self._masks, shape) if index["labelled"] else None
            return Split(images, masks, Names(index["ids"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            logging.warning("%s is damaged (%s) and not used.", self._index, error)
            return None

    def write(self, count: int, rows: Rows, made_from: Dict[str, Any], description: str) -> None:
        """Writes `count` rows, with a progress bar of this description; `made_from`, as JSON, tells their data from other."""
        self._index.unlink(missing_ok=True)
        shape = (count, self._size, self._size)
        images, masks = _ArrayWriter(self._images, (*shape, 3)), _ArrayWriter(self._masks, shape)
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
        write_text(str(self._index), json.dumps({"ids": ids, "labelled": labelled, "made_from": made_from}))


def _open_array(path: pathlib.Path, shape: Tuple[int, ...]) -> np.ndarray:
    # Copy on write: TensorFlow shares the memory of writable arrays only. Nothing writes to it.
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape} instead of uint8 {shape}")
    return array


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
