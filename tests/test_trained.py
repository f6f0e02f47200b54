"""Which pictures a trained mask network is scored on."""
from __future__ import annotations

import json
import shutil
import types

import pytest
import tensorflow as tf

from redo_tf import segmenter, trained
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
    assert trained.of_run(Workdir(finished_run[0], "/moved")).pictures.mask_dir == "/moved"
    assert trained.of_run(workdir).pictures.mask_dir == workdir.load_config().data.mask_dir


def test_a_run_is_scored_in_the_precision_of_its_training_and_used_in_float32(finished_run, tmp_path, monkeypatch):
    """It is float32 that it is exported in."""
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["train"]["precision"] = "mixed_bfloat16"
    (run / "config.json").write_text(json.dumps(config))
    loaded, load = [], trained.load_mask_network
    for module in (trained, segmenter):
        monkeypatch.setattr(
            module, "load_mask_network", lambda *arguments: loaded.append(load(*arguments)) or loaded[-1])
    trained.of_run(Workdir(run))
    segmenter.load(str(run))
    for (network, _), dtype in zip(loaded, ["bfloat16", "float32"]):
        assert network.compute_dtype == dtype
        assert {layer.compute_dtype for layer in network.submodules if isinstance(layer, tf.keras.layers.Conv2D)} == {dtype}
        assert {variable.dtype for variable in network.variables} == {tf.float32}
    assert tf.keras.mixed_precision.global_policy().compute_dtype == "float32"
