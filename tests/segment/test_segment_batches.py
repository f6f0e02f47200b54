"""Which pictures the network sees together, and that it makes no difference to them."""
from __future__ import annotations

import importlib
import os

import numpy as np
import pytest
from absl import flags

import photographs
from photographs import FakeSegmenter, named, red_and_green
from processes import contents
from redo_tf import segment as command
from redo_tf.photos.pipeline import segment


def test_the_network_sees_pictures_of_one_size_together(tmp_path, photos):
    segmenter = FakeSegmenter()
    segment(segmenter, photos, str(tmp_path / "out"), batch_size=4)
    # Of 40×40 and 100×100 there are six in all, of each of the others three.
    assert sorted(segmenter.batches) == [(2, 32, 32, 3), (3, 32, 48, 3), (3, 48, 32, 3), (4, 32, 32, 3)]


@pytest.mark.parametrize("resize, levels", [("nearest", {0, 255}), ("antialias", {0, 127, 128})])
def test_pictures_are_made_smaller_as_in_the_models_training(tmp_path, resize, levels):
    """Columns of one pixel, red and green in turn: of two neighbours the nearest is one, and the mean is half of each."""
    picture = red_and_green(64, 64, np.s_[:, ::2])
    seen = []
    segmenter = FakeSegmenter(before=lambda images: seen.append(images))
    segmenter.card["resize"] = resize
    segment(segmenter, named([photographs.save(picture, tmp_path / "in/stripes.png")]), str(tmp_path / "out"))
    assert set(np.unique(seen[0][:, :, 1:-1])) <= levels  # At the border the mean is of fewer pixels.


def test_a_pictures_results_are_the_same_in_every_batch_and_with_any_number_of_threads(tmp_path, photos):
    kinds = ("mask", "overlay", "probabilities")
    results = []
    for batch_size, workers in ((1, 1), (4, 3), (64, 8)):
        output = tmp_path / f"out{batch_size}"
        segment(FakeSegmenter(), photos, str(output), kinds, batch_size, workers)
        results.append(contents(output))
    assert len(results[0]) == 3 * 12 + 2
    assert results[0] == results[1] == results[2]


def test_there_are_as_many_threads_as_cores_that_may_be_used(monkeypatch):
    defaults = {}
    for kind in ("string", "bool", "integer"):
        monkeypatch.setattr(flags, f"DEFINE_{kind}", lambda name, default, *_, **__: defaults.update({name: default}))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(77)), raising=False)
    importlib.reload(command)
    assert defaults["workers"] == 77


def test_pictures_of_many_sizes_do_not_pile_up(tmp_path):
    """Those that wait for others of their size are taken all the same, long before the last picture is decoded."""
    pictures = [photographs.save(red_and_green(32, 32 + 4 * i, np.s_[:, :9]), tmp_path / "in" / f"{i:02}.png")
                for i in range(24)]
    sizes, seen = set(), []
    segmenter = FakeSegmenter(before=lambda images: seen.append(len(sizes)))
    fitted_size = segmenter.fitted_size
    def noting(height, width):
        sizes.add((height, width))
        return fitted_size(height, width)
    segmenter.fitted_size = noting
    assert segment(segmenter, named(pictures), str(tmp_path / "out"), batch_size=2, workers=1).segmented == 24
    assert {count for count, *_ in segmenter.batches} == {1}
    # Four batches of two may wait, and two batches more are decoded ahead.
    assert 8 <= seen[0] <= 12 and len(sizes) == 24
