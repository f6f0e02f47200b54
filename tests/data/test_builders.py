"""TFDS's own checks of a builder, on small archives: registration, metadata, examples, reading back."""
from __future__ import annotations

import pathlib
import tempfile

import pytest

pytest.importorskip("dill", reason="tensorflow_datasets.testing needs it")

import tensorflow_datasets as tfds

from redo_tf.data import cub, flowers, folder, lfw
from small_archives import SmallCub, SmallFlowers, SmallFolder, SmallLfw


class _Case(tfds.testing.DatasetBuilderTestCase):
    """Makes the archives, which TFDS calls dummy data, in a temporary folder."""

    ARCHIVES = None

    @classmethod
    def setUpClass(cls):
        if cls.ARCHIVES is None:
            pytest.skip("the base class")
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)
        cls.EXAMPLE_DIR = str(cls.ARCHIVES(pathlib.Path(cls._folder.name)).folder)
        super().setUpClass()


class CubTest(_Case):
    DATASET_CLASS = cub.Cub
    ARCHIVES = SmallCub
    SPLITS = {"train": 20, "val": 2, "test": 2}
    BUILDER_CONFIG_NAMES_TO_TEST = ["32px"]


class FlowersTest(_Case):
    DATASET_CLASS = flowers.Flowers
    ARCHIVES = SmallFlowers
    SPLITS = {"train": 7, "val": 3, "test": 2}
    BUILDER_CONFIG_NAMES_TO_TEST = ["32px"]


class FolderTest(_Case):
    DATASET_CLASS = folder.Folder
    ARCHIVES = SmallFolder
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False  # Names in any script need os.fsencode.
    SPLITS = {"train": 16, "val": 2, "test": 2}
    BUILDER_CONFIG_NAMES_TO_TEST = ["32px"]


class LfwTest(_Case):
    DATASET_CLASS = lfw.Lfw
    ARCHIVES = SmallLfw
    SPLITS = {"train": 31, "val": 8, "test": 9}


del _Case  # Not a test itself.
