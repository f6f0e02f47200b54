"""Trainings one after another, with a small program in the place of `redo_tf.train`."""
from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

import pytest

import tiny
from redo_tf.config import to_json
from redo_tf.errors import Interrupted, UserError
from redo_tf.experiments import runs
from redo_tf.signals import StopSignals
from redo_tf.workdir import Workdir

# Writes down its arguments, then ends as the file CODE_NAME says (negative: by that signal), or finishes the run.
PROGRAM = """
import json, os, pathlib, sys
workdir = pathlib.Path(sys.argv[-1].partition("=")[2])
workdir.mkdir(exist_ok=True)
with open(workdir.parent / "started", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
order = workdir.parent / f"code_{workdir.name}"
code = int(order.read_text()) if order.exists() else 0
if code < 0:
    os.kill(os.getpid(), -code)
if code == 0:
    (workdir / "summary.json").write_text('{"steps": 6}')
sys.exit(code)
"""
# Waits for a signal, then "saves", which takes a while.
WAITING = """
import pathlib, signal, sys, time
workdir = pathlib.Path(sys.argv[-1].partition("=")[2])
received = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: received.append(number))
(workdir / "ready").write_text("")
while not received:
    time.sleep(0.02)
time.sleep(0.3)
(workdir / "saved").write_text(str(received[0]))
sys.exit(128 + received[0])
"""


@pytest.fixture(autouse=True)
def pictures(monkeypatch):
    tiny.use_pictures(monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch, parse):
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(runs, "TRAIN", (sys.executable, str(tmp_path / "program.py")))
    parse("--dataset=shapes", "--set=train.steps=6", "--set", "seed=3", "--data_dir=/data")
    return tmp_path


def started(folder):
    """The arguments of every process that was started."""
    return [json.loads(line) for line in (folder / "started").read_text().splitlines()]


CHANGES = {"first": ["seed=1"], "second": ["seed=2", "objective.redraw='one'"], "third": []}


def test_each_run_gets_the_commands_own_flags_then_its_changes_and_a_folder(folder):
    assert runs.train_all(tiny.config(), CHANGES, Workdir(str(folder))) == []
    common = ["--dataset=shapes", "--set=train.steps=6", "--set=seed=3", "--data_dir=/data"]
    assert started(folder) == [
        [*common, "--set=seed=1", f"--workdir={folder}/first"],
        [*common, "--set=seed=2", "--set=objective.redraw='one'", f"--workdir={folder}/second"],
        [*common, f"--workdir={folder}/third"]]


def test_finished_runs_are_left_alone_and_shorter_ones_go_on(folder):
    for name, steps in (("first", 6), ("second", 4)):
        (folder / name).mkdir()
        (folder / name / "summary.json").write_text(json.dumps({"steps": steps}))
    runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)))
    assert [arguments[-1] for arguments in started(folder)] == [
        f"--workdir={folder}/second", f"--workdir={folder}/third"]
    runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)))
    assert len(started(folder)) == 2


@pytest.mark.parametrize("code, expected", [(2, 2), (1, 1), (-signal.SIGKILL, 137)])
def test_a_run_that_fails_ends_the_command_with_its_code(folder, capsys, code, expected):
    (folder / "code_second").write_text(str(code))
    with pytest.raises(SystemExit) as leaving:
        runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)))
    assert leaving.value.code == expected
    assert len(started(folder)) == 2
    assert "Run second failed" in capsys.readouterr().err


def test_where_runs_may_diverge_the_others_go_on_but_a_mistake_still_ends_the_command(folder):
    (folder / "code_second").write_text("1")
    assert runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)), may_fail=True) == ["second"]
    assert len(started(folder)) == 3
    (folder / "code_second").write_text("2")
    with pytest.raises(SystemExit) as leaving:
        runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)), may_fail=True)
    assert leaving.value.code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_waited_for(folder, monkeypatch, number):
    (folder / "waiting.py").write_text(WAITING)
    monkeypatch.setattr(runs, "TRAIN", (sys.executable, str(folder / "waiting.py")))

    def send():
        while not (folder / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    with StopSignals() as signals, pytest.raises(Interrupted) as stopped:
        threading.Thread(target=send).start()
        runs.train([f"--workdir={folder}"], signals)
    assert stopped.value.signal == number
    assert (folder / "saved").read_text() == str(int(number))


def test_what_cannot_be_reused_is_told_before_anything_starts(folder):
    workdir = Workdir(str(folder / "third"))
    (folder / "third" / "checkpoints").mkdir(parents=True)
    for summary, sentence in (('{"steps": 7}', "a run of 7 steps, more than train.steps=6"), ("{", "is damaged"),
                              ("[]", "is damaged")):
        (folder / "third" / "summary.json").write_text(summary)
        with pytest.raises(UserError, match=sentence):
            runs.train_all(tiny.config(), CHANGES, Workdir(str(folder)))
    (folder / "third" / "checkpoints" / "ckpt-5.index").write_text("")
    (folder / "third" / "config.json").write_text(to_json(tiny.config("seed=77")))
    with pytest.raises(UserError, match="seed is 77 there and 0 here"):
        runs.is_finished(workdir, tiny.config(), {})
    assert not (folder / "started").exists()
