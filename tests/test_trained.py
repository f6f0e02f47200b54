"""Which pictures a trained mask network is scored on."""
from __future__ import annotations

import types

import pytest

from redo_tf import trained
from redo_tf.workdir import Workdir

CARD = {"regions": 2, "image_size": 32, "resize": "nearest", "stored_side": 64, "dataset": "folder", "mask_dir": "/theirs"}


@pytest.mark.parametrize("arguments, dataset, mask_dir", [
    ({}, "folder", "/theirs"),
    ({"mask_dir": "/mine"}, "folder", "/mine"),
    ({"dataset": "lfw"}, "lfw", None)])  # Of other pictures the masks lie elsewhere.
def test_a_model_is_scored_as_its_card_says_where_nothing_else_is_said(monkeypatch, arguments, dataset, mask_dir):
    monkeypatch.setattr("redo_tf.segmenter.load", lambda path: types.SimpleNamespace(card=CARD, regions=2))
    network = trained.of_model("model", **arguments)
    pictures = network.pictures
    assert (pictures.dataset, pictures.mask_dir) == (dataset, mask_dir)
    assert (pictures.image_size, pictures.resize, pictures.stored_side) == (32, "nearest", 64)
    assert network.order == [0, 1] and network.evaluation == {}


def test_masks_of_a_run_may_have_moved(finished_run):
    workdir = Workdir(finished_run[0])
    assert trained.of_run(workdir, "/moved").pictures.mask_dir == "/moved"
    assert trained.of_run(workdir).pictures.mask_dir == workdir.load_config().data.mask_dir
