"""Which files are written, and that masks lie on the pictures' objects."""
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import photographs
from outputs import mask, rows
from photographs import FakeSegmenter, named, red_and_green
from processes import contents
from redo_tf.photos.pipeline import segment


def test_masks_have_the_pictures_size_and_lie_on_its_objects(tmp_path):
    sizes = [(1, 1), (2, 1), (3, 2000), (2000, 3), (50, 37), (250, 250), (481, 640)]
    pictures, expected = [], {}
    for height, width in sizes:
        name = f"{height}x{width}"
        objects = np.zeros([height, width], bool)
        objects[height // 3:, width // 2:] = True
        expected[name] = objects
        pictures.append(photographs.save(red_and_green(height, width, objects), tmp_path / "in" / f"{name}.png"))
    outcome = segment(FakeSegmenter(), named(pictures), str(tmp_path / "out"))
    assert outcome == (len(sizes), 0, 0)
    for row in rows(tmp_path / "out"):
        name = row["mask"][:-len("_mask.png")]
        labels, objects = mask(tmp_path / "out", name), expected[name]
        assert labels.shape == objects.shape == (row["height"], row["width"])
        assert row["input"] == str(tmp_path / "in" / f"{name}.png")
        assert row["shares"] == pytest.approx([(labels == 0).mean(), (labels == 1).mean()], abs=1e-6)
        assert row["object_share"] == pytest.approx((labels == 1).mean(), abs=1e-6)
        # Along the two edges, a pixel of the network's 32 on either side; 4 times that for what is squeezed.
        near = np.ones_like(objects)
        rows_near, columns_near = (max(1, round(side / 32)) for side in objects.shape)
        near[:max(0, objects.shape[0] // 3 - rows_near)] = False
        near[objects.shape[0] // 3 + rows_near:, :max(0, objects.shape[1] // 2 - columns_near)] = False
        near[objects.shape[0] // 3 + rows_near:, objects.shape[1] // 2 + columns_near:] = False
        np.testing.assert_array_equal((labels == 1)[~near], objects[~near])
        assert near.mean() < 0.2 or min(objects.shape) < 40


def test_three_regions(tmp_path):
    picture = np.zeros([64, 96, 3], np.uint8)
    for k in range(3):
        picture[:, 32 * k:32 * (k + 1), k] = 255
    segment(FakeSegmenter(3), named([photographs.save(picture, tmp_path / "a.png")]), str(tmp_path / "out"))
    np.testing.assert_array_equal(mask(tmp_path / "out", "a"), np.arange(3).repeat(32)[None].repeat(64, axis=0))
    assert rows(tmp_path / "out")[0]["shares"] == [0.333333] * 3
    assert rows(tmp_path / "out")[0]["object_share"] == 0.666667


def test_only_the_files_that_were_asked_for_are_written(tmp_path, photos):
    segment(FakeSegmenter(), photos[:1], str(tmp_path / "one"))
    assert set(map(str, contents(tmp_path / "one"))) == {"p00_mask.png", "index.jsonl", ".redo_lock"}
    segment(FakeSegmenter(), photos[:1], str(tmp_path / "all"), ("mask", "overlay", "probabilities"))
    assert set(map(str, contents(tmp_path / "all"))) == {
        "p00_mask.png", "p00_overlay.png", "p00_probabilities.png", "index.jsonl", ".redo_lock"}
    row = rows(tmp_path / "all")[0]
    assert [row[kind] for kind in ("mask", "overlay", "probabilities")] == [
        "p00_mask.png", "p00_overlay.png", "p00_probabilities.png"]


def test_exif_orientation_turns_the_mask_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    picture = photographs.save(red_and_green(64, 128, np.s_[:, :32]), tmp_path / "a.jpg", exif=exif, quality=95)
    segment(FakeSegmenter(), named([picture]), str(tmp_path / "out"))
    np.testing.assert_array_equal(mask(tmp_path / "out", "a"), (np.arange(128)[:, None] < 32).repeat(64, axis=1))
