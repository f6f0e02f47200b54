"""Exported SavedModels: what they compute, what lies in their folders, and when exporting goes wrong."""
from __future__ import annotations

import io
import json
import os
import pathlib
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

import tiny
from checks import assert_same, encoded, pictures, read
from export import folders, saved_model, serving
from processes import contents, redo_tf
from redo_tf import decoding
from redo_tf.config import to_json
from redo_tf.errors import Interrupted, UserError
from redo_tf.models import MaskNetwork
from redo_tf.segmentation import Segmentation
from redo_tf.workdir import Workdir


@pytest.fixture(scope="module")
def model(models):
    return tf.saved_model.load(models + "/1")


def serve(model, images):
    results = model.signatures["serving_default"](images=tf.constant(images))
    return results["masks"].numpy(), results["labels"].numpy()


def serve_files(model, files):
    results = model.signatures["image_bytes"](image_bytes=tf.constant(files, tf.string))
    return [read(file) for file in results["label_png_bytes"].numpy()], [
        read(file) for file in results["mask_png_bytes"].numpy()]


# ----------------------------------------------------------------------------------------------------- what it computes

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


def test_files_of_a_size_each_give_pngs_of_their_sizes(model, segmented):
    images = [pictures(1, *size)[0] for size in ((32, 32), (97, 65), (20, 33))]
    labels, masks = serve_files(model, [encoded(image) for image in images])
    for image, label, mask in zip(images, labels, masks):
        expected = segmented(image[None])
        assert label.dtype == mask.dtype == np.uint8 and label.shape == image.shape[:2]
        assert np.mean(label == expected.labels[0]) >= 0.999
        np.testing.assert_allclose(mask, 255 * (1 - expected.masks[0, ..., 0]), atol=0.51 + 0.255)


def test_a_files_result_does_not_depend_on_the_other_files(model):
    files = [encoded(pictures(1, 30 + side, 40)[0]) for side in range(17)]
    together = serve_files(model, files)[1]
    for file, mask in zip(files, together):
        np.testing.assert_allclose(serve_files(model, [file])[1][0], mask, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_png_files_are_decoded_as_by_pillow_bit_for_bit(mode):
    file = encoded(pictures(1, 40, 52)[0], "PNG", mode)
    np.testing.assert_array_equal(serving.decode(tf.constant(file)), Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.parametrize("mode, most", [("L", 1), ("RGB", 4), ("CMYK", 3)])
def test_jpeg_files_are_decoded_as_by_pillow_to_a_few_levels(mode, most):
    """Cosine transforms may be rounded another way, by a level. RGB adds up brightness and 1.772 times a colour difference,
    CMYK multiplies two planes; and both are rounded once more. The picture is smooth, as colours are kept at half its size."""
    rows, columns = np.mgrid[:40, :52]
    image = np.stack([rows * 6, columns * 4, 200 - rows * 2 - columns], axis=-1).astype(np.uint8)
    file = encoded(image, "JPEG", mode)
    wanted = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), int)
    assert np.abs(serving.decode(tf.constant(file)).numpy() - wanted).max() <= most
    assert np.ptp(wanted) > 100


def test_files_without_three_channels_get_the_masks_of_their_pixels(model):
    file = encoded(pictures(1, 40, 52)[0], "JPEG", "CMYK")
    pixels = serving.decode(tf.constant(file)).numpy()
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(pixels)])[1])


def test_the_mask_is_the_probability_of_any_object_and_labels_are_the_networks():
    def of_three_regions(images):
        return {"masks": tf.broadcast_to([0.4, 0.35, 0.25], [*images.shape[:3], 3]), "labels": 2 * tf.ones_like(images[..., 0])}

    results = serving.segment_files(of_three_regions, tf.constant([encoded(pictures(1, 40, 52)[0])]))
    mask, label = (tf.io.decode_png(results[name][0]).numpy() for name in ("mask_png_bytes", "label_png_bytes"))
    assert mask.shape == label.shape == (40, 52, 1)
    assert (mask == 153).all() and (label == 2).all()  # 255·(0.35 + 0.25)


def test_sixteen_bit_files_are_taken_by_their_upper_eight(model):
    image = pictures(1, 40, 52)[0]
    file = tf.io.encode_png(image.astype(np.uint16) * 256 + 200).numpy()
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(image)])[1])


def transparent_file(kind: str) -> bytes:
    """A PNG file that is transparent in its left half, more or less; or where it has certain colours."""
    image = Image.fromarray(pictures(1, 40, 52)[0])
    alpha = np.full([40, 52], 255, np.uint8)
    alpha[:, :26] = np.arange(40)[:, None] * 6
    layered, grey, palette = image.convert("RGBA"), image.convert("LA"), image.convert("P")
    for picture in (layered, grey):
        picture.putalpha(Image.fromarray(alpha))
    if kind == "16 bits":
        return tf.io.encode_png(np.asarray(layered).astype(np.uint16) * 257).numpy()
    picture, options = {
        "RGBA": (layered, {}), "grey": (grey, {}), "palette": (palette, {"transparency": bytes(range(256))}),
        "one colour": (image, {"transparency": image.getpixel((3, 4))})}[kind]
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["RGBA", "grey", "palette", "one colour", "16 bits"])
def test_what_is_transparent_becomes_white_as_in_segment(tmp_path, kind):
    file = transparent_file(kind)
    (tmp_path / "picture.png").write_bytes(file)
    wanted = np.asarray(decoding.read(str(tmp_path / "picture.png")))
    np.testing.assert_array_equal(serving.decode(tf.constant(file)), wanted)
    assert not np.array_equal(wanted, tf.io.decode_png(file, channels=3))  # Under the transparency there is something else.


def test_a_transparent_file_gets_the_mask_of_its_picture_on_white(model):
    file = transparent_file("RGBA")
    white = Image.new("RGB", (52, 40), "white")
    layered = Image.open(io.BytesIO(file))
    white.paste(layered, mask=layered)
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(np.asarray(white))])[1])


def test_no_files_give_no_files(model):
    assert serve_files(model, []) == ([], [])


@pytest.mark.parametrize("broken", [
    b"", b"text", encoded(pictures(1, 40, 40)[0], "JPEG")[:500], encoded(pictures(1, 40, 40)[0])[:500]])
def test_broken_files_are_named_and_only_they(model, broken):
    good = encoded(pictures(1, 40, 40)[0], "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape("picture at index [1 3], counted from 0")):
        serve_files(model, [good, broken, good, broken])
    assert len(serve_files(model, [good])[0]) == 1  # The next request is none the worse.


# ------------------------------------------------------------------------------------------------------- what lies there

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


# ------------------------------------------------------------------------------------------------ versions and mistakes

def test_the_next_version_is_one_more_than_the_largest_and_the_others_stay(run, tmp_path):
    for name in ("3", "10", "backup", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    before = contents(tmp_path)
    assert saved_model.export(Workdir(run), str(tmp_path)) == str(tmp_path / "11")
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert {name.parts[0] for name in after} == {"3", "10", "11", "backup", ".hidden"}
    assert os.stat(tmp_path / "11").st_mode & 0o777 == os.stat(tmp_path / "10").st_mode & 0o777  # A server may read it.


def test_a_version_that_another_process_makes_meanwhile_is_left_alone(tmp_path):
    def fill(folder):
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "theirs").write_text("")
        open(os.path.join(folder, "ours"), "w").close()

    assert folders.write_version(str(tmp_path), fill) == str(tmp_path / "2")
    assert set(map(str, contents(tmp_path))) == {"1/theirs", "2/ours"}


@pytest.mark.parametrize("stage", ["export.warmup.write", "export.saved_model.write_text", "export.folders._flush"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_export_that_fails_leaves_nothing(run, tmp_path, monkeypatch, stage, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(stage, fail)
    monkeypatch.setattr("tensorflow.saved_model.save",
                        lambda _, folder, signatures: open(folder + "/saved_model.pb", "w").close())
    for base in (tmp_path, tmp_path / "made"):
        with pytest.raises(type(error)):
            saved_model.export(Workdir(run), str(base))
        assert os.listdir(tmp_path) == []


def test_a_terminated_export_leaves_nothing_and_the_handler_of_before_is_back(tmp_path):
    def fill(folder):
        open(folder + "/saved_model.pb", "w").close()
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("went on")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        folders.write_version(str(tmp_path), fill)
    assert os.listdir(tmp_path) == [] and signal.getsignal(signal.SIGTERM) == before


def test_nothing_has_a_versions_name_before_it_is_whole(run, tmp_path, monkeypatch):
    """As after SIGKILL or a power cut: whatever is there at that moment, TF Serving takes none of it for a version."""
    seen = []
    write = saved_model.write_text
    monkeypatch.setattr("export.saved_model.write_text",
                        lambda *arguments: (seen.extend(os.listdir(tmp_path)), write(*arguments)))
    saved_model.export(Workdir(run), str(tmp_path))
    assert len(seen) == 1 and not seen[0].isdigit()


def test_a_full_disk_within_tensorflow_is_told_in_a_sentence(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "variables; No space left on device\nmore")

    monkeypatch.setattr("tensorflow.saved_model.save", full)
    with pytest.raises(UserError, match=r"cannot be written to .* \(variables; No space left on device\): make room"):
        saved_model.export(Workdir(run), str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_the_command_and_its_mistakes(run, tmp_path):
    unevaluated = tmp_path / "unevaluated"
    unevaluated.mkdir()
    (unevaluated / "config.json").write_text(to_json(tiny.config()))
    (tmp_path / "file").write_text("")
    command, output = "export-saved-model", f"--output={tmp_path / 'base'}"
    expected = [
        ([output], r"Which run\? Give its folder as --workdir=…"),
        ([f"--workdir={run}"], r"Where to\? Give the folder of the model's versions as --output=…"),
        ([f"--workdir={tmp_path / 'none'}", output], r".*/none holds no run \(no config\.json\): .*"),
        ([f"--workdir={unevaluated}", output], r".*/unevaluated has no best/ checkpoint yet: .*"),
        ([f"--workdir={run}", f"--output={tmp_path / 'file'}"], r"Nothing can be .* to .*/file \(File exists\): .*"),
        ([f"--workdir={run}", f"--output={tmp_path / 'file' / 'x'}"], r"Nothing can be .* \(Not a directory\): .*"),
    ]
    before = contents(tmp_path)
    *mistakes, (code, printed, errors) = redo_tf(
        *([command, *arguments] for arguments, _ in expected),
        [command, f"--workdir={run}", f"--output={tmp_path / 'new'}"])
    for (arguments, sentence), (wrong, nothing, told) in zip(expected, mistakes):
        assert (wrong, nothing) == (2, ""), (arguments, told)
        assert told.count("\n") == 1 and re.fullmatch(sentence, told.strip()), (arguments, told)
    assert (code, errors) == (0, f"Exporting {run} as it was at step 10.\n")
    assert re.fullmatch(rf"SavedModel: {tmp_path}/new/1 \(\d+\.\d MB, \d+ s\)\n", printed)
    shutil.rmtree(tmp_path / "new")
    assert contents(tmp_path) == before
