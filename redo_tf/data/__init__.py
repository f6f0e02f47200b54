"""Data sets and the input pipeline."""

from typing import Any, Dict, Optional

from redo_tf.config import DataConfig
from redo_tf.data.loading import NAMES, SPLITS, find, load, members
from redo_tf.data.pipeline import evaluation_batches, training_batches
from redo_tf.data.split import Split

__all__ = [
    "NAMES", "SPLITS", "Split", "evaluation_batches", "find", "fingerprints", "load", "load_configured", "members", "options",
    "training_batches"]


def options(config: DataConfig, data_dir: Optional[str]) -> Dict[str, Any]:
    """The keyword arguments of `load` and `find` that stand in a configuration."""
    return {"data_dir": data_dir, "image_size": config.image_size, "resize": config.resize, "mask_dir": config.mask_dir,
            "stored_side": config.stored_side}


def fingerprints(config: DataConfig, data_dir: Optional[str]) -> Dict[str, str]:
    """What tells the pictures that a configuration trains with from others, by split; raises as `load`."""
    return {split: load_configured(config, split, data_dir).fingerprint() for split in ("train", "val")}


def load_configured(config: DataConfig, split: str, data_dir: Optional[str]) -> Split:
    """Loads a split of the data set that a configuration names; raises as `load`."""
    return load(config.dataset, split, **options(config, data_dir))
