"""A run's best/: the networks of its best evaluation, which everything but training itself uses."""
from __future__ import annotations

from typing import Any, Dict, Tuple

import tensorflow as tf

from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints, restarts_and_step
from redo_tf.errors import UserError
from redo_tf.precision import layers_in
from redo_tf.workdir import Workdir


def best_checkpoint(workdir: Workdir, **networks) -> Checkpoints:
    """best/, which holds one checkpoint: of f as `mask_network`, and of G_1…G_n as `region_generators`."""
    return Checkpoints(workdir.file("best"), 1, **networks)


def load_mask_network(workdir: Workdir, precision: str = "float32") -> Tuple[tf.keras.Model, Dict[str, Any]]:
    """The run's best mask network, and the evaluation that chose it.

    Args:
      precision: that it computes in; as exported, float32. Its variables are float32 in any case.

    Raises:
      UserError: there is no run, or it has not been evaluated yet, or its best checkpoint is damaged.
    """
    config = workdir.load_config()
    with layers_in(precision):
        network = build_mask_network(config.model)
    best = best_checkpoint(workdir, mask_network=network)
    prefix = best.restore_newest()
    if not prefix and best.prefixes():
        raise UserError(f"{best.folder} is damaged, and no checkpoint in it can be read: bring it back from a copy, or go on "
                        "training until the next best evaluation writes it anew.")
    if not prefix:
        raise UserError(f"{workdir.path} has no best/ checkpoint yet: train past train.eval_every="
                        f"{config.train.eval_every} steps first.")
    restarts, step = restarts_and_step(prefix)
    rows = [row for row in workdir.metrics() if (row["restarts"], row["step"]) == (restarts, step)]
    if not rows:
        raise UserError(f"{workdir.file('metrics.jsonl')} lacks the evaluation at step {step} that best/ belongs to: "
                        "go on training past the next evaluation.")
    return network, rows[-1]
