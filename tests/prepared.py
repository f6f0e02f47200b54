"""A data folder with few prepared pictures of `shapes`, for commands that run in processes of their own."""
from __future__ import annotations

import pytest

from redo_tf import data
from redo_tf.data import shapes

SIZES = {"train": 32, "val": 8, "test": 5}


def shapes_at_32_pixels(folder) -> None:
    """Prepares every split there."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for split, count in SIZES.items():
            monkeypatch.setitem(shapes.SPLIT_SIZES, split, count)
        for split in SIZES:
            data.load("shapes", split, data_dir=folder, image_size=32)
