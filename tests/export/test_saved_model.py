"""Exported SavedModels: what they compute, and what lies in their folders."""
from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from checks import assert_same, pictures
from export import saved_model, serving
from processes import contents
from redo_tf.config import to_json
from redo_tf.models import MaskNetwork
from redo_tf.segmentation import Segmentation
from redo_tf.workdir import Workdir


def serve(model, images):
    results = model.signatures["serving_default"](images=tf.constant(images))
    return results["masks"].numpy(), results["labels"].numpy()


@pytest.mark.parametrize("batch, height, width", [(1, 32, 32), (3, 97, 65), (17, 20, 33), (1, 250, 131), (2, 80, 80)])
def test_any_batch_and_picture_size(model, segmented, batch, height, width):
    images = pictures(batch, height, width)
    masks, labels = serve(model, images)
    assert masks.dtype == np.float32 and labels.dtype == np.uint8
    np.testing.assert_allclose(masks.sum(-1), 1, atol=1e-5)
    assert_same(masks, labels, segmented(images))


@pytest.mark.parametrize("height, width", [(32, 32), (97, 65), (20, 33), (32, 40)])
def test_no_pictures_give_no_masks(model, height, width):
    """At the training's size, at others, and at one that needs no resizing."""
    masks, labels = serve(model, np.zeros([0, height, width, 3], np.uint8))
    assert masks.shape == (0, height, width, 2) and masks.dtype == np.float32
    assert labels.shape == (0, height, width) and labels.dtype == np.uint8


def test_the_trained_network_finds_both_labels_with_confidence(segmented):
    """Or the other tests would compare constants."""
    expected = segmented(pictures(8, 32, 32))
    assert 0.05 < expected.labels.mean() < 0.95 and expected.masks.max(-1).mean() > 0.6


def test_a_pictures_result_does_not_depend_on_its_batch(model):
    images = pictures(17, 40, 52)
    together = serve(model, images)[0]
    alone = np.concatenate([serve(model, image[None])[0] for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_fast_form_has_three_regions_in_the_labels_order_and_resizes_as_it_is_told():
    """Noise, which looks different when it is made smaller in another way, and an order that is not its own inverse."""
    tf.keras.utils.set_random_seed(0)
    network = MaskNetwork(3, channels=4, residual_blocks=1)
    network(tf.zeros([1, 32, 32, 3]))
    images = tf.constant(np.random.default_rng(0).integers(0, 256, [2, 64, 64, 3], np.uint8))
    fast, slow = (form(network, 32, [2, 0, 1], "nearest") for form in (serving.FastSegmentation, Segmentation))
    np.testing.assert_allclose(fast.masks(images), slow.masks(images), atol=1e-4)
    np.testing.assert_allclose(fast.fitted_masks(images), slow.fitted_masks(images), atol=1e-4)


def test_pictures_are_made_smaller_as_in_training(run, tmp_path, monkeypatch):
    class Given(Exception):
        """What the graph is made from."""

    def given(network, image_size, order, resize):
        raise Given(image_size, resize)
    shutil.copytree(run, tmp_path / "run")
    config = Workdir(tmp_path / "run").load_config()
    config.data.resize = "nearest"
    (tmp_path / "run" / "config.json").write_text(to_json(config))
    monkeypatch.setattr(serving, "FastSegmentation", given)
    with pytest.raises(Given) as caught:
        saved_model.export(Workdir(tmp_path / "run"), str(tmp_path / "models"))
    assert caught.value.args == (32, "nearest")


def test_the_files_of_a_version(models):
    assert set(map(str, contents(pathlib.Path(models)))) == {
        "1/saved_model.pb", "1/fingerprint.pb", "1/variables/variables.index",
        "1/variables/variables.data-00000-of-00001", "1/model_card.json", "1/assets.extra/tf_serving_warmup_requests"}


def test_signatures_are_the_contracts(model):
    def described(specs):
        return {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()}

    assert set(model.signatures) == {"serving_default", "image_bytes"}
    pixels, files = model.signatures["serving_default"], model.signatures["image_bytes"]
    assert described(pixels.structured_input_signature[1]) == {"images": (tf.uint8, [None, None, None, 3])}
    assert {name: spec.dtype for name, spec in pixels.structured_outputs.items()} == {
        "masks": tf.float32, "labels": tf.uint8}
    assert described(files.structured_input_signature[1]) == {"image_bytes": (tf.string, [None])}
    assert described(files.structured_outputs) == {
        "label_png_bytes": (tf.string, [None]), "mask_png_bytes": (tf.string, [None])}


def test_all_floats_are_float32(models):
    reader = tf.train.load_checkpoint(models + "/1/variables/variables")
    kinds = [reader.get_variable_to_dtype_map()[name] for name in reader.get_variable_to_shape_map()]
    assert kinds.count(tf.float32) == len(kinds) - 1 and kinds.count(tf.string) == 1  # The string: the object graph.
    assert b"bfloat16" not in open(models + "/1/saved_model.pb", "rb").read()


def test_the_card_tells_where_the_model_comes_from(models, run):
    card = json.loads(open(models + "/1/model_card.json", encoding="utf-8").read())
    (row,) = Workdir(run).metrics()
    assert (card["format"], card["regions"], card["image_size"], card["dataset"], card["step"], card["seed"]) == (
        "SavedModel", 2, 32, "shapes", 10, 2)
    assert card["order"] == row["val/order"] == [1, 0] and card["scores"]["iou"] == row["val/iou"]
    assert set(card["inputs"]) == set(card["outputs"]) == {"serving_default", "image_bytes"}


def test_warmup_requests_are_tf_servings_and_the_model_takes_them(models, model):
    path = models + "/1/assets.extra/tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.signature_name for request in requests} == {"serving_default", "image_bytes"}
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        outputs = model.signatures[request.model_spec.signature_name](**inputs)
        assert len(next(iter(outputs.values()))) == len(next(iter(inputs.values()))) > 0
