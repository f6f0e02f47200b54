"""The command that trains with true masks: its numbers of masks, its folder, and the curve."""
from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

import tiny
from processes import run
from redo_tf import data, supervised
from redo_tf.best import load_mask_network
from redo_tf.errors import UserError
from redo_tf.evaluation import compile_segmenter, score
from redo_tf.supervision.training import Settings
from redo_tf.workdir import Workdir


@pytest.mark.parametrize("words", [[], ["5", "x"], ["0"], ["-1"], ["2.5"], [""]])
def test_numbers_that_are_none(words):
    with pytest.raises(UserError, match="is no list of positive whole numbers"):
        supervised.numbers_of_labels(words)


def test_numbers_are_sorted_and_unique():
    assert supervised.numbers_of_labels(["20", " 5", "20"]) == [5, 20]


def test_a_folder_belongs_to_its_settings(tmp_path):
    folder, settings = Workdir(str(tmp_path)), Settings()
    claim = lambda folder, config, settings, val="b": supervised.claim(folder, config, settings, {"train": "a", "val": val})
    claim(folder, tiny.config(), settings)
    claim(folder, tiny.config("seed=5", "objective.lambda_z=1", "train.steps=99"), settings)
    with pytest.raises(UserError, match="val is b there and c here.*another --workdir"):
        claim(folder, tiny.config(), settings, val="c")
    with pytest.raises(UserError, match="model.gain is 0.8 there and 0.5 here.*another --workdir"):
        claim(folder, tiny.config("model.gain=0.5"), settings)
    with pytest.raises(UserError, match="patience is 10 there and 4 here"):
        claim(folder, tiny.config(), Settings(patience=4))
    with pytest.raises(UserError, match="settings.json is not a folder"):
        claim(Workdir(folder.file("settings.json")), tiny.config(), settings)
    with open(folder.file("settings.json"), "w", encoding="utf-8") as file:
        file.write('{"model.gain": ')
    with pytest.raises(UserError, match="settings.json is damaged: bring it back from a copy, or choose another --workdir.$"):
        claim(folder, tiny.config(), settings)


def test_a_folder_of_a_weighted_data_set_is_known_again(tmp_path):
    for _ in range(2):
        supervised.claim(Workdir(str(tmp_path)), tiny.config("data.weights=[1.0]"), Settings(), {})


def test_a_damaged_result_is_told(tmp_path):
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "labels_00002_seed_0.json").write_text("[]")
    pictures = data.Split(np.zeros([2, 2, 2, 3], np.uint8), None, ["a", "b"])
    with pytest.raises(UserError, match="labels_00002_seed_0.json is damaged: remove it to have it trained again.$"):
        supervised.trained(Workdir(str(tmp_path)), tiny.config(), Settings(), pictures, pictures, pictures, seed=0)


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """The folder of an unsupervised run."""
    with monkeypatch.context() as patch:
        tiny.use_pictures(patch)
        trainer = tiny.trainer(tmp_path / "unsupervised")
        tiny.FakeStep(trainer)
        trainer.run()
    return tmp_path / "unsupervised"


def test_the_command_draws_the_curve_and_trains_nothing_twice(data_dir, reference, tmp_path, capsys):
    arguments = ["--dataset=shapes", "--config=default", f"--data_dir={data_dir}", f"--workdir={tmp_path}/figure",
                 *(f"--set={setting}" for setting in tiny.SETTINGS), "--seeds=1", "--max_steps=4", "--evaluate_every=2",
                 f"--reference={reference}"]
    done = run(sys.executable, "-m", "redo_tf.supervised", *arguments, "--labels=8,2")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Pictures with masks: 32 of train for training, 8 of val for stopping, 5 of test for scoring." in done.stderr
    picture = Image.open(io.BytesIO((tmp_path / "figure" / "supervised.png").read_bytes()))
    assert picture.size == (1000, 420) and len(picture.getcolors(10**6)) > 20
    first = json.loads((tmp_path / "figure" / "supervised.json").read_text())
    assert [(result["labels"], result["seed"]) for result in first["results"]] == [(2, 0), (8, 0)]

    network, row = load_mask_network(Workdir(str(reference)))
    test = data.load("shapes", "test", data_dir=data_dir, image_size=32)
    level = score(compile_segmenter(network, 32), test, regions=2)
    assert first["reference"]["step"] == row["step"] and first["reference"]["scoring"] == pytest.approx(level, abs=1e-6)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[1].strip() for row in rows] == ["true masks", "2", "8", "none (unsupervised)"]
    assert rows[3][3].strip() == f"{level['iou']:.3f}"

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "figure" / "trained").iterdir()}
    with flagsaver.flagsaver():
        flags.FLAGS(["test", *arguments, "--labels=2,8,3"])
        supervised.main()
        flags.FLAGS(["test", *arguments, "--labels=33"])
        with pytest.raises(UserError, match="asks for 33 masks and shapes has 32"):
            supervised.main()
        flags.FLAGS(["test", *arguments, "--labels=2", "--set=data.resize=nearest"])
        with pytest.raises(UserError, match="--set data.resize=antialias, or choose another reference"):
            supervised.main()
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "figure" / "trained").iterdir()}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} == {"labels_00003_seed_0.json"}
    second = json.loads((tmp_path / "figure" / "supervised.json").read_text())
    assert {name: second["summary"][name] for name in ("2", "8")} == first["summary"]
    assert list(second["summary"]) == ["2", "3", "8"]
