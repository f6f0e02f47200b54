"""Small archives in the published layouts, and the real ones where they are."""
from __future__ import annotations

import gzip
import io
import os
import pathlib
import struct
import tarfile
from typing import Callable, Dict

import numpy as np
import pytest
from PIL import Image

from redo_tf.data import c2mnist, lfw


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


def _encode(array: np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def write_archive(path: pathlib.Path, members: Dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class SmallLfw:
    """LFW in small: 24 people of 1 to 3 pictures of 20 by 20 pixels; those of the last 8 have part labels.

    Attributes:
      folder: where the archives and lists lie.
      images, labels: file content by member name.
      masks: bool [20, 20] of each labelled picture.
      lists: pictures of each split.
    """

    SIDE = 20

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.images: Dict[str, bytes] = {}
        self.labels: Dict[str, bytes] = {}
        self.masks: Dict[str, np.ndarray] = {}
        self.lists: Dict[str, list] = {"train": [], "val": [], "test": []}
        rng = np.random.default_rng(0)
        for person in range(24):
            split = "train" if person < 16 else "val" if person < 20 else "test"
            for number in range(1 + person % 3):
                name = f"Person_{person:02d}_{number + 1:04d}"
                picture = rng.integers(0, 256, (self.SIDE, self.SIDE, 3), dtype=np.uint8)
                self.images[f"lfw_funneled/Person_{person:02d}/{name}.jpg"] = _encode(picture, "jpeg", quality=95)
                self.lists[split].append(name)
                if split != "train":
                    parts = rng.integers(0, 3, (self.SIDE, self.SIDE))  # 0 hair, 1 face, 2 background.
                    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
                    self.labels[f"parts_lfw_funneled_gt_images/{name}.ppm"] = _encode(colours[parts], "ppm")
                    self.masks[name] = parts != 2
        self.images["lfw_funneled/pairs_01.txt"] = b"not a picture"  # The published archive has such files too.
        self.write()
        self.write_lists()

    @property
    def pictures(self) -> Dict[str, str]:
        """Person of each picture."""
        return {
            pathlib.PurePosixPath(member).stem: pathlib.PurePosixPath(member).parent.name
            for member in self.images if member.endswith(".jpg")
        }

    def write(self, labels: bool = True) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_archive(self.folder / lfw.IMAGES, self.images)
        if labels:
            write_archive(self.folder / lfw.PARTS, self.labels)
        else:
            (self.folder / lfw.PARTS).unlink(missing_ok=True)

    def write_lists(self) -> None:
        (self.folder / "splits").mkdir(exist_ok=True)
        for split, names in self.lists.items():
            lines = [f"{self.pictures[name]} {name}\n" for name in names]
            (self.folder / "splits" / f"{split}.txt").write_text("".join(lines))

    def remove_lists(self) -> None:
        for split in self.lists:
            (self.folder / "splits" / f"{split}.txt").unlink()


@pytest.fixture
def small_lfw(tmp_path) -> SmallLfw:
    return SmallLfw(tmp_path / "data")


def write_idx(path: pathlib.Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


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
