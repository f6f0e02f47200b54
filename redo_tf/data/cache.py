"""Splits of a data set, resized once and memory-mapped ever after.

Training reads its pictures from a memory map: no picture is decoded or resized
twice, and two processes that use one data set share its pages.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import pathlib
from typing import Any, Dict, Iterator, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from redo_tf.data import storage
from redo_tf.data.builder import PictureBuilder
from redo_tf.data.resizing import RESIZE, resize
from redo_tf.data.split import Split
from redo_tf.data.split_files import Rows, SplitFiles
from redo_tf.errors import UserError
from redo_tf.labels import UNLABELLED


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


def stored_sizes(builder: PictureBuilder, split: str, at_most: int) -> Set[Tuple[int, int]]:
    """(W, H) of the pictures that a prepared builder keeps, of the first `at_most`."""
    return {image.size for image, _, _ in itertools.islice(_examples(builder, split), at_most)}


def _resized(builder: PictureBuilder, split: str, size: int, resize_name: str) -> Rows:
    for image, mask, name in _examples(builder, split):
        # Labels cannot be averaged: masks are always resized with NEAREST.
        yield resize(image, size, RESIZE[resize_name]), builder.labels(resize(mask, size, RESIZE["nearest"])), name


def _folders(builder: PictureBuilder, roots: Sequence[pathlib.Path]) -> Sequence[pathlib.Path]:
    prepared = pathlib.Path(builder.data_path).relative_to(builder.data_dir_root)
    return [root / prepared / "redo_cache" for root in roots]


def _find(folders: Sequence[pathlib.Path], split: str, size: int, resize_name: str, made_from: Dict[str, Any]
          ) -> Optional[Split]:
    candidates = (SplitFiles(folder, split, size, resize_name).open(made_from) for folder in folders)
    return next((found for found in candidates if found), None)


def _make(folders: Sequence[pathlib.Path], split: str, size: int, resize_name: str, made_from: Dict[str, Any],
          count: int, rows: Rows, description: str) -> Split:
    folder = storage.first_writable(folders)
    files = SplitFiles(folder, split, size, resize_name)
    with storage.writing_to(folder), storage.exclusive(folder):
        found = files.open(made_from)  # Another process may have made it meanwhile.
        if not found:
            files.write(count, rows, made_from, description)
            found = files.open(made_from)
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
