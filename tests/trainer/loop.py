"""What the tests of the training loop share."""
from __future__ import annotations

import glob
import os

import tensorflow as tf

from redo_tf import trainer as training
from redo_tf.checkpoints import Checkpoints

CLOCK = {"seconds": None, "images_per_second": None}  # What two runs of one configuration differ in.


def checkpoint_numbers(folder):
    return sorted(int(name[len("ckpt-"):-len(".index")]) for name in os.listdir(folder) if name.endswith(".index"))


def scalars(folder):
    """Everything in TensorBoard's files: tag → [(step, value), …]."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "events.out.tfevents.*"))):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def send(number, at):
    """Sends this process a signal before iteration `at`."""
    def before(step):
        if step == at:
            os.kill(os.getpid(), number)
    return before


def without_stopping(fake, *settings):
    trainer = fake(*settings, name="without_stopping")
    return trainer, trainer.run()


class Killed(BaseException):
    """Stands for a kill -9: nobody catches it."""


def script_scores(monkeypatch, ious, shares=(0.6, 0.4)):
    """Lets each evaluation find the next of `ious`; None where no picture has a mask."""
    def scores(*_):
        iou = next(ious)
        found = {"region_sizes": [0.6, 0.4], "label_shares": shares, "order": [0, 1], "ordered_by": "masks"}
        return found if iou is None else {**found, "accuracy": 0.5, "iou": iou, "accuracy_per_image": 0.5, "iou_per_image": iou}
    monkeypatch.setattr(training, "evaluate", scores)


def best_weights(trainer):
    """The first kernel in best/."""
    network = trainer._new_average()
    assert Checkpoints(trainer.workdir.file("best"), 1, mask_network=network).restore_newest()
    return network.variables[0].numpy().tolist()
