from __future__ import annotations

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import photographs
from redo_tf.decoding import PictureError
from redo_tf.own_pngs import is_output, is_whole
from redo_tf.photos import drawing
from redo_tf.photos.drawing import enlarged, write_files
from redo_tf.pictures import PALETTE


def soft(*shape: int) -> np.ndarray:
    """Probabilities float32 [h, w, n]."""
    masks = np.random.default_rng(0).random(shape, dtype=np.float32)
    return masks / masks.sum(-1, keepdims=True)


@pytest.mark.parametrize("regions", [2, 3])
@pytest.mark.parametrize("size", [(32, 44), (250, 333), (1, 1), (5, 9), (3, 2000), (2000, 3)])
def test_masks_are_enlarged_strip_by_strip_as_tensorflow_does_it_at_once(monkeypatch, regions, size):
    monkeypatch.setattr(drawing, "STRIP_PIXELS", 1000)
    masks = soft(32, 44, regions)
    expected = tf.image.resize(masks, size, antialias=True).numpy()
    strips = list(enlarged(masks, size))
    assert [row for rows, _, _ in strips for row in range(rows.start, rows.stop)] == list(range(size[0]))
    assert size[1] >= 1000 or all(labels.size <= 1000 for _, labels, _ in strips)
    objects, labels = (np.concatenate([strip[part] for strip in strips]) for part in (2, 1))
    np.testing.assert_allclose(objects, expected[..., 1:].sum(-1), atol=1e-4)
    ordered = np.sort(expected, axis=-1)
    decided = ordered[..., -1] - ordered[..., -2] > 1e-3
    assert decided.mean() > 0.9
    np.testing.assert_array_equal(labels[decided], expected.argmax(-1)[decided])


def test_of_equally_probable_labels_the_first_is_taken():
    masks = np.array([[[0.5, 0.5], [0.4, 0.6], [0.6, 0.4]]], np.float32)
    assert [labels.tolist() for _, labels, _ in enlarged(masks, (1, 3))] == [[[0, 1, 0]]]
    masks = np.array([[[0.25, 0.375, 0.375], [0.375, 0.25, 0.375], [0.25, 0.25, 0.5]]], np.float32)
    assert [labels.tolist() for _, labels, _ in enlarged(masks, (1, 3))] == [[[1, 0, 2]]]


@pytest.mark.parametrize("regions", [2, 3, 8])
def test_the_mask_is_a_palette_png_whose_values_are_the_labels(tmp_path, regions):
    labels = np.arange(35).reshape(5, 7) % regions
    masks = np.eye(regions, dtype=np.float32)[labels]
    shares = write_files(masks, (5, 7), "", {"mask": str(tmp_path / "a" / "b_mask.png")})
    with Image.open(tmp_path / "a" / "b_mask.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "P", (7, 5))
        np.testing.assert_array_equal(np.asarray(image), labels)
        colours = PALETTE[[0, 1, 2, 3, 4, 5, 1, 2]]  # Black is the background's alone.
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colours[labels])
    assert shares == pytest.approx([(labels == k).mean() for k in range(regions)])
    assert os.listdir(tmp_path / "a") == ["b_mask.png"]


def test_the_other_files(tmp_path):
    picture = photographs.save(np.full([1, 4, 3], [100, 200, 0], np.uint8), tmp_path / "a.png")
    masks = np.array([[[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.3, 0.6], [1, 0, 0]]], np.float32)
    files = {kind: str(tmp_path / f"a_{kind}.png") for kind in ("mask", "overlay", "probabilities")}
    assert write_files(masks, (1, 4), picture, files) == [0.5, 0.25, 0.25]
    with Image.open(files["probabilities"]) as image:
        assert (image.mode, np.asarray(image).tolist()) == ("L", [[26, 204, 230, 0]])  # 25.5, 204, 229.5, rounded.
    with Image.open(files["overlay"]) as image:
        assert image.mode == "RGB"
        # 0.4 of the picture on black; 0.7 of it and 0.3 of white, (255, 255, 255), and of label 2's (230, 120, 30).
        assert np.asarray(image).tolist() == [[[40, 80, 0], [147, 217, 77], [139, 176, 9], [40, 80, 0]]]


def test_an_overlay_lies_on_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # Stored lying on its left side: its first row is the upright picture's right column.
    stored = photographs.red_and_green(20, 40, np.s_[:, :10])
    picture = photographs.save(stored, tmp_path / "a.png", exif=exif)
    masks = np.zeros([40, 20, 2], np.float32)
    masks[:10, :, 1] = masks[10:, :, 0] = 1
    write_files(masks, (40, 20), picture, {kind: str(tmp_path / f"a_{kind}.png") for kind in ("mask", "overlay")})
    overlay = np.asarray(Image.open(tmp_path / "a_overlay.png"))
    assert overlay.shape == (40, 20, 3)
    assert np.unique(overlay[:10].reshape(-1, 3), axis=0).tolist() == [[77, 255, 77]]
    assert np.unique(overlay[10:].reshape(-1, 3), axis=0).tolist() == [[102, 0, 0]]


def test_files_have_no_colour_profile_which_would_hide_who_wrote_them(tmp_path):
    profile = np.random.default_rng(0).bytes(1_800_000)  # More than Pillow reads of a PNG file.
    Image.new("CMYK", (5, 4)).save(tmp_path / "a.jpg", icc_profile=profile)
    path = str(tmp_path / "a_overlay.png")
    for _ in range(2):  # The first may be written over, as it is known for our own.
        write_files(soft(4, 5, 2), (4, 5), str(tmp_path / "a.jpg"), {"overlay": path, "mask": str(tmp_path / "a_mask.png")})
        assert is_whole(path)
    with Image.open(path) as image:
        assert "icc_profile" not in image.info


def test_an_overlay_with_many_regions_has_no_object_like_the_background(tmp_path):
    picture = photographs.save(np.zeros([1, 8, 3], np.uint8), tmp_path / "a.png")
    masks = np.eye(8, dtype=np.float32)[None]
    files = {kind: str(tmp_path / f"a_{kind}.png") for kind in ("mask", "overlay")}
    write_files(masks, (1, 8), picture, files)
    with Image.open(files["overlay"]) as image:
        colours = np.asarray(image)[0]
    assert colours[0].max() == 0 and (colours[1:].max(axis=-1) > 0).all()
    np.testing.assert_array_equal(colours[6:], colours[1:3])


def test_a_persons_own_file_is_never_overwritten(tmp_path):
    masks, path = soft(4, 4, 2), str(tmp_path / "a_mask.png")
    photographs.save(np.zeros([4, 4, 3], np.uint8), path)
    before = (tmp_path / "a_mask.png").read_bytes()
    with pytest.raises(PictureError, match="would overwrite .*a_mask.png, which redo_tf.segment has not written: .*"):
        write_files(masks, (4, 4), "", {"mask": path})
    assert (tmp_path / "a_mask.png").read_bytes() == before
    os.unlink(path)
    for _ in range(2):  # Our own may be written again.
        write_files(masks, (4, 4), "", {"mask": path})
    assert is_output(path)


def test_a_mask_that_was_cut_off_anywhere_is_written_again(tmp_path):
    path = tmp_path / "a_mask.png"
    write_files(soft(4, 4, 2), (4, 4), "", {"mask": str(path)})
    content = path.read_bytes()
    for kept in range(len(content)):
        path.write_bytes(content[:kept])
        write_files(soft(4, 4, 2), (4, 4), "", {"mask": str(path)})
        assert path.read_bytes() == content


def test_a_persons_small_files_are_not_taken_for_masks_that_were_cut_off(tmp_path):
    path = tmp_path / "a_mask.png"
    Image.new("1", (1, 1)).save(path, optimize=True)
    smallest = path.read_bytes()
    assert len(smallest) == 67
    for content in (smallest, smallest[1:], b"text", b"\x89PNG\n"):
        path.write_bytes(content)
        with pytest.raises(PictureError, match="would overwrite"):
            write_files(soft(4, 4, 2), (4, 4), "", {"mask": str(path)})
        assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["x" * 251, "folder", "file/a"])
def test_a_name_that_cannot_be_written_concerns_one_picture_only(tmp_path, name):
    (tmp_path / "folder_mask.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(PictureError):
        write_files(soft(4, 4, 2), (4, 4), "", {"mask": str(tmp_path / f"{name}_mask.png")})
    assert sorted(os.listdir(tmp_path)) == ["file", "folder_mask.png"]


def test_a_picture_that_has_another_size_by_now_is_told(tmp_path):
    picture = photographs.save(np.zeros([4, 5, 3], np.uint8), tmp_path / "a.png")
    with pytest.raises(PictureError, match="has changed meanwhile"):
        write_files(soft(4, 4, 2), (4, 4), picture, {"mask": str(tmp_path / "b"), "overlay": str(tmp_path / "c")})


def test_a_file_is_whole_to_its_last_byte(tmp_path):
    path = tmp_path / "a_mask.png"
    write_files(soft(4, 4, 2), (40, 40), "", {"mask": str(path)})
    content = path.read_bytes()
    for kept in range(len(content)):
        path.write_bytes(content[:kept])
        assert not is_whole(str(path))
    path.write_bytes(content)
    assert is_whole(str(path))
    assert not is_whole(str(tmp_path / "nothing"))
    assert not is_output(photographs.save(np.zeros([4, 4, 3], np.uint8), tmp_path / "b_mask.png"))


def test_a_full_disk_leaves_neither_a_part_nor_silence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_files(soft(4, 4, 2), (4, 4), "", {"mask": str(tmp_path / "a_mask.png")})
    assert os.listdir(tmp_path) == []
