"""Facts about finding and splitting the pictures of a folder."""
from __future__ import annotations

import os
import tracemalloc

import pytest

from redo_tf.data import picture_tree


def _make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"content")


def test_walk_finds_pictures_at_every_depth_and_nothing_else(tmp_path):
    _make(tmp_path, "a.jpg", "b/c.PNG", "b/d/e.webp", "b/d/f.bmp", "g.jpeg", "日本/ü.jpg", "a.txt", "b/noextension",
          ".hidden.jpg", ".hidden/h.jpg", "redo_folder/64px/i.png", "masks/a.png")
    (tmp_path / "folder.jpg").mkdir()
    _make(tmp_path, "folder.jpg/inside.png")
    found = list(picture_tree.walk(tmp_path, [tmp_path / "masks"]))
    assert sorted(found) == sorted([
        "a.jpg", "b/c.PNG", "b/d/e.webp", "b/d/f.bmp", "g.jpeg", "日本/ü.jpg", "folder.jpg/inside.png"])


def test_links_are_followed_once(tmp_path):
    _make(tmp_path, "pictures/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "pictures" / "loop").symlink_to(tmp_path / "pictures")
    (tmp_path / "pictures" / "one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pictures" / "two").symlink_to(tmp_path / "elsewhere")
    assert sorted(picture_tree.walk(tmp_path / "pictures")) == ["a.jpg", "one/b.jpg"]  # Whatever the order they are listed in.


def test_a_link_that_leads_nowhere_leaves_its_neighbours(tmp_path):
    _make(tmp_path, *(f"{i}.jpg" for i in range(9)))
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    found = sorted(picture_tree.walk(tmp_path))
    assert found == [*(f"{i}.jpg" for i in range(9)), "gone.png"]  # Named as a picture: reported when it is read.


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_is_found(tmp_path, monkeypatch):
    _make(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir  # Root may read any folder, so the refusal is made here.

    def refuse(path):
        if os.path.basename(os.path.normpath(path)) == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    told = []
    assert list(picture_tree.walk(tmp_path, on_error=lambda path, error: told.append((path, error.strerror)))) == ["a.jpg"]
    assert told == [(f"{tmp_path}/closed", "Permission denied")]


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "other size", "other time", "text added", "none"])
def test_the_fingerprint_tells_changes(tmp_path, change):
    _make(tmp_path, "a.jpg", "b/c.jpg")
    before = picture_tree.fingerprint(tmp_path)
    path = tmp_path / "b" / "c.jpg"
    if change == "added":
        _make(tmp_path, "d.jpg")
    elif change == "removed":
        path.unlink()
    elif change == "renamed":
        path.rename(path.with_name("d.jpg"))
    elif change == "other size":
        stat = path.stat()
        path.write_bytes(b"longer content")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change == "other time":
        os.utime(path, ns=(0, 10**18))
    elif change == "text added":
        _make(tmp_path, "a.txt")
    assert (picture_tree.fingerprint(tmp_path) == before) == (change in ("text added", "none"))


@pytest.mark.parametrize("count, sizes", [
    (20, {"train": 16, "val": 2, "test": 2}), (5, {"train": 3, "val": 1, "test": 1}),
    (1_000, {"train": 800, "val": 100, "test": 100}), (25_000, {"train": 23_000, "val": 1_000, "test": 1_000})])
def test_splits_are_whole_disjoint_and_do_not_depend_on_the_order(count, sizes):
    names = [f"folder/{number}.jpg" for number in range(count)]
    division, again = picture_tree.Division(iter(names)), picture_tree.Division(iter(names[::-1]))
    splits = [division.split_of(name) for name in names]
    assert {split: splits.count(split) for split in sizes} == sizes == division.sizes
    assert [again.split_of(name) for name in names] == splits
    assert division.split_of("folder/x.jpg") is None and len(division) == count


def test_a_million_names_take_no_more_than_eight_bytes_each():
    tracemalloc.start()
    division = picture_tree.Division(f"{number}" for number in range(100_000))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(division) == 100_000
    assert held < 9 * 100_000 and peak < 30 * 100_000  # Names themselves would be 55 bytes each.
