from __future__ import annotations

import numpy as np
import pytest

from redo_tf.data import Split
from redo_tf.data.split import evenly_spread
from redo_tf.labels import UNLABELLED


def test_a_few_rows_are_spread_from_the_first_to_the_last():
    assert evenly_spread(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly_spread(10, 3).tolist() == [0, 4, 9] and evenly_spread(3, 5).tolist() == [0, 1, 2]
    assert evenly_spread(1, 5).tolist() == [0] and evenly_spread(5, 1).tolist() == [0]


def test_a_fingerprint_is_of_the_names_and_of_the_pictures():
    split = Split(np.zeros([60, 4, 4, 3], np.uint8), None, [str(i) for i in range(60)])
    assert split.fingerprint().startswith("60 pictures, ")
    assert split.fingerprint() == Split(split.images.copy(), None, tuple(split.ids)).fingerprint()
    others = split.images + np.uint8(1)
    for images, ids in ((others, split.ids), (split.images, [*split.ids[1:], "0"]), (split.images[:59], split.ids[:59])):
        assert Split(images, None, ids).fingerprint() != split.fingerprint()


@pytest.mark.parametrize("regions, mergeable, classes, truth", [
    (2, True, 2, [0, 1, 1, 1, UNLABELLED]),  # All objects are one.
    (3, True, 3, [0, 1, 2, 2, UNLABELLED]),  # The last two are one.
    (4, True, 4, [0, 1, 2, 3, UNLABELLED]),
    (5, True, 4, [0, 1, 2, 3, UNLABELLED]),
    (3, False, 4, [0, 1, 2, 3, UNLABELLED]),  # A published data set keeps its own.
])
def test_of_more_objects_than_regions_the_last_ones_are_one_where_they_may(regions, mergeable, classes, truth):
    masks = np.array([[[0, 1, 2, 3, UNLABELLED]]], np.uint8)
    split = Split(np.zeros([1, 1, 5, 3], np.uint8), masks, ["a"], classes=4, mergeable=mergeable)
    assert split.scored_classes(regions) == classes
    assert split.truth(regions).tolist() == [[truth]]


def test_without_masks_there_is_no_truth():
    assert Split(np.zeros([1, 1, 5, 3], np.uint8), None, ["a"]).truth(2) is None


def test_rows_with_a_label():
    images, masks = np.zeros([3, 2, 2, 3], np.uint8), np.full([3, 2, 2], UNLABELLED, np.uint8)
    masks[1, 0, 0] = 0
    assert Split(images, masks, ["a", "b", "c"]).labelled_rows() == [1]
    assert Split(images, None, ["a", "b", "c"]).labelled_rows() == []
