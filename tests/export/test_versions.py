"""Exporting a SavedModel: the next version, whole or not at all, and a person's mistakes."""
from __future__ import annotations

import os
import re
import shutil
import signal

import pytest
import tensorflow as tf

import tiny
from export import folders, saved_model
from processes import contents, redo_tf
from redo_tf.config import to_json
from redo_tf.errors import Interrupted, UserError
from redo_tf.workdir import Workdir


def test_the_next_version_is_one_more_than_the_largest_and_the_others_stay(run, tmp_path):
    for name in ("3", "10", "backup", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    before = contents(tmp_path)
    assert saved_model.export(Workdir(run), str(tmp_path)) == str(tmp_path / "11")
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert {name.parts[0] for name in after} == {"3", "10", "11", "backup", ".hidden"}
    assert os.stat(tmp_path / "11").st_mode & 0o777 == os.stat(tmp_path / "10").st_mode & 0o777  # A server may read it.


def test_a_version_that_another_process_makes_meanwhile_is_left_alone(tmp_path):
    def fill(folder):
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "theirs").write_text("")
        open(os.path.join(folder, "ours"), "w").close()

    assert folders.write_version(str(tmp_path), fill) == str(tmp_path / "2")
    assert set(map(str, contents(tmp_path))) == {"1/theirs", "2/ours"}


@pytest.mark.parametrize("stage", ["export.warmup.write", "export.saved_model.write_text", "export.folders._flush"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_export_that_fails_leaves_nothing(run, tmp_path, monkeypatch, stage, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(stage, fail)
    monkeypatch.setattr("tensorflow.saved_model.save",
                        lambda _, folder, signatures: open(folder + "/saved_model.pb", "w").close())
    for base in (tmp_path, tmp_path / "made"):
        with pytest.raises(type(error)):
            saved_model.export(Workdir(run), str(base))
        assert os.listdir(tmp_path) == []


def test_a_terminated_export_leaves_nothing_and_the_handler_of_before_is_back(tmp_path):
    def fill(folder):
        open(folder + "/saved_model.pb", "w").close()
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("went on")

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        folders.write_version(str(tmp_path), fill)
    assert os.listdir(tmp_path) == [] and signal.getsignal(signal.SIGTERM) == before


def test_nothing_has_a_versions_name_before_it_is_whole(run, tmp_path, monkeypatch):
    """As after SIGKILL or a power cut: whatever is there at that moment, TF Serving takes none of it for a version."""
    seen = []
    write = saved_model.write_text
    monkeypatch.setattr("export.saved_model.write_text",
                        lambda *arguments: (seen.extend(os.listdir(tmp_path)), write(*arguments)))
    saved_model.export(Workdir(run), str(tmp_path))
    assert len(seen) == 1 and not seen[0].isdigit()


def test_a_full_disk_within_tensorflow_is_told_in_a_sentence(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "variables; No space left on device\nmore")

    monkeypatch.setattr("tensorflow.saved_model.save", full)
    with pytest.raises(UserError, match=r"cannot be written to .* \(variables; No space left on device\): make room"):
        saved_model.export(Workdir(run), str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_the_command_and_its_mistakes(run, tmp_path):
    unevaluated = tmp_path / "unevaluated"
    unevaluated.mkdir()
    (unevaluated / "config.json").write_text(to_json(tiny.config()))
    (tmp_path / "file").write_text("")
    command, output = "export-saved-model", f"--output={tmp_path / 'base'}"
    expected = [
        ([output], r"Which run\? Give its folder as --workdir=…"),
        ([f"--workdir={run}"], r"Where to\? Give the folder of the model's versions as --output=…"),
        ([f"--workdir={tmp_path / 'none'}", output], r".*/none holds no run \(no config\.json\): .*"),
        ([f"--workdir={unevaluated}", output], r".*/unevaluated has no best/ checkpoint yet: .*"),
        ([f"--workdir={run}", f"--output={tmp_path / 'file'}"], r"Nothing can be .* to .*/file \(File exists\): .*"),
        ([f"--workdir={run}", f"--output={tmp_path / 'file' / 'x'}"], r"Nothing can be .* \(Not a directory\): .*"),
    ]
    before = contents(tmp_path)
    *mistakes, (code, printed, errors) = redo_tf(
        *([command, *arguments] for arguments, _ in expected),
        [command, f"--workdir={run}", f"--output={tmp_path / 'new'}"])
    for (arguments, sentence), (wrong, nothing, told) in zip(expected, mistakes):
        assert (wrong, nothing) == (2, ""), (arguments, told)
        assert told.count("\n") == 1 and re.fullmatch(sentence, told.strip()), (arguments, told)
    assert (code, errors) == (0, f"Exporting {run} as it was at step 10.\n")
    assert re.fullmatch(rf"SavedModel: {tmp_path}/new/1 \(\d+\.\d MB, \d+ s\)\n", printed)
    shutil.rmtree(tmp_path / "new")
    assert contents(tmp_path) == before
