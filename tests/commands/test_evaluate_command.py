"""Evaluating a run as a person does."""
from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

import tiny
from processes import run
from redo_tf import evaluate
from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints
from redo_tf.config import DataConfig
from redo_tf.data import Split, shapes
from redo_tf.pixels import to_model_range
from redo_tf.trained import Trained


def test_evaluation_prints_what_an_independent_computation_finds(finished_run, tmp_path):
    workdir, data_dir = shutil.copytree(finished_run[0], tmp_path / "run"), finished_run[1]
    done = run(sys.executable, "-m", "redo_tf.evaluate", f"--workdir={workdir}", "--split=test", f"--data_dir={data_dir}",
               "--batch_size=3")
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    results = json.loads(last)

    network = build_mask_network(tiny.config().model)
    assert Checkpoints(str(workdir / "best"), 1, mask_network=network).restore_newest()
    drawn = [shapes.draw(shapes.picture_seed("test", i), 32) for i in range(tiny.PICTURES["test"])]
    soft = network(to_model_range(np.stack([image for image, _ in drawn]))).numpy()
    true = np.stack([mask for _, mask in drawn]) == 1
    objects = [soft.argmax(-1) == k for k in range(2)]  # Either region may be the object.
    accuracy = np.array([(region == true).mean((1, 2)) for region in objects])
    iou = np.array([(region & true).sum((1, 2)) / (region | true).sum((1, 2)) for region in objects])
    expected = {"accuracy": accuracy.mean(1).max(), "accuracy_per_image": accuracy.max(0).mean(),
                "iou": iou.mean(1).max(), "iou_per_image": iou.max(0).mean()}

    assert [results[name] for name in ("dataset", "split", "pictures", "labelled")] == ["shapes", "test", 4, 4]
    background_first = slice(None, None, -1 if iou.mean(1).argmax() == 0 else 1)
    assert results["region_sizes"] == pytest.approx(soft.mean((0, 1, 2))[background_first].tolist(), abs=1e-5)
    assert results["label_shares"] == pytest.approx(np.mean(objects, (1, 2, 3))[background_first].tolist(), abs=1e-9)
    assert {name: results[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert json.loads((workdir / "evaluation_test.json").read_text()) == results
    assert table[0].startswith("shapes test, 4 pictures, ")
    assert evaluate.table({**results, "labelled": 2}).startswith("shapes test, 4 pictures (2 with masks), ")
    assert [float(word) for word in table[2].split()[-2:]] == pytest.approx([expected["accuracy"], expected["iou"]], abs=5e-5)
    assert [float(word) for word in table[3].split()[-2:]] == pytest.approx(
        [expected["accuracy_per_image"], expected["iou_per_image"]], abs=5e-5)


def test_three_regions_are_listed_in_the_labels_order(monkeypatch):
    """Region 2 is the background, 0 the first object, 1 the second: an order that is not its own inverse."""
    labels = np.repeat(np.array([0, 0, 0, 0, 0, 1, 1, 2], np.uint8), 4 * 32).reshape(1, 32, 32)
    split = Split(np.zeros([1, 32, 32, 3], np.uint8), labels, ["a"], classes=3)
    monkeypatch.setattr("redo_tf.data.load_configured", lambda *_, **__: split)
    regions, sizes = np.array([2, 0, 1], np.uint8)[labels], np.array([[0.3, 0.2, 0.5]], np.float32)
    network = Trained(lambda images: (tf.constant(regions), tf.constant(sizes)), DataConfig(image_size=32), 3, [0, 1, 2], {})
    results = evaluate.evaluate_split(network, "val", None)
    assert results["order"] == [2, 0, 1] and results["iou"] == results["accuracy"] == 1
    assert results["region_sizes"] == pytest.approx([0.5, 0.3, 0.2])
    assert results["label_shares"] == pytest.approx([5 / 8, 2 / 8, 1 / 8])
    # The upper 20 rows, 8 and the lower 4, of which the outermost are whole at the border.
    assert results["border_shares"] == pytest.approx([(32 + 2 * 19) / 124, 2 * 8 / 124, (2 * 3 + 32) / 124])
