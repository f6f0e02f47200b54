"""Small archives in the published layouts."""
from __future__ import annotations

import gzip
import io
import pathlib
import struct
import tarfile
from typing import Dict

import numpy as np
import scipy.io
from PIL import Image

from redo_tf.data import cub, flowers, lfw


def encode_picture(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def encode(array: np.ndarray, kind: str, **options) -> bytes:
    return encode_picture(Image.fromarray(array), kind, **options)


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
                self.images[f"lfw_funneled/Person_{person:02d}/{name}.jpg"] = encode(picture, "jpeg", quality=95)
                self.lists[split].append(name)
                if split != "train":
                    parts = rng.integers(0, 3, (self.SIDE, self.SIDE))  # 0 hair, 1 face, 2 background.
                    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
                    self.labels[f"parts_lfw_funneled_gt_images/{name}.ppm"] = encode(colours[parts], "ppm")
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


def smooth_picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture that survives JPEG: two colours without much blue, blended across it; uint8 [H, W, 3]."""
    first, second = rng.integers(60, 256, (2, 3)) * [1, 1, 0.4]
    amount = np.linspace(0, 1, width)[np.newaxis, :, np.newaxis] * np.linspace(1, 0.5, height)[:, np.newaxis, np.newaxis]
    return (first + amount * (second - first)).astype(np.uint8)


class SmallCub:
    """CUB in small: 24 pictures of 40 by 30 pixels of 4 classes, numbered in a mixed order.

    Attributes:
      folder: where the archives lie.
      images, segmentations: file content by member name.
      votes: uint8 [30, 40] of each picture, how much of white it was marked with.
      numbers: name of each picture by its number.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        rng = np.random.default_rng(0)
        names = [f"{bird // 6 + 1:03d}.Bird/Bird_{bird:04d}_{bird * 7}" for bird in range(24)]
        self.numbers = {number: names[position] for number, position in enumerate(rng.permutation(24), start=1)}
        self.pictures = {name: rng.integers(0, 256, (30, 40, 3), dtype=np.uint8) for name in names}
        self.votes = {name: rng.choice([0, 51, 102, 153, 204, 255], (30, 40)).astype(np.uint8) for name in names}
        self.images = {
            f"CUB_200_2011/images/{name}.jpg": encode(picture, "jpeg", quality=95) for name, picture in self.pictures.items()
        }
        self.segmentations = {f"segmentations/{name}.png": encode(votes, "png") for name, votes in self.votes.items()}
        self.write()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        index = "".join(f"{number} {name}.jpg\n" for number, name in self.numbers.items())
        others = {
            "attributes.txt": b"1 has_bill_shape::curved\n",
            "CUB_200_2011/README": b"not a picture",
            "CUB_200_2011/images.txt": index.encode(),
            "CUB_200_2011/train_test_split.txt": b"1 0\n",
            "CUB_200_2011/images/._.DS_Store.jpg": b"not a picture",
        }
        write_archive(self.folder / cub.IMAGES, {**others, **self.images})
        write_archive(self.folder / cub.SEGMENTATIONS, {"segmentations/README": b"not a picture", **self.segmentations})

    def write_list(self, split_of: Dict[int, int]) -> None:
        lines = [f"{number} {split}\n" for number, split in split_of.items()]
        (self.folder / "train_val_test_split.txt").write_text("".join(lines))


class SmallFlowers:
    """Flowers in small: 12 pictures of 64 by 48 pixels, the flower a rectangle.

    Attributes:
      folder: where the files lie.
      images, segmentations: file content by member name.
      masks: bool [48, 64] of each numbered picture.
      published: numbers by field of setid.mat.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        rng = np.random.default_rng(0)
        self.images, self.segmentations, self.masks, self.pictures = {}, {}, {}, {}
        for number in range(1, 13):
            picture, mask = smooth_picture(rng, 48, 64), np.zeros((48, 64), bool)
            mask[8 : 16 + 2 * number, 16 : 24 + 2 * number] = True
            painted = np.where(mask[..., np.newaxis], picture, np.array([0, 0, 254], np.uint8))
            self.images[f"jpg/image_{number:05d}.jpg"] = encode(picture, "jpeg", quality=95)
            self.segmentations[f"segmim/segmim_{number:05d}.jpg"] = encode(painted, "jpeg", quality=75)
            self.masks[number], self.pictures[number] = mask, picture
        self.published = {"trnid": [3, 11], "valid": [1, 5, 12], "tstid": [2, 4, 6, 7, 8, 9, 10]}
        self.write()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_archive(self.folder / flowers.IMAGES, self.images)
        write_archive(self.folder / flowers.SEGMENTATIONS, {"segmim/README.txt": b"not a picture", **self.segmentations})
        scipy.io.savemat(self.folder / flowers.SPLIT_LIST, {name: [ids] for name, ids in self.published.items()})


def write_idx(path: pathlib.Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


class SmallFolder:
    """20 pictures of noise, 24 by 20 pixels.

    Attributes:
      folder: where they lie.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        rng = np.random.default_rng(0)
        for number in range(20):
            (folder / f"{number}.png").write_bytes(encode(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8), "png"))
