from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tiny
from processes import redo_tf
from redo_tf import benchmark


@pytest.fixture(scope="module")
def parts() -> benchmark.Benchmark:
    return benchmark.Benchmark(tiny.config(), steps=2, warmup=1, strategy=tf.distribute.MirroredStrategy(["CPU:0"]))


def check_rates(row, images: int, rate: float) -> None:
    assert row["seconds"] > 0 and row["gflop"] > 0
    assert row["images_per_second"] == pytest.approx(images / row["seconds"])
    assert row["gflop_per_second"] == pytest.approx(row["gflop"] / row["seconds"])
    assert row["efficiency"] == pytest.approx(row["gflop_per_second"] / rate)
    # Merged convolutions are 16 products instead of 36, and some are not merged.
    assert row["gflop"] < row["gflop_as_published"] < 36 / 16 * row["gflop"]
    assert row["efficiency_as_published"] == pytest.approx(row["efficiency"] * row["gflop_as_published"] / row["gflop"])


@pytest.fixture(scope="module")
def updates(parts):
    return parts.updates(["generator", "discriminator", "iteration"])


def test_the_iteration_is_both_updates(parts, updates):
    for row in updates.values():
        check_rates(row, 4, parts.rate)
    assert updates["iteration"]["gflop"] == pytest.approx(
        updates["generator"]["gflop"] + updates["discriminator"]["gflop"], rel=1e-3)


def test_with_one_sampled_region_there_are_fewer_fakes(parts, updates):
    one = benchmark.Benchmark(tiny.config("objective.redraw=one"), 1, 1, parts.strategy)
    assert one.updates(["iteration"])["iteration"]["gflop"] < 0.8 * updates["iteration"]["gflop"]


def test_input_and_inference(parts):
    results = parts.run(["input", "inference"])
    assert set(results) == {"input", "inference"}
    assert results["input"]["images_per_second"] == pytest.approx(4 / results["input"]["seconds"])
    for name, images in (("batch_1", 1), ("batch_32", 32)):
        check_rates(results["inference"][name], images, parts.rate)
    assert results["inference"]["batch_32"]["gflop"] == pytest.approx(32 * results["inference"]["batch_1"]["gflop"], rel=1e-3)


def test_medians_leave_out_the_warm_up(monkeypatch):
    clock = iter([0, 1, 1, 4, 4, 14])  # Three repetitions: 1, 3 and 10 seconds.
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(clock))
    calls = []
    assert benchmark.timed(lambda: calls.append(0), steps=3, warmup=2) == 3
    assert len(calls) == 5


def test_the_command_prints_a_table_and_json(tmp_path):
    settings = [word for setting in tiny.SETTINGS for word in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-m", "redo_tf.benchmark", *settings, "--only=discriminator", "--steps=1", "--warmup=1",
         "--precision=mixed_bfloat16", "--image_size=64", "--replicas=2",
         "--set", "model.discriminator.widths=2,2,2,2,2", "--set", "model.encoder.widths=2,2,2,2,2"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    results = json.loads(last)
    assert {"discriminator", "convolution_gflop_per_second", "peak_memory_mb", "configuration", "versions",
            "replicas"} == set(results)
    assert results["replicas"] == 2 and results["peak_memory_mb"] > 100  # TensorFlow alone takes more.
    assert results["configuration"]["data.image_size"] == 64
    assert results["configuration"]["train.precision"] == "mixed_bfloat16"
    name, *numbers = table[1].split()
    assert name == "discriminator"
    row = results["discriminator"]
    np.testing.assert_allclose([float(number) for number in numbers], [
        row["seconds"], row["images_per_second"], row["gflop"], row["gflop_per_second"], row["efficiency"],
        row["efficiency_as_published"]], atol=0.05)


def test_mistakes():
    expected = [
        (["--only=iterations"], r"--only=iterations is not a part; there is generator, discriminator, iteration, .*\."),
        (["--image_size=100"], r"data\.image_size: .*"),
        (["--replicas=2", "--set", "train.xla=True"], r"train\.xla compiles for one device and there are 2: .*"),
        (["--replicas=3", "--set", "train.batch_size=4"], r"train\.batch_size=4 cannot be shared equally by 3 replicas: .*")]
    done = redo_tf(*(["benchmark", *arguments] for arguments, _ in expected))
    for (arguments, message), (code, _, errors) in zip(expected, done):
        assert code == 2 and re.fullmatch(message, errors.strip()), arguments
