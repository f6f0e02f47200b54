"""Segments a split and scores the masks."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Tuple

import numpy as np
import tensorflow as tf

from redo_tf import data, metrics
from redo_tf.areas import mean_areas, most_probable
from redo_tf.data.pipeline import evaluation_batches
from redo_tf.pixels import to_model_range
from redo_tf.progress import bar

BATCH = 64  # Pictures at a time.
SegmentFunction = Callable[[tf.Tensor], Tuple[tf.Tensor, tf.Tensor]]


def compile_segmenter(mask_network: tf.keras.Model, image_size: int, xla: bool = False) -> SegmentFunction:
    """uint8 images [B, S, S, 3] → region of each pixel uint8 [B, S, S], and soft region sizes float32 [B, n]."""

    @tf.function(input_signature=[tf.TensorSpec([None, image_size, image_size, 3], tf.uint8)], jit_compile=xla or None)
    def segment(images):
        masks = mask_network(to_model_range(images), training=False)
        return most_probable(masks), mean_areas(masks)

    return segment


def segmented(segment: SegmentFunction, images: np.ndarray, batch_size: int = BATCH) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """What `segment` gives of uint8 pictures [N, S, S, 3], a batch at a time: labels [B, S, S] and region sizes [B, n]."""
    with bar(len(images), "Segmenting", unit="picture", brief=True) as progress:
        for batch in evaluation_batches(images, batch_size=batch_size):
            yield tuple(values.numpy() for values in segment(batch))
            progress.update(len(batch))


def evaluate(segment: SegmentFunction, pictures: data.Split, regions: int, batch_size: int = BATCH) -> Dict[str, Any]:
    """Scores of one split.

    Args:
      segment: from `compile_segmenter`.
      pictures: with or without masks.
      regions: n.
      batch_size: pictures at a time.

    Returns:
      `region_sizes`: soft area of each region, mean over the split, a list of n; `label_shares`: how many of the pixels it
      wins, `border_shares`: how much of the pictures' border lies in it, the same; `order`: the regions in the labels'
      order, background first, and `ordered_by`, masks or border; with masks also the scores of `metrics.scores`.
    """
    classes = pictures.scored_classes(regions)
    sizes, areas, borders, counts, first = [], [], [], [], 0
    for labels, soft in segmented(segment, pictures.images, batch_size):
        sizes.append(soft)
        areas.append(metrics.areas(labels, regions))
        borders.append(metrics.border_areas(labels, regions))
        if pictures.masks is not None:
            truth = pictures.truth(regions, slice(first, first + len(labels)))
            counts.append(metrics.confusion(truth, labels, classes, regions))
        first += len(labels)
    areas, borders = sum(areas), sum(borders)
    results = {"region_sizes": np.concatenate(sizes).mean(0).tolist(),
               "label_shares": (areas / areas.sum()).tolist(), "border_shares": (borders / borders.sum()).tolist()}
    if counts:
        counts = np.concatenate(counts)
        results.update(order=metrics.order_by_masks(counts), ordered_by="masks", **metrics.scores(counts))
    else:
        results.update(order=metrics.order_by_border(areas, borders), ordered_by="border")
    return results


def score(segment: SegmentFunction, pictures: data.Split, regions: int) -> Dict[str, float]:
    """Accuracy and IoU, by both protocols, on pictures that have masks; arguments as for `evaluate`."""
    results = evaluate(segment, pictures, regions)
    return {name: results[name] for name in metrics.SCORES}
