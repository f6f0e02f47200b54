"""Pictures to segment."""
from __future__ import annotations

import numpy as np
import pytest

import photographs
from photographs import named, red_and_green


@pytest.fixture
def photos(tmp_path):
    """Twelve pictures of four sizes: green, the object, is another part of each."""
    sizes = [(40, 40), (40, 60), (60, 40), (100, 100)]
    return named([photographs.save(red_and_green(*sizes[i % 4], np.s_[:, :3 * i]), tmp_path / "in" / f"p{i:02}.png")
                  for i in range(12)])
