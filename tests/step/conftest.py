"""One compiled iteration for all tests here."""
from __future__ import annotations

import pytest
import tensorflow as tf

from iterations import Run, build
from redo_tf.models import Redo


@pytest.fixture(scope="session")
def compiled() -> Run:
    """One replica, every region redrawn, published mean; traced once for all tests."""
    tf.keras.utils.set_random_seed(0)
    return build()


@pytest.fixture
def run(compiled) -> Run:
    return compiled.reset()


@pytest.fixture
def model(run) -> Redo:
    return run.model
