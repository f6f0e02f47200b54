"""Comparing exported models with their run, and timing them."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import processes
import tiny
from export import latency, tflite, verify
from redo_tf.errors import UserError
from redo_tf.flops import Arithmetic
from redo_tf.segmenter import Segmenter
from redo_tf.workdir import Workdir


class Fixed(Segmenter):
    """Gives these masks, picture i those of number `images[i, 0, 0, 0]`."""

    def __init__(self, masks: np.ndarray):
        super().__init__("fixed", {"regions": masks.shape[-1], "image_size": masks.shape[1]})
        self.given = masks

    def _masks(self, images):
        return self.given[images[:, 0, 0, 0]]


def two_regions(objects) -> np.ndarray:
    return np.stack([1 - np.asarray(objects, np.float32), objects], axis=-1).astype(np.float32)


def test_comparison_by_hand():
    # Two pictures of 2×2: the exported model differs in one probability by .25, which changes that pixel's label.
    run = Fixed(two_regions([[[0.875, 0.125], [0.875, 0.125]], [[0.625, 0.125], [0.125, 0.125]]]))
    exported = Fixed(two_regions([[[0.875, 0.125], [0.875, 0.125]], [[0.375, 0.125], [0.125, 0.125]]]))
    images = np.array([0, 1], np.uint8)[:, None, None, None] * np.ones([1, 2, 2, 3], np.uint8)
    masks = np.array([[[1, 0], [0, 0]], [[1, 0], [0, 0]]], np.uint8)
    results = verify.compare(exported, run, images, masks, classes=2)
    assert results == {
        "pictures": 2, "maximum_error": 0.25, "mean_error": 0.25 / 8, "equal_labels": 7 / 8,
        "run_accuracy": (0.75 + 1) / 2, "run_iou": (0.5 + 1) / 2, "accuracy": 0.75, "iou": (0.5 + 0) / 2}
    without = verify.compare(exported, run, images, None, classes=2)
    assert without == {name: results[name] for name in ("pictures", "maximum_error", "mean_error", "equal_labels")}


def test_exchanged_labels_score_badly():
    """The best assignment would find every pixel right; as the labels are, none is."""
    objects = np.array([[[1, 0], [0, 0]]], np.float32)
    run, exported = Fixed(two_regions(objects)), Fixed(two_regions(1 - objects))
    results = verify.compare(exported, run, np.zeros([1, 2, 2, 3], np.uint8), objects.astype(np.uint8), classes=2)
    assert {name: results[name] for name in ("accuracy", "iou", "run_accuracy", "run_iou")} == {
        "accuracy": 0.0, "iou": 0.0, "run_accuracy": 1.0, "run_iou": 1.0}


def test_pictures_without_a_label_are_not_scored():
    objects = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]]], np.float32)
    model = Fixed(two_regions(objects))
    images = np.array([0, 1], np.uint8)[:, None, None, None] * np.ones([1, 2, 2, 3], np.uint8)
    masks = np.array([[[1, 1], [0, 255]], [[255, 255], [255, 255]]], np.uint8)
    results = verify.compare(model, model, images, masks, classes=2)
    assert (results["pictures"], results["accuracy"], results["iou"]) == (2, 2 / 3, 0.5)
    unscored = verify.compare(model, model, images[1:], masks[1:], classes=2)
    assert set(unscored) == {"pictures", "maximum_error", "mean_error", "equal_labels"}
    assert "IoU" not in verify.table({"model": "a", "latency": [], **unscored})


def test_arithmetic_of_the_published_network():
    # Products, by hand, of Table 4: stem, two down, six residual, the last; two up as published, and merged.
    plain = 147 * 16 * 128**2 + 144 * 32 * 64**2 + 288 * 64 * 32**2 + 6 * 576 * 64 * 32**2 + 833 * 128**2
    published = plain + 9 * 68 * 34 * 64**2 + 9 * 34 * 17 * 128**2
    merged = plain + 16 * 68 * 34 * 32**2 + 16 * 34 * 17 * 64**2
    config = tiny.config(
        "data.image_size=128", "model.mask_network.channels=16", "model.mask_network.residual_blocks=3")
    assert verify.arithmetic(config) == pytest.approx((2 * merged, 2 * published), rel=0.01)  # And pyramid pooling.


@pytest.fixture(scope="module")
def model(run, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("verify") / "model.tflite")
    tflite.export(Workdir(run), path)
    return path


def test_a_model_is_that_of_its_run(monkeypatch, run, model):
    tiny.use_pictures(monkeypatch)
    monkeypatch.setattr(verify, "latencies", lambda path, runtime, counted: [])
    results = verify.verify(model, Workdir(run), None, "tensorflow", pictures=4)
    assert (results["pictures"], results["format"], results["quantize"]) == (4, "TFLite", "none")
    assert results["maximum_error"] < 1e-4 and results["equal_labels"] > 0.999
    assert results["iou"] == pytest.approx(results["run_iou"], abs=1e-3)


def test_models_of_other_runs_are_refused(monkeypatch, run, model, tmp_path):
    with open(model, "rb") as source:
        (tmp_path / "other.tflite").write_bytes(source.read())
    with open(model.replace(".tflite", ".json"), encoding="utf-8") as file:
        card = json.load(file)
    (tmp_path / "other.json").write_text(json.dumps({**card, "regions": 3}))
    with pytest.raises(UserError, match="regions or sizes differ"):
        verify.verify(str(tmp_path / "other.tflite"), Workdir(run), None, "tensorflow", pictures=4)


def test_times_on_one_core(monkeypatch, model):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    (row,) = verify.latencies(model, "tensorflow", Arithmetic(computed=4 * 10**8, published=5 * 10**8))
    assert row["cores"] == 1 and 0 < row["minimum_ms"] <= row["median_ms"]
    assert row["floor_ms"] == pytest.approx(500 / row["convolution_gflops"])
    assert row["merged_floor_ms"] == pytest.approx(400 / row["convolution_gflops"])
    assert row["ratio"] == pytest.approx(row["minimum_ms"] / row["floor_ms"])


def test_one_two_four_cores(monkeypatch):
    called = []

    def run(command, **options):
        called.append(command[-1])
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(
            {"cores": 1, "minimum_ms": 3.0, "median_ms": 4.0, "convolution_gflops": 100.0}), stderr="")

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    rows = verify.latencies("model", "tensorflow", Arithmetic(computed=10**8, published=2 * 10**8))
    assert called == ["--cores=1", "--cores=2", "--cores=4"]
    assert [(row["floor_ms"], row["ratio"], row["merged_ratio"]) for row in rows] == [(2.0, 1.5, 3.0)] * 3


def test_threads_between_operations_for_each_strip_and_within_them_where_cores_are_left():
    assert [latency.threads(cores) for cores in (1, 2, 3, 4)] == [(1, 1), (2, 1), (2, 3), (2, 4)]


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(latency.RUNTIMES, "ai-edge-litert", "no_such_package.interpreter")
    with pytest.raises(UserError, match="pip install ai-edge-litert"):
        latency.interpreter("ai-edge-litert")


def test_the_command(run, model):
    """Ends with code 2 and one sentence where something is missing, before anything is computed."""
    expected = [(["absent", f"--workdir={run}"], "There is no model at absent"),
                ([f"--workdir={run}", "--model=absent"], "There is no model at absent"),
                ([model], "Which run is it of?"), ([], "Which model?"),
                ([model, "stray", f"--workdir={run}"], "Not understood: stray")]
    as_module = processes.run(sys.executable, "-m", "export.verify", *expected[0][0])
    done = processes.redo_tf(*(["verify", *arguments] for arguments, _ in expected))
    for (_, message), (code, _, errors) in zip([expected[0], *expected],
                                               [(as_module.returncode, "", as_module.stderr), *done]):
        assert code == 2
        assert errors.startswith(message) and errors.count("\n") == 1
