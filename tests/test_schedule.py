"""What follows an iteration, by hand."""
from __future__ import annotations

import pytest

from redo_tf.config import TrainConfig
from redo_tf.schedule import due

CONFIG = TrainConfig(steps=25, log_every=2, eval_every=3, sample_every=6, checkpoint_every=4)
ALL = {"log", "evaluate", "sample", "save"}


@pytest.mark.parametrize("step, running, stopping", [
    (1, set(), {"log", "save"}), (2, {"log"}, {"log", "save"}), (3, {"evaluate"}, {"log", "evaluate", "save"}),
    (4, {"log", "save"}, {"log", "save"}), (12, ALL, ALL), (25, ALL, ALL)])
def test_what_is_due(step, running, stopping):
    assert due(CONFIG, step, stopping=False) == running
    assert due(CONFIG, step, stopping=True) == stopping
