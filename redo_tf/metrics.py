"""Accuracy and IoU of unordered regions, by both protocols of the field.

Everything starts from confusion counts [.., K, n]: pixels of true label k that lie in predicted region r. Pixels labelled
255 have no label and are not counted. Regions are unordered, so scores take the best one-to-one assignment of regions to
labels; a region without a label counts as wrong, a label without a region has IoU 0.
"""
from __future__ import annotations

from typing import Dict, List

import numpy as np
from scipy.optimize import linear_sum_assignment

from redo_tf.labels import UNLABELLED

SCORES = ("accuracy", "iou", "accuracy_per_image", "iou_per_image")  # of `scores`; the last two assign for each image


def confusion(labels: np.ndarray, regions: np.ndarray, classes: int, count: int) -> np.ndarray:
    """Confusion counts for each picture.

    Args:
      labels: true labels uint8 [N, H, W], 0…classes−1, or 255 for pixels without a label.
      regions: predicted regions [N, H, W], 0…count−1.

    Returns:
      int64 [N, classes, count].
    """
    def of_picture(labels: np.ndarray, regions: np.ndarray) -> np.ndarray:
        known = labels != UNLABELLED
        cells = labels[known].astype(np.int64) * count + regions[known]
        return np.bincount(cells, minlength=classes * count).reshape(classes, count)

    return np.stack([of_picture(*pair) for pair in zip(labels, regions)])


def iou_matrix(counts: np.ndarray) -> np.ndarray:
    """IoU of every label with every region: [.., K, n] counts → [.., K, n]. Where both are empty it is 1."""
    union = counts.sum(-1, keepdims=True) + counts.sum(-2, keepdims=True) - counts
    return np.where(union > 0, counts / np.maximum(union, 1), 1.0)


def best_accuracy(counts: np.ndarray) -> float:
    """Share of pixels in the right region under the assignment that makes it largest; counts [K, n]."""
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / counts.sum())


def best_iou(counts: np.ndarray) -> float:
    """Mean IoU over the objects (labels 1…K−1) under the assignment that makes it largest; counts [K, n]."""
    return _mean_over_objects(iou_matrix(counts))


def _labelled(counts: np.ndarray) -> np.ndarray:
    counts = counts[counts.sum((1, 2)) > 0]
    if not len(counts):
        raise ValueError("No picture has a label.")
    return counts


def _objects(iou: np.ndarray) -> Dict[int, int]:
    """Label → region of the objects, under the assignment with the largest mean IoU over them; iou [K, n]."""
    gains = iou.copy()
    gains[0] = 0  # The background is left out of the mean, but still takes a region.
    rows, columns = linear_sum_assignment(gains, maximize=True)
    return {label: region for label, region in zip(rows.tolist(), columns.tolist()) if label}


def _mean_over_objects(iou: np.ndarray) -> float:
    return float(sum(iou[label, region] for label, region in _objects(iou).items()) / (len(iou) - 1))


def scores(counts: np.ndarray) -> Dict[str, float]:
    """The four scores of a set of pictures.

    Args:
      counts: confusion counts for each picture, [N, K, n]; pictures without any label are left out.

    Returns:
      `accuracy`, `iou`: one assignment for the whole set. IoU and its assignment are taken picture by picture and
      averaged, with the assignment fixed to the one with the best mean. `accuracy_per_image`, `iou_per_image`: the best
      assignment for each picture, then the mean (the released code's protocol, and the published numbers').

    Raises:
      ValueError: no picture has a label.
    """
    counts = _labelled(counts)
    shares = counts / counts.sum((1, 2), keepdims=True)
    return {
        "accuracy": best_accuracy(shares.mean(0)),
        "iou": _mean_over_objects(iou_matrix(counts).mean(0)),
        "accuracy_per_image": float(np.mean([best_accuracy(picture) for picture in counts])),
        "iou_per_image": float(np.mean([best_iou(picture) for picture in counts])),
    }


def order_by_masks(counts: np.ndarray) -> List[int]:
    """The region of each label, to put regions in the labels' order: [background, objects…, any others].

    The objects' regions are those of the score `iou`; of the rest, the background's covers label 0 best. Where there are
    fewer regions than labels, all objects count as one.

    Args:
      counts: confusion counts for each picture, [N, K, n]; pictures without any label are left out.

    Raises:
      ValueError: no picture has a label.
    """
    counts = _labelled(counts)
    if counts.shape[2] < counts.shape[1]:
        counts = np.stack([counts[:, 0], counts[:, 1:].sum(1)], axis=1)
    iou = iou_matrix(counts).mean(0)
    objects = list(_objects(iou).values())
    rest = [region for region in range(iou.shape[1]) if region not in objects]
    background = max(rest, key=lambda region: iou[0, region])
    return [background, *objects, *(region for region in rest if region != background)]


def areas(regions: np.ndarray, count: int) -> np.ndarray:
    """How many pixels each region wins, int64 [n].

    Args:
      regions: the region of each pixel [N, H, W], 0…count−1.
    """
    return np.bincount(regions.ravel(), minlength=count)


def border_areas(regions: np.ndarray, count: int) -> np.ndarray:
    """How many of the pictures' outermost pixels each region wins, int64 [n]; arguments as for `areas`."""
    border = np.ones(regions.shape[1:], bool)
    border[1:-1, 1:-1] = False
    return np.bincount(regions[:, border].ravel(), minlength=count)


def order_by_border(areas: np.ndarray, border_areas: np.ndarray) -> List[int]:
    """[background, others…] without labels: the background holds most of the pictures' borders, larger regions come first.

    Args:
      areas, border_areas: of each region, [n].
    """
    background = int(np.argmax(border_areas))
    others = np.argsort(-areas, kind="stable").tolist()
    return [background, *(region for region in others if region != background)]
