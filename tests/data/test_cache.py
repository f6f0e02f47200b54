"""Facts about preparing once, and the memory-mapped cache."""
from __future__ import annotations

import errno
import multiprocessing
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from redo_tf.data import cache, load, shapes, split_files, storage
from redo_tf.errors import UserError

pytestmark = pytest.mark.usefixtures("few_shapes")


def _load(folder, split="val", size=32, **options):
    return load("shapes", split, data_dir=folder, image_size=size, **options)


def _cache_files(folder: pathlib.Path) -> dict:
    return {path.name: path for path in folder.rglob("redo_cache/*") if not path.name.startswith(".")}


def test_second_time_nothing_is_generated_decoded_or_written(tmp_path, monkeypatch):
    first = _load(tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    def refuse(*_, **__):
        raise AssertionError("read or written again")

    monkeypatch.setattr(shapes, "draw", refuse)
    monkeypatch.setattr(cache, "_examples", refuse)
    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", refuse)
    second = _load(tmp_path)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.masks, second.masks)
    assert first.ids == second.ids
    assert isinstance(second.images, np.memmap) and isinstance(second.masks, np.memmap)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == written


def test_sizes_and_resizing_have_files_of_their_own(tmp_path):
    assert _load(tmp_path, size=32).images.shape[1] == 32
    assert _load(tmp_path, size=48).images.shape[1] == 48
    _load(tmp_path, size=32, resize="nearest")
    assert len(_cache_files(tmp_path)) == 9


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "other", "gone"])
def test_a_damaged_cache_is_made_anew_with_a_warning(tmp_path, caplog, name, damage):
    before = np.array(_load(tmp_path).images)
    path = _cache_files(tmp_path)[f"val_32_antialias.{name}"]
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "empty":
        os.truncate(path, 0)
    elif damage == "other":
        path.write_bytes(b"[1, 2]")
    else:
        path.unlink()
    with caplog.at_level("WARNING", logger="absl"):
        after = _load(tmp_path)
    np.testing.assert_array_equal(before, after.images)
    if (name, damage) != ("json", "gone"):  # Without an index there is no cache, so none is damaged.
        assert "is damaged" in caplog.text and "not used" in caplog.text


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_interrupted_preparation_leaves_nothing_half_made(tmp_path, monkeypatch, leftovers, interruption):
    draw = shapes.draw

    def interrupted(seed, size):
        if list(seed.entropy) == [1, 3]:  # In the midst of the second split.
            raise interruption
        return draw(seed, size)

    monkeypatch.setattr(shapes, "draw", interrupted)
    with pytest.raises(interruption):
        _load(tmp_path)
    assert not leftovers(tmp_path)
    monkeypatch.setattr(shapes, "draw", draw)
    assert _load(tmp_path).images.shape == (5, 32, 32, 3)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_interrupted_caching_leaves_nothing_half_made(tmp_path, monkeypatch, interruption):
    examples = cache._examples

    def interrupted(*arguments):
        for number, example in enumerate(examples(*arguments)):
            if number == 3:
                raise interruption
            yield example

    monkeypatch.setattr(cache, "_examples", interrupted)
    with pytest.raises(interruption):
        _load(tmp_path)
    assert not _cache_files(tmp_path)
    monkeypatch.setattr(cache, "_examples", examples)
    assert _load(tmp_path).images.shape == (5, 32, 32, 3)


def _prepare_and_be_killed(folder):
    """In a process of its own: ends without any clean-up."""
    draw = shapes.draw
    shapes.draw = lambda seed, size: os._exit(9) if list(seed.entropy) == [1, 3] else draw(seed, size)
    _load(folder)


def test_what_a_killed_process_left_is_removed(tmp_path, leftovers):
    process = multiprocessing.get_context("spawn").Process(target=_prepare_and_be_killed, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert leftovers(tmp_path)
    assert _load(tmp_path).images.shape == (5, 32, 32, 3)
    assert not [path for path in leftovers(tmp_path) if "incomplete" in str(path)]


def _load_in_another_process(folder, queue):
    shapes.SPLIT_SIZES = {"train": 12, "val": 5, "test": 4}
    queue.put("starts")
    queue.put(_load(folder).images.sum())


def test_two_processes_may_prepare_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_load_in_another_process, args=(tmp_path, queue))
    with storage.exclusive(tmp_path):  # Until here the other one cannot have prepared anything.
        process.start()
        assert queue.get(timeout=300) == "starts"
    assert _load(tmp_path).images.sum() == queue.get(timeout=300)
    process.join()
    assert process.exitcode == 0


@pytest.fixture
def read_only(tmp_path) -> pathlib.Path:
    """A folder without any write bit; that is respected even for root, whom the bits do not stop."""
    folder = tmp_path / "published"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_read_only_data_folder_is_left_alone(read_only, cache_home, caplog):
    with caplog.at_level("INFO", logger="absl"):
        images = _load(read_only).images
    assert not list(read_only.iterdir())
    assert pathlib.Path(images.filename).is_relative_to(cache_home / "redo_tf")
    assert f"{read_only} is read-only: prepared data goes to {cache_home}" in caplog.text
    caplog.clear()
    _load(read_only)
    assert "prepared data goes to" not in caplog.text


def test_two_read_only_folders_do_not_collide(read_only, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / read_only.name
    other.mkdir(mode=0o555)
    assert _load(read_only).images.filename != _load(other).images.filename
    other.chmod(0o755)


def test_without_a_data_folder(cache_home):
    assert pathlib.Path(_load(None).images.filename).is_relative_to(cache_home / "redo_tf" / "redo_shapes")


def test_nowhere_to_write(read_only, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match=rf"^Cannot write to {read_only} or .*/file/redo_tf.*: name a folder"):
        _load(read_only)


def test_data_folder_below_a_file(tmp_path, cache_home):
    (tmp_path / "file").write_text("")
    images = _load(tmp_path / "file" / "data").images
    assert pathlib.Path(images.filename).is_relative_to(cache_home)


def test_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--data_dir=.*/file is a file: name the folder"):
        _load(tmp_path / "file")


@pytest.mark.parametrize("step", ["prepare", "cache"])
def test_full_disk(tmp_path, monkeypatch, leftovers, step):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "prepare":
        monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", full)
    else:
        monkeypatch.setattr(split_files._ArrayWriter, "append", full)
    with pytest.raises(UserError, match=rf"^Cannot write to {tmp_path}.*No space left on device.*: make room there"):
        _load(tmp_path)
    assert not [path for path in leftovers(tmp_path) if "tfrecord" not in path.name]


@pytest.mark.parametrize("depth", [1, 2])
def test_a_full_disk_that_tfds_tells_as_an_error_of_its_own(tmp_path, depth):
    error = tf.errors.ResourceExhaustedError(None, None, "train.tfrecord; No space left on device")
    with pytest.raises(UserError, match=rf"^Cannot write to {tmp_path} \(train.tfrecord; No space left on device\): make room"):
        with storage.writing_to(tmp_path):
            for _ in range(depth):
                try:
                    raise error
                except Exception as inner:
                    error = RuntimeError("Failed to finalize writing")
                    error.__cause__ = inner
            raise error


def test_an_error_of_the_program_passes_as_it_is(tmp_path):
    for error in (RuntimeError("a mistake"), ValueError("another")):
        with pytest.raises(type(error), match=str(error)):
            with storage.writing_to(tmp_path):
                raise error from KeyError("no file")


@pytest.mark.parametrize("name", ["lfw-funneled.tgz", "splits/train.txt"])
def test_an_archive_that_must_not_be_read_is_not_said_to_be_written(small_lfw, monkeypatch, leftovers, name):
    opened = pathlib.Path.open  # Root may read any file, so the refusal is made here.

    def refuse(path, *arguments, **options):
        if path == small_lfw.folder / name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "open", refuse)
    with pytest.raises(PermissionError) as raised:
        load("lfw", "val", data_dir=small_lfw.folder, image_size=16)
    assert raised.value.filename == str(small_lfw.folder / name)
    assert not leftovers(small_lfw.folder)


@pytest.mark.parametrize("name, is_told", [("there/record", True), ("there", True), ("elsewhere", False), (None, True)])
def test_only_what_is_written_is_said_to_be(tmp_path, monkeypatch, name, is_told):
    """Whether paths are absolute or not, and through links."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for folder in ("there", tmp_path / "there", "link"):
        for path in (name, name and str(tmp_path / name)):
            error = OSError(errno.EACCES, "Permission denied", path)
            with pytest.raises(UserError if is_told else PermissionError):
                with storage.writing_to(pathlib.Path(folder)):
                    raise error


def test_damaged_prepared_data(tmp_path):
    _load(tmp_path)
    record = next(tmp_path.rglob("*val.tfrecord*"))
    os.truncate(record, record.stat().st_size - 100)
    with pytest.raises(UserError, match=r"prepared data in .*redo_shapes/32px/1.0.0 is damaged: remove that folder"):
        _load(tmp_path, resize="nearest")


def test_damaged_prepared_picture(tmp_path, monkeypatch):
    _load(tmp_path)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", lambda *_, **__: tf.data.Dataset.from_tensors(
        {"image": b"no picture", "mask": np.zeros([32, 32], np.uint8), "id": b"0"}))
    with pytest.raises(UserError, match=r"prepared data in .*redo_shapes/32px/1.0.0 is damaged: remove that folder"):
        _load(tmp_path, resize="nearest")


def test_lock_is_free_again(tmp_path):
    for _ in range(2):
        with storage.exclusive(tmp_path):
            pass
