"""Trains ReDO on a data set: pictures in, a network that cuts their objects out. No labels are used in training.

  python -m redo_tf.train                                            # generated shapes, no download
  python -m redo_tf.train --dataset=folder --data_dir=photos         # your own pictures; 32×32, then configs/folder_cpu.py
  python -m redo_tf.train --dataset=lfw --data_dir=…                 # the paper's LFW recipe, which wants a GPU
  python -m redo_tf.train --dataset=lfw --config=lfw32_cpu --data_dir=…   # a laptop's; then configs/lfw_cpu.py

The same command continues an interrupted run. Exit codes: 0 finished, 1 diverged, 2 a mistake in the command or the
data, 70 an internal error, 128 + signal when stopped by one (everything is saved).
"""
from __future__ import annotations

import os

from absl import flags

import redo_tf
from redo_tf import cli, data, environment
from redo_tf.beginning import check_beginning, keeps_beginning
from redo_tf.files import write_json
from redo_tf.recipe_flags import config_from_flags
from redo_tf.strategy import check_batch, default_strategy
from redo_tf.trainer import Trainer
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_bool("restart", False, "Begin anew where a run is already there; the old run is moved aside.")


def main() -> None:
    config = config_from_flags()
    workdir = Workdir(cli.WORKDIR.value or f"runs/{config.data.dataset}")
    if not FLAGS.restart:
        workdir.check(config)
        workdir.check_kept()
    # A mistake in the data, the batch or the run to begin with shows before the run's folder is touched.
    splits = {split: data.load_configured(config.data, split, cli.DATA_DIR.value) for split in ("train", "val")}
    strategy = default_strategy()
    check_batch(config, len(splits["train"].images), strategy)
    if config.train.begin_with and (FLAGS.restart or not keeps_beginning(workdir)):
        check_beginning(config, workdir)
    with workdir.claim(config, FLAGS.restart, {split: pictures.fingerprint() for split, pictures in splits.items()}):
        trainer = Trainer(config, workdir, splits, strategy, redo_tf.STARTED)
        write_json(workdir.file("environment.json"), environment.describe())
        summary = trainer.run()
    best = summary["best"]
    print(f"Finished {summary['steps']} steps in {summary['seconds']:.0f} s, {summary['restarts']} restart(s).")
    if "val/iou" in best:
        print(f"Best validation IoU {best['val/iou']:.3f}, accuracy {best['val/accuracy']:.3f} (one assignment for the "
              f"whole set) at step {best['step']}; per image {best['val/iou_per_image']:.3f}, "
              f"{best['val/accuracy_per_image']:.3f}.")
    if trainer.stopwatch.times:  # There were iterations left.
        print(f"Time: {trainer.stopwatch}.")
    pictures = workdir.file("samples", "step_%07d.png" % summary["steps"])
    print(f"Pictures: {pictures if os.path.exists(pictures) else os.path.dirname(pictures)}")  # A shortened run ended before.


if __name__ == "__main__":
    cli.run(main)
