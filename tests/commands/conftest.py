"""Data for the commands to train on."""
from __future__ import annotations

import pytest

import prepared


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data folder with few prepared pictures of `shapes` at 32×32."""
    folder = tmp_path_factory.mktemp("data")
    prepared.shapes_at_32_pixels(folder)
    return folder
