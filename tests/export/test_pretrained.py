"""Networks that come with the package are loaded by their names."""
from __future__ import annotations

import os

import numpy as np
import pytest

from export import tflite
from redo_tf import pretrained, segmenter
from redo_tf.errors import UserError
from redo_tf.workdir import Workdir

MOST_BYTES = 1_500_000  # Of all that come with the package.


@pytest.fixture
def shipped(run, tmp_path, monkeypatch) -> str:
    """The file of a network that comes with the package as `faces`."""
    monkeypatch.setattr(pretrained, "FOLDER", str(tmp_path))
    path = str(tmp_path / "faces.tflite")
    tflite.export(Workdir(run), path, dynamic_size=True)
    return path


def test_by_name(shipped, run, monkeypatch):
    assert pretrained.names() == ["faces"] and pretrained.path("faces") == shipped
    picture = np.random.default_rng(0).integers(0, 256, [1, 32, 48, 3], np.uint8)
    np.testing.assert_array_equal(segmenter.load("faces").masks(picture), segmenter.load(shipped).masks(picture))
    with pytest.raises(UserError, match="There is no model at face: .*, or faces, which comes with the package"):
        segmenter.load("face")
    # What somebody has in that place comes first.
    monkeypatch.chdir(os.path.dirname(run))
    os.symlink(run, "faces")
    assert segmenter.load("faces").card["image_size"] == 32 and segmenter.load("faces").path == "faces"


def test_what_comes_with_the_package():
    assert pretrained.names() == ["lfw"]
    model = segmenter.load("lfw")
    assert {"scores", "dataset_terms", "limits", "seed", "step", "git_revision", "model_bytes", "model_sha256"} <= set(model.card)
    assert not model.card["git_revision"].endswith("-dirty")
    for height, width in ((1, 1), (333, 500)):
        height, width = model.fitted_size(height, width)
        masks = model.masks(np.random.default_rng(0).integers(0, 256, [1, height, width, 3], np.uint8))
        assert masks.shape == (1, height, width, model.regions)
        np.testing.assert_allclose(masks.sum(-1), 1, atol=1e-5)


def test_a_folder_of_that_name_without_a_model_does_not_stand_in_the_way(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()
    assert segmenter.load("faces").regions == 2


def test_all_together_are_small():
    assert sum(entry.stat().st_size for entry in os.scandir(pretrained.FOLDER) if entry.is_file()) <= MOST_BYTES
