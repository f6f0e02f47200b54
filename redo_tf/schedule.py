"""What a training run does after an iteration besides going on."""
from __future__ import annotations

from typing import Set

from redo_tf.config import TrainConfig


def due(config: TrainConfig, step: int, stopping: bool) -> Set[str]:
    """What follows iteration number `step`, from 1: of `log`, `evaluate`, `sample`, `save`.

    Everything at the end of the run, and before that what its interval says. A run that stops is logged and saved, so that
    nothing is lost, but not held up by more.
    """
    intervals = {"log": config.log_every, "evaluate": config.eval_every, "sample": config.sample_every,
                 "save": config.checkpoint_every}
    if step == config.steps:
        return set(intervals)
    regular = {name for name, every in intervals.items() if step % every == 0}
    return regular | {"log", "save"} if stopping else regular
