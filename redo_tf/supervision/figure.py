"""Scores against the number of true masks, as a picture and as text."""
from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from redo_tf import tables
from redo_tf.metrics import SCORES
from redo_tf.pictures import figure_png


def summarize(results: Sequence[Dict[str, Any]]) -> Dict[int, Dict[str, Dict[str, Optional[float]]]]:
    """N → score → its mean and sample standard deviation over the seeds; N ascends."""
    counts = sorted({result["labels"] for result in results})
    return {count: {name: tables.mean_and_deviation(
        [result["scoring"][name] for result in results if result["labels"] == count]) for name in SCORES}
        for count in counts}


def plot(summary: Dict[int, Dict[str, Dict[str, Optional[float]]]], reference: Optional[Dict[str, float]],
         title: str) -> bytes:
    """A PNG: accuracy and IoU against N, the deviation as bars, the unsupervised run as horizontal lines.

    Args:
      summary: from `summarize`.
      reference: its scores, or None.
      title: above both.
    """
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharex=True, constrained_layout=True)
    counts = list(summary)
    figure.suptitle(title)
    for axis, name, label in zip(axes, ("accuracy", "iou"), ("accuracy", "IoU of the objects")):
        for suffix, style, protocol in (("", "-", "one assignment"), ("_per_image", ":", "assignment per image")):
            values = [summary[count][name + suffix] for count in counts]
            axis.errorbar(counts, [value["mean"] for value in values], [value["std"] or 0 for value in values],
                          color="tab:blue", linestyle=style, marker="o", markersize=4, capsize=3,
                          label=f"N true masks, {protocol}")
            if reference:
                axis.axhline(
                    reference[name + suffix], color="tab:orange", linestyle=style, label=f"no masks, {protocol}")
        axis.set(xscale="log", xlabel="true masks to learn from, N", ylabel=label)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return figure_png(figure, dpi=100)


def table(summary: Dict[int, Dict[str, Dict[str, Optional[float]]]], reference: Optional[Dict[str, float]]) -> str:
    """The same numbers as text."""
    header = ["true masks", "Acc", "IoU", "Acc per image", "IoU per image"]
    rows = [[count, *(tables.plus_minus(summary[count][name]) for name in SCORES)] for count in summary]
    if reference:
        rows.append(["none (unsupervised)", *(f"{reference[name]:.3f}" for name in SCORES)])
    return tables.markdown(header, rows)
