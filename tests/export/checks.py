"""What the tests of exported models share: pictures, files, and when two results are the same."""
from __future__ import annotations

import collections
import io

import numpy as np
from PIL import Image

from redo_tf.data import shapes

Segmented = collections.namedtuple("Segmented", ["masks", "labels"])


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Textured shapes, uint8 [count, height, width, 3]."""
    drawn = [shapes.draw(i, max(height, width))[0][:height, :width] for i in range(count)]
    return np.stack(drawn)


def encoded(image: np.ndarray, format: str = "PNG", mode: str = "RGB") -> bytes:
    """uint8 [H, W, 3] → a file."""
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, format)
    return file.getvalue()


def read(file: bytes) -> np.ndarray:
    """A picture file → its values as they are stored."""
    return np.asarray(Image.open(io.BytesIO(file)))


def assert_same_png(file: bytes, masks: np.ndarray) -> None:
    """A PNG of 8-bit probabilities of being object, against masks [H, W, n]: within 1e-3 and half a grey level."""
    np.testing.assert_allclose(read(file), 255 * (1 - masks[..., 0]), atol=0.51 + 0.255)


def assert_same(masks: np.ndarray, labels: np.ndarray, expected: Segmented) -> None:
    """Probabilities within 1e-3, and the same label on 99.9 % of the pixels."""
    np.testing.assert_allclose(masks, expected.masks, atol=1e-3)
    assert labels.shape == expected.labels.shape
    assert np.mean(labels == expected.labels) >= 0.999
