"""Who may be seen where, and in which order pictures come."""
from __future__ import annotations

import itertools
import os
import pathlib
import re

import numpy as np
import pytest

from redo_tf import data
from redo_tf.errors import UserError
from redo_tf.supervision import pictures

REAL_LISTS = pathlib.Path(os.environ.get("REDO_TF_DATA", ""), "lfw", "splits")


def people_named(prefix, count):
    """Names of LFW: person p has 1 + p % 4 pictures."""
    return [f"{prefix}_Van_{p}_{number + 1:04d}" for p in range(count) for number in range(1 + p % 4)]


MADE_UP = {"train": people_named("Ann", 50), "val": people_named("Bob", 120), "test": people_named("Cat", 60)}


def seen(names, parts):
    """Part → people on its pictures."""
    return {part: {re.sub(r"_\d{4}$", "", names[split][row]) for row in rows} for part, (split, rows) in parts.items()}


def assert_disjoint(people):
    for one, other in itertools.combinations(people.values(), 2):
        assert one and other and not one & other


@pytest.mark.parametrize("names", [
    MADE_UP,
    pytest.param("real", marks=pytest.mark.skipif(not REAL_LISTS.is_dir(), reason="REDO_TF_DATA has no lfw/splits"))])
@pytest.mark.parametrize("test_has_masks", [True, False])
def test_of_lfw_nobody_is_learned_from_and_stopped_by_or_scored_on(names, test_has_masks):
    if names == "real":
        names = {split: [line.split()[1] for line in (REAL_LISTS / f"{split}.txt").read_text().splitlines()]
                 for split in ("train", "val", "test")}
    labelled = {"train": [], "val": list(range(len(names["val"]))),
                "test": list(range(len(names["test"]))) if test_has_masks else []}
    parts = pictures.divide("lfw", names, labelled)
    assert_disjoint(seen(names, parts))
    assert {part: split for part, (split, _) in parts.items()} == {
        "training": "val", "stopping": "val", "scoring": "test" if test_has_masks else "val"}
    # Every labelled picture has its part: three quarters of val, or half of it, are to learn from.
    of_val = [row for split, rows in parts.values() if split == "val" for row in rows]
    assert sorted(of_val) == labelled["val"]
    if test_has_masks:
        assert parts["scoring"][1] == labelled["test"]
    assert len(parts["training"][1]) / len(of_val) == pytest.approx(0.75 if test_has_masks else 0.5, abs=0.12)
    assert parts == pictures.divide("lfw", names, labelled)


def test_people_who_are_in_both_lists_are_scored_on_only():
    names = {**MADE_UP, "val": MADE_UP["val"] + ["Cat_Van_1_0009", "Cat_Van_2_0009"]}
    labelled = {split: list(range(len(names[split]))) if split != "train" else [] for split in names}
    parts = pictures.divide("lfw", names, labelled)
    assert_disjoint(seen(names, parts))
    assert len(parts["training"][1]) + len(parts["stopping"][1]) == len(MADE_UP["val"])


def test_where_every_split_has_masks_each_has_its_part_and_pictures_without_a_mask_none():
    names = {split: ["0", "1", "2", "3"] for split in ("train", "val", "test")}  # The same names are other pictures.
    parts = pictures.divide("shapes", names, {"train": [0, 2, 3], "val": [1, 2], "test": [3]})
    assert parts == {"training": ("train", [0, 2, 3]), "stopping": ("val", [1, 2]), "scoring": ("test", [3])}


@pytest.mark.parametrize("val, sentence", [
    ([], "No picture of lfw's val split has a mask"), ([0], "too few for some to be")])
def test_too_few_masks_are_told(val, sentence):
    with pytest.raises(UserError, match=sentence):
        pictures.divide("lfw", MADE_UP, {"train": [], "val": val, "test": []})


def test_fewer_are_a_subset_of_more_and_seeds_differ():
    rows = list(range(100, 160))
    few, many = pictures.draw(rows, 5, seed=1), pictures.draw(rows, 20, seed=1)
    assert few == many[:5] and len(set(many)) == 20 and set(many) <= set(rows)
    assert set(many) != set(pictures.draw(rows, 20, seed=2))


def numbered(count):
    """Pictures that show their number on the left and 0 on the right, in image and mask."""
    images, masks = np.zeros([count, 4, 4, 3], np.uint8), np.zeros([count, 4, 4], np.uint8)
    images[:, :, 0] = masks[:, :, 0, None] = np.arange(count, dtype=np.uint8)[:, None, None]
    masks[:, :, 0] = np.arange(count)[:, None]
    return data.Split(images, masks, [str(i) for i in range(count)])


def test_every_epoch_shows_every_picture_once_with_its_mask():
    stream = pictures.batches(numbered(6), 4, seed=5, flip=False)
    shown = []
    for images, masks in itertools.islice(stream, 6):  # Four epochs.
        assert images.shape == (4, 4, 4, 3) and np.array_equal(images[..., 0], masks)
        shown.extend(masks[:, 0, 0].tolist())
    epochs = [shown[i:i + 6] for i in range(0, 24, 6)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2, 3, 4, 5]] * 4
    assert len(set(map(tuple, epochs))) > 1


def test_mirrored_pictures_have_mirrored_masks_and_a_seed_fixes_everything():
    first, second = (
        list(itertools.islice(pictures.batches(numbered(6), 8, seed=5, flip=True), 20)) for _ in range(2))
    for (images, masks), (again, _) in zip(first, second):
        assert len(images) == 6  # No more than there are.
        assert np.array_equal(images[..., 0], masks) and np.array_equal(images, again)
    mirrored = np.concatenate([masks[:, 0, 3] > 0 for _, masks in first])
    assert 0.3 < mirrored.mean() < 0.6  # Half of those five in six that do not show 0.
