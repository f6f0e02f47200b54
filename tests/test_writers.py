"""The line of an evaluation and the summary of a run, by hand; a disk that is full."""
from __future__ import annotations

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from redo_tf import writers
from redo_tf.errors import UserError
from redo_tf.workdir import Workdir

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


class FullDisk:
    """Events of TensorBoard's, with what TensorFlow 2.15 says when it flushes them to a full disk."""

    @contextlib.contextmanager
    def as_default(self, step):
        yield
        self.close()

    def close(self):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{function_node __wrapped__WriteSummary_device_/job:localhost/replica:0/task:0/device:CPU:0}} /runs/a/tensorboard/"
            "events.out.tfevents.1.v2; No space left on device\n\tFailed to flush 11 events to /runs/a/tensorboard/events.out.tfevents"
            ".1.v2\n\tCould not flush events file. [Op:WriteSummary]")


def test_a_disk_that_cannot_take_the_events_is_told_and_closing_does_not_hide_it(tmp_path, caplog):
    full = writers.Writers(Workdir(str(tmp_path)))
    full.events.close()
    full.events = FullDisk()
    for write in (lambda: full.scalars({}, 1), lambda: full.samples(np.zeros((8, 8, 3), np.uint8), 1)):
        with pytest.raises(UserError) as caught:
            write()
        assert str(caught.value) == (f"TensorBoard's events cannot be saved in {tmp_path}/tensorboard (No space left on device): "
                                     "make room there and run the same command to continue from the last checkpoint.")
    full.close()
    assert caplog.messages == [f"TensorBoard's last events could not be saved in {tmp_path}/tensorboard."]
