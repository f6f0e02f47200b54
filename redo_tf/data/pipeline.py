"""The batches that training and evaluation read.

A training batch is a function of (seed, step) alone, so that an interrupted run
goes on with the very pictures it would have seen.
"""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np
import tensorflow as tf

from redo_tf.errors import UserError

_FOREVER = 2**62
_IMAGES, _REAL = 0, 1  # The two draws.
_CYCLE = 1000  # Draws from a mixture in which the data sets have their exact shares.
_COINS = 1000  # Beside a draw: the coins by which its pictures are mirrored.


def _key(*entropy: int) -> np.int64:
    return np.random.SeedSequence(entropy).generate_state(1, np.uint32)[0].astype(np.int64)


def _shuffled_indices(count: int, start: int, *entropy: int) -> tf.data.Dataset:
    """Infinite int64 indices from position `start` on: one permutation of the pictures an epoch after another."""
    key = _key(*entropy)

    def epoch_indices(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=tf.stack([key, epoch]), alg="philox"
        )
        return tf.data.Dataset.from_tensor_slices(shuffled)

    return tf.data.Dataset.range(start // count, _FOREVER).flat_map(epoch_indices).skip(start % count)


def mixture_shares(weights: Sequence[float], count: int) -> np.ndarray:
    """Whole numbers that sum to `_CYCLE`, in proportion to the weights of `count` data sets.

    Raises:
      UserError: there are more or fewer weights, or one is too small or no positive number.
    """
    if len(weights) != count:
        raise UserError(f"data.weights={tuple(weights)} has {len(weights)} numbers for {count} data sets: give one for each.")
    if not min(weights) > 0:
        raise UserError(f"data.weights={tuple(weights)} is not all positive: leave out data sets that are not to be drawn.")
    bounds = np.round(np.cumsum(weights) / np.sum(weights) * _CYCLE).astype(int)
    shares = np.diff(bounds, prepend=0)
    if not shares.all():
        raise UserError(f"data.weights={tuple(weights)} has a number under a thousandth of the sum: raise it.")
    return shares


def _weighted_indices(
    parts: Sequence[int], weights: Sequence[float], seed: int, stream: int, start: int
) -> tf.data.Dataset:
    """As `_shuffled_indices`, but each of the consecutive `parts` is drawn in proportion to its weight.

    The order of the parts is shuffled anew in each cycle, and each part goes through its pictures once an epoch of its own.
    """
    shares = mixture_shares(weights, len(parts))
    owners = tf.constant(np.repeat(np.arange(len(parts)), shares), tf.int64)
    key = _key(seed, stream, len(parts))

    def cycle_owners(cycle: tf.Tensor) -> tf.Tensor:
        return tf.random.experimental.stateless_shuffle(owners, seed=tf.stack([key, cycle]), alg="philox")

    cycle, within = divmod(start, _CYCLE)
    drawn = np.bincount(cycle_owners(tf.constant(cycle, tf.int64)).numpy()[:within], minlength=len(parts))
    offsets = np.cumsum([0, *parts[:-1]])
    streams = [
        _shuffled_indices(count, cycle * int(share) + int(before), seed, stream, part).map(
            lambda index, offset=offset: index + offset)
        for part, (count, share, before, offset) in enumerate(zip(parts, shares, drawn, offsets))
    ]
    order = tf.data.Dataset.range(cycle, _FOREVER).flat_map(
        lambda number: tf.data.Dataset.from_tensor_slices(cycle_owners(number)))
    return tf.data.Dataset.choose_from_datasets(streams, order.skip(within), stop_on_empty_dataset=False)


def _flipped(images: tf.Tensor, step: tf.Tensor, seed: int, stream: int) -> tf.Tensor:
    """Each picture of a batch as it is or mirrored, left and right, by a coin that depends on seed and step alone."""
    coins = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], tf.stack([_key(seed, stream, _COINS), step]))
    return tf.where(coins < 0.5, images, tf.reverse(images, axis=[2]))


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


def training_batches(
    images: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    flip: bool = False,
    parts: Sequence[int] = (),
    weights: Optional[Sequence[float]] = None,
) -> tf.data.Dataset:
    """Infinite batches of two independent draws: the pictures to redraw, and the real ones.

    Each draw goes through all pictures once an epoch, in an order of its own for each epoch. Element t is a function of
    (seed, t) alone.

    Args:
      images: uint8 [N, S, S, 3].
      batch_size: B, over all replicas.
      seed: any non-negative integer.
      start_step: number of batches to leave out, at no cost.
      flip: mirror each picture of either draw, left and right, with probability ½.
      parts: how many pictures come from each data set of a mixture, in order.
      weights: how often each of them is drawn, in any unit; None for as often as it has pictures.

    Returns:
      A data set of `{"images": uint8 [B, S, S, 3], "real": uint8 [B, S, S, 3]}`.

    Raises:
      UserError: the weights do not go with the parts.
    """
    pictures = _tensor(images)
    start = start_step * batch_size
    if weights is None:
        streams = tuple(_shuffled_indices(len(images), start, seed, stream) for stream in (_IMAGES, _REAL))
    else:
        streams = tuple(_weighted_indices(parts or (len(images),), weights, seed, stream, start) for stream in (_IMAGES, _REAL))
    indices = tf.data.Dataset.zip(streams).batch(batch_size, drop_remainder=True)
    batches = indices.map(
        lambda redrawn, real: {"images": tf.gather(pictures, redrawn), "real": tf.gather(pictures, real)}
    )
    if flip:
        batches = tf.data.Dataset.zip((tf.data.Dataset.range(start_step, _FOREVER), batches)).map(
            lambda step, batch: {
                "images": _flipped(batch["images"], step, seed, _IMAGES),
                "real": _flipped(batch["real"], step, seed, _REAL),
            })
    return batches.prefetch(4).with_options(_options())


def evaluation_batches(images: np.ndarray, *, batch_size: int) -> tf.data.Dataset:
    """All pictures once and in order, uint8 [B, S, S, 3]; the last batch may be smaller."""
    pictures = _tensor(images)
    batches = tf.data.Dataset.range(len(images)).batch(batch_size).map(lambda rows: tf.gather(pictures, rows))
    return batches.prefetch(2).with_options(_options())
