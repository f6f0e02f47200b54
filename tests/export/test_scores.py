"""Exported models score as the run that they come from."""
from __future__ import annotations

import json
import os
import shutil

import pytest

import redo_tf.data
import tiny
from redo_tf.errors import UserError
from redo_tf.evaluate import evaluate_split
from redo_tf.trained import of_model, of_run
from redo_tf.workdir import Workdir


@pytest.fixture(autouse=True)
def data(monkeypatch):
    tiny.use_pictures(monkeypatch)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_saved_model_and_a_run_by_its_path_score_as_the_run(run, models, split):
    expected = evaluate_split(of_run(Workdir(run)), split, None)
    for path in (models, models + "/1", run):
        actual = evaluate_split(of_model(path), split, None, batch_size=4)
        for name in ("accuracy", "iou", "accuracy_per_image", "iou_per_image"):
            assert actual[name] == pytest.approx(expected[name], abs=2e-3)
        assert (actual["dataset"], actual["pictures"]) == ("shapes", tiny.PICTURES[split])
        assert actual["order"] == [0, 1]  # The exported regions are in the labels' order.


def test_the_data_set_can_be_another_than_the_models(models, monkeypatch):
    asked, load = [], redo_tf.data.load_configured

    def asking(config, *rest):
        asked.append(config.dataset)
        return load(config, *rest)

    monkeypatch.setattr("redo_tf.data.load_configured", asking)
    assert evaluate_split(of_model(models, "lfw"), "val", None)["dataset"] == "lfw"
    assert asked == ["lfw"]


def test_a_model_whose_card_does_not_name_a_known_data_set(models, tmp_path):
    copy = shutil.copytree(models + "/1", tmp_path / "1")
    card = json.loads((copy / "model_card.json").read_text())
    del card["dataset"]
    (copy / "model_card.json").write_text(json.dumps(card))
    with pytest.raises(UserError, match="does not say on which data set .* --dataset"):
        of_model(os.fspath(copy))
