"""Loading a data set, and the batches that training and evaluation read.

A training batch is a function of (seed, step) alone, so that an interrupted run
goes on with the very pictures it would have seen.
"""

from __future__ import annotations

import difflib
import os
import pathlib
from typing import Dict, Iterable, Optional, Tuple, Type, Union

import numpy as np
import tensorflow as tf

from redo_tf.data import cache, storage
from redo_tf.data.builder import PictureBuilder
from redo_tf.data.c2mnist import C2Mnist
from redo_tf.data.cache import Split
from redo_tf.data.cub import Cub
from redo_tf.data.flowers import Flowers
from redo_tf.data.lfw import Lfw
from redo_tf.data.shapes import Shapes
from redo_tf.errors import UserError

_DATASETS: Dict[str, Type[PictureBuilder]] = {"shapes": Shapes, "c2mnist": C2Mnist, "lfw": Lfw, "cub": Cub, "flowers": Flowers}

NAMES: Tuple[str, ...] = tuple(_DATASETS)
SPLITS = ("train", "val", "test")

_FOREVER = 2**62


def _check_name(what: str, given: str, known: Iterable[str]) -> None:
    known = list(known)
    if given not in known:
        nearest = difflib.get_close_matches(str(given), known, n=1, cutoff=0)
        raise UserError(f"Unknown {what} {given!r}: did you mean {nearest[0]!r}? Known: {', '.join(known)}.")


def regions(name: str) -> int:
    """Natural number of regions of a data set, background included.

    Raises:
      UserError: the data set is unknown.
    """
    _check_name("data set", name, NAMES)
    return _DATASETS[name].REGIONS


def load(
    name: str,
    split: str,
    *,
    data_dir: Optional[Union[str, "os.PathLike[str]"]],
    image_size: int,
    resize: str = "antialias",
) -> Split:
    """Loads a split; the first call prepares the data set and its pictures at this size.

    Prepared files go under `data_dir` if it is writable, otherwise to a folder
    of their own under `$XDG_CACHE_HOME/redo_tf` or `~/.cache/redo_tf`.

    Args:
      name: one of `NAMES`.
      split: train, val or test.
      data_dir: folder that holds the archives of the data set; for shapes any
        folder, or None.
      image_size: side S: the short side is resized to S, then the centre cropped.
      resize: how images are resized: antialias, or nearest, as in the released
        code. Masks are always resized with nearest.

    Raises:
      UserError: a name is unknown, a file is missing or damaged, or there is no
        place to write.
    """
    _check_name("data set", name, NAMES)
    _check_name("split", split, SPLITS)
    _check_name("resize", resize, cache.RESIZE)
    if image_size < 1:
        raise UserError(f"data.image_size is {image_size}: choose a size of at least 1 pixel.")
    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    builder, roots = storage.prepare(_DATASETS[name], folder, image_size, resize)
    return cache.cached_split(builder, roots, split, image_size, resize)


def _shuffled_indices(count: int, seed: int, stream: int, start: int) -> tf.data.Dataset:
    """Infinite int64 indices from position `start` on: one permutation of the pictures an epoch after another."""
    key = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint32)[0].astype(np.int64)

    def epoch_indices(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=tf.stack([key, epoch]), alg="philox"
        )
        return tf.data.Dataset.from_tensor_slices(shuffled)

    return tf.data.Dataset.range(start // count, _FOREVER).flat_map(epoch_indices).skip(start % count)


def _tensor(images: np.ndarray) -> tf.Tensor:
    """The array as a CPU tensor; a memory-mapped split stays on the disk and is read where it is used.

    Batches are gathered by TensorFlow alone. A Python function would do, but one that a prefetching thread runs while the
    interpreter shuts down can keep the process from ever ending.
    """
    # TensorFlow shares memory that is aligned to 64 bytes, and aborts the process over other memory.
    if images.flags.c_contiguous and images.flags.writeable and images.ctypes.data % 64 == 0:
        return tf.experimental.dlpack.from_dlpack(images.__dlpack__())
    with tf.device("CPU:0"):
        return tf.constant(images)


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Every replica's share is cut from one global batch; nothing is to be sharded.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options


def training_batches(images: np.ndarray, *, batch_size: int, seed: int, start_step: int = 0) -> tf.data.Dataset:
    """Infinite batches of two independent draws: the pictures to redraw, and the real ones.

    Each draw goes through all pictures once an epoch, in an order of its own for each epoch. Element t is a function of
    (seed, t) alone.

    Args:
      images: uint8 [N, S, S, 3].
      batch_size: B, over all replicas.
      seed: any non-negative integer.
      start_step: number of batches to leave out, at no cost.

    Returns:
      A data set of `{"images": uint8 [B, S, S, 3], "real": uint8 [B, S, S, 3]}`.
    """
    pictures = _tensor(images)
    start = start_step * batch_size
    streams = tuple(_shuffled_indices(len(images), seed, stream, start) for stream in (0, 1))
    indices = tf.data.Dataset.zip(streams).batch(batch_size, drop_remainder=True)
    batches = indices.map(
        lambda redrawn, real: {"images": tf.gather(pictures, redrawn), "real": tf.gather(pictures, real)}
    )
    return batches.prefetch(4).with_options(_options())


def evaluation_batches(images: np.ndarray, *, batch_size: int) -> tf.data.Dataset:
    """All pictures once and in order, uint8 [B, S, S, 3]; the last batch may be smaller."""
    pictures = _tensor(images)
    batches = tf.data.Dataset.range(len(images)).batch(batch_size).map(lambda rows: tf.gather(pictures, rows))
    return batches.prefetch(2).with_options(_options())
