"""The masks that a run infers for a split, each with its scores: which succeed, which fail."""
from __future__ import annotations

import dataclasses
from typing import Dict, Optional, Sequence

import numpy as np
import tensorflow as tf

from redo_tf import data, metrics
from redo_tf.data.pipeline import evaluation_batches
from redo_tf.errors import UserError
from redo_tf.evaluation import BATCH, compile_segmenter
from redo_tf.pictures import colour_labels, titled_grids
from redo_tf.segmenter import load_mask_network
from redo_tf.workdir import Workdir


@dataclasses.dataclass
class ScoredMasks:
    """The pictures of a split that have a label, with what a run makes of them.

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


def segment_split(workdir: Workdir, split: str, data_dir: Optional[str], mask_dir: Optional[str] = None) -> ScoredMasks:
    """Segments a split with a run's best mask network, in the run's own precision, as `redo_tf.evaluate` does.

    Raises:
      UserError: no run, no data, or a split without masks.
    """
    config = workdir.load_config(mask_dir)
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    network, row = load_mask_network(workdir)
    pictures = data.load_configured(config.data, split, data_dir)
    if pictures.masks is None:
        raise UserError(f"No picture of {config.data.dataset}'s {split} split has a mask, so none is better than "
                        "another: choose another --split, or name the masks of a folder with --mask_dir=….")
    segment = compile_segmenter(network, config.data.image_size)
    regions = np.concatenate([
        segment(images)[0].numpy() for images in evaluation_batches(pictures.images, batch_size=BATCH)])
    truth, order = np.asarray(pictures.masks), row["val/order"]
    counts = metrics.confusion(truth, regions, data.regions(config.data.dataset), config.model.regions)
    labelled = np.flatnonzero(counts.sum((1, 2)))
    return ScoredMasks(
        metrics.scores(counts), np.asarray(pictures.images)[labelled], truth[labelled],
        np.argsort(order).astype(np.uint8)[regions[labelled]], ids=[pictures.ids[i] for i in labelled],
        **score_pictures(counts[labelled][..., order]))


def choose(accuracy: np.ndarray, iou: np.ndarray, count: int, seed: int) -> Dict[str, np.ndarray]:
    """Group → indices of `count` pictures, or of all where there are fewer; the best and the worst come first."""
    drawn = np.random.default_rng(seed).permutation(len(iou))
    by_accuracy, by_iou = (np.argsort(score, kind="stable") for score in (accuracy, iou))
    return {"best by accuracy": by_accuracy[::-1][:count], "best by IoU": by_iou[::-1][:count],
            "drawn at random": drawn[:count],
            "worst by accuracy": by_accuracy[:count], "worst by IoU": by_iou[:count]}


def draw(masks: ScoredMasks, groups: Dict[str, np.ndarray]) -> np.ndarray:
    """A block for each group, a row for each picture: input, true mask, inferred mask; uint8 [H, W, 3]."""
    return titled_grids([
        (f"{title}\ninput · true mask · inferred mask",
         [masks.images[chosen], colour_labels(masks.truth[chosen]), colour_labels(masks.found[chosen])])
        for title, chosen in groups.items()])
