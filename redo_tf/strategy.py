"""On which devices a batch is computed."""
from __future__ import annotations

import math

import tensorflow as tf

from redo_tf.config import Config
from redo_tf.errors import UserError


def default_strategy() -> tf.distribute.Strategy:
    """Every GPU, or else the CPU."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus]) if gpus else on_cpu(replicas=1)


def on_cpu(replicas: int) -> tf.distribute.MirroredStrategy:
    """So many replicas on logical devices of the CPU, which must have been divided for more than one.

    Gradients are added where they lie: the replicas share their memory, and TensorFlow's own choice, packing gradients,
    passing them around and unpacking them, took a tenth of an iteration where there are 93 million weights.
    """
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)], cross_device_ops=tf.distribute.ReductionToOneDevice())


def check_replicas(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Whether the strategy's replicas can compute a batch together.

    Raises:
      UserError: they cannot.
    """
    batch, replicas = config.train.batch_size, strategy.num_replicas_in_sync
    if config.train.xla and replicas > 1:
        raise UserError(f"train.xla compiles for one device and there are {replicas}: add --set train.xla=False, or set "
                        "CUDA_VISIBLE_DEVICES to use one GPU.")
    if batch % replicas:
        nearest = max(1, round(batch / replicas)) * replicas
        raise UserError(f"train.batch_size={batch} cannot be shared equally by {replicas} replicas: add "
                        f"--set train.batch_size={nearest}, or set CUDA_VISIBLE_DEVICES to use fewer GPUs.")


def shards(config: Config, strategy: tf.distribute.Strategy) -> int:
    """In how many equal parts a replica's batch is computed: the largest number that divides it and its share of train.shards,
    as replicas are computed side by side as well."""
    replicas = strategy.num_replicas_in_sync
    return math.gcd(config.train.batch_size // replicas, max(1, config.train.shards // replicas))


def check_batch(config: Config, pictures: int, strategy: tf.distribute.Strategy) -> None:
    """Whether batches can be made of so many training pictures, and be computed by the strategy's replicas.

    Raises:
      UserError: they cannot.
    """
    check_replicas(config, strategy)
    batch, replicas = config.train.batch_size, strategy.num_replicas_in_sync
    if pictures < batch:
        raise UserError(f"{config.data.dataset} has {pictures} training pictures, fewer than train.batch_size={batch}: add "
                        f"pictures, or --set train.batch_size={max(1, pictures // replicas) * replicas}.")
