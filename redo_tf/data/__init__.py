"""Data sets and the input pipeline."""

from redo_tf.data.cache import Split
from redo_tf.data.pipeline import NAMES, SPLITS, evaluation_batches, load, regions, training_batches

__all__ = ["NAMES", "SPLITS", "Split", "evaluation_batches", "load", "regions", "training_batches"]
