"""Beginning anew after a collapse, and ending at a loss that is not finite: the loop around a step that is fake."""
from __future__ import annotations

import os

import numpy as np
import pytest
import tensorflow as tf

import tiny
from loop import Killed, checkpoint_numbers, script_scores, without_stopping
from redo_tf.checkpoints import is_readable
from redo_tf.errors import Diverged, UserError

ALWAYS = ("collapse.smallest_region=0.6", "train.eval_every=2", "train.mask_average=0.9")


def test_a_collapse_begins_anew_as_often_as_allowed_and_then_trains_to_the_end(fake, caplog):
    trainer = fake(*ALWAYS, "collapse.restarts=2", "train.steps=4")
    weights, begin = [], trainer._begin_anew

    def begin_anew():
        begin()
        weights.append(tiny.state(trainer))
    trainer._begin_anew = begin_anew
    summary = trainer.run()
    assert [(row["restarts"], row["step"], row["seed"], row["collapsed"]) for row in trainer.workdir.metrics()] == [
        (0, 2, 0, True), (1, 2, 1_000_003, True), (2, 2, 2_000_006, True), (2, 4, 2_000_006, True)]
    assert (summary["restarts"], summary["steps"], summary["seed"]) == (2, 4, 2_000_006)
    assert checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1] == 2 * 10**8 + 4
    warnings = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert sum(" Beginning anew with seed " in text for text in warnings) == 2
    assert sum("not begun anew: that was done 2 times already" in text for text in warnings) == 2

    for restarts, after in enumerate(weights, start=1):
        fresh = fake("train.mask_average=0.9", f"seed={trainer.seed(restarts)}", name=f"fresh{restarts}")
        tiny.assert_same_state(after, tiny.state(fresh))


def test_no_run_begins_anew_after_the_last_step_for_it(fake, caplog):
    summary = fake(*ALWAYS, "collapse.last_step=1").run()
    assert summary["restarts"] == 0 and summary["steps"] == 6
    assert "Collapsed at step 2, and not begun anew: later than step 1." in caplog.text


def test_a_region_small_in_training_alone_or_validation_alone_is_no_collapse(fake, monkeypatch):
    trainer = fake("collapse.smallest_region=0.3")  # Training has 0.25, validation 0.4.
    script_scores(monkeypatch, iter([0.1, 0.1]))
    assert trainer.run()["restarts"] == 0
    other = fake("collapse.smallest_region=0.45", name="other")  # Training has 0.5, validation 0.4.
    other.step_function.metrics = {"region_sizes": np.array([0.5, 0.5], np.float32)}
    script_scores(monkeypatch, iter([0.1, 0.1]))
    assert other.run()["restarts"] == 0


def test_a_region_that_wins_no_pixel_has_collapsed_from_the_step_on_that_looks_at_it(fake, monkeypatch, caplog):
    script_scores(monkeypatch, iter([0.1] * 9), shares=(0.996, 0.004))
    settings = ("train.eval_every=2", "collapse.smallest_share=0.005", "collapse.share_from=4", "collapse.restarts=1")
    trainer = fake(*settings)
    assert trainer.run()["restarts"] == 1
    assert [(row["restarts"], row["step"], row["collapsed"]) for row in trainer.workdir.metrics()] == [
        (0, 2, False), (0, 4, True), (1, 2, False), (1, 4, True), (1, 6, True)]
    assert ("Collapsed at step 4: a region wins 0.0040 of the validation pictures' pixels, less than 0.005. "
            "Beginning anew with seed 1000003.") in caplog.text
    script_scores(monkeypatch, iter([0.1] * 9), shares=(0.995, 0.005))
    assert fake(*settings, name="enough").run()["restarts"] == 0


def test_a_run_killed_after_a_restart_continues_the_new_start(fake):
    settings = ALWAYS + ("collapse.restarts=1",)
    trainer = fake(*settings)
    count = []

    def before(step):
        count.append(step)
        if len(count) == 2 + 3:  # The third iteration after the restart.
            raise Killed
    trainer.step_function.before = before
    with pytest.raises(Killed):
        trainer.run()
    assert checkpoint_numbers(trainer.workdir.file("checkpoints")) == [10**8, 10**8 + 2]
    other = fake(*settings)
    other.run()
    straight, _ = without_stopping(fake, *settings)
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())


def test_a_batch_that_does_not_fit_into_memory_is_told(fake):
    def before(step):
        if step == 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[25,64,128,128]")
    with pytest.raises(UserError, match="^Training on batches of 4 does not fit into memory: begin anew with a smaller train.batch_size"):
        fake(before=before).run()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_name_and_step(fake, value):
    def before(step):
        if step == 4:
            trainer.step_function.metrics = {"generator/information": np.float32(value)}
    trainer = fake(before=before)
    with pytest.raises(Diverged) as caught:
        trainer.run()
    assert str(caught.value).startswith(f"generator/information became {value} at step 5; the last good checkpoint is kept "
                                        f"in {trainer.workdir.file('checkpoints')}.")
    assert checkpoint_numbers(trainer.workdir.file("checkpoints")) == [2, 3, 4]  # 3 is the best evaluation's.
    assert is_readable(trainer.workdir.file("checkpoints", "ckpt-4"))
    assert not os.path.exists(trainer.workdir.file("summary.json"))


def test_the_first_of_several_bad_steps_is_named(fake):
    def before(step):
        if step >= 2:
            trainer.step_function.metrics = {"region_sizes": np.array([np.nan, 0.5], np.float32)}
    trainer = fake("train.log_every=6", "train.eval_every=6", "train.checkpoint_every=6", "train.sample_every=6",
                   before=before)
    with pytest.raises(Diverged, match="^region_sizes became .* at step 3;"):
        trainer.run()
    assert not os.path.exists(trainer.workdir.file("checkpoints"))


def test_a_real_loss_that_becomes_nan_is_noticed(tmp_path, monkeypatch):
    from redo_tf import losses
    monkeypatch.setattr(losses, "information_conservation",
                        lambda estimates, latents: tf.reduce_mean(estimates - latents, axis=[1, 2]) * np.nan)
    trainer = tiny.trainer(tmp_path / "run", "train.steps=1")
    with pytest.raises(Diverged, match="^generator/(total|information) became nan at step 1;"):
        trainer.run()
