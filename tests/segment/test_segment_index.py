"""The index: mended, kept in order, and names of every kind."""
from __future__ import annotations

import contextlib
import errno
import os

import numpy as np
import pytest

import photographs
from full_disk import room_for
from outputs import rows
from photographs import FakeSegmenter, named, red_and_green
from processes import contents
from redo_tf.errors import UserError
from redo_tf.photos.index import Index
from redo_tf.photos.pipeline import segment


def test_an_index_that_ends_in_the_middle_of_a_line_is_mended(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    index = tmp_path / "out" / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-40])
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert contents(tmp_path / "out") == before


def test_a_row_that_a_filling_disk_takes_half_of_is_an_error_and_is_mended(tmp_path):
    index = Index(str(tmp_path))
    index.begin()
    index.add({"input": "/a.png", "error": "is empty"})
    whole = os.path.getsize(index.path)
    with contextlib.closing(index), room_for(whole + 20), pytest.raises(OSError) as caught:
        index.add({"input": "/b.png", "error": "is empty"})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, index.path)
    assert os.path.getsize(index.path) == whole + 20
    again = Index(str(tmp_path))
    assert list(again.rows) == ["/a.png"]
    again.begin()
    again.close()
    assert os.path.getsize(index.path) == whole


@pytest.mark.parametrize("line", [b"\n", bytes(40) + b"\n"])
def test_an_empty_line_in_the_middle_loses_no_row(tmp_path, photos, line):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    index = tmp_path / "out" / "index.jsonl"
    first, rest = index.read_bytes().split(b"\n", 1)
    index.write_bytes(first + b"\n" + line + rest)
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (0, 12, 0)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("line", [
    '{"id": 1, "caption": "mine"}\n', '{"input": "a.png", "label": 3}\n', "a, b\n", "a, b", '["input"]\n', '{"input": 3, "mask": "a"}\n'])
def test_an_index_of_something_else_is_left_alone(tmp_path, photos, line):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.jsonl").write_text(line)
    with pytest.raises(UserError, match="index.jsonl is not of redo_tf.segment, and would be overwritten: choose another --output"):
        segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    assert (tmp_path / "out" / "index.jsonl").read_text() == line
    assert not list((tmp_path / "out").glob("*.png"))


def test_the_index_keeps_other_pictures_and_is_in_the_order_of_their_paths(tmp_path, photos):
    segment(FakeSegmenter(), photos[6:], str(tmp_path / "out"))
    segment(FakeSegmenter(), photos[:8][::-1], str(tmp_path / "out"))
    assert [row["input"] for row in rows(tmp_path / "out")] == [picture.path for picture in photos]


def test_names_in_any_script_and_of_any_bytes_stand_in_the_index(tmp_path):
    names = ["日本 語", "Ωμέγα", "صورة", "🙂", " a  b ", os.fsdecode(b"\xff\xfe")]
    picture = photographs.save(red_and_green(8, 8, np.s_[:]), tmp_path / "a.png")
    for name in names:
        os.link(picture, tmp_path / f"{name}.png")
    pictures = named([tmp_path / f"{name}.png" for name in names])
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (6, 0, 0)
    assert {row["mask"] for row in rows(tmp_path / "out")} == {f"{name}_mask.png" for name in names}
    assert all((tmp_path / "out" / row["mask"]).exists() for row in rows(tmp_path / "out"))
    assert "日本 語" in (tmp_path / "out" / "index.jsonl").read_text()
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (0, 6, 0)
