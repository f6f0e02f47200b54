"""What is known of a run: from its folder, and from its data where that is prepared."""
from __future__ import annotations

import dataclasses
import datetime
import os
import re
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from absl import logging

from redo_tf import data, history, trained
from redo_tf.config import Config
from redo_tf.errors import UserError
from redo_tf.files import find_json
from redo_tf.metrics import SCORES
from redo_tf.pictures import png
from redo_tf.scored_masks import choose, draw, segment_split
from redo_tf.workdir import Workdir

MASKS_SHOWN = 4  # of each group


@dataclasses.dataclass
class Score:
    """The scores of a split.

    Attributes:
      values: the four of `SCORES`.
      pictures: how many; None where that was not recorded.
      source: where the numbers come from, in words.
      outdated: best/ has changed since.
    """
    split: str
    values: Dict[str, float]
    pictures: Optional[int]
    source: str
    outdated: bool = False


@dataclasses.dataclass
class Run:
    """One run.

    Attributes:
      rows: of metrics.jsonl.
      summary: summary.json of a finished run, or None.
      scores: of every split that has any.
      remark: why something is missing, or None.
      samples: label and PNG of sample grids, in order.
      masks: split and PNG of best, random and worst masks, or None.
      sessions: begin (UTC) and host of each time that training was started or continued.
      environment: name → value, of the process that trained last; empty where it was not recorded.
    """
    name: str
    path: str
    config: Config
    rows: List[Dict[str, Any]]
    summary: Optional[Dict[str, Any]]
    scores: List[Score]
    remark: Optional[str]
    samples: List[Tuple[str, bytes]]
    masks: Optional[Tuple[str, bytes]]
    sessions: List[Tuple[datetime.datetime, str]]
    environment: Dict[str, str]

    @property
    def seconds(self) -> Optional[float]:
        """Time spent in training, over all starts; None before the first evaluation."""
        return self.rows[-1]["seconds"] if self.rows else None

    @property
    def best(self) -> Optional[Dict[str, Any]]:
        """The evaluation that best/ belongs to."""
        return history.best_of_last_start(self.rows)


def gather(workdir: Workdir, name: str, split: str, data_dir: Optional[str], samples: int) -> Run:
    """Everything about a run; what cannot be had is left out, with a remark.

    Args:
      split: whose masks are scored and shown, where its data is prepared.
      samples: at most so many sample grids, evenly chosen; 0 for all.

    Raises:
      UserError: there is no run, or its config.json is damaged.
    """
    config, rows = workdir.load_config(), workdir.metrics()
    scores, masks, remark = _recorded_scores(workdir, rows), None, None
    try:
        if _is_prepared(config, split, data_dir):
            logging.info("Segmenting the %s pictures of %s.", split, name)
            segmented = segment_split(trained.of_run(workdir), split, data_dir)
            masks = split, png(draw(segmented, choose(segmented.accuracy, segmented.iou, MASKS_SHOWN, seed=0)))
            if split not in scores or scores[split].outdated:
                scores[split] = Score(split, segmented.scores, len(segmented.ids), "scored for this report")
        else:
            remark = (f"The {split} pictures of {config.data.dataset} are not prepared at {config.data.image_size} "
                      "pixels where this report looked (--data_dir=…), so no masks of theirs are shown.")
    except UserError as error:
        remark = str(error)
    if remark:
        logging.warning("%s: %s", name, remark)
    best = history.best_of_last_start(rows)
    if best and "val/iou" in best and ("val" not in scores or scores["val"].outdated):
        scores["val"] = Score("val", {key: best[f"val/{key}"] for key in SCORES}, None,
                              f"metrics.jsonl, step {best['step']}")
    return Run(name, workdir.path, config, rows, find_json(workdir.file("summary.json")),
               [scores[key] for key in data.SPLITS if key in scores], remark, _samples(workdir, rows, samples), masks,
               _sessions(workdir), workdir.environment())


def _recorded_scores(workdir: Workdir, rows: List[Dict[str, Any]]) -> Dict[str, Score]:
    """Split → what `redo_tf.evaluate` wrote."""
    scores, best = {}, history.best_of_last_start(rows)
    kept = best and (best["restarts"], best["step"])
    for split in data.SPLITS:
        name = f"evaluation_{split}.json"
        results = find_json(workdir.file(name))
        if results and all(key in results for key in SCORES):
            outdated = (results.get("restarts"), results.get("step")) != kept
            scores[split] = Score(split, {key: results[key] for key in SCORES}, results.get("pictures"),
                                  name + (", not known to be of the masks in best/" if outdated else ""), outdated)
    return scores


def _is_prepared(config: Config, split: str, data_dir: Optional[str]) -> bool:
    """Reports prepare no data: that can take long, and room."""
    return data.find(config.data, split, data_dir) is not None


def _samples(workdir: Workdir, rows: List[Dict[str, Any]], most: int) -> List[Tuple[str, bytes]]:
    folder = workdir.file("samples")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    steps = sorted(int(match.group(1)) for match in (re.fullmatch(r"step_(\d+)\.png", name) for name in names) if match)
    if most and len(steps) > most:
        steps = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, most).round().astype(int))]
    found = []
    for step in steps:
        # A restart begins at step 0 again and writes over the samples of the start before, as far as it gets.
        earlier = rows and rows[-1]["restarts"] and step > rows[-1]["step"]
        with open(os.path.join(folder, f"step_{step:07d}.png"), "rb") as file:
            found.append((f"step {step:,}" + (", of an earlier start" if earlier else ""), file.read()))
    return found


def _sessions(workdir: Workdir) -> List[Tuple[datetime.datetime, str]]:
    """From the names of TensorBoard's files: events.out.tfevents.SECONDS.HOST.PROCESS.NUMBER.v2."""
    folder = workdir.file("tensorboard")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    matches = (re.fullmatch(r"events\.out\.tfevents\.(\d+)\.(.+)\.\d+\.\d+\.v2", name) for name in names)
    return sorted((datetime.datetime.fromtimestamp(int(match.group(1)), datetime.timezone.utc), match.group(2))
                  for match in matches if match)
