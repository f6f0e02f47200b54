"""The masks that are inferred for a split, each with its scores: which succeed, which fail."""
from __future__ import annotations

import dataclasses
from typing import Dict, Optional, Sequence

import numpy as np

from redo_tf import metrics
from redo_tf.evaluation import segmented
from redo_tf.pictures import colour_labels, titled_grids
from redo_tf.trained import Trained


@dataclasses.dataclass
class ScoredMasks:
    """The pictures of a split that have a label, with what a mask network makes of them.

    Attributes:
      scores: of the whole split, as in `metrics.scores`.
      images: uint8 [N, S, S, 3].
      truth: labels uint8 [N, S, S], 255 for pixels without one.
      found: labels uint8 [N, S, S].
      accuracy, iou: of each picture, [N].
      ids: N names.
    """
    scores: Dict[str, float]
    images: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    accuracy: np.ndarray
    iou: np.ndarray
    ids: Sequence[str]


def score_pictures(counts: np.ndarray) -> Dict[str, np.ndarray]:
    """`accuracy` and `iou` of each picture, [N], where region k is taken for label k.

    Args:
      counts: confusion counts [N, K, n]; a label without a region has IoU 0, a region without a label is wrong.
    """
    shared = range(min(counts.shape[1:]))
    iou = metrics.iou_matrix(counts)
    return {"accuracy": sum(counts[:, k, k] for k in shared) / counts.sum((1, 2)),
            "iou": sum(iou[:, k, k] for k in shared if k) / (counts.shape[1] - 1)}


def segment_split(network: Trained, split: str, data_dir: Optional[str]) -> ScoredMasks:
    """Segments a split, as `redo_tf.evaluate` does.

    Raises:
      UserError: no data, or a split without masks.
    """
    pictures = network.load(split, data_dir)
    regions = np.concatenate([labels for labels, _ in segmented(network.segment, pictures.images)])
    truth = pictures.truth(network.regions)
    counts = metrics.confusion(truth, regions, pictures.scored_classes(network.regions), network.regions)
    labelled = np.flatnonzero(counts.sum((1, 2)))
    return ScoredMasks(
        metrics.scores(counts), np.asarray(pictures.images)[labelled], truth[labelled],
        np.argsort(network.order).astype(np.uint8)[regions[labelled]], ids=[pictures.ids[i] for i in labelled],
        **score_pictures(counts[labelled][..., network.order]))


# Name → title of a group of pictures.
GROUPS = {"best_accuracy": "best by accuracy", "best_iou": "best by IoU", "random": "drawn at random",
          "worst_accuracy": "worst by accuracy", "worst_iou": "worst by IoU"}


def choose(accuracy: np.ndarray, iou: np.ndarray, count: int, seed: int) -> Dict[str, np.ndarray]:
    """Title of a group → indices of `count` pictures, or of all where there are fewer; the best and the worst come first."""
    drawn = np.random.default_rng(seed).permutation(len(iou))
    by_accuracy, by_iou = (np.argsort(score, kind="stable") for score in (accuracy, iou))
    orders = {"best_accuracy": by_accuracy[::-1], "best_iou": by_iou[::-1], "random": drawn,
              "worst_accuracy": by_accuracy, "worst_iou": by_iou}
    return {title: orders[name][:count] for name, title in GROUPS.items()}


def draw(masks: ScoredMasks, groups: Dict[str, np.ndarray]) -> np.ndarray:
    """A block for each group, a row for each picture: input, true mask, inferred mask; uint8 [H, W, 3]."""
    return titled_grids([
        (f"{title}\ninput · true mask · inferred mask",
         [masks.images[chosen], colour_labels(masks.truth[chosen]), colour_labels(masks.found[chosen])])
        for title, chosen in groups.items()])
