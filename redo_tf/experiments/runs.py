"""Trainings that belong together, one after another, each in a process of its own.

A process a run: nothing of one training (threads, precision, compiled functions, memory) reaches the next.
"""
from __future__ import annotations

import copy
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional, Sequence

import tensorflow as tf
from absl import logging

from redo_tf import cli, config as configuration, data, trained
from redo_tf.config import Config
from redo_tf.errors import Interrupted, UserError
from redo_tf.evaluation import score
from redo_tf.files import read_json
from redo_tf.metrics import SCORES
from redo_tf.recipe_flags import FLAGS
from redo_tf.signals import StopSignals
from redo_tf.workdir import Workdir

TRAIN = (sys.executable, "-m", "redo_tf.train")


# ------------------------------------------------------------------------------------------------------------- training

def overridden(config: Config, assignments: Sequence[str]) -> Config:
    """A copy of the configuration, changed as by --set and validated."""
    changed = copy.deepcopy(config)
    for assignment in assignments:
        configuration.override(changed, *configuration.parse_assignment(assignment))
    return configuration.validate(changed)


def same_flags() -> List[str]:
    """The flags that chose this command's configuration and data, for another command."""
    given = [("dataset", FLAGS.dataset), ("config", FLAGS.config), *(("set", value) for value in FLAGS.set),
             ("data_dir", cli.DATA_DIR.value), ("mask_dir", cli.MASK_DIR.value)]
    return [f"--{name}={value}" for name, value in given if value is not None]


def is_finished(workdir: Workdir, config: Config, pictures: Dict[str, str]) -> bool:
    """Whether a run of this configuration, on these pictures (`Split.fingerprint`, by split), is complete there.

    Raises:
      UserError: a run of another configuration or on other pictures is there, or a longer one; or the folder cannot be
        written.
    """
    workdir.check(config, pictures)
    try:
        steps = read_json(workdir.file("summary.json"), "remove it to have it written again").get("steps", 0)
    except FileNotFoundError:
        return False
    if steps > config.train.steps:
        raise UserError(f"{workdir.path} holds a run of {steps} steps, more than train.steps={config.train.steps}: "
                        "choose another --workdir, or as many steps.")
    return steps == config.train.steps


def train(arguments: Sequence[str], signals: StopSignals) -> int:
    """Runs `redo_tf.train` with these flags and returns its exit code; what it prints goes where ours does.

    Args:
      arguments: flags.
      signals: entered; a signal is passed on, so that the run saves and stops.

    Raises:
      Interrupted: by a signal, once the process has ended.
    """
    process = subprocess.Popen([*TRAIN, *arguments])
    passed_on = False
    while process.poll() is None:
        if signals.received is not None and not passed_on:
            process.send_signal(signals.received)
            passed_on = True
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            pass
    if signals.received is not None:
        raise Interrupted("Stopped: the same command continues.", signals.received)
    return process.returncode


def train_all(config: Config, changes: Dict[str, Sequence[str]], folder: Workdir, may_fail: bool = False) -> List[str]:
    """Trains one run after another in FOLDER/NAME; finished ones are left alone, interrupted ones continued.

    Args:
      config: that this command's flags stand for.
      changes: name → what sets the run apart, as for --set; nothing of data.
      folder: of all runs.
      may_fail: go on to the next run after one that diverged.

    Returns:
      The names of the runs that diverged.

    Raises:
      UserError: as `is_finished`, before anything is trained.
      Interrupted: by a signal.
      SystemExit: a run failed, with its exit code, after it has printed why.
    """
    places = {name: Workdir(folder.file(name)) for name in changes}
    configs = {name: overridden(config, assignments) for name, assignments in changes.items()}
    pictures = {split: data.load_configured(config.data, split, cli.DATA_DIR.value).fingerprint() for split in ("train", "val")}
    finished = {name: is_finished(places[name], configs[name], pictures) for name in changes}
    failed = []
    with StopSignals() as signals:
        for number, (name, assignments) in enumerate(changes.items(), start=1):
            if finished[name]:
                logging.info("Run %d of %d, %s: finished already.", number, len(changes), name)
                continue
            logging.info("Run %d of %d, %s: %s", number, len(changes), name, places[name].path)
            code = train([*same_flags(), *(f"--set={assignment}" for assignment in assignments),
                          f"--workdir={places[name].path}"], signals)
            if code == 1 and may_fail:
                failed.append(name)
            elif code:
                print(f"Run {name} failed, for the reason above: the same command tries it again.", file=sys.stderr)
                sys.exit(code if code > 0 else 128 - code)
    return failed


# -------------------------------------------------------------------------------------------------------------- scoring

def score_run(workdir: Workdir, splits: Sequence[str], data_dir: Optional[str]) -> Dict[str, Any]:
    """Scores of a run's best mask network.

    Returns:
      `step` and `restarts` of the evaluation that chose it; its scores there as `val`, and those of each split, None
      where no picture has a mask.

    Raises:
      UserError: there is no run, or it was never evaluated, or its data is missing.
    """
    tf.keras.backend.clear_session()
    network = trained.of_run(workdir)
    row = network.evaluation
    scores = {"step": row["step"], "restarts": row["restarts"],
              "val": {name: row[f"val/{name}"] for name in SCORES} if "val/iou" in row else None}
    for split in splits:
        pictures = data.load_configured(network.pictures, split, data_dir)
        scores[split] = score(network.segment, pictures, network.regions) if pictures.masks is not None else None
    return scores


def folder_of(what: str, config: Config) -> Workdir:
    """--workdir, or runs/WHAT_DATASET."""
    return Workdir(cli.WORKDIR.value or os.path.join("runs", f"{what}_{config.data.dataset}"))
