"""The command that tells what is there of a data set."""
from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

import redo_tf
from redo_tf.data import __main__ as command
from redo_tf.errors import UserError
from small_archives import SmallFlowers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(redo_tf.__file__)))


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs the command in this process, in a folder of its own; its lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with flagsaver.flagsaver():
            flags.FLAGS(["redo-tf data", *arguments])
            command.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_what_is_there_of_flowers(call, small_flowers, tmp_path):
    arguments = ("--dataset=flowers", f"--data_dir={small_flowers.folder}", "--set=data.image_size=32", "--pictures=2")
    before = sorted(path.name for path in small_flowers.folder.iterdir())
    lines = call(*arguments)
    assert lines[0] == f"flowers: files in {small_flowers.folder}"
    assert lines[2:] == ["train   not prepared", "val     not prepared", "test    not prepared",
                         "To prepare what is not: the same command with --prepare."]
    assert sorted(path.name for path in small_flowers.folder.iterdir()) == before

    prepared = call(*arguments, "--prepare")
    assert call(*arguments) == prepared
    assert prepared[0] == f"flowers: files in {small_flowers.folder}; pictures of 64×48"
    assert prepared[1] == "At 32×32, nearest:"
    for line, (split, field) in zip(prepared[2:], (("train", "tstid"), ("val", "valid"), ("test", "trnid"))):
        count, masks, share = re.fullmatch(
            rf"{split} +(\d+) pictures, (\d+) with masks, ([\d.]+)% of their pixels are object", line).groups()
        numbers = small_flowers.published[field]
        truth = np.mean([small_flowers.masks[number][:, 8:56].mean() for number in numbers])
        assert int(count) == int(masks) == len(numbers)
        # Segmentations are JPEGs: flowers may have a rim of one pixel more, which of 24×24 in 48×48 are 4·25.
        assert float(share) / 100 == pytest.approx(truth, abs=4 * 25 / 48**2)
    sheet = tmp_path / "contact_sheet_flowers.png"
    assert prepared[5] == f"Contact sheet: {sheet}"
    pixels = np.asarray(Image.open(sheet))
    assert pixels.shape == (98, 12 * 98, 3)  # Two pictures of each split.
    outlined = (pixels == [255, 0, 255]).all(-1)
    assert outlined.any() and not outlined[:, 6 * 98 :].any()


def test_of_a_mixture_and_of_pictures_without_masks(call, small_lfw):
    SmallFlowers(small_lfw.folder / "flowers")
    lines = call("--dataset=lfw+flowers", f"--data_dir={small_lfw.folder}", "--set=data.image_size=32", "--prepare",
                 "--contact_sheet=sheet.png")
    assert lines[0] == f"lfw: files in {small_lfw.folder}; pictures of 20×20"
    assert lines[1] == f"flowers: files in {small_lfw.folder}/flowers; pictures of 64×48"
    assert lines[3].startswith("train   38 pictures, 7 with masks, ")
    lines = call("--dataset=lfw", f"--data_dir={small_lfw.folder}", "--set=data.image_size=32")
    assert lines[2] == "train   31 pictures, no masks"


def test_missing_files_are_told(call, tmp_path):
    lines = call("--dataset=lfw", f"--data_dir={tmp_path}")
    assert lines[0].startswith(f"lfw: lfw-funneled.tgz not found in {tmp_path} ")
    with pytest.raises(UserError, match="102segmentations.tgz .*not found"):  # The one file that nothing downloads.
        call("--dataset=flowers", f"--data_dir={tmp_path}", "--prepare")


def test_the_share_of_object_pixels_leaves_out_what_has_no_label():
    masks = np.array([[[0, 1, 2, 255]], [[255, 255, 255, 255]], [[0, 0, 0, 1]]], np.uint8)
    assert command.object_share(masks) == pytest.approx(3 / 7)
    assert command.object_share(None) is None


def test_as_a_module(tmp_path):
    done = subprocess.run([sys.executable, "-m", "redo_tf.data", "--dataset=folder", f"--data_dir={tmp_path / 'none'}"],
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT}, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"folder: --data_dir={tmp_path / 'none'} does not exist: name the folder that holds the pictures."
    assert not list(tmp_path.iterdir())
