"""Best, random and worst masks: scores of single pictures, the choice, and the command's picture."""
from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from redo_tf import data
from redo_tf.config import DataConfig
from redo_tf.data import Split
from redo_tf.errors import UserError
from redo_tf.scored_masks import choose, score_pictures, segment_split
from redo_tf.trained import Trained, of_model, of_run
from redo_tf.workdir import Workdir
from test_redraw import CELL, GAP, TITLE, cells

GROUPS = ["best by accuracy", "best by IoU", "drawn at random", "worst by accuracy", "worst by IoU"]


def test_scores_of_single_pictures_take_region_k_for_label_k():
    # 100 pixels: 70 of 80 background and 15 of 20 object are right; object IoU 15 / (20 + 25 − 15).
    # The second picture is the same with its regions exchanged, and gets no other assignment.
    scores = score_pictures(np.array([[[70, 10], [5, 15]], [[10, 70], [15, 5]]]))
    np.testing.assert_allclose(scores["accuracy"], [0.85, 0.15])
    np.testing.assert_allclose(scores["iou"], [15 / 30, 5 / 90])


def test_a_label_without_a_region_has_iou_0_and_a_region_without_a_label_is_wrong():
    missing = score_pictures(np.array([[[60, 0], [0, 20], [20, 0]]]))  # three labels, two regions
    assert (missing["accuracy"].tolist(), missing["iou"].tolist()) == ([0.8], [0.5])
    spare = score_pictures(np.array([[[60, 0, 20], [0, 20, 0]]]))  # two labels, three regions
    assert (spare["accuracy"].tolist(), spare["iou"].tolist()) == ([0.8], [1.0])


def test_groups_are_best_and_worst_first_and_random_pictures_are_distinct():
    accuracy, iou = np.array([0.5, 0.9, 0.7, 0.6]), np.array([0.8, 0.1, 0.2, 0.9])
    groups = choose(accuracy, iou, 2, seed=0)
    assert list(groups) == GROUPS
    assert {name: chosen.tolist() for name, chosen in groups.items() if "random" not in name} == {
        "best by accuracy": [1, 2], "best by IoU": [3, 0], "worst by accuracy": [0, 3], "worst by IoU": [1, 2]}
    draws = [tuple(choose(accuracy, iou, 2, seed)["drawn at random"]) for seed in range(20)]
    assert all(len(set(draw)) == 2 for draw in draws) and len(set(draws)) > 5
    assert draws == [tuple(choose(accuracy, iou, 2, seed)["drawn at random"]) for seed in range(20)]
    assert [len(chosen) for chosen in choose(accuracy, iou, 9, seed=0).values()] == [4] * 5


def test_scores_are_those_of_training_and_iou_is_the_mean_over_pictures(finished_run):
    run, data_dir = finished_run
    masks = segment_split(of_run(Workdir(run)), "val", data_dir)
    best = max(Workdir(run).metrics(), key=lambda row: row["val/iou"])
    assert masks.scores == pytest.approx({name: best[f"val/{name}"] for name in (
        "accuracy", "iou", "accuracy_per_image", "iou_per_image")}, rel=1e-12)
    assert masks.iou.mean() == pytest.approx(masks.scores["iou"], rel=1e-12)
    truth = np.asarray(data.load("shapes", "val", data_dir=data_dir, image_size=32).masks)
    np.testing.assert_allclose(masks.accuracy, (masks.found == truth).mean((1, 2)))
    objects, found = truth == 1, masks.found == 1
    np.testing.assert_allclose(masks.iou, (objects & found).sum((1, 2)) / (objects | found).sum((1, 2)))


def test_regions_are_in_the_order_that_the_run_recorded(monkeypatch):
    """Region 2 is the background, 0 the first object, 1 the second: an order that is not its own inverse."""
    labels = np.random.default_rng(0).integers(0, 3, [2, 32, 32], np.uint8)
    monkeypatch.setattr("redo_tf.data.load_configured", lambda *_, **__: Split(
        np.zeros([2, 32, 32, 3], np.uint8), labels, ["a", "b"], classes=3))
    regions = np.array([2, 0, 1], np.uint8)[labels]
    network = Trained(lambda images: (tf.constant(regions), tf.zeros([2, 3])), DataConfig(image_size=32), 3, [2, 0, 1], {})
    masks = segment_split(network, "val", None)
    np.testing.assert_array_equal(masks.found, labels)
    assert masks.accuracy.tolist() == masks.iou.tolist() == [1, 1]


def test_pictures_without_a_label_are_left_out(finished_run, monkeypatch):
    labels = tiny.pictures("val").masks.copy()
    labels[1], labels[2, :, 5:] = 255, 255
    split = Split(tiny.pictures("val").images, labels, list("abcdef"))
    monkeypatch.setattr("redo_tf.data.load_configured", lambda *_, **__: split)
    masks = segment_split(of_run(Workdir(finished_run[0])), "val", None)
    assert masks.ids == list("acdef")
    np.testing.assert_array_equal(masks.images, tiny.pictures("val").images[[0, 2, 3, 4, 5]])
    assert masks.accuracy[1] == (masks.found[1] == labels[2])[:, :5].mean()


def test_a_split_without_masks_is_refused(finished_run, monkeypatch):
    tiny.use_pictures(monkeypatch, masks=False)
    with pytest.raises(UserError, match="No picture of shapes's test split has a mask, .*choose another --split"):
        segment_split(of_run(Workdir(finished_run[0])), "test", None)


def test_a_model_s_masks_are_those_of_the_run_that_it_is(finished_run):
    run, data_dir = finished_run
    from_run, from_model = (segment_split(network, "val", data_dir) for network in (of_run(Workdir(run)), of_model(run)))
    np.testing.assert_array_equal(from_run.found, from_model.found)
    assert from_run.scores == pytest.approx(from_model.scores)


@pytest.mark.parametrize("command, sentence", [
    ("masks without a run", "Which model? Give a run's folder as --workdir=… or an exported model as --model=…"),
    ("masks of no group", "--groups=best is no list of groups; there is best_accuracy, best_iou, random, ")])
def test_mistakes_are_told_in_one_sentence(figures, command, sentence):
    code, output, errors = figures[1][command]
    assert (code, output) == (2, "") and errors.startswith(sentence) and errors.count("\n") == 1


def test_groups_are_shown_in_the_order_that_is_asked_for(figures):
    code, output, errors = figures[1]["masks of two groups"]
    assert code == 0, errors
    assert list(json.loads(output.splitlines()[1])) == ["worst by IoU", "drawn at random"]
    assert np.asarray(Image.open(figures[0] / "two_groups.png")).shape == (TITLE + 2 * CELL, 6 * CELL + GAP, 3)


def test_the_command_draws_the_pictures_that_it_names(finished_run, figures):
    run, data_dir = finished_run
    folder, (code, output, errors) = figures[0], figures[1]["masks"]
    assert code == 0, errors
    line, listing = output.splitlines()
    assert line == f"Masks of val, 6 pictures: {folder / 'masks.png'}"
    named = json.loads(listing)
    assert list(named) == GROUPS
    masks = segment_split(of_run(Workdir(run)), "val", data_dir)
    order = np.argsort(masks.iou)
    assert [row["iou"] for row in named["worst by IoU"]] == pytest.approx(masks.iou[order[:3]].tolist())
    assert [row["iou"] for row in named["best by IoU"]] == pytest.approx(masks.iou[order[:2:-1]].tolist())
    picture = np.asarray(Image.open(folder / "masks.png"))
    assert picture.shape == (TITLE + 3 * CELL, 15 * CELL + 4 * GAP, 3)
    for block, rows in enumerate(named.values()):
        shown = cells(picture, block * (3 * CELL + GAP), 3, 3)
        indices = [list(masks.ids).index(row["id"]) for row in rows]
        np.testing.assert_array_equal(shown[:, 0], masks.images[indices])
        np.testing.assert_array_equal(shown[:, 1, ..., 0], 255 * masks.truth[indices])
        np.testing.assert_array_equal(shown[:, 2, ..., 0], 255 * masks.found[indices])
