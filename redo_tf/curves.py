"""Plots runs side by side: validation IoU and the size of every region over the steps.

  python -m redo_tf.curves --runs=runs/default,runs/mean --output=curves.png

A run that was begun anew shows its last start; earlier ones are drawn thin.
"""
from __future__ import annotations

import itertools
from typing import Dict, Sequence

from absl import flags

from redo_tf import cli, run_folders
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.history import Row, starts
from redo_tf.pictures import figure_png
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_string("runs", None, "Folders of runs, separated by commas.")
flags.DEFINE_string("output", "curves.png", "Picture to write.", allow_override=True)


def plot(runs: Dict[str, Sequence[Row]]) -> bytes:
    """A PNG: name → rows of metrics.jsonl, one colour a run; IoU above, region sizes below."""
    from matplotlib import pyplot
    figure, (scores, sizes) = pyplot.subplots(2, 1, figsize=(8, 7), sharex=True, constrained_layout=True)
    colours = itertools.cycle(pyplot.rcParams["axes.prop_cycle"].by_key()["color"])
    for (name, rows), colour in zip(runs.items(), colours):
        attempts = starts(rows)
        for attempt in attempts:
            style = {"color": colour, "linewidth": 1.8 if attempt is attempts[-1] else 0.6, "marker": "."}
            label = name if attempt is attempts[-1] else None
            steps, scored = [row["step"] for row in attempt], [row for row in attempt if "val/iou" in row]
            if scored:
                scores.plot([row["step"] for row in scored], [row["val/iou"] for row in scored], label=label, **style)
            for k in range(len(attempt[0]["val/region_sizes"])):
                sizes.plot(steps, [row["val/region_sizes"][k] for row in attempt], label=label if not k else None,
                           linestyle=("-", "--", ":", "-.")[k % 4], **style)
    scores.set(ylabel="validation IoU, one assignment", ylim=(0, 1))
    sizes.set(xlabel="step", ylabel="mean soft area of each region", ylim=(0, 1))
    for axes in (scores, sizes):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
        else:
            axes.text(0.5, 0.5, "no true masks", ha="center", va="center", transform=axes.transAxes)
    return figure_png(figure, dpi=90)


def main() -> None:
    folders = run_folders.split(FLAGS.runs or "")
    if not folders:
        raise UserError("Which runs? Give their folders as --runs=A,B,…")
    runs = {}
    for path, name in zip(folders, run_folders.names_of(folders)):
        rows = Workdir(path).metrics()
        if not rows:
            raise UserError(f"{path} has no metrics.jsonl with an evaluation in it.")
        runs[name] = rows
    write_whole(FLAGS.output, plot(runs))
    print(f"Curves: {FLAGS.output}")


if __name__ == "__main__":
    cli.run(main)
