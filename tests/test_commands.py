"""The commands as a person types them: their exit codes, what they print, what they leave behind."""
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

import tiny
from redo_tf import cli, data
from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints, is_readable
from redo_tf.config import to_json
from redo_tf.data import shapes
from redo_tf.errors import Diverged, Interrupted, UserError
from redo_tf.files import write_whole
from redo_tf.step import to_model_range
from redo_tf.recipe_flags import resolve
from redo_tf.workdir import Workdir

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Without the variable that importing redo_tf set here: commands must silence TensorFlow by themselves.
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
               "PYTHONPATH": ROOT, "CUDA_VISIBLE_DEVICES": ""}
# Several commands in one process: what they import is imported once, then each runs in a fork.
FORKS = """
import json, os, sys, tempfile
import redo_tf.evaluation, redo_tf.trainer
from redo_tf import cli
results = []
for arguments in json.loads(sys.argv[1]):
    files = [tempfile.TemporaryFile() for _ in range(2)]
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files, start=1):
            os.dup2(file.fileno(), number)
        sys.argv = ["redo-tf"] + arguments
        cli.main()
        sys.exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in files:
        file.seek(0)
        texts.append(file.read().decode())
    results.append([code] + texts)
print(json.dumps(results))
"""


def run(*command):
    """A finished process: `returncode`, `stdout`, `stderr`."""
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)


def redo_tf(*commands):
    """[exit code, stdout, stderr] of each `redo-tf` command, a list of arguments."""
    done = run(sys.executable, "-c", FORKS, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data folder with few prepared pictures of `shapes` at 32×32."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for split, count in (("train", 32), ("val", 8), ("test", 5)):
            monkeypatch.setitem(shapes.SPLIT_SIZES, split, count)
        for split in ("train", "val", "test"):
            data.load("shapes", split, data_dir=folder, image_size=32)
    return folder


def train_command(data_dir, workdir, *assignments):
    sets = [argument for assignment in tiny.SETTINGS + LONGER + assignments for argument in ("--set", assignment)]
    return [sys.executable, "-m", "redo_tf.train", "--dataset=shapes", "--config=default", f"--data_dir={data_dir}",
            f"--workdir={workdir}", *sets]


LONGER = ("train.steps=120", "train.log_every=5", "train.eval_every=40", "train.sample_every=120",
          "train.checkpoint_every=5", "train.mask_average=0.9")


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """The folder of a run of 120 steps, and its finished process."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    return workdir, run(*train_command(data_dir, workdir))


# ------------------------------------------------------------------------------------------------------------- training

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
                        rf"in {tmp_path}/run/checkpoints\. Try lower learning rates or float32\.", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert is_readable(tf.train.latest_checkpoint(tmp_path / "run" / "checkpoints"))


# ----------------------------------------------------------------------------------------------------------- evaluating

def test_evaluation_prints_what_an_independent_computation_finds(finished, data_dir):
    workdir, _ = finished
    done = run(sys.executable, "-m", "redo_tf.evaluate", f"--workdir={workdir}", "--split=test", f"--data_dir={data_dir}",
               "--batch_size=2")
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    results = json.loads(last)

    network = build_mask_network(tiny.config(*LONGER).model)
    network(tf.zeros([1, 32, 32, 3]))
    assert Checkpoints(str(workdir / "best"), 1, mask_network=network).restore_newest()
    drawn = [shapes.draw(shapes.picture_seed("test", i), 32) for i in range(5)]
    soft = network(to_model_range(np.stack([image for image, _ in drawn]))).numpy()
    true = np.stack([mask for _, mask in drawn]) == 1
    objects = [soft.argmax(-1) == k for k in range(2)]  # Either region may be the object.
    accuracy = np.array([(region == true).mean((1, 2)) for region in objects])
    iou = np.array([(region & true).sum((1, 2)) / (region | true).sum((1, 2)) for region in objects])
    expected = {"accuracy": accuracy.mean(1).max(), "accuracy_per_image": accuracy.max(0).mean(),
                "iou": iou.mean(1).max(), "iou_per_image": iou.max(0).mean()}

    assert (results["dataset"], results["split"], results["pictures"]) == ("shapes", "test", 5)
    background_first = slice(None, None, -1 if iou.mean(1).argmax() == 0 else 1)
    assert results["region_sizes"] == pytest.approx(soft.mean((0, 1, 2))[background_first].tolist(), abs=1e-5)
    assert results["label_shares"] == pytest.approx(np.mean(objects, (1, 2, 3))[background_first].tolist(), abs=1e-9)
    assert {name: results[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert json.loads((workdir / "evaluation_test.json").read_text()) == results
    assert table[0].startswith("shapes test, 5 pictures")
    assert [float(word) for word in table[2].split()[-2:]] == pytest.approx([expected["accuracy"], expected["iou"]], abs=5e-5)
    assert [float(word) for word in table[3].split()[-2:]] == pytest.approx(
        [expected["accuracy_per_image"], expected["iou_per_image"]], abs=5e-5)


# -------------------------------------------------------------------------------------------- mistakes, help, subcommands

def test_every_mistake_ends_with_code_2_and_one_sentence_and_changes_nothing(data_dir, tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.py").write_text("def get_config(:\n")
    run_dir = tmp_path / "run"  # Of another configuration, with a checkpoint, never evaluated.
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / "ckpt-5.index").write_text("")
    (run_dir / "config.json").write_text(to_json(tiny.config("seed=77")))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    new = f"--workdir={tmp_path / 'new'}"
    shapes_data = f"--data_dir={data_dir}"
    expected = [
        (["train", new, "--dataset=shape"], r"There is no data set shape\. Did you mean shapes\? Known: shapes, .*"),
        (["train", new, "--set", "data.dataset=shape"], r"There is no data set shape\. Did you mean shapes\? Known: .*"),
        (["train", new, "--set", "train.batchsize=3"],
         r"There is no configuration field train\.batchsize\. Did you mean train\.batch_size\?"),
        (["train", new, "--set=train.batch_size=many"], r"train\.batch_size takes a whole number, not 'many'\."),
        (["train", new, "--set=train.precision=float16"], r"train\.precision is one of float32, .*, not 'float16'\."),
        (["train", new, "--set=data.image_size=33"], r"data\.image_size: .*33.*"),
        (["train", new, "--set", "train.steps"], r"--set train\.steps is not of the form name=value\."),
        (["train", new, "--set"], r".*--set.* \(--help lists the flags\.\)"),
        (["train", new, "--datset=shapes"], r"Unknown command line flag 'datset'\. Did you mean: dataset \? .*"),
        (["train", new, "--restart=maybe"], r"flag --restart=maybe: .*"),
        (["train", new, "shapes", "lfw"], r"Not understood: shapes lfw \(flags have the form --name=value; .*"),
        (["train", new, "--config=shapess"], r"There is no recipe shapess\. Did you mean shapes\? .*"),
        (["train", new, f"--config={tmp_path / 'broken.py'}"], r"The recipe .*broken\.py does not run: SyntaxError: .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data],
         r".*/run holds a run of another configuration: seed is 77 there and 0 here; .*--restart .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data, "--restart", f"--set=train.begin_with={run_dir}"],
         r".*/run cannot begin with itself: .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data, "--restart",
          f"--set=train.begin_with={tmp_path / 'empty'}"], r".*/empty holds no run \(no config\.json\): .*"),
        (["train", f"--workdir={tmp_path / 'file' / 'run'}"], r"The run cannot be written to .*/file/run \(.*"),
        (["train", f"--workdir={tmp_path / 'file'}"], r"The run cannot be written to .*/file \(.*"),
        (["evaluate"], r"Which model\? Give a run's folder as --workdir=… or an exported model as --model=…, .*"),
        (["evaluate", f"--workdir={tmp_path / 'none'}"], r".*/none holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'empty'}"], r".*/empty holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'file'}"], r".*/file holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'damaged'}"], r".*/damaged/config\.json is damaged: .*"),
        (["evaluate", f"--workdir={run_dir}", shapes_data], r".*/run has no best/ checkpoint yet: train past .*=3 steps .*"),
        (["evaluate", f"--workdir={run_dir}", "--split=vall"], r"flag --split=vall: .*"),
        (["evaluate", f"--workdir={run_dir}", "--batch_size=0"], r"flag --batch_size=0: .*"),
        (["trian"], r"redo-tf has no subcommand trian; .*"),
    ]
    before = contents(tmp_path)
    for (arguments, sentence), (code, output, errors) in zip(expected, redo_tf(*[case[0] for case in expected])):
        assert (code, output) == (2, ""), (arguments, errors)
        assert errors.endswith("\n") and errors.count("\n") == 1, (arguments, errors)
        assert re.fullmatch(sentence, errors.strip()), (arguments, errors)
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_data_that_is_not_there_or_too_little_is_told_before_the_folder_is_touched(data_dir, tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    workdir = f"--workdir={tmp_path / 'run'}"
    too_large = [f"--set={setting}" for setting in tiny.SETTINGS] + ["--set=train.batch_size=33", f"--data_dir={data_dir}"]
    expected = [
        (["train", workdir, "--dataset=lfw", "--config=default"], r".*lfw.*\.tgz.*--data_dir=.*"),
        (["train", workdir, "--dataset=lfw", "--config=default", f"--data_dir={tmp_path / 'empty'}"],
         r".*lfw.*\.tgz.* not found in .*/empty .*"),
        (["train", workdir, "--dataset=shapes", f"--data_dir={tmp_path / 'file'}"], r"--data_dir=.*/file is a file: .*"),
        (["train", workdir, "--dataset=shapes", "--config=default", *too_large],
         r"shapes has 32 training pictures, fewer than train\.batch_size=33: add pictures, or --set train\.batch_size=32\."),
    ]
    for (arguments, sentence), (code, output, errors) in zip(expected, redo_tf(*[case[0] for case in expected])):
        assert (code, output) == (2, ""), (arguments, errors)
        assert errors.count("\n") == 1 and re.fullmatch(sentence, errors.strip()), (arguments, errors)
    assert [str(path) for path in contents(tmp_path)] == ["file"]


def test_help_lists_every_flag_and_ends_with_code_0():
    results = redo_tf([], ["help"], ["--help"], ["train", "--help"], ["evaluate", "--help"], ["train", "--seed", "--helpfull"])
    assert [(code, errors) for code, _, errors in results] == [(0, "")] * 6
    for _, output, _ in results[:3]:
        assert [line.split()[0] for line in output.splitlines() if " python -m " in line] == list(cli.COMMANDS)
    flags = [set(re.findall(r"^  --(?:\[no\])?(\w+)", output, re.MULTILINE)) for _, output, _ in results[3:]]
    assert flags[0] == {"dataset", "config", "set", "restart", "data_dir", "mask_dir", "workdir"}
    assert flags[1] == {"split", "batch_size", "model", "dataset", "data_dir", "mask_dir", "workdir"}
    assert flags[2] == flags[0]
    assert "Trains ReDO" in results[3][1] and "Scores a run's mask network, or an exported model" in results[4][1]


def test_help_of_a_module_is_the_same():
    done = run(sys.executable, "-m", "redo_tf.train", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(re.findall(r"^  --(?:\[no\])?(\w+)", done.stdout, re.MULTILINE)) == {
        "dataset", "config", "set", "restart", "data_dir", "mask_dir", "workdir"}


# ------------------------------------------------------------------------------------------------------ in this process

@pytest.mark.parametrize("error, code, message", [
    (UserError("Do this."), 2, "Do this.\n"),
    (Diverged("It did."), 1, "It did.\n"),
    (Interrupted("Stopped.", signal.SIGTERM), 143, "Stopped.\n"),
    (Interrupted("Stopped.", signal.SIGINT), 130, "Stopped.\n"),
    (KeyboardInterrupt(), 130, "Interrupted.\n"),
    (OSError(28, "No space left on device", "/runs/a"), 2,
     "No space left on device at /runs/a: make room or choose another folder.\n"),
    (PermissionError(13, "Permission denied", "/runs/a"), 2,
     "Permission denied at /runs/a: choose another folder or change its permissions.\n"),
])
def test_exit_codes(capsys, error, code, message):
    def body():
        raise error
    assert cli._exit_code(body) == code
    assert capsys.readouterr() == ("", message)


def test_outputs_that_cannot_be_written_end_with_code_2(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path, named, message in (
            ("folder", "folder", "Is a directory at {}: that is a folder; name a file in it.\n"),
            ("file/a.png", "file", "File exists at {}: a file is where a folder should be; choose another path.\n"),
            ("file/b/a.png", "file/b", "Not a directory at {}: a file is where a folder should be; choose another path.\n")):
        assert cli._exit_code(lambda: write_whole(str(tmp_path / path), b"")) == 2
        assert capsys.readouterr() == ("", message.format(tmp_path / named))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_success_is_code_0_and_silent(capsys):
    assert cli._exit_code(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_a_process_goes_without_collecting_what_it_holds():
    """TensorFlow's graphs, cycles of thousands of objects, take half a minute."""
    body = """
import sys
from redo_tf import cli

class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        print("collected", flush=True)

def main():
    main.kept = Cycle()
    print("done")

sys.argv = ["command"]
cli.run(main)
"""
    done = run(sys.executable, "-c", body)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    without = run(sys.executable, "-c", body.replace("cli.run(main)", "main()"))
    assert without.stdout == "done\ncollected\n", without.stderr


@pytest.mark.parametrize("error", [ValueError("bug"), FileNotFoundError(2, "No such file", "/x")])
def test_our_own_mistakes_keep_their_traceback(error):
    def body():
        raise error
    with pytest.raises(type(error)):
        cli._exit_code(body)


def test_our_own_mistakes_are_no_divergence(monkeypatch, capsys):
    def main():
        raise ValueError("bug")
    monkeypatch.setattr(sys, "argv", ["redo-tf"])
    monkeypatch.setattr(cli.app, "run", lambda main, flags_parser: main(None))
    with pytest.raises(SystemExit) as left:
        cli.run(main)
    assert left.value.code == 70
    assert "ValueError: bug" in capsys.readouterr().err


def test_overrides_go_before_the_data_set_and_the_data_set_before_the_recipe(tmp_path):
    (tmp_path / "mine.py").write_text("from redo_tf.config import Config\ndef get_config():\n  c = Config()\n"
                                      "  c.data.dataset = 'lfw'\n  c.train.steps = 3\n  c.seed = 4\n  return c\n")
    recipe = str(tmp_path / "mine.py")
    assert resolve(None, recipe, []).data.dataset == "lfw"
    config = resolve("c2mnist", recipe, ["train.steps=5", "train.steps=6"])
    assert (config.data.dataset, config.train.steps, config.seed) == ("c2mnist", 6, 4)
    assert resolve("c2mnist", recipe, ["data.dataset=shapes"]).data.dataset == "shapes"


def test_without_a_recipe_the_one_named_like_the_data_set_is_taken():
    assert resolve(None, None, []) == resolve("shapes", None, []) == resolve(None, "shapes", [])


@pytest.mark.parametrize("name", data.NAMES)
def test_every_data_set_has_a_recipe_of_its_name(name):
    assert resolve(name, None, []).data.dataset == name
