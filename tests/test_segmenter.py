"""Loading mask networks from the disk, and what is said of those that cannot be loaded."""
from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

import tiny
from redo_tf import segmenter
from redo_tf.best import best_checkpoint
from redo_tf.checkpoints import Checkpoints
from redo_tf.config import to_json
from redo_tf.errors import UserError
from redo_tf.workdir import Workdir


def save_model(folder, label):
    """A SavedModel that finds one label everywhere."""
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")])
    def serve(images):
        return {"masks": tf.one_hot(tf.fill(tf.shape(images)[:3], label), 2)}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serve})
    (folder / "model_card.json").write_text(json.dumps({"regions": 2, "image_size": 32}))


def label_of(model):
    return model.masks(np.zeros([1, 32, 32, 3], np.uint8))[0, 0, 0].argmax()


def test_a_saved_models_newest_version_is_taken_and_they_may_count_from_0(tmp_path):
    save_model(tmp_path / "0", 0)
    (tmp_path / "notes").mkdir()
    assert segmenter.load(str(tmp_path)).path == str(tmp_path / "0")
    save_model(tmp_path / "10", 1)
    (tmp_path / "9").mkdir()
    assert label_of(segmenter.load(str(tmp_path))) == 1
    assert label_of(segmenter.load(str(tmp_path / "0"))) == 0


def test_a_folder_without_any_model(tmp_path):
    (tmp_path / "versions" / "0").mkdir(parents=True)
    (tmp_path / "versions" / "²").mkdir()  # A digit, but no number.
    for folder in (tmp_path, tmp_path / "versions"):
        with pytest.raises(UserError, match=r"holds neither a run \(config\.json\) nor a SavedModel"):
            segmenter.load(str(folder))


class Fatal:
    """An interpreter that, as the real ones, does not survive a damaged file."""

    def __init__(self, *_, **__):
        raise AssertionError("saw the file")


def test_a_damaged_tflite_file_is_told_before_an_interpreter_sees_it(tmp_path):
    path, card = tmp_path / "model.tflite", {"regions": 2, "image_size": 32}
    path.write_bytes(b"model")

    def load(**known):
        (tmp_path / "model.json").write_text(json.dumps({**card, **known}))
        segmenter.load(str(path), Fatal)

    digest = hashlib.sha256(b"model").hexdigest()
    for whole in ({}, {"model_bytes": 5, "model_sha256": digest}):  # Older cards have neither.
        with pytest.raises(AssertionError, match="saw the file"):
            load(**whole)
    with pytest.raises(UserError, match=r"/model.tflite has 5 bytes, and 9 by its card .*/model.json: copy both again"):
        load(model_bytes=9, model_sha256=digest)
    path.write_bytes(b"MODEL")
    with pytest.raises(UserError, match=r"/model.tflite is damaged, or not the model .*/model.json belongs to"):
        load(model_bytes=5, model_sha256=digest)


@pytest.fixture
def unevaluated(tmp_path, monkeypatch):
    """A run that has no checkpoint yet."""
    monkeypatch.setattr("redo_tf.best.build_mask_network", tiny.build_toy_mask_network)
    (tmp_path / "config.json").write_text(to_json(tiny.config()))
    return tmp_path


def test_a_run_that_was_not_evaluated_and_one_whose_best_checkpoint_is_damaged_are_told_apart(unevaluated):
    with pytest.raises(UserError, match="has no best/ checkpoint yet: train past train.eval_every=3 steps first"):
        segmenter.load(str(unevaluated))
    Checkpoints(Workdir(str(unevaluated)).file("best"), 1, mask_network=tf.Variable(0.0)).save(3)
    (unevaluated / "best" / "ckpt-3.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(UserError, match="/best is damaged, and no checkpoint in it can be read: bring it back from a copy"):
        segmenter.load(str(unevaluated))


def test_pictures_are_bytes_and_none_have_no_masks(tmp_path):
    save_model(tmp_path, 1)
    for model in (segmenter.load(str(tmp_path)), segmenter.load("lfw")):
        with pytest.raises(TypeError, match="^Images are float32, and should be uint8, 0…255.$"):
            model.masks(np.zeros([1, 32, 32, 3], np.float32))
        nothing = model.masks(np.zeros([0, 32, 32, 3], np.uint8))
        assert nothing.shape == (0, 32, 32, 2) and nothing.dtype == np.float32


def test_a_runs_pictures_are_made_smaller_as_it_was_trained(unevaluated):
    (unevaluated / "config.json").write_text(to_json(tiny.config("data.resize=nearest")))
    workdir = Workdir(str(unevaluated))
    best_checkpoint(workdir, mask_network=tiny.build_toy_mask_network(workdir.load_config().model)).save(3)
    workdir.append_metrics({"restarts": 0, "step": 3, "val/order": [0, 1]})
    model = segmenter.load(unevaluated)
    assert model.card["resize"] == model.segmentation.resize == "nearest"


def test_images_of_another_kind_are_refused_before_a_model_sees_them(unevaluated):
    workdir = Workdir(str(unevaluated))
    best_checkpoint(workdir, mask_network=tiny.build_toy_mask_network(workdir.load_config().model)).save(3)
    workdir.append_metrics({"restarts": 0, "step": 3, "val/order": [0, 1]})
    model = segmenter.load(unevaluated)  # A path, too.
    for shape, told in (([32, 32, 3], "shape"), ([1, 32, 32, 1], "shape"), ([1, 30, 32, 3], "30×32"), ([1, 20, 20, 3], "20×20")):
        with pytest.raises(ValueError, match=told):
            model.masks(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("size", ["30×32", "130×126", "20×20"])
def test_sides_that_a_tflite_model_of_any_size_cannot_have_are_refused_too(size):
    with pytest.raises(ValueError, match=f"^Images are {size} pixels large, and sides should be multiples of 4, at least 24: "):
        segmenter.load("lfw").masks(np.zeros([1, *map(int, size.split("×")), 3], np.uint8))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_tflite_models_interpreters_have_the_threads_that_are_wished(threads):
    given = []

    def interpreter(path, num_threads):
        given.append(num_threads)
        return tf.lite.Interpreter(path)
    segmenter.load("lfw", interpreter, **({} if threads == 1 else {"threads": threads}))
    assert given == [threads]


def test_a_tflite_models_pictures_are_computed_side_by_side_and_stay_in_order(monkeypatch):
    monkeypatch.setattr(segmenter, "usable_cores", lambda: 3)
    model = segmenter.load("lfw")
    images = np.random.default_rng(0).integers(0, 256, [7, 128, 128, 3], np.uint8)
    masks = model.masks(images)
    np.testing.assert_array_equal(masks, np.concatenate([model.masks(image[None]) for image in images]))
    assert len(np.unique(masks[:, 64, 64, 0])) == 7  # Pictures are told apart by it.
