"""The model card, from files of a run written by hand."""
from __future__ import annotations

import datetime
import json
import os

import pytest

import redo_tf
import tiny
from export import card
from redo_tf.config import to_json
from redo_tf.workdir import Workdir

ROW = {"step": 40, "restarts": 2, "seed": 9, "val/order": [2, 0, 1], "val/ordered_by": "masks",
       "val/region_sizes": [0.25, 0.125, 0.625], "val/accuracy": 0.5, "val/iou": 0.25, "val/accuracy_per_image": 0.75,
       "val/iou_per_image": 0.375, "train/region_sizes": [1, 0, 0], "images_per_second": 3.0}


@pytest.fixture
def workdir(tmp_path) -> Workdir:
    (tmp_path / "config.json").write_text(to_json(tiny.config(
        "data.dataset=c2mnist", "data.image_size=64", "data.resize=nearest", "data.stored_side=96", "model.regions=3", "seed=7")))
    (tmp_path / "environment.json").write_text('{"git commit": "a1b2", "host": "private"}')
    return Workdir(str(tmp_path))


def test_every_field(workdir):
    built = card.build(
        workdir, ROW, format="SavedModel", inputs={"images": "pictures"}, outputs={"masks": "masks"}, version=4)
    assert datetime.datetime.fromisoformat(built.pop("created")).tzinfo is not None
    assert built.pop("description") and built.pop("dataset_terms").startswith("Made from MNIST")
    assert built.pop("git_revision") == card.git_revision()
    assert built == {
        "format": "SavedModel", "version": 4, "regions": 3, "labels": ["background", "object 1", "object 2"],
        "image_size": 64, "resize": "nearest", "stored_side": 96, "order": [2, 0, 1], "ordered_by": "masks",
        "inputs": {"images": "pictures"}, "outputs": {"masks": "masks"}, "dataset": "c2mnist", "step": 40,
        "restarts": 2, "seed": 9, "training_git_revision": "a1b2", "training_precision": "float32",
        "scores": {"accuracy": 0.5, "iou": 0.25, "accuracy_per_image": 0.75, "iou_per_image": 0.375},
        "region_sizes": [0.625, 0.25, 0.125],  # In the labels' order.
        "limits": f"{card.UNKNOWN_LIMITS} {card.NO_MASKS}",
        "versions": {"redo_tf": redo_tf.__version__, "tensorflow": "2.15.1"}}


def test_the_card_survives_json(workdir):
    built = card.build(workdir, ROW, format="TFLite", inputs={}, outputs={"masks": "0…1"})
    assert json.loads(card.to_json(built)) == built


def test_a_run_without_masks_has_no_scores(workdir):
    row = {name: value for name, value in ROW.items() if "accuracy" not in name and "iou" not in name}
    built = card.build(workdir, {**row, "val/ordered_by": "border"}, format="SavedModel", inputs={}, outputs={})
    assert built["scores"] == {} and built["ordered_by"] == "border"


@pytest.mark.parametrize("content", [None, "{"])
def test_a_run_without_notes_of_its_revision(workdir, content):
    os.unlink(workdir.file("environment.json"))
    if content:
        open(workdir.file("environment.json"), "w").write(content)
    assert card.build(workdir, ROW, format="TFLite", inputs={}, outputs={})["training_git_revision"] is None
