"""The numbers that are drawn."""
from __future__ import annotations

import pytest

from redo_tf.experiments import runs
from redo_tf.supervision import figure


def test_the_mean_and_deviation_of_each_number():
    def result(labels, accuracy):
        return {"labels": labels, "scoring": dict.fromkeys(runs.SCORES, accuracy)}
    summary = figure.summarize([result(20, .5), result(5, .1), result(5, .4)])
    assert list(summary) == [5, 20]
    assert summary[5]["iou"] == pytest.approx({"mean": .25, "std": .3 / 2 ** .5})
    assert summary[20]["accuracy_per_image"] == {"mean": .5, "std": None}
