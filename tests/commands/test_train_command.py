"""Whole trainings as a person starts them: their exit codes, what they print, what they leave behind."""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

import tiny
from processes import ENVIRONMENT, ROOT, run
from redo_tf import train
from redo_tf.checkpoints import is_readable
from redo_tf.errors import UserError
from redo_tf.stopwatch import Stopwatch
from redo_tf.workdir import Workdir

LONGER = ("train.steps=120", "train.log_every=5", "train.eval_every=40", "train.sample_every=120",
          "train.checkpoint_every=5", "train.mask_average=0.9")


def train_command(data_dir, workdir, *assignments):
    sets = [argument for assignment in tiny.SETTINGS + LONGER + assignments for argument in ("--set", assignment)]
    return [sys.executable, "-m", "redo_tf.train", "--dataset=shapes", "--config=default", f"--data_dir={data_dir}",
            f"--workdir={workdir}", *sets]


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """The folder of a run of 120 steps, and its finished process."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    return workdir, run(*train_command(data_dir, workdir))


def test_training_ends_with_code_0_and_tells_its_scores_and_pictures(finished):
    workdir, done = finished
    assert done.returncode == 0, done.stderr
    best = json.loads((workdir / "summary.json").read_text())["best"]
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"Finished 120 steps in \d+ s, 0 restart\(s\)\.", lines[0])
    assert lines[1].startswith(f"Best validation IoU {best['val/iou']:.3f}, accuracy {best['val/accuracy']:.3f} ")
    # 119 iterations: the first one ends the start-up.
    spent = [rf"{part} \d+\.\d s \(\d+\.\d %\)" for part in (
        "1 start-up", "119 iterations", "24 checkpoints", "3 evaluations", "1 sample grids")]
    assert re.fullmatch(f"Time: {', '.join(spent)}\\.", lines[2])
    assert lines[3] == f"Pictures: {workdir / 'samples' / 'step_0000120.png'}"
    assert (workdir / "samples" / "step_0000120.png").exists()
    for text in ("Traceback", "TensorFlow Addons", "cuda", "Warning", "WARNING", "retracing"):
        assert text not in done.stderr


def final_tensors(workdir):
    """Everything in the last checkpoint but what depends on the clock or on how often was saved."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints" / "ckpt-120"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if not name.startswith(("save_counter", "progress/seconds", "_CHECKPOINTABLE"))}


def stop_at(command, workdir, step, number):
    """Runs the command and sends it a signal as soon as a checkpoint of this step or a later one is there."""
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            names = os.listdir(workdir / "checkpoints")
            if any(name.endswith(".index") and int(name[len("ckpt-"):-len(".index")]) >= step for name in names):
                break
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def test_killed_terminated_and_interrupted_a_run_ends_bit_by_bit_as_if_left_alone(finished, data_dir, tmp_path):
    workdir = tmp_path / "run"
    command = train_command(data_dir, workdir)
    code, _ = stop_at(command, workdir, 10, signal.SIGKILL)
    assert code == -signal.SIGKILL
    for step, number in ((40, signal.SIGTERM), (75, signal.SIGINT)):
        code, errors = stop_at(command, workdir, step, number)
        assert code == 128 + number, errors
        stopped = int(re.fullmatch(r"Stopped and saved at step (\d+): the same command \(without --restart\) continues\.",
                                   errors.splitlines()[-1]).group(1))
        assert is_readable(str(workdir / "checkpoints" / f"ckpt-{stopped}"))
        assert "Traceback" not in errors
        assert not (workdir / "summary.json").exists()
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert f"Continuing from step {stopped}." in done.stderr

    expected, found = final_tensors(finished[0]), final_tensors(workdir)
    assert expected.keys() == found.keys() and len(expected) > 100
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []
    assert tiny.untimed(Workdir(str(workdir)).metrics()) == tiny.untimed(Workdir(str(finished[0])).metrics())


def test_a_run_that_diverges_ends_with_code_1_and_one_sentence(data_dir, tmp_path):
    # The first iteration is sound, as δ is read before it moves; the second squares numbers near 1e30.
    done = run(*train_command(data_dir, tmp_path / "run", "optimizer.encoder_learning_rate=1e30",
                              "train.checkpoint_every=1", "train.log_every=1"))
    assert done.returncode == 1
    assert re.fullmatch(r"(generator|discriminator)/\w+ became (nan|inf|-inf) at step \d+; the last good checkpoint is kept "
                        rf"in {tmp_path}/run/checkpoints\. Try lower learning rates or float32, in another --workdir or with "
                        r"--restart\.", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert is_readable(tf.train.latest_checkpoint(tmp_path / "run" / "checkpoints"))


def test_restart_begins_anew_beside_the_run_that_was_there(data_dir, tmp_path, monkeypatch):
    class StubTrainer:
        """Saves one checkpoint."""
        stopwatch = Stopwatch()

        def __init__(self, config, workdir, *_):
            self.workdir = workdir

        def run(self):
            os.makedirs(self.workdir.file("checkpoints"), exist_ok=True)
            open(self.workdir.file("checkpoints", "ckpt-1.index"), "w").close()
            return {"steps": 1, "seconds": 0, "restarts": 0, "best": {}}

    monkeypatch.setattr(train, "Trainer", StubTrainer)
    folder = tmp_path / "run"

    def call(*arguments):
        with flagsaver.flagsaver():
            flags.FLAGS(train_command(data_dir, folder)[2:] + list(arguments))
            train.main()

    call("--set=seed=1")
    assert json.loads((folder / "pictures.json").read_text()).keys() == {"train", "val"}
    assert json.loads((folder / "environment.json").read_text())["tensorflow"] == tf.__version__
    with pytest.raises(UserError, match="seed is 1 there and 2 here"):
        call("--set=seed=2")
    call("--set=seed=2", "--restart")
    assert [Workdir(str(path)).load_config().seed for path in (folder, tmp_path / "run.old1")] == [2, 1]
    assert (tmp_path / "run.old1" / "checkpoints" / "ckpt-1.index").exists()
