"""The model card: what an exported model is, where it comes from and how to feed it."""
from __future__ import annotations

import datetime
import json
from typing import Any, Dict, Mapping

import tensorflow as tf

import redo_tf
from redo_tf.environment import git_revision
from redo_tf.files import find_json
from redo_tf.metrics import SCORES
from redo_tf.segmentation import label_names
from redo_tf.workdir import Workdir

TERMS = {
    "shapes": "Generated pictures; nobody else has rights in them.",
    "c2mnist": "Made from MNIST, CC BY-SA 3.0.",
    "lfw": "News photographs, collected for research; rights stay with their owners.",
}
LIMITS = {
    "lfw": "For one large, upright, roughly centred face, as in the data set; other pictures get masks without meaning.",
}
UNKNOWN_LIMITS = "For pictures like those of the data set; others get masks without meaning."
NO_MASKS = "No mask was used in training: the object is what could be redrawn on its own, not what somebody defined."
UNKNOWN_TERMS = "Not stated here: see the terms of the data set before the model is passed on."


def build(workdir: Workdir, row: Mapping[str, Any], *, format: str, inputs: Mapping[str, Any],
          outputs: Mapping[str, Any], **details: Any) -> Dict[str, Any]:
    """The card of a run's best mask network.

    Args:
      workdir: the run.
      row: the evaluation that chose the network, from `best.load_mask_network`.
      format: what it is exported to, `SavedModel` or `TFLite`.
      inputs, outputs: of its signatures, in words: names, types, shapes, ranges.
      details: more fields, of this format alone.

    Returns:
      What JSON can hold. `scores` has the fields of `metrics.scores` on the validation split, and is empty where that
      has no masks; `git_revision` is the exporting program's, null outside a checkout;
      `training_git_revision` is what the run noted of its own, null where it noted nothing.
    """
    config = workdir.load_config()
    return {
        "description": "Unsupervised object segmentation by redrawing (ReDO, NeurIPS 2019): the mask network.",
        "format": format,
        "regions": config.model.regions,
        "labels": label_names(config.model.regions),
        "image_size": config.data.image_size,
        "resize": config.data.resize,
        "stored_side": config.data.stored_side,
        "order": list(row["val/order"]),
        "ordered_by": row["val/ordered_by"],
        "inputs": dict(inputs),
        "outputs": dict(outputs),
        "dataset": config.data.dataset,
        "dataset_terms": TERMS.get(config.data.dataset, UNKNOWN_TERMS),
        "limits": f"{LIMITS.get(config.data.dataset, UNKNOWN_LIMITS)} {NO_MASKS}",
        "step": row["step"],
        "restarts": row["restarts"],
        "seed": row["seed"],
        "training_precision": config.train.precision,
        "scores": {name: row[f"val/{name}"] for name in SCORES if f"val/{name}" in row},
        "region_sizes": [row["val/region_sizes"][region] for region in row["val/order"]],
        "versions": {"redo_tf": redo_tf.__version__, "tensorflow": tf.__version__},
        "git_revision": git_revision(),
        "training_git_revision": workdir.environment().get("git commit"),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **details,
    }


def is_card(path: str) -> bool:
    """Whether a file holds the card of an exported model."""
    return {"format", "regions", "image_size"} <= (find_json(path) or {}).keys()


def to_json(card: Mapping[str, Any]) -> str:
    return json.dumps(card, indent=2, ensure_ascii=False) + "\n"
