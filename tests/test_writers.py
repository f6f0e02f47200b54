"""The line of an evaluation and the summary of a run, by hand."""
from __future__ import annotations

import pytest

from redo_tf import writers

ROW = {"step": 500, "seed": 7, "restarts": 1, "images_per_second": 24.75, "val/region_sizes": [0.75, 0.255],
       "generator/total": 1.0}
SCORES = {"val/accuracy": 0.9312, "val/iou": 0.2248, "val/accuracy_per_image": 0.9316, "val/iou_per_image": 0.2304}


@pytest.mark.parametrize("scores, line", [
    ({}, "step    500     24.8 images/s  regions 0.75/0.26"),
    (SCORES, "step    500     24.8 images/s  regions 0.75/0.26  accuracy 0.931  IoU 0.225  (per image 0.932, 0.230)")])
def test_line_with_true_masks_and_without(scores, line):
    assert writers.line({**ROW, **scores}) == line


def test_summary_has_the_scores_of_the_last_and_of_the_best_evaluation():
    rows = [{**ROW, "step": step, "val/iou": iou} for step, iou in ((500, 0.25), (1000, 0.5), (1500, 0.375))]
    scores = {"val/region_sizes": [0.75, 0.255]}
    assert writers.summary(rows) == {
        "seed": 7, "restarts": 1, "images_per_second": 24.75,
        "last": {"step": 1500, "val/iou": 0.375, **scores}, "best": {"step": 1000, "val/iou": 0.5, **scores}}
