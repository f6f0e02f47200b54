"""Signals, kills, and going on with more steps: the loop around a step that is fake."""
from __future__ import annotations

import glob
import os
import pathlib
import signal

import pytest

import tiny
from loop import CLOCK, Killed, best_weights, checkpoint_numbers, scalars, script_scores, send, without_stopping
from processes import contents
from redo_tf.errors import Interrupted, UserError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_once_and_the_same_command_continues(fake, number):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    trainer = fake(before=send(number, at=4))
    with pytest.raises(Interrupted, match="^Stopped and saved at step 5: the same command .without --restart. continues.$") as caught:
        trainer.run()
    assert caught.value.signal == number
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1] == 5
    assert [row["step"] for row in trainer.workdir.metrics()] == [3]
    assert 5 in [step for step, _ in scalars(trainer.workdir.file("tensorboard"))["generator/total"]]
    assert not os.path.exists(trainer.workdir.file("summary.json"))

    other = fake()
    summary = other.run()
    straight, expected = without_stopping(fake)
    assert {**summary, **CLOCK} == {**expected, **CLOCK}
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())


@pytest.mark.parametrize("moment", ["_fetch", "_evaluate", "_write_samples"])
def test_a_signal_between_two_steps_saves_too(fake, monkeypatch, moment):
    """What the message says must hold."""
    trainer = fake("train.steps=20", "train.checkpoint_every=20", "train.eval_every=3", "train.sample_every=3")
    method = getattr(trainer, moment)

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return method(*arguments)
    monkeypatch.setattr(trainer, moment, interrupted)
    with pytest.raises(Interrupted) as caught:
        trainer.run()
    number = checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1]
    assert str(caught.value) == f"Stopped and saved at step {number}: the same command (without --restart) continues."
    assert number <= 4


def test_a_signal_in_the_last_step_lets_the_run_finish(fake):
    assert fake(before=send(signal.SIGTERM, at=5)).run()["steps"] == 6
    trainer = fake("train.steps=5", before=send(signal.SIGTERM, at=4), name="between")  # Between two evaluations.
    assert trainer.run()["last"]["step"] == 5
    assert "step_0000005.png" in os.listdir(trainer.workdir.file("samples"))


@pytest.mark.parametrize("place", ["append_metrics", "best", "_write_samples", "checkpoints", "after checkpoints",
                                   "write_summary"])
def test_killed_anywhere_the_same_command_ends_alike(fake, monkeypatch, place):
    trainer = fake("train.eval_every=2", "train.sample_every=2")
    owner, method = {
        "append_metrics": (trainer.workdir, "append_metrics"), "best": (trainer.best, "save"),
        "_write_samples": (trainer, "_write_samples"), "checkpoints": (trainer.checkpoints, "save"),
        "after checkpoints": (trainer.checkpoints, "save"), "write_summary": (trainer.workdir, "write_summary")}[place]
    works, calls = getattr(owner, method), []

    def killed(*arguments):
        calls.append(arguments)
        if place.startswith("after"):
            works(*arguments)
        if len(calls) == (1 if place == "write_summary" else 2):
            raise Killed
        if not place.startswith("after"):
            works(*arguments)
    monkeypatch.setattr(owner, method, killed)
    monkeypatch.setattr(trainer.best.manager, "_max_to_keep", 1)
    scripted = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # So that every evaluation is the best.
    script_scores(monkeypatch, scripted)
    with pytest.raises(Killed):
        trainer.run()

    step = checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1]
    script_scores(monkeypatch, iter([0.1, 0.2, 0.3][step // 2:]))
    other = fake("train.eval_every=2", "train.sample_every=2")
    summary = other.run()
    script_scores(monkeypatch, iter([0.1, 0.2, 0.3]))
    straight, expected = without_stopping(fake, "train.eval_every=2", "train.sample_every=2")
    assert {**summary, **CLOCK} == {**expected, **CLOCK}
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())
    assert best_weights(other) == best_weights(straight)


def test_more_steps_go_on_from_the_end(fake):
    fake("train.steps=4", "train.eval_every=2").run()
    other = fake("train.steps=6", "train.eval_every=2")
    other.run()
    straight, _ = without_stopping(fake, "train.eval_every=2")
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert [row["step"] for row in other.workdir.metrics()] == [2, 4, 6]


def test_a_run_that_goes_on_has_not_ended(fake):
    fake("train.steps=4", "train.eval_every=2").run()
    trainer = fake("train.eval_every=2", before=send(signal.SIGTERM, at=4))
    with pytest.raises(Interrupted):
        trainer.run()
    assert not os.path.exists(trainer.workdir.file("summary.json"))


@pytest.mark.parametrize("eval_every", [2, 6])
@pytest.mark.parametrize("damage", [os.remove, lambda path: open(path, "wb").close()])
def test_a_run_whose_checkpoints_are_gone_or_damaged_is_left_as_it_is(fake, damage, eval_every):
    trainer = fake(f"train.eval_every={eval_every}")
    trainer.run()
    for path in glob.glob(trainer.workdir.file("checkpoints", "*")):
        damage(path)
    before = contents(pathlib.Path(trainer.workdir.path))
    with pytest.raises(UserError, match=r"^No checkpoint in .*/checkpoints can be read, and the run had come to step 6: "
                                        r"bring them back from a copy, or add --restart"):
        fake(f"train.eval_every={eval_every}").run()
    kept = contents(pathlib.Path(trainer.workdir.path))
    assert {name: kept[name] for name in before} == before


def test_fewer_steps_than_were_done_are_told_where_nothing_was_evaluated(fake):
    with pytest.raises(Interrupted):
        fake(before=send(signal.SIGTERM, at=1)).run()
    with pytest.raises(UserError, match="^The run stands at step 2, past train.steps=2, and was never evaluated: raise"):
        fake("train.steps=2").run()
    assert fake().run()["steps"] == 6
