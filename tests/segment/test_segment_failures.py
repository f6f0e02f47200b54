"""Pictures that fail alone, what ends the whole, and the exit code."""
from __future__ import annotations

import fcntl
import re

import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from outputs import close, messages, rows
from photographs import FakeSegmenter, named
from processes import contents
from redo_tf import segment as command
from redo_tf.errors import UserError
from redo_tf.photos.pipeline import Outcome, exit_code, segment


def test_bad_pictures_are_reported_in_a_line_each_and_the_others_segmented(tmp_path, photos, capsys):
    folder = tmp_path / "in"
    content = (folder / "p03.png").read_bytes()
    (folder / "cut.png").write_bytes(content[:len(content) // 2])
    (folder / "text.jpg").write_text("This is a text.")
    (folder / "empty.jpg").touch()
    (folder / "dangling.jpg").symlink_to("nothing")
    (folder / "two\nlines.jpg").touch()
    names = "cut.png", "text.jpg", "empty.jpg", "dangling.jpg", "two\nlines.jpg", "missing.jpg"
    bad = [folder / name for name in names]
    pictures = [picture for pair in zip(named(bad), photos) for picture in pair]
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (6, 0, 6)
    errors = messages(capsys.readouterr().err)
    assert len(errors) == 6
    for path in bad:
        told = str(path).replace("\n", " ")
        assert sum(bool(re.fullmatch(rf"{re.escape(told)} \S.*\.", line)) for line in errors) == 1, errors
    by_input = {row["input"]: row for row in rows(tmp_path / "out")}
    assert len(by_input) == 12
    assert {path for path, row in by_input.items() if "error" in row} == set(map(str, bad))
    assert all("mask" not in row for row in by_input.values() if "error" in row)
    assert by_input[str(folder / "empty.jpg")]["error"] == "is empty"
    assert sum(path.name.endswith("_mask.png") for path in contents(tmp_path / "out")) == 6


def test_a_picture_whose_files_cannot_be_written_is_reported(tmp_path, photos):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p01_mask.png").write_text("A person's own.")
    assert segment(FakeSegmenter(), photos[:3], str(tmp_path / "out")) == (2, 0, 1)
    assert (tmp_path / "out" / "p01_mask.png").read_text() == "A person's own."
    assert ["error" in row for row in rows(tmp_path / "out")] == [False, True, False]


def test_a_failed_picture_is_tried_again(tmp_path, photos):
    path = tmp_path / "in" / "p00.png"
    content = path.read_bytes()
    path.write_bytes(b"")
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (11, 0, 1)
    path.write_bytes(content)
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert ["error" in row for row in rows(tmp_path / "out")] == [False] * 12


def test_a_full_disk_ends_the_whole(tmp_path, photos, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("redo_tf.photos.drawing._save", full)
    with pytest.raises(OSError, match="No space left"):
        segment(FakeSegmenter(), photos, str(tmp_path / "out"))


def test_too_large_a_batch_is_a_persons_mistake(tmp_path, photos):
    def before(images):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
    with pytest.raises(UserError, match="^6 pictures at a time do not fit into memory: lower --batch_size"):
        segment(FakeSegmenter(before=before), photos[::4] + photos[3::4], str(tmp_path / "out"), batch_size=6)


def test_an_output_that_is_a_file_or_in_use(tmp_path, photos):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--output=.*/file is a file: name a folder"):
        segment(FakeSegmenter(), photos, str(tmp_path / "file"))
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".redo_lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is segmenting into .*/out: wait for it, or .*"):
            segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")).segmented == 12


def test_folders_that_cannot_be_read_are_told_and_count_as_failures(tmp_path, photos, monkeypatch, capsys, caplog):
    (tmp_path / "in" / "closed").mkdir()
    (tmp_path / "in" / "p00.png").write_bytes(b"")
    close(monkeypatch, "closed")
    monkeypatch.setattr("redo_tf.segmenter.load", lambda path: FakeSegmenter(path=path))
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as exit:
        flags.FLAGS(["segment", "--model=fake", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"])
        command.main()
    assert exit.value.code == 2
    assert f"{tmp_path / 'in'}/closed cannot be read (Permission denied): what is below it is left out." in [
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    output, errors = capsys.readouterr()
    assert output.startswith("Segmented 11 pictures in ")
    assert messages(errors)[-2:] == [f"1 of 12 pictures failed; {tmp_path / 'out' / 'index.jsonl'} says why.",
                                     "Folders that could not be read: 1."]


@pytest.mark.parametrize("failed, unread, code", [
    (0, 0, 0), (1, 0, 1), (1, 2, 3), (125, 0, 125), (126, 0, 125), (124, 3, 125), (4000, 0, 125)])
def test_the_exit_code_is_no_larger_than_shells_leave_free(failed, unread, code):
    assert exit_code(Outcome(segmented=3, skipped=2, failed=failed), unread) == code
