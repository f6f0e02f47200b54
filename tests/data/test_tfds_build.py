"""`tfds build`, TFDS's own command, on small archives in the published layouts."""
from __future__ import annotations

import subprocess
import sys

import pytest

for needed in ("apache_beam", "mlcroissant"):
    pytest.importorskip(needed, reason="tfds build does not start without it")

import tensorflow_datasets as tfds

from small_archives import SmallCub, SmallFlowers, SmallLfw


@pytest.mark.parametrize("module, archives, configuration, splits", [
    ("lfw", SmallLfw, None, {"train": 31, "val": 8, "test": 9}),
    ("cub", SmallCub, "32px", {"train": 20, "val": 2, "test": 2}),
    ("flowers", SmallFlowers, "32px", {"train": 7, "val": 3, "test": 2}),
])
def test_builds_what_the_builder_describes(tmp_path, module, archives, configuration, splits):
    folder = archives(tmp_path / "archives").folder
    chosen = [f"--config={configuration}"] if configuration else []
    done = subprocess.run(
        [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", f"redo_{module}",
         f"--imports=redo_tf.data.{module}", f"--manual_dir={folder}", f"--data_dir={tmp_path / 'built'}", *chosen],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (information,) = (tmp_path / "built").rglob("dataset_info.json")
    builder = tfds.builder_from_directory(information.parent)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == splits
    for example in tfds.as_numpy(builder.as_dataset(split="val")):
        assert example["image"].shape == (*example["mask"].shape, 3)
        assert example["id"]
