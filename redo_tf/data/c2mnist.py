"""Colored-2-MNIST: an even and an odd digit, each of one colour, on a uniform background.

Section 5.1 of the paper; the numbers are those of the released code. Three
regions with exact masks: 0 background, 1 even digit, 2 odd digit.
"""

from __future__ import annotations

import dataclasses
import gzip
import pathlib
import struct
import zlib
from typing import Tuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from redo_tf.data import archives
from redo_tf.data.builder import PictureBuilder, picture_size
from redo_tf.errors import UserError

TRAIN_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST_FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

SPLIT_INDEX = {"train": 0, "val": 1, "test": 2}
# The released code composes pictures endlessly; here their number is fixed, as an epoch needs one.
SPLIT_SIZES = {"train": 20_000, "val": 1_000, "test": 1_000}
VALIDATION_DIGITS = 5_000  # The last of MNIST's training digits; no other split sees them.

BACKGROUND, EVEN, ODD = 0, 1, 2


def read_idx(path: pathlib.Path, dimensions: int) -> np.ndarray:
    """Reads a gzipped file of MNIST's idx format, uint8 with `dimensions` dimensions.

    Raises:
      UserError: the file is damaged, cut short, or of another kind; or it cannot be read.
    """
    try:
        with gzip.open(path, "rb") as file:
            content = file.read()
        zeros, kind, rank = struct.unpack(">HBB", content[:4])
        if (zeros, kind, rank) != (0, 0x08, dimensions):
            raise ValueError(f"not an idx file of bytes in {dimensions} dimensions")
        shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (EOFError, gzip.BadGzipFile, ValueError, struct.error, zlib.error) as error:
        raise archives.damaged(path, error) from error
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error}): check the file and its permissions.") from error


@dataclasses.dataclass(frozen=True)
class Digits:
    """Digits of MNIST: uint8 [N, 28, 28] each."""

    even: np.ndarray
    odd: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray) -> Digits:
        return cls(even=images[labels % 2 == 0], odd=images[labels % 2 == 1])


def read_digits(folder: pathlib.Path, split: str) -> Digits:
    """The digits a split is made from; no digit is in two splits."""
    images_name, labels_name = TEST_FILES if split == "test" else TRAIN_FILES
    images, labels = read_idx(folder / images_name, 3), read_idx(folder / labels_name, 1)
    if len(images) != len(labels):
        raise UserError(
            f"{folder / images_name} holds {len(images)} digits and {labels_name} beside it "
            f"{len(labels)} labels: download both again."
        )
    if split == "train":
        images, labels = images[:-VALIDATION_DIGITS], labels[:-VALIDATION_DIGITS]
    elif split == "val":
        images, labels = images[-VALIDATION_DIGITS:], labels[-VALIDATION_DIGITS:]
    digits = Digits.of(images, labels)
    if not (len(digits.even) and len(digits.odd)):
        raise UserError(f"{folder / images_name} leaves {split} without an even or an odd digit: download MNIST again.")
    return digits


def _two_channel_colour(rng: np.random.Generator, low: float, high: float, equal: Tuple[int, int]) -> np.ndarray:
    """uint8 [3], uniform in [low, high]; the two channels in `equal` are the same."""
    colour = rng.uniform(low, high, 3)
    colour[equal[0]] = colour[equal[1]]
    return np.round(colour * 255).astype(np.uint8)


def _shape(digit: np.ndarray, side: int) -> np.ndarray:
    """The digit's pixels at a new size, bool [side, side]."""
    resized = Image.fromarray(digit).resize((side, side), Image.Resampling.NEAREST)
    return np.asarray(resized) > 127


def compose(rng: np.random.Generator, digits: Digits, size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Composes one picture.

    Args:
      rng: decides on digits, colours, places, and which digit is in front.
      digits: the digits to choose from.
      size: side S; digits are 7/16 of it, 56 pixels of 128.

    Returns:
      image: uint8 [S, S, 3].
      mask: uint8 [S, S].
    """
    colours = {
        BACKGROUND: _two_channel_colour(rng, 0.33, 0.66, equal=(0, 1)),
        EVEN: _two_channel_colour(rng, 0.0, 0.33, equal=(1, 2)),
        ODD: _two_channel_colour(rng, 0.66, 1.0, equal=(0, 2)),
    }
    side = max(1, round(size * 7 / 16))
    mask = np.full((size, size), BACKGROUND, np.uint8)
    places = rng.integers(0, size - side + 1, (2, 2))
    for label in rng.permutation([EVEN, ODD]):  # Back to front.
        pool = digits.even if label == EVEN else digits.odd
        top, left = places[label - 1]
        window = mask[top : top + side, left : left + side]
        window[_shape(pool[rng.integers(len(pool))], side)] = label
    palette = np.stack([colours[label] for label in (BACKGROUND, EVEN, ODD)])
    return palette[mask], mask


class C2Mnist(PictureBuilder):
    """TFDS builder of colored-2-MNIST: 20,000 train, 1,000 val, 1,000 test, at any size."""

    name = "redo_c2mnist"
    VERSION = tfds.core.Version("1.0.0")  # To be raised when any picture changes: prepared data is kept by version.
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [picture_size(size) for size in (128, 64, 32, 256)]
    REGIONS = 3
    SOURCES = archives.Sources(
        folder="mnist",
        required=TRAIN_FILES + TEST_FILES,
        optional=(),
        page="https://storage.googleapis.com/cvdf-datasets/mnist/ (originally http://yann.lecun.com/exdb/mnist/)",
        urls={name: f"https://storage.googleapis.com/cvdf-datasets/mnist/{name}" for name in TRAIN_FILES + TEST_FILES},
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = SOURCES.instructions
    DESCRIPTION = (
        "An even and an odd MNIST digit, each of one colour, at random places on a uniform background. "
        "Exact masks: 0 background, 1 even digit, 2 odd digit."
    )
    HOMEPAGE = "https://arxiv.org/abs/1905.13539"
    CITATION = """@inproceedings{chen2019unsupervised,
  title={Unsupervised Object Segmentation by Redrawing},
  author={Chen, Micka{\\"e}l and Arti{\\`e}res, Thierry and Denoyer, Ludovic},
  booktitle={Advances in Neural Information Processing Systems},
  year={2019}
}"""

    def _split_generators(self, dl_manager):
        folder = self._source_folder(dl_manager)
        return {
            split: self._with_bar(split, size, self._generate_examples(split, read_digits(folder, split)))
            for split, size in SPLIT_SIZES.items()
        }

    def _generate_examples(self, split: str, digits: Digits):
        for index in range(SPLIT_SIZES[split]):
            rng = np.random.default_rng([SPLIT_INDEX[split], index])
            image, mask = compose(rng, digits, self.builder_config.image_size)
            name = f"{split}_{index:05d}"
            yield name, {"image": image, "mask": mask, "id": name}
