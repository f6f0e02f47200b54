from __future__ import annotations

import itertools

import numpy as np
import pytest

from redo_tf import metrics


def row(*values) -> np.ndarray:
    """One picture of one row of pixels: uint8 [1, 1, W]."""
    return np.array(values, np.uint8)[None, None]


def counts(labels, regions, classes=2, count=2) -> np.ndarray:
    return metrics.confusion(labels, regions, classes, count)


def test_confusion_by_hand():
    labels = np.array([[[0, 0], [1, 1]], [[1, 1], [1, 0]]], np.uint8)
    regions = np.array([[[0, 1], [1, 1]], [[0, 0], [1, 1]]])
    np.testing.assert_array_equal(counts(labels, regions), [[[1, 1], [0, 2]], [[0, 1], [2, 1]]])


def test_unlabelled_pixels_are_not_counted():
    np.testing.assert_array_equal(counts(row(0, 255, 1, 255), row(0, 0, 1, 1)), [[[1, 0], [0, 1]]])


def test_confusion_has_a_row_a_label_and_a_column_a_region():
    confusion = counts(row(0, 1, 1), row(3, 0, 3), classes=2, count=4)
    np.testing.assert_array_equal(confusion, [[[0, 0, 0, 1], [1, 0, 0, 1]]])


def test_iou_by_hand():
    # Label 1 and region 1 share 2 of the 2 + 3 − 2 = 3 pixels that either covers; label 0 and region 0 1 of 2, …
    np.testing.assert_allclose(
        metrics.iou_matrix(counts(row(0, 0, 1, 1), row(0, 1, 1, 1))), [[[1 / 2, 1 / 4], [0, 2 / 3]]])


def test_scores_of_one_picture_by_hand():
    for regions in (row(0, 1, 1, 1), row(1, 0, 0, 0)):  # Regions are unordered.
        scores = metrics.scores(counts(row(0, 0, 1, 1), regions))
        assert scores == pytest.approx(
            {"accuracy": 3 / 4, "iou": 2 / 3, "accuracy_per_image": 3 / 4, "iou_per_image": 2 / 3})


def test_the_two_protocols_differ_where_the_assignment_flips_between_pictures():
    labels = np.concatenate([row(0, 0, 0, 1)] * 3)
    regions = np.concatenate([row(0, 0, 1, 1), row(0, 0, 0, 1), row(1, 1, 1, 0)])
    scores = metrics.scores(counts(labels, regions))
    # Each picture by its better assignment: accuracy ¾, 1, 1; IoU ½, 1, 1.
    assert scores["accuracy_per_image"] == pytest.approx(11 / 12)
    assert scores["iou_per_image"] == pytest.approx(5 / 6)
    # Region 1 as the object in all three: accuracy ¾, 1, 0; IoU ½, 1, 0. Region 0 gives ¼, 0, 1 and 0, 0, 1.
    assert scores["accuracy"] == pytest.approx(7 / 12)
    assert scores["iou"] == pytest.approx(1 / 2)


def test_pictures_weigh_the_same_however_many_pixels_have_labels():
    labels = np.concatenate([row(0, 0, 0, 1), row(255, 255, 1, 0)])
    regions = np.concatenate([row(0, 0, 0, 1), row(0, 0, 0, 0)])
    assert metrics.scores(counts(labels, regions))["accuracy"] == pytest.approx((1 + 1 / 2) / 2)


def test_pictures_without_labels_are_left_out():
    labels = np.concatenate([row(0, 0, 1, 1), row(255, 255, 255, 255)])
    regions = np.concatenate([row(0, 1, 1, 1), row(0, 1, 0, 1)])
    assert metrics.scores(counts(labels, regions)) == metrics.scores(counts(labels[:1], regions[:1]))
    with pytest.raises(ValueError, match="No picture has a label"):
        metrics.scores(counts(labels[1:], regions[1:]))


def test_three_regions_in_any_order_by_hand():
    labels, regions = row(0, 0, 1, 1, 2, 2), np.array([0, 0, 1, 1, 2, 1])
    # Accuracy 5/6. IoU of label 1: 2 of 3; of label 2: 1 of 2; the background is left out: (2/3 + 1/2)/2 = 7/12.
    for order in itertools.permutations(range(3)):
        scores = metrics.scores(counts(labels, np.array(order)[regions][None, None], 3, 3))
        assert scores == pytest.approx({
            "accuracy": 5 / 6, "iou": 7 / 12, "accuracy_per_image": 5 / 6, "iou_per_image": 7 / 12})


def test_more_regions_than_labels():
    scores = metrics.scores(counts(row(0, 0, 0, 0, 1, 1), row(0, 0, 1, 1, 2, 2), 2, 3))
    # One region a label: 2 of the 4 background pixels and both of the object's are right.
    assert scores["accuracy"] == pytest.approx(4 / 6) and scores["iou"] == pytest.approx(1.0)


def test_fewer_regions_than_labels():
    scores = metrics.scores(counts(row(0, 0, 1, 1, 2, 2), row(0, 0, 0, 0, 1, 1), 3, 2))
    # Labels 0 (or 1) and 2 are right. IoU: label 1 takes region 0, 2 of 4; label 2 takes region 1, 2 of 2.
    assert scores["accuracy"] == pytest.approx(4 / 6) and scores["iou"] == pytest.approx(3 / 4)


def test_an_empty_object_is_found_only_by_an_empty_region():
    assert metrics.scores(counts(row(0, 0, 0, 0), row(1, 1, 1, 1)))["iou"] == 1.0
    assert metrics.scores(counts(row(0, 0, 0, 0), row(1, 1, 1, 0)))["iou"] == 0.0


def test_scores_are_those_of_all_assignments_tried_one_by_one():
    confusion = np.random.default_rng(0).integers(0, 50, [20, 3, 3])
    assignments = list(itertools.permutations(range(3)))
    shares = confusion / confusion.sum((1, 2), keepdims=True)
    accuracy = np.array([[sum(picture[k, r[k]] for k in range(3)) for picture in shares] for r in assignments])
    iou = np.array([[np.mean([
        picture[k, r[k]] / (picture[k].sum() + picture[:, r[k]].sum() - picture[k, r[k]]) for k in (1, 2)])
        for picture in confusion] for r in assignments])
    assert metrics.scores(confusion) == pytest.approx({
        "accuracy": accuracy.mean(1).max(), "iou": iou.mean(1).max(),
        "accuracy_per_image": accuracy.max(0).mean(), "iou_per_image": iou.max(0).mean()})


def test_order_puts_the_background_first_and_objects_in_the_labels_order():
    labels = row(0, 0, 0, 1, 1, 2, 2, 0)
    assert metrics.order_by_masks(counts(labels, row(2, 2, 2, 0, 0, 1, 1, 2), 3, 3)) == [2, 0, 1]
    assert metrics.order_by_masks(counts(labels, row(0, 0, 0, 2, 2, 1, 1, 0), 3, 3)) == [0, 2, 1]


def test_order_with_more_regions_than_labels_keeps_the_others_last():
    # Region 3 is the object, region 2 covers more of the background than region 0; region 1 is empty.
    assert metrics.order_by_masks(counts(row(0, 0, 0, 1, 1), row(2, 2, 0, 3, 3), 2, 4)) == [2, 3, 0, 1]


def test_order_with_fewer_regions_than_labels_takes_all_objects_as_one():
    assert metrics.order_by_masks(counts(row(0, 0, 0, 1, 2), row(1, 1, 1, 0, 0), 3, 2)) == [1, 0]


def test_areas():
    assert metrics.areas(np.array([[[0, 2], [2, 2]], [[0, 0], [0, 2]]]), 4).tolist() == [4, 0, 4, 0]


def test_border_areas():
    """Two pictures of 3×4 pixels have 10 + 10 at the border: 3 + 0 in region 0, 7 + 10 in region 2."""
    regions = np.full([2, 3, 4], 2)
    regions[0, 0, :3] = 0
    regions[:, 1, 1:3] = 1
    assert metrics.border_areas(regions, 4).tolist() == [3, 0, 17, 0]


@pytest.mark.parametrize("areas, borders, order", [
    ([1, 3, 12], [0, 0, 12], [2, 1, 0]), ([20, 12, 0], [0, 12, 0], [1, 0, 2])])  # However large inside: the border decides.
def test_order_by_border(areas, borders, order):
    assert metrics.order_by_border(np.array(areas), np.array(borders)) == order
