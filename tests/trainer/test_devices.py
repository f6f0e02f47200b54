"""Runs on several replicas, compiled by XLA, in bfloat16."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from redo_tf.errors import UserError
from redo_tf.step import TrainingStep
from redo_tf.strategy import shards


def test_two_replicas_train_restart_and_hold_the_same_weights(tmp_path, two_replicas):
    trainer = tiny.trainer(
        tmp_path / "run", "train.steps=2", "train.eval_every=1", "train.mask_average=0.9",
        "collapse.smallest_region=0.6", "collapse.restarts=1", "collapse.last_step=1", strategy=two_replicas)
    summary = trainer.run()
    assert (summary["steps"], summary["restarts"], trainer.step_function.compiled.experimental_get_tracing_count()) == (2, 1, 1)
    for variable in trainer._model_variables(trainer.model) + trainer.average.variables:
        first, second = two_replicas.experimental_local_results(variable)
        assert np.array_equal(first.numpy(), second.numpy()), variable.name
    fresh = trainer._fresh_model(restarts=1)
    assert not np.array_equal(fresh.mask_network.variables[0], trainer.model.mask_network.variables[0])


def test_a_batch_that_the_replicas_cannot_share_is_refused(tmp_path, two_replicas):
    with pytest.raises(UserError, match="^train.batch_size=3 cannot be shared equally by 2 replicas: add --set train.batch_size=4, "):
        tiny.trainer(tmp_path / "run", "train.batch_size=3", strategy=two_replicas)


@pytest.mark.parametrize("batch_size, wanted, parts", [
    (4, 2, 1), (4, 4, 2), (4, 8, 2), (12, 8, 2), (18, 6, 3), (10, 4, 1), (4, 1, 1), (12, 5, 2)])
def test_a_replicas_batch_is_parted_as_far_as_it_can_be(two_replicas, batch_size, wanted, parts):
    assert shards(tiny.config(f"train.batch_size={batch_size}", f"train.shards={wanted}"), two_replicas) == parts


def test_a_batch_that_is_parted_into_fewer_is_told(tmp_path, caplog):
    tiny.trainer(tmp_path / "run", "train.batch_size=9", "train.shards=6")
    assert "Batches of 9 cannot be computed in train.shards=6 equal parts, and are in 3." in caplog.messages


def test_xla_for_several_replicas_is_refused(tmp_path, two_replicas):
    with pytest.raises(UserError, match="^train.xla compiles for one device and there are 2: add --set train.xla=False, or set CUDA_VISIBLE_DEVICES "):
        tiny.trainer(tmp_path / "run", "train.xla=True", strategy=two_replicas)


def test_given_the_same_noise_xla_computes_the_same_iteration_evaluation_and_samples(tmp_path, monkeypatch, caplog):
    """XLA's random numbers are others. After one iteration, as rounding may turn the sign of Adam's first steps around."""
    noise = np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32)
    monkeypatch.setattr(TrainingStep, "_latents", lambda self, seeds, images: tf.constant(noise))
    settings = ("train.steps=1", "train.eval_every=1", "train.sample_every=1", "train.mask_average=0.9",
                "optimizer.mask_learning_rate=0.0")
    plain, compiled = (tiny.trainer(tmp_path / str(xla), f"train.xla={xla}", *settings) for xla in (False, True))
    assert [record.getMessage() for record in caplog.records if record.name == "absl" and record.levelname == "WARNING"] == [
        "train.xla is for a GPU: on a CPU it compiles for minutes, and iterations take longer; --set train.xla=False is faster."]
    assert [function._jit_compile for function in (compiled.step_function.compiled, compiled.segment, compiled.redraw)] == [True] * 3
    plain.run(), compiled.run()
    [expected], [actual] = (tiny.untimed(trainer.workdir.metrics()) for trainer in (plain, compiled))
    assert actual.pop("val/ordered_by") == expected.pop("val/ordered_by")
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    states = tiny.state(plain), tiny.state(compiled)
    for name in (name for name in states[0] if "optimizer" in name):  # Adam's first and second moments: β₁ = 0, the gradients.
        np.testing.assert_allclose(states[1][name], states[0][name], rtol=1e-3, atol=1e-6, err_msg=name)
    grids = [np.asarray(Image.open(trainer.workdir.file("samples", "step_0000001.png")), int) for trainer in (plain, compiled)]
    np.testing.assert_allclose(*grids, atol=2)  # Levels of 255.


def test_bfloat16_computes_in_bfloat16_and_keeps_weights_and_scores_in_float32(tmp_path):
    trainer = tiny.trainer(tmp_path / "run", "train.precision=mixed_bfloat16", "train.steps=2")
    before = tiny.state(trainer)
    summary = trainer.run()
    assert trainer.model.mask_network.compute_dtype == "bfloat16"
    assert tf.keras.mixed_precision.global_policy().name == "float32"  # Of what this process makes next.
    after = tiny.state(trainer)
    assert {value.dtype for value in after.values()} == {np.dtype(np.float32), np.dtype(np.int64)}
    assert all(np.isfinite(value).all() for value in after.values())
    for name in ("mask_network", "encoder", "discriminator", "generator_0", "generator_1"):
        assert any(not np.array_equal(before[key], after[key]) for key in before if key.startswith(f"{name}/") and
                   "optimizer" not in key)
    assert sum(summary["last"]["val/region_sizes"]) == pytest.approx(1, abs=1e-2)
