"""Which pictures to learn from, to stop by and to score on: the three share none, and of LFW no person."""
from __future__ import annotations

import dataclasses
import hashlib
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from redo_tf import data
from redo_tf.errors import UserError

# How the people of val are shared out among the parts that have no split with masks of their own.
SHARES = {"training": 3, "stopping": 1, "scoring": 2}

Rows = Tuple[str, List[int]]  # A split and rows of it.


def identity(dataset: str, split: str, name: str) -> str:
    """Who or what is on a picture: of LFW the person, NAME of NAME_0001; elsewhere every picture is its own."""
    return name.rsplit("_", 1)[0] if dataset == "lfw" else f"{split}/{name}"


def _share(who: str, parts: Sequence[str]) -> str:
    """Which of the parts an identity belongs to, by `SHARES`; always the same one."""
    number = int.from_bytes(hashlib.sha256(who.encode()).digest()[:8], "big") / 2**64
    bounds = np.cumsum([SHARES[part] for part in parts])
    return parts[int(np.searchsorted(bounds, number * bounds[-1], side="right"))]


def divide(dataset: str, names: Dict[str, Sequence[str]], labelled: Dict[str, Sequence[int]]) -> Dict[str, Rows]:
    """Which pictures to learn from, to stop by, and to score on; no identity is in two of them.

    Args:
      dataset: its name.
      names: of the pictures of train, val and test.
      labelled: the rows of those that have masks.

    Returns:
      For `training`, `stopping` and `scoring`, a split and rows of it.

    Raises:
      UserError: val has no masks, or too few.
    """
    if not labelled["val"]:
        raise UserError(f"No picture of {dataset}'s val split has a mask, and supervised training needs masks there: "
                        "choose another --dataset, or name a folder's masks with --mask_dir=….")
    home = {"training": "train" if labelled["train"] else "val", "stopping": "val",
            "scoring": "test" if labelled["test"] else "val"}
    sharing = [part for part, split in home.items() if split == "val"]
    parts, taken = {}, set()
    for part in ("scoring", "stopping", "training"):
        split = home[part]
        who = {row: identity(dataset, split, names[split][row]) for row in labelled[split]}
        rows = [row for row in labelled[split]
                if who[row] not in taken and (split != "val" or _share(who[row], sharing) == part)]
        if not rows:
            raise UserError(f"{dataset} has masks for {len(labelled['val'])} pictures of its val split, too few "
                            f"for some to be for {part}: add masks.")
        parts[part] = (split, rows)
        taken.update(who[row] for row in rows)
    return parts


def take(pictures: data.Split, rows: Sequence[int], regions: int) -> data.Split:
    """These pictures, in memory, with the labels that n regions learn; they all have masks."""
    return dataclasses.replace(
        pictures, images=pictures.images[rows], masks=pictures.truth(regions, rows), ids=[pictures.ids[row] for row in rows],
        classes=pictures.scored_classes(regions))


def draw(rows: Sequence[int], count: int, seed: int) -> List[int]:
    """`count` of the rows, at random; with one seed, fewer are a subset of more."""
    return np.random.default_rng([seed, 0]).permutation(rows)[:count].tolist()


def batches(pictures: data.Split, size: int, seed: int, flip: bool) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Infinite batches of images uint8 [B, S, S, 3] and masks [B, S, S]: one permutation an epoch after another.

    B is `size`, or all pictures where they are fewer. `flip` mirrors each, left and right, with probability ½.
    """
    size = min(size, len(pictures.ids))
    rng = np.random.default_rng([seed, 1])
    order = np.zeros(0, int)
    while True:
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(len(pictures.ids))])
        rows, order = order[:size], order[size:]
        images, masks = np.array(pictures.images[rows]), np.array(pictures.masks[rows])
        if flip:
            mirrored = rng.random(size) < 0.5
            images[mirrored], masks[mirrored] = images[mirrored, :, ::-1], masks[mirrored, :, ::-1]
        yield images, masks
