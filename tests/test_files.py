from __future__ import annotations

import ast
import errno
import os
import pathlib
import stat

import pytest

from full_disk import room_for
from redo_tf import files
from redo_tf.errors import UserError


@pytest.mark.parametrize("broken", ["fsync", "replace", "chmod"])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "metrics.jsonl"
    files.write_text(str(path), "old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_a_full_disk_is_told_with_the_files_name(tmp_path):
    path = str(tmp_path / "metrics.jsonl")
    with room_for(1000), pytest.raises(OSError) as caught:
        files.write_whole(path, bytes(1001))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, path)
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    files.write_text(str(path), "old")

    def interrupt(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_nothing_else_here_writes_files():
    """But for what cannot be made in memory first, or goes on being written to, and the stand-alone clients."""
    found, root = set(), pathlib.Path(__file__).parents[1]
    for package in ("redo_tf", "export", "configs"):
        for path in (root / package).rglob("*.py"):
            for call in (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)):
                name = getattr(call.func, "attr", getattr(call.func, "id", None))
                modes = [value.value for value in [*call.args, *(keyword.value for keyword in call.keywords)]
                         if isinstance(value, ast.Constant) and isinstance(value.value, str)]
                opened = name in ("open", "fdopen") and any(set(mode) & set("wax+") and len(mode) < 4 for mode in modes)
                if opened or name in ("write_text", "write_bytes") and not isinstance(call.func, ast.Name):
                    found.add(path.relative_to(root).as_posix())
    assert found == {
        "redo_tf/files.py", "redo_tf/data/split_files.py", "redo_tf/photos/drawing.py", "redo_tf/photos/index.py",
        "export/tflite.py",  # To nowhere.
        "export/clients/rest.py", "export/clients/grpc_client.py"}


def test_the_name_always_shows_a_whole_file(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    files.write_text(str(path), "old")
    seen, replace = [], os.replace

    def look(source, target):
        seen.append((path.read_text(), open(source).read(), os.path.dirname(source)))
        replace(source, target)
    monkeypatch.setattr(os, "replace", look)
    files.write_text(str(path), "new")
    assert seen == [("old", "new", str(tmp_path))]  # The same folder: a rename across file systems copies.
    assert path.read_text() == "new"


def test_another_person_s_lock_locks_too(tmp_path, monkeypatch):
    (tmp_path / ".redo_lock").touch()

    def open_to_read_alone(path, mode, *rest):
        if mode & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, mode, *rest)
    opened = os.open
    monkeypatch.setattr(files.os, "open", open_to_read_alone)
    with files.exclusive(str(tmp_path), "Taken."), pytest.raises(UserError, match="^Taken.$"):
        with files.exclusive(str(tmp_path), "Taken."):
            pass


def test_a_folder_that_may_not_be_written_to_is_told_as_such(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(PermissionError):
        with files.exclusive(str(tmp_path), "Taken."):
            pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_a_file_system_has_no_locks_a_folder_is_written_to_with_one_warning(tmp_path, monkeypatch, caplog, code):
    def none(*_):
        raise OSError(code, os.strerror(code))
    monkeypatch.setattr(files.fcntl, "flock", none)
    entered = 0
    for _ in range(2):
        with files.exclusive(str(tmp_path), "Taken."):
            entered += 1
    assert entered == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path} cannot be locked ({os.strerror(code)}): let no other command write there at the same time."]


def test_other_errors_of_locking_are_told(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr(files.fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"):
        with files.exclusive(str(tmp_path), "Taken."):
            pass


def test_a_file_that_may_not_be_written_is_told_by_its_own_name(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    monkeypatch.setattr(files.os, "open", refuse)  # mkstemp's too.
    with pytest.raises(PermissionError) as caught:
        files.write_text(str(tmp_path / "table.json"), "text")
    assert caught.value.filename == str(tmp_path / "table.json")


def test_missing_folders_are_made(tmp_path):
    files.write_whole(str(tmp_path / "a" / "b" / "c.png"), b"\x89PNG")
    assert (tmp_path / "a" / "b" / "c.png").read_bytes() == b"\x89PNG"


@pytest.mark.parametrize("umask, expected", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, expected):
    before = os.umask(umask)
    try:
        files.write_text(str(tmp_path / "file"), "text")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


def test_text_is_written_as_utf_8(tmp_path):
    files.write_text(str(tmp_path / "file"), "L_z → 0")
    assert (tmp_path / "file").read_bytes() == "L_z → 0".encode("utf-8")


def test_json_is_found_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    assert files.find_json(str(path)) is None
    files.write_json(str(path), {"L_z": [1, None]})
    assert files.find_json(str(path)) == {"L_z": [1, None]}
    for damaged in (b'{"L_z": [1,', b"\xff", b"[1]"):
        path.write_bytes(damaged)
        assert files.find_json(str(path)) is None
