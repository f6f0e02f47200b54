"""A contact sheet: many pictures on one, with their masks outlined."""

from __future__ import annotations

from typing import Optional

import numpy as np

from redo_tf.labels import UNLABELLED
from redo_tf.pictures import SMALLEST_SIDE, grid

# Outlines of labels 1, 2, …, in colours that few pictures have.
COLOURS = np.array([[255, 0, 255], [0, 255, 255], [255, 255, 0], [0, 255, 0]], np.uint8)


def outline(labels: np.ndarray) -> np.ndarray:
    """Which pixels of an object lie beside a pixel of another label: [H, W] → bool [H, W].

    The picture's border is no other label, nor are pixels without a label.
    """
    padded = np.pad(labels, 1, mode="edge")
    height, width = labels.shape
    neighbours = [padded[y : y + height, x : x + width] for y, x in ((0, 1), (2, 1), (1, 0), (1, 2))]
    differs = np.any([(neighbour != labels) & (neighbour != UNLABELLED) for neighbour in neighbours], axis=0)
    return differs & (labels > 0) & (labels != UNLABELLED)


def contact_sheet(images: np.ndarray, masks: Optional[np.ndarray], columns: int) -> np.ndarray:
    """Pictures in rows, with masks outlined.

    Args:
      images: uint8 [N, S, S, 3].
      masks: labels uint8 [N, S, S], or None.
      columns: pictures in a row.

    Returns:
      uint8 [height, width, 3], white between the pictures and in place of those missing in the last row.
    """
    # Enlarged before they are outlined, so that outlines are thin.
    factor = -(-SMALLEST_SIDE // images.shape[1])
    cells = images.repeat(factor, axis=1).repeat(factor, axis=2)
    if masks is not None:
        for cell, labels in zip(cells, masks.repeat(factor, axis=1).repeat(factor, axis=2)):
            rim = outline(labels)
            cell[rim] = COLOURS[(labels[rim] - 1) % len(COLOURS)]
    blank = np.full((-len(cells) % columns, *cells.shape[1:]), 255, np.uint8)
    cells = np.concatenate([cells, blank])
    return grid([cells[column::columns] for column in range(columns)])
