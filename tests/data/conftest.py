"""Small archives in the published layouts, and the real ones where they are."""
from __future__ import annotations

import os
import pathlib
from typing import Callable

import numpy as np
import pytest

import own_photos
from redo_tf.data import c2mnist
from small_archives import SmallCub, SmallFlowers, SmallLfw, write_idx


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch) -> pathlib.Path:
    """No test writes to the cache folder of whoever runs it."""
    home = tmp_path_factory.mktemp("cache_home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    folder = os.environ.get("REDO_TF_DATA")
    if not folder:
        pytest.skip("REDO_TF_DATA does not name the folder that holds lfw/ and mnist/")
    return pathlib.Path(folder)


@pytest.fixture
def small_lfw(tmp_path) -> SmallLfw:
    return SmallLfw(tmp_path / "data")


@pytest.fixture
def small_cub(tmp_path) -> SmallCub:
    return SmallCub(tmp_path / "data")


@pytest.fixture
def small_flowers(tmp_path) -> SmallFlowers:
    return SmallFlowers(tmp_path / "data")


@pytest.fixture
def small_mnist(tmp_path, monkeypatch) -> pathlib.Path:
    """MNIST in small, 60 and 20 random digits, of which 20 are held out; 30, 10 and 10 pictures are made of them."""
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for (images, labels), count in ((c2mnist.TRAIN_FILES, 60), (c2mnist.TEST_FILES, 20)):
        write_idx(folder / images, rng.integers(0, 256, (count, 28, 28)))
        write_idx(folder / labels, np.arange(count) % 10)
    monkeypatch.setattr(c2mnist, "VALIDATION_DIGITS", 20)
    monkeypatch.setattr(c2mnist, "SPLIT_SIZES", {"train": 30, "val": 10, "test": 10})
    return folder


@pytest.fixture
def few_shapes(monkeypatch) -> None:
    """The shapes data set with a few pictures a split."""
    monkeypatch.setattr("redo_tf.data.shapes.SPLIT_SIZES", {"train": 12, "val": 5, "test": 4})


@pytest.fixture
def leftovers() -> Callable[[pathlib.Path], list]:
    """Lists what an interrupted or failed preparation could leave half-made below a folder."""

    def find(folder: pathlib.Path) -> list:
        return [
            path for path in folder.rglob("*")
            if "incomplete" in path.name or path.suffix == ".npy" or ".tfrecord" in path.name
        ]

    return find


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    """A folder of `own_photos`."""
    own_photos.write(tmp_path / "photos")
    return tmp_path / "photos"
