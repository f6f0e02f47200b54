"""What a training run says of itself: TensorBoard's files, sample grids, the line of an evaluation, the summary."""
from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import tensorflow as tf
from absl import logging

from redo_tf import disk, history
from redo_tf.disk import writing
from redo_tf.files import write_whole
from redo_tf.pictures import png
from redo_tf.workdir import Workdir


class Writers:
    """TensorBoard's files and the sample grids of one run."""

    def __init__(self, workdir: Workdir):
        self.workdir = workdir
        self.folder = workdir.file("tensorboard")
        self.events = tf.summary.create_file_writer(self.folder)

    def scalars(self, values: Dict[str, Any], step: int) -> None:
        """Numbers by their names; those of a list by name/0, name/1, …

        Raises:
          UserError: the disk is full or cannot be written.
        """
        with writing("TensorBoard's events", self.folder), self.events.as_default(step=step):
            for name, value in values.items():
                if np.ndim(value):
                    for k, item in enumerate(value):
                        tf.summary.scalar(f"{name}/{k}", item)
                else:
                    tf.summary.scalar(name, value)

    def samples(self, grid: np.ndarray, step: int) -> None:
        """A grid of pictures, uint8 [H, W, 3], to samples/ and TensorBoard; raises as `scalars`."""
        write_whole(self.workdir.file("samples", f"step_{step:07d}.png"), png(grid))
        with writing("TensorBoard's events", self.folder), self.events.as_default(step=step):
            tf.summary.image("samples", grid[None])

    def close(self) -> None:
        """Writes what is left; where it cannot, says so and goes on, as the run has ended or another error ends it."""
        try:
            self.events.close()
        except disk.ERRORS:
            logging.warning("TensorBoard's last events could not be saved in %s.", self.folder)


def line(row: Dict[str, Any]) -> str:
    """An evaluation, a row of metrics.jsonl, as it is printed."""
    sizes = "/".join(f"{size:.2f}" for size in row["val/region_sizes"])
    text = f"step {row['step']:6d}  {row['images_per_second']:7.1f} images/s  regions {sizes}"
    if "val/iou" in row:
        text += (f"  accuracy {row['val/accuracy']:.3f}  IoU {row['val/iou']:.3f}"
                 f"  (per image {row['val/accuracy_per_image']:.3f}, {row['val/iou_per_image']:.3f})")
    return text


def summary(rows: List[Dict[str, Any]]) -> Dict[str, Any]:
    """How a run's last start ended, from its rows, and the scores of its last and of its best evaluation."""
    last, best = rows[-1], history.best(rows)
    scores = lambda row: {name: value for name, value in row.items() if name == "step" or name.startswith("val/")}
    return {**{name: last[name] for name in ("seed", "restarts", "images_per_second")},
            "last": scores(last), "best": scores(best)}
