"""The pictures of one split at one size, with their masks and names."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from redo_tf.labels import UNLABELLED


@dataclasses.dataclass(frozen=True)
class Split:
    """Pictures of one split at one size.

    Attributes:
      images: uint8 [N, S, S, 3], memory-mapped.
      masks: uint8 [N, S, S], memory-mapped: 0 background, 1…K−1 objects, 255 no
        label. None if no picture of the split has a label.
      ids: N names.
      parts: how many pictures come from each data set of a mixture, in order; empty for a single one.
      classes: K, number of labels, background included.
      mergeable: whether objects that are more than there can be regions are scored as one with the last that has a region, as
        in a person's own masks.
    """

    images: np.ndarray
    masks: Optional[np.ndarray]
    ids: Sequence[str]
    parts: Tuple[int, ...] = ()
    classes: int = 2
    mergeable: bool = False

    def scored_classes(self, regions: int) -> int:
        """K of the labels that `truth` gives."""
        return min(self.classes, regions) if self.mergeable else self.classes

    def truth(self, regions: int, rows: Any = slice(None)) -> Optional[np.ndarray]:
        """The masks of some rows, in memory, by which n regions are scored; None if there are no masks."""
        if self.masks is None:
            return None
        labels = np.arange(256, dtype=np.uint8)
        labels[self.scored_classes(regions):UNLABELLED] = self.scored_classes(regions) - 1
        return labels[self.masks[rows]]

    def labelled_rows(self) -> List[int]:
        """Rows of the pictures of which any pixel has a label."""
        return [] if self.masks is None else [row for row, mask in enumerate(self.masks) if np.any(mask != UNLABELLED)]

    def fingerprint(self) -> str:
        """How many pictures, and a hash of their names and of a few dozen pictures themselves: tells splits apart."""
        digest = hashlib.sha256()
        for name in self.ids:
            digest.update(name.encode() + b"\0")
        for row in evenly_spread(len(self.images), 50):
            digest.update(self.images[row].tobytes())
        return f"{len(self.images)} pictures, {digest.hexdigest()[:16]}"


def evenly_spread(count: int, most: int) -> np.ndarray:
    """The first of `count` rows, the last, and others as far apart: int [min(count, most)]."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)
