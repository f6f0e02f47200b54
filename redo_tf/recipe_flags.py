"""The flags that choose a configuration: --dataset, --config and --set, for every command that takes one."""
from __future__ import annotations

import os
from typing import Iterable, Optional

import tensorflow as tf
from absl import flags

from redo_tf import cli, config as configuration, data, run_folders
from redo_tf.data import NAMES
from redo_tf.data.pipeline import mixture_shares
from redo_tf.errors import UserError
from redo_tf.recipes import load_recipe

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", None, f"Which pictures: {', '.join(NAMES)}; several as lfw+flowers. Default: the recipe's.")
flags.DEFINE_string("config", None, "Recipe: a Python file with get_config(), or the name of one that comes with the "
                                    "package. Default: the one named like the (first) data set.")
flags.DEFINE_multi_string("set", [], "Overrides a configuration field: --set train.batch_size=16. May be repeated.")


def resolve(dataset: Optional[str], recipe: Optional[str], assignments: Iterable[str]) -> configuration.Config:
    """Recipe, then data set, then overrides; validated.

    Args:
      dataset: name of a data set or a mixture; None for the recipe's.
      recipe: name or path; None for the one named like the (first) data set, without any for that of `shapes`.
      assignments: `name=value` each, the last one of a name counts.

    Raises:
      UserError: any of them is not right.
    """
    first, *_ = data.members(dataset or "shapes")
    config = load_recipe(recipe or first)
    if dataset:
        config.data.dataset = dataset
    for assignment in assignments:
        configuration.override(config, *configuration.parse_assignment(assignment))
    configuration.validate(config)
    if config.data.mask_dir:  # A run may be continued from another folder.
        config.data.mask_dir = os.path.abspath(os.path.expanduser(config.data.mask_dir))
    members = data.members(config.data.dataset)
    if config.data.weights is not None:
        mixture_shares(config.data.weights, len(members))
    if config.train.begin_with is not None:
        if not run_folders.split(config.train.begin_with):
            raise UserError(f"train.begin_with={config.train.begin_with} names no run: give a run's folder, or leave it out.")
    return config


def config_from_flags() -> configuration.Config:
    """The configuration that the command line asks for; TensorFlow's threads are set by it.

    Call it before anything that runs on TensorFlow.

    Raises:
      UserError: any of the flags is not right.
    """
    masks = [f"data.mask_dir={cli.MASK_DIR.value!r}"] if cli.MASK_DIR.value else []
    config = resolve(FLAGS.dataset, FLAGS.config, masks + FLAGS.set)
    if config.train.intra_op_threads:
        tf.config.threading.set_intra_op_parallelism_threads(config.train.intra_op_threads)
    return config
