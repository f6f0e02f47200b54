from __future__ import annotations

import contextlib
import io
import os
import unicodedata

import numpy as np
import pytest

from outputs import close
from redo_tf.errors import UserError
from redo_tf.photos.drawing import write_files
from redo_tf.photos.finding import Picture, find


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(source, listing=b""):
    """(path, name) of each picture, the path below the working folder."""
    return [(os.path.relpath(picture.path), picture.name) for picture in find(source, io.BytesIO(listing))]


def in_any_order(monkeypatch, turn):
    """Folders are listed by name, or backwards: some file systems do the one, others the other."""
    listed = os.scandir

    @contextlib.contextmanager
    def scandir(path):
        with listed(path) as entries:
            yield iter(sorted(entries, key=lambda entry: entry.name)[::turn])

    monkeypatch.setattr(os, "scandir", scandir)


def write_result(path):
    write_files(np.full([1, 1, 2], 0.5, np.float32), (1, 1), "", {"mask": str(path)})


def test_a_folder_gives_the_pictures_in_it_and_below_in_their_tree(folder):
    touch(folder, "in/b.jpg", "in/a.PNG", "in/x/y/c.webp", "in/x/d.tiff", "in/notes.txt", "in/.hidden.jpg",
          "in/.git/e.jpg", "in/._b.jpg", "f.jpg", "in/iphone.HEIC")
    expected = [("in/a.PNG", "a"), ("in/b.jpg", "b"), ("in/iphone.HEIC", "iphone"), ("in/x/d.tiff", "x/d"),
                ("in/x/y/c.webp", "x/y/c")]
    assert found("in") == found("in/") == found(str(folder / "in")) == expected


@pytest.mark.parametrize("turn", [1, -1])
def test_a_folders_pictures_come_before_its_subfolders_by_name(folder, monkeypatch, turn):
    touch(folder, *(f"in/{name}.png" for name in ("b", "z", "a/c", "a/y/e", "a-b/d", "x/a")))
    in_any_order(monkeypatch, turn)
    assert [name for _, name in found("in")] == ["b", "z", "a/c", "a/y/e", "a-b/d", "x/a"]


@pytest.mark.parametrize("turn", [1, -1])
def test_folders_that_links_lead_to_are_taken_once_and_by_their_own_path_where_they_have_one(folder, monkeypatch, turn):
    touch(folder, "in/a.jpg", "in/x/y/b.jpg", "elsewhere/z/c.jpg", "in/.hidden/d.jpg")
    for link, target in (("a", "x/y"), ("loop", "."), ("x/up", ".."), ("away", "../elsewhere"), ("shown", ".hidden"),
                         ("z", "x"), ("gone", "nothing"), ("itself", "itself")):
        (folder / "in" / link).symlink_to(target)
    in_any_order(monkeypatch, turn)
    expected = [("in/a.jpg", "a"), ("in/away/z/c.jpg", "away/z/c"), ("in/shown/d.jpg", "shown/d"), ("in/x/y/b.jpg", "x/y/b")]
    assert found("in") == expected
    (folder / "link").symlink_to("in")
    assert found("link") == [(path.replace("in/", "link/", 1), name) for path, name in expected]


def test_folders_that_cannot_be_read_are_told(folder, monkeypatch):
    touch(folder, "in/a.jpg", "in/closed/b.jpg")
    close(monkeypatch, "closed")
    told = []
    pictures = find("in", io.BytesIO(), lambda path, error: told.append((path, error.strerror)))
    assert [picture.name for picture in pictures] == ["a"]
    assert told == [("in/closed", "Permission denied")]


def test_a_single_file(folder):
    touch(folder, "in/a.jpg", "in/[1].jpg", "in/whatever")
    (folder / "in" / "link.jpg").symlink_to("nothing")
    assert found("in/a.jpg") == [("in/a.jpg", "a")]
    assert found("in/[1].jpg") == [("in/[1].jpg", "[1]")]  # No glob: a file of that name is there.
    assert found("in/whatever") == [("in/whatever", "whatever")]
    assert found("in/link.jpg") == [("in/link.jpg", "link")]


def test_a_glob_keeps_the_tree_below_its_fixed_part(folder):
    touch(folder, "in/x/a.jpg", "in/y/a.jpg", "in/y/z/b.jpg", "in/y/notes.txt")
    assert found("in/*/*.jpg") == [("in/x/a.jpg", "x/a"), ("in/y/a.jpg", "y/a")]
    assert found("in/y/*") == [("in/y/a.jpg", "a"), ("in/y/notes.txt", "notes")]
    assert found("in/**/*.jpg") == [("in/x/a.jpg", "x/a"), ("in/y/a.jpg", "y/a"), ("in/y/z/b.jpg", "y/z/b")]
    assert found(str(folder / "in" / "?" / "a.jpg")) == [("in/x/a.jpg", "x/a"), ("in/y/a.jpg", "y/a")]


def test_a_list_keeps_the_tree_below_the_folder_that_its_files_share(folder):
    touch(folder, "in/x/a.jpg", "in/y/b b.jpg", "c\nd.jpg")
    assert found("-", b"in/x/a.jpg\nin/y/b b.jpg\n") == [("in/x/a.jpg", "x/a"), ("in/y/b b.jpg", "y/b b")]
    assert found("-", b"in/y/b b.jpg\r\n\r\nin/y/b b.jpg\r\n./in/y/b b.jpg") == [("in/y/b b.jpg", "b b")]
    assert found("-", b"in/x/a.jpg\0c\nd.jpg\0") == [("in/x/a.jpg", "in/x/a"), ("c\nd.jpg", "c\nd")]


def test_a_listed_file_that_is_not_there_is_kept_to_be_reported_and_changes_no_other_name(folder):
    touch(folder, "in/x/a.jpg")
    pictures = found("-", b"in/x/a.jpg\nin/x/missing.jpg\n/nowhere/b.jpg\n")
    assert pictures[0] == ("in/x/a.jpg", "a")
    assert [os.path.abspath(path) for path, _ in pictures[1:]] == [str(folder / "in/x/missing.jpg"), "/nowhere/b.jpg"]
    assert not any(os.path.isabs(name) or ".." in name for _, name in pictures)


@pytest.mark.parametrize("files, names", [
    (["a.jpg", "a.png", "b.jpg"], ["a.jpg", "a.png", "b"]),
    (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg", "a.jpg.png", "a.png"]),
    (["a.jpg", "a.jpg.png"], ["a", "a.jpg.png"]),  # a.jpg.png without its suffix would be called like the other file.
    (["A.jpg", "a.png"], ["A.jpg", "a.png"]),  # One file where case does not count.
    (["x/a.jpg", "y/a.png"], ["x/a", "y/a"]),
    ([unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.png")],
     [unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.png")]),
])
def test_pictures_that_would_share_a_name_keep_their_suffixes(folder, files, names):
    touch(folder, *(f"in/{name}" for name in files))
    assert dict(found("in")) == {f"in/{file}": name for file, name in zip(files, names)}


def test_names_in_any_script_and_of_any_bytes(folder):
    names = ["日本 語.jpg", "Ωμέγα.png", "صورة.jpg", "🙂.webp", " a  b .jpg", "it's \"$HOME\".jpg",
             os.fsdecode(b"\xff\xfe.jpg")]
    touch(folder, *(f"in/{name}" for name in names))
    assert sorted(path for path, _ in found("in")) == sorted(f"in/{name}" for name in names)
    listing = b"\n".join(os.fsencode(f"in/{name}") for name in names)
    assert [path for path, _ in found("-", listing)] == [f"in/{name}" for name in names]


def test_results_are_not_segmented_again(folder):
    touch(folder, "in/a.jpg", "in/own_mask.png", "in/out/b.jpg")
    for path in ("in/a_mask.png", "in/out/a_overlay.png", "in/out/a_probabilities.png"):
        write_result(folder / path)
    (folder / "in/out/.a_mask.png.part").write_bytes((folder / "in/a_mask.png").read_bytes()[:50])
    expected = ["in/a.jpg", "in/own_mask.png", "in/out/b.jpg"]
    assert [path for path, _ in found("in")] == expected
    assert sorted(path for path, _ in found("in/**/*.*")) == sorted(expected)
    assert [path for path, _ in found("-", b"in/a.jpg\nin/a_mask.png\n")] == ["in/a.jpg"]


def test_masks_of_the_pictures_are_left_out_as_in_training(folder):
    touch(folder, "in/a.jpg", "in/masks/a.png", "in/b.jpg", "in/b_mask.png", "in/c_mask.png", "other/masks/d.png", "other/e.jpg")
    assert [path for path, _ in found("in")] == ["in/a.jpg", "in/b.jpg", "in/c_mask.png"]
    assert [path for path, _ in found("other")] == ["other/e.jpg", "other/masks/d.png"]  # Of none of its pictures.


@pytest.mark.parametrize("source, sentence", [
    ("nothing.jpg", "There is nothing at --input=nothing.jpg: .*"), 
    ("*.jpg", r"No picture found for --input=\*\.jpg: .*"),
    ("empty", "No picture found for --input=empty: .*"), ("-", "No picture found for --input=-: .*"),
    ("results", "All that is found for --input=results are results of this command: .*"),
    ("results/a_mask.png", "All that is found for --input=results/a_mask.png are results of this command: .*")])
def test_nothing_to_segment_is_a_persons_mistake(folder, source, sentence):
    touch(folder, "empty/notes.txt")
    write_result(folder / "results" / "a_mask.png")
    with pytest.raises(UserError, match=f"^{sentence}$"):
        find(source, io.BytesIO(b"\n"))


def test_a_picture_is_known_by_its_absolute_path(folder):
    touch(folder, "in/a.jpg")
    assert find("in", io.BytesIO()) == [Picture(str(folder / "in" / "a.jpg"), "a")]
