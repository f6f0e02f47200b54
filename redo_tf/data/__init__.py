"""Data sets and the input pipeline."""

from redo_tf.data.loading import NAMES, SPLITS, find, load, load_configured, members
from redo_tf.data.pipeline import evaluation_batches, training_batches
from redo_tf.data.split import Split

__all__ = ["NAMES", "SPLITS", "Split", "evaluation_batches", "find", "load", "load_configured", "members", "training_batches"]
