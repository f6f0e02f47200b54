"""Pictures to segment, and a stand-in for a mask network."""
from __future__ import annotations

import os
import struct
import zlib
from typing import Any, Sequence

import numpy as np
from PIL import Image

from redo_tf.photos.finding import Picture
from redo_tf.segmenter import Segmenter


class FakeSegmenter(Segmenter):
    """Region k is as probable as channel k is light, so a picture's right masks can be read off it.

    Attributes:
      batches: shapes of what `masks` was called with.
    """

    def __init__(self, regions: int = 2, before=lambda images: None, path: str = "fake"):
        super().__init__(path, {"regions": regions, "image_size": 32, "resize": "antialias"})
        self.batches, self.before = [], before

    def _masks(self, images):
        self.before(images)
        self.batches.append(images.shape)
        weights = images[..., :self.regions].astype(np.float32) + 1
        return weights / weights.sum(-1, keepdims=True)


def red_and_green(height: int, width: int, objects: Any) -> np.ndarray:
    """uint8 [H, W, 3]: red, but green in a part; its labels, by `FakeSegmenter`, are 0 and 1."""
    picture = np.zeros([height, width, 3], np.uint8)
    picture[..., 0] = 255
    picture[objects] = 0, 255, 0
    return picture


def save(picture: np.ndarray, path: Any, **options) -> str:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return os.fspath(path)


def named(paths: Sequence[Any]) -> Sequence[Picture]:
    """Pictures whose results lie at the top of the output folder, by their names without suffix."""
    return [Picture(os.fspath(path), os.path.splitext(os.path.basename(path))[0]) for path in paths]


def png_of_16_bits(values: np.ndarray) -> bytes:
    """uint16 [H, W, 3] as a PNG file's bytes; Pillow does not write this kind."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)) +
            _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b""))


def png_that_claims(width: int, height: int) -> bytes:
    """A small PNG file whose header announces this size."""
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b""))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
