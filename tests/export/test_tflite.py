"""Exported .tflite files, in the three packages that run them."""
from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tiny
from checks import pictures
from export import tflite
from export.int8 import Int8, calibrate
from export.inference_graph import InferenceGraph
from export.latency import RUNTIMES
from redo_tf import segmenter
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.models import MaskNetwork
from redo_tf.workdir import Workdir

QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
IMAGES = pictures(8, 32, 32)
# Runs every model on a picture at a time, by its signature, without this project: python -c RUN MODULE FOLDER NAME…
RUN = """
import importlib, sys
import numpy as np
module, folder, *names = sys.argv[1:]
images = np.load(folder + "/images.npy")
for name in names:
    interpreter = importlib.import_module(module).Interpreter(folder + "/" + name + ".tflite")
    serve = interpreter.get_signature_runner("serving_default")
    details = serve.get_input_details()["images"]
    if details["dtype"] == np.float32:
        fed = images.astype(np.float32) / 255
    else:
        assert details["dtype"] == np.uint8, details
        fed = images
    np.save(folder + "/" + name + ".npy", np.concatenate([serve(images=image[None])["masks"] for image in fed]))
"""


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> str:
    """A folder with the run's .tflite files, named by their quantization, and their cards."""
    folder = tmp_path_factory.mktemp("tflite")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use_pictures(monkeypatch)
        for quantize in QUANTIZATIONS:
            tflite.export(Workdir(run), str(folder / f"{quantize}.tflite"), quantize)
        tflite.export(Workdir(run), str(folder / "anysize.tflite"), dynamic_size=True)
    np.save(folder / "images.npy", IMAGES)
    return str(folder)


@pytest.fixture(scope="module", params=RUNTIMES)
def found(request, exported):
    """By name of the model, the masks that a package's interpreter finds in `IMAGES`."""
    module = RUNTIMES[request.param]
    if importlib.util.find_spec(module.split(".")[0]) is None:
        pytest.skip(f"{request.param} is not installed")
    names = (*QUANTIZATIONS, "anysize")
    done = subprocess.run([sys.executable, "-c", RUN, module, exported, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: np.load(os.path.join(exported, name + ".npy")) for name in names}


def test_masks_are_the_trained_networks(found, segmented):
    expected = segmented(IMAGES)
    for name, tolerance in (("none", 1e-4), ("anysize", 1e-4), ("float16", 2e-3)):
        np.testing.assert_allclose(found[name], expected.masks, atol=tolerance, err_msg=name)
    for name in ("dynamic", "int8"):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name].sum(-1), 1, atol=1e-6)
        # Eight bits are a hundredth of the range in each of a dozen layers; a wrong layer errs by a multiple of that.
        assert np.abs(found[name] - expected.masks).mean() < 0.02, name
        sure = np.abs(expected.masks[..., 0] - 0.5) > 0.1
        assert sure.mean() > 0.2
        assert np.mean(found[name].argmax(-1)[sure] == expected.labels[sure]) >= 0.99, name


def test_residual_kernels_are_integers_with_a_range_for_each_output(exported):
    interpreter = tf.lite.Interpreter(os.path.join(exported, "int8.tflite"))
    kernels = [detail for detail in interpreter.get_tensor_details() if detail["shape"].tolist() == [32, 3, 3, 32]]
    assert len(kernels) == 2 and all(detail["dtype"] == np.int8 for detail in kernels)
    assert all(len(detail["quantization_parameters"]["scales"]) == 32 for detail in kernels)


def test_sizes_of_the_published_network():
    """274,966 parameters take 1.10 MB, in 8 bits a quarter of that; in 16 the six residual kernels take half."""
    network = MaskNetwork()
    network(tf.zeros([1, 128, 128, 3]))
    noise = np.random.default_rng(0)  # Trained weights differ; equal ones would be stored once.
    network.set_weights([weight + noise.normal(scale=0.01, size=weight.shape) for weight in network.get_weights()])
    build = lambda precision=None: InferenceGraph(network, [0, 1], precision)
    assert 1_099_864 < len(tflite.convert(build(), 128)) <= 1_200_000
    content = tflite.convert(build(), 128, "float16")
    halved = [detail["shape"].tolist() for detail in tf.lite.Interpreter(model_content=content).get_tensor_details()
              if detail["dtype"] == np.float16]
    assert halved == 6 * [[64, 3, 3, 64]]
    assert 1_099_864 - 6 * 73_728 < len(content) <= 1_200_000 - 6 * 73_728
    ranges = calibrate(build, [pictures(1, 128, 128).astype(np.float32) / 255])
    assert 274_966 < len(tflite.convert(build(Int8(ranges)), 128, "int8")) <= 350_000


def test_any_size_at_any_size(exported, segmented):
    model = segmenter.load(os.path.join(exported, "anysize.tflite"))
    for height, width in ((32, 32), (48, 32), (32, 100), (32, 32)):
        images = pictures(1, height, width)
        assert model.fitted_size(height, width) == (height, width)
        np.testing.assert_allclose(model.masks(images), segmented(images).masks, atol=1e-4)


def test_the_smallest_pictures_of_any_size(exported, run):
    model, trained = (segmenter.load(path) for path in (os.path.join(exported, "anysize.tflite"), run))
    images = pictures(1, 24, 24)  # Six values a side for six bins; with fewer there would be none.
    np.testing.assert_allclose(model.masks(images), trained.masks(images), atol=1e-4)
    assert model.card["inputs"]["serving_default"]["images"].endswith("H and W multiples of 4, at least 24")


def test_the_card_says_how_it_is_fed(exported):
    for quantize in QUANTIZATIONS:
        with open(os.path.join(exported, quantize + ".json"), encoding="utf-8") as file:
            card = json.load(file)
        assert (card["format"], card["quantize"], card["regions"], card["image_size"]) == ("TFLite", quantize, 2, 32)
        assert card["inputs"]["serving_default"]["images"].startswith("uint8" if quantize == "int8" else "float32")


def test_only_the_model_and_its_card_are_left(exported):
    names = {*QUANTIZATIONS, "anysize"}
    assert {name for name in os.listdir(exported) if not name.endswith(".npy")} == {
        name + ending for name in names for ending in (".tflite", ".json")}


@pytest.fixture
def exported_before(exported, tmp_path) -> dict:
    """By name the contents of an earlier model and its card in `tmp_path`; a later export's differ."""
    for ending in (".tflite", ".json"):
        shutil.copyfile(os.path.join(exported, "anysize" + ending), tmp_path / ("model" + ending))
    return {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}


@pytest.mark.parametrize("full", [0, 1])
def test_a_full_disk_leaves_the_earlier_model_with_its_card(run, tmp_path, exported_before, monkeypatch, full):
    written = []

    def write(path, content):
        if len(written) == full:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        written.append(path)
        write_whole(path, content)

    monkeypatch.setattr("export.tflite.write_whole", write)
    with pytest.raises(OSError, match="No space left") as raised:
        tflite.export(Workdir(run), str(tmp_path / "model.tflite"))
    assert raised.value.filename == str(tmp_path / ("model.json" if full == 0 else "model.tflite"))  # Not the unfinished one.
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == exported_before


def test_a_model_beside_another_ones_card_is_refused(run, tmp_path, exported_before):
    """As a kill between the two renamings leaves them."""
    path = str(tmp_path / "model.tflite")
    tflite.export(Workdir(run), path)
    assert segmenter.load(path).card["quantize"] == "none"
    (tmp_path / "model.tflite").write_bytes(exported_before["model.tflite"])
    with pytest.raises(UserError, match=r"/model.tflite has \d+ bytes, and \d+ by its card .*/model.json: copy both again"):
        segmenter.load(path)


@pytest.mark.parametrize("name", ["model.onnx", "model", "folder.tflite"])
def test_other_names_are_refused(run, tmp_path, name):
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(UserError, match="is not the name of a .tflite file"):
        tflite.export(Workdir(run), str(tmp_path / name))
    assert os.listdir(tmp_path) == ["folder.tflite"]


def test_a_file_that_is_no_card_is_not_replaced_by_one(run, tmp_path):
    for content in ('{"my": "settings"}', "[]", "no JSON"):
        (tmp_path / "model.json").write_text(content)
        with pytest.raises(UserError, match="card would overwrite .*model.json, which is none: choose another --output"):
            tflite.export(Workdir(run), str(tmp_path / "model.tflite"))
        assert (tmp_path / "model.json").read_text() == content and os.listdir(tmp_path) == ["model.json"]


@pytest.mark.parametrize("regions", [2, 3, 4])
@pytest.mark.parametrize("quantize", ["none", "dynamic"])
def test_networks_of_any_number_of_regions_are_converted(tmp_path, quantize, regions):
    """Random weights; rounded to 8 bits they move most probabilities by less than a few hundredths."""
    tf.keras.utils.set_random_seed(3)
    network = MaskNetwork(regions)
    network(tf.zeros([1, 32, 32, 3]))
    network.logits.kernel.assign(4 * network.logits.kernel)  # Probabilities far from 1/n.
    order = list(range(regions))[::-1]
    content = tflite.convert(InferenceGraph(network, order), 32, quantize)
    interpreter = tf.lite.Interpreter(model_content=content)
    serve = interpreter.get_signature_runner("serving_default")
    images = IMAGES[:2].astype(np.float32) / 255
    found = np.concatenate([serve(images=image[None])["masks"] for image in images])
    expected = tf.gather(network(2 * images - 1), order, axis=-1)
    assert np.ptp(expected) > 0.5
    assert np.abs(found - expected).mean() < (1e-5 if quantize == "none" else 0.03)


def test_calibration_finds_the_extremes_of_all_batches_and_zero():
    network = MaskNetwork(channels=2, residual_blocks=0, pooling_windows=None)
    network(tf.zeros([1, 32, 32, 3]))
    network.stem[0].kernel.assign(np.zeros([7, 7, 3, 2]))
    network.stem[0].kernel[3, 3, 0].assign([1.0, 0.5])  # The stem's maps are 2 and 1 times the red channel.
    red = lambda value: np.full([1, 32, 32, 3], [value, 0, 0], np.float32)
    ranges = calibrate(lambda precision: InferenceGraph(network, [0, 1], precision), [red(0.25), red(0.75), red(0.5)])
    assert ranges["stem"] == (0, 1)
    assert ranges["stem/output"] == (0, 1.5)
    assert all(low <= 0 <= high for low, high in ranges.values())
