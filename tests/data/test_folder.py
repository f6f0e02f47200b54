"""Facts about a folder of a person's own pictures."""
from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from own_photos import HALF, NAMES, labelled, load_all
from redo_tf.data import load, training_batches
from redo_tf.errors import UserError
from small_archives import encode, encode_picture


def test_twenty_pictures_with_names_in_any_script(photos):
    splits, images, _ = load_all(photos)
    assert {split: len(loaded.ids) for split, loaded in splits.items()} == {"train": 16, "val": 2, "test": 2}
    assert sorted(images) == sorted(NAMES)
    assert all(loaded.masks is None for loaded in splits.values())
    for number, name in enumerate(NAMES):
        assert np.abs(images[name].astype(int) - [12 * number, 100, 255 - 12 * number]).max() <= 6  # JPEG, WebP.


def test_bad_files_are_each_reported_once_and_left_out(photos, caplog, monkeypatch):
    whole = encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), "jpeg")
    (photos / "text.jpg").write_text("hello")
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "zero.png").write_bytes(b"")
    (photos / "one.png").write_bytes(encode_picture(Image.new("RGB", (1, 1)), "png"))
    (photos / "dangling.jpg").symlink_to(photos / "nowhere.jpg")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "closed.jpg").write_bytes(whole)
    bad = ["text.jpg", "cut.jpg", "zero.png", "one.png", "dangling.jpg", "pipe.jpg", "closed.jpg"]
    opened = Image.open  # Root may read any file, so the refusal is made here.

    def refuse(path, *arguments, **options):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Image, "open", refuse)
    with caplog.at_level("WARNING", logger="absl"):
        _, images, _ = load_all(photos)
        load_all(photos)
    assert sorted(images) == sorted(NAMES)
    reports = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert sorted(report.split()[0] for report in reports) == sorted(str(photos / name) for name in bad)
    assert all("\n" not in report for report in reports)


def test_every_kind_of_file_that_can_be_segmented_is_trained_on(photos, caplog):
    picture = Image.new("RGB", (40, 30), (0, 200, 0))
    kinds = {"tif": "tiff", "tiff": "tiff", "gif": "gif", "ppm": "ppm", "jp2": "jpeg2000", "jpe": "jpeg", "TIF": "tiff"}
    for extension, kind in kinds.items():
        picture.save(photos / f"new{extension}.{extension}", kind)
    Image.new("I;16", (40, 30), 200 * 256).save(photos / "deep.tif")
    (photos / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    for extension in ("tif", "gif"):
        Image.fromarray(HALF).save(photos / f"new{extension}_mask.{extension}")
    with caplog.at_level("WARNING", logger="absl"):
        _, images, masks = load_all(photos)
    assert sorted(images) == sorted([*NAMES, *(f"new{extension}.{extension}" for extension in kinds), "deep.tif"])
    for extension in kinds:
        assert np.abs(images[f"new{extension}.{extension}"].astype(int) - [0, 200, 0]).max() <= 3
    assert (images["deep.tif"] == 200).all()
    assert labelled(masks) == {"newtif.tif": (0, 1), "newgif.gif": (0, 1)}
    (told,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert told.startswith(f"{photos / 'phone.heic'} is not a picture in one of the formats ")


def test_a_strip_is_left_out(photos, caplog):
    """Resized by its short side it would be very long."""
    Image.new("RGB", (8000, 10)).save(photos / "strip.png")
    Image.new("RGB", (1000, 10)).save(photos / "panorama.png")
    with caplog.at_level("WARNING", logger="absl"):
        images = load_all(photos)[1]
    assert "panorama.png" in images and "strip.png" not in images
    assert "strip.png" in caplog.text


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_pictures(tmp_path, count, leftovers):
    (tmp_path / "notes.txt").write_text("")
    for number in range(count):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{number}.png")
    with pytest.raises(UserError, match=rf"^{tmp_path} holds {count} readable pictures .*10 are the fewest.*: add more, or .*"):
        load("folder", "train", data_dir=tmp_path, image_size=32)
    assert not leftovers(tmp_path) and not (tmp_path / "downloads").exists()


def test_which_folder():
    with pytest.raises(UserError, match="Which pictures.*--data_dir=FOLDER"):
        load("folder", "train", data_dir=None, image_size=32)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="--data_dir=.*/none does not exist: name the folder"):
        load("folder", "train", data_dir=tmp_path / "none", image_size=32)
    assert not (tmp_path / "none").exists()


def test_new_pictures_are_noticed_and_the_prepared_ones_are_no_pictures(photos):
    assert len(load_all(photos)[1]) == 20
    Image.new("RGB", (40, 30)).save(photos / "new.png")
    assert len(load_all(photos)[1]) == 21


def test_phone_pictures_are_upright(photos):
    picture = np.zeros((40, 30, 3), np.uint8)
    picture[:20] = 255  # White above, once it is upright.
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90° clockwise to view.
    (photos / "phone.jpg").write_bytes(encode_picture(Image.fromarray(np.rot90(picture)), "jpeg", exif=exif))
    image = load_all(photos)[1]["phone.jpg"]
    assert image[:14].min() > 240 and image[18:].max() < 15


def test_a_cmyk_jpeg_with_a_large_colour_profile(photos):
    """Pillow opens no PNG with a profile above 1 MiB, so the prepared ones have none."""
    profile = np.random.default_rng(0).bytes(1_800_000)
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(photos / "print.jpg", icc_profile=profile)
    with Image.open(photos / "print.jpg") as picture:
        assert (picture.mode, picture.info["icc_profile"]) == ("CMYK", profile)
    image = load_all(photos)[1]["print.jpg"].astype(int)
    assert np.abs(image - [255, 0, 0]).max() <= 6


def test_jpegs_in_a_folder_train_as_the_archive_that_they_come_from(small_lfw, tmp_path):
    """The same pixels, hence the same batches for the same order of names."""
    root = tmp_path / "plain"
    for member, content in small_lfw.images.items():
        path = root / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for size in (20, 16):
        _, images, _ = load_all(root, image_size=size)
        lfw = load("lfw", "train", data_dir=small_lfw.folder, image_size=size)
        members = {pathlib.PurePosixPath(name).stem: image for name, image in images.items()}
        same_order = np.stack([members[name] for name in lfw.ids])
        for ours, theirs in zip(training_batches(same_order, batch_size=7, seed=3).take(9).as_numpy_iterator(),
                                training_batches(lfw.images, batch_size=7, seed=3).take(9).as_numpy_iterator()):
            np.testing.assert_array_equal(ours["images"], theirs["images"])
            np.testing.assert_array_equal(ours["real"], theirs["real"])
