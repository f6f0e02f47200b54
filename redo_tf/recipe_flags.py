"""The flags that choose a configuration: --dataset, --config and --set, for every command that takes one."""
from __future__ import annotations

import tensorflow as tf
from absl import flags

from redo_tf import config as configuration
from redo_tf.data import NAMES
from redo_tf.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", None, f"Which pictures: {', '.join(NAMES)}. Default: the recipe's.")
flags.DEFINE_string("config", None, "Recipe: a Python file with get_config(), or the name of one that comes with the "
                                    "package. Default: the one named like the data set.")
flags.DEFINE_multi_string("set", [], "Overrides a configuration field: --set train.batch_size=16. May be repeated.")


def resolve(dataset, recipe, assignments) -> configuration.Config:
    """Recipe, then data set, then overrides; validated.

    Raises:
      UserError: any of them is not right.
    """
    _check_dataset(dataset or "shapes")
    config = configuration.load_recipe(recipe or dataset or "shapes")
    if dataset:
        config.data.dataset = dataset
    for assignment in assignments:
        configuration.override(config, *configuration.parse_assignment(assignment))
    configuration.validate(config)
    _check_dataset(config.data.dataset)
    return config


def config_from_flags() -> configuration.Config:
    """The configuration that the command line asks for; TensorFlow's threads are set by it.

    Call it before anything that runs on TensorFlow.

    Raises:
      UserError: any of the flags is not right.
    """
    config = resolve(FLAGS.dataset, FLAGS.config, FLAGS.set)
    if config.train.intra_op_threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.train.intra_op_threads)
    return config


def _check_dataset(name: str) -> None:
    if name not in NAMES:
        raise UserError(f"There is no data set {name}.{configuration.nearest(name, NAMES)} Known: {', '.join(NAMES)}.")
