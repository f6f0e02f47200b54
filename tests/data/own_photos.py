"""Twenty pictures of a person's own, and masks of them."""
from __future__ import annotations

import pathlib

import numpy as np
from PIL import Image

from redo_tf.data import load
from small_archives import encode_picture

NAMES = ["a/b/Straße.jpg", "a/写真.png", "a/صورة.webp", "фото.bmp", "with space.jpeg", "UPPER.JPG"] + [
    f"{number:02d}.png" for number in range(14)]
FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "bmp": "bmp"}
HALF = np.repeat([[0, 255]], 20, axis=1).repeat(30, axis=0).astype(np.uint8)  # The right half of a picture is object.


def write(root: pathlib.Path) -> None:
    """Of 40 by 30 pixels, of one colour each."""
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (40, 30), (12 * number, 100, 255 - 12 * number))
        picture.save(path, FORMATS[path.suffix[1:].lower()])


def load_all(root, image_size=32, **options):
    splits = {split: load("folder", split, data_dir=root, image_size=image_size, **options) for split in ("train", "val", "test")}
    images = {name: image for split in splits.values() for name, image in zip(split.ids, split.images)}
    masks = {name: mask for split in splits.values() if split.masks is not None for name, mask in zip(split.ids, split.masks)}
    return splits, images, masks


def save(path: pathlib.Path, values: np.ndarray = HALF) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_picture(Image.fromarray(values), FORMATS[path.suffix[1:].lower()]))


def labelled(masks) -> dict:
    """The masks that label anything, and what they label the left and the right end of the picture."""
    return {name: (mask[0, 0], mask[0, -1]) for name, mask in masks.items() if (mask != 255).any()}
