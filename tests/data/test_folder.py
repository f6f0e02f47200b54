"""Facts about a folder of a person's own pictures."""
from __future__ import annotations

import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from redo_tf import curves
from redo_tf.config import Config
from redo_tf.data import folder, load, training_batches
from redo_tf.errors import UserError
from redo_tf.photos.drawing import write_files
from redo_tf.pictures import png
from redo_tf.workdir import Workdir
from small_archives import encode, encode_picture

NAMES = ["a/b/Straße.jpg", "a/写真.png", "a/صورة.webp", "фото.bmp", "with space.jpeg", "UPPER.JPG"] + [
    f"{number:02d}.png" for number in range(14)]
FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "bmp": "bmp"}


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    """20 pictures of 40 by 30 pixels, of one colour each."""
    root = tmp_path / "photos"
    for number, name in enumerate(NAMES):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (40, 30), (12 * number, 100, 255 - 12 * number))
        picture.save(path, FORMATS[path.suffix[1:].lower()])
    return root


def _all(root, image_size=32, **options):
    splits = {split: load("folder", split, data_dir=root, image_size=image_size, **options) for split in ("train", "val", "test")}
    images = {name: image for split in splits.values() for name, image in zip(split.ids, split.images)}
    masks = {name: mask for split in splits.values() if split.masks is not None for name, mask in zip(split.ids, split.masks)}
    return splits, images, masks


def test_twenty_pictures_with_names_in_any_script(photos):
    splits, images, _ = _all(photos)
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
        _, images, _ = _all(photos)
        _all(photos)
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
        _, images, masks = _all(photos)
    assert sorted(images) == sorted([*NAMES, *(f"new{extension}.{extension}" for extension in kinds), "deep.tif"])
    for extension in kinds:
        assert np.abs(images[f"new{extension}.{extension}"].astype(int) - [0, 200, 0]).max() <= 3
    assert (images["deep.tif"] == 200).all()
    assert _labelled(masks) == {"newtif.tif": (0, 1), "newgif.gif": (0, 1)}
    (told,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert told.startswith(f"{photos / 'phone.heic'} is not a picture in one of the formats ")


def test_objects_keep_their_order_whatever_their_numbers_and_whichever_a_picture_shows(photos):
    """In all splits alike; of more objects than there can be regions the last ones are one."""
    kinds = {3: [0, 7], 2: [0, 2, 255], 1: [0, 2, 9], 0: [0, 7, 9]}
    for number, name in enumerate(NAMES):
        values = np.resize(np.array(kinds[number % 4], np.uint8), (30, 40))
        _save(photos / "masks" / f"{os.path.splitext(name)[0]}.png", values)
    splits, _, masks = _all(photos)
    ranks = {0: 0, 2: 1, 7: 2, 9: 3, 255: 255}
    for number, name in enumerate(NAMES):
        assert set(np.unique(masks[name])) == {ranks[value] for value in kinds[number % 4]}
    for split in splits.values():
        assert split.classes == 4
        for regions, last in ((5, 3), (4, 3), (3, 2), (2, 1)):
            assert split.scored_classes(regions) == min(4, regions)
            expected = np.where(split.masks == 255, 255, np.minimum(split.masks, last))
            np.testing.assert_array_equal(split.truth(regions), expected)
            np.testing.assert_array_equal(split.truth(regions, [1, 0]), expected[[1, 0]])


def test_where_masks_are_soft_dark_greys_are_background(photos):
    """A mask that is dark all over shows no object; numbers of objects it would be alone."""
    for number, name in enumerate(NAMES):
        values = np.resize(np.array([0, 20, 28] if number % 2 else [0, 28, 100, 200], np.uint8), (30, 40))
        _save(photos / "masks" / f"{os.path.splitext(name)[0]}.png", values)
    splits, _, masks = _all(photos)
    assert {split.classes for split in splits.values()} == {2}
    for number, name in enumerate(NAMES):
        assert set(np.unique(masks[name])) == ({0} if number % 2 else {0, 1})


def test_a_folder_without_masks_or_with_black_and_white_ones_has_two_kinds_of_labels(photos):
    assert {split.classes for split in _all(photos)[0].values()} == {2}
    for name in NAMES:
        _save(photos / "masks" / f"{os.path.splitext(name)[0]}.png")
    splits, _, masks = _all(photos)
    assert {split.classes for split in splits.values()} == {2}
    assert set(_labelled(masks).values()) == {(0, 1)} and len(masks) == len(NAMES)


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_pictures(tmp_path, count, leftovers):
    (tmp_path / "notes.txt").write_text("")
    for number in range(count):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{number}.png")
    with pytest.raises(UserError, match=rf"^{tmp_path} holds {count} readable pictures .*10 are the fewest.*: add more, or .*"):
        load("folder", "train", data_dir=tmp_path, image_size=32)
    assert not leftovers(tmp_path)


def test_which_folder():
    with pytest.raises(UserError, match="Which pictures.*--data_dir=FOLDER"):
        load("folder", "train", data_dir=None, image_size=32)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="--data_dir=.*/none does not exist: name the folder"):
        load("folder", "train", data_dir=tmp_path / "none", image_size=32)
    assert not (tmp_path / "none").exists()


def test_new_pictures_are_noticed_and_the_prepared_ones_are_no_pictures(photos):
    assert len(_all(photos)[1]) == 20
    Image.new("RGB", (40, 30)).save(photos / "new.png")
    assert len(_all(photos)[1]) == 21


def test_masks_of_the_same_names(photos, tmp_path, caplog):
    """Of any extension, below the same folders; in pictures of the same size nothing but the centre is cropped."""
    masks = tmp_path / "masks"
    (masks / "a" / "b").mkdir(parents=True)
    truth = np.random.default_rng(0).random((30, 40)) < 0.5
    Image.fromarray((truth * 255).astype(np.uint8)).save(masks / "a" / "b" / "Straße.png")
    Image.fromarray(truth.astype(np.uint8)).save(masks / "a" / "写真.png")
    Image.new("L", (9, 9), 255).save(masks / "00.png")
    (masks / "01.png").write_text("not a picture")
    with caplog.at_level("WARNING", logger="absl"):
        splits, _, found = _all(photos, image_size=30, mask_dir=masks)
    assert sum(len(loaded.ids) for loaded in splits.values()) == 20
    labelled = {name: mask for name, mask in found.items() if (mask != 255).any()}
    assert sorted(labelled) == ["a/b/Straße.jpg", "a/写真.png"]
    for mask in labelled.values():
        np.testing.assert_array_equal(mask, truth[:, 5:35])
    reports = [record.getMessage() for record in caplog.records if "without a mask" in record.getMessage()]
    assert len(reports) == 2 and any("00.png has 9×9 pixels and its picture 40×30" in report for report in reports)
    assert all(loaded.masks is None for loaded in _all(photos, image_size=30)[0].values())  # Without --mask_dir.


def test_a_folder_of_masks_without_any_mask(photos, tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match="--mask_dir=.*/masks holds no mask of any picture"):
        load("folder", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "masks")
    with pytest.raises(UserError, match="--mask_dir=.*/none is no folder"):
        load("folder", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "none")
    with pytest.raises(UserError, match="is for --dataset=folder; shapes has masks of its own"):
        load("shapes", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "masks")


HALF = np.repeat([[0, 255]], 20, axis=1).repeat(30, axis=0).astype(np.uint8)  # The right half of a picture is object.


def _save(path: pathlib.Path, values: np.ndarray = HALF) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_picture(Image.fromarray(values), FORMATS[path.suffix[1:].lower()]))


def _labelled(masks) -> dict:
    """The masks that label anything, and what they label the left and the right end of the picture."""
    return {name: (mask[0, 0], mask[0, -1]) for name, mask in masks.items() if (mask != 255).any()}


def test_a_folder_of_masks_among_the_pictures_is_none_of_pictures(photos, caplog):
    for name in ("a/b/Straße.png", "00.png", "nobody.png"):
        _save(photos / "masks" / name)
    with caplog.at_level("INFO", logger="absl"):
        _, images, masks = _all(photos)
        _all(photos)
    assert sorted(images) == sorted(NAMES)
    assert _labelled(masks) == {"a/b/Straße.jpg": (0, 1), "00.png": (0, 1)}
    told = [record.getMessage() for record in caplog.records if "folder of masks" in record.getMessage()]
    assert told == [f"{photos / 'masks'} is taken for the folder of masks; pictures with a mask there: 2."]


def test_masks_among_the_pictures_are_noticed_when_they_come_and_when_they_change(photos):
    assert not _labelled(_all(photos)[2])
    _save(photos / "masks" / "00.png")
    assert _labelled(_all(photos)[2]) == {"00.png": (0, 1)}
    _save(photos / "masks" / "00.png", np.rot90(HALF, 2))
    assert _labelled(_all(photos)[2]) == {"00.png": (1, 0)}
    _save(photos / "01_mask.png")
    splits, images, masks = _all(photos)
    assert _labelled(masks) == {"00.png": (1, 0), "01.png": (0, 1)}
    assert sorted(images) == sorted(NAMES)


def test_prepared_pictures_are_moved_with_their_masks(photos, tmp_path, monkeypatch):
    _save(photos / "masks" / "00.png")
    before = _all(photos)[2]
    photos.rename(tmp_path / "moved")
    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", None)
    after = _all(tmp_path / "moved")[2]
    assert after.keys() == before.keys() and all((after[name] == before[name]).all() for name in before)


def test_a_folder_called_masks_without_a_mask_is_one_of_pictures(photos):
    _save(photos / "masks" / "carnival.png")
    _save(photos / "masks" / "b" / "Straße.png")  # Its picture is in a/b.
    _save(photos / "masks" / "upper.png")  # Its picture is UPPER.
    splits, images, _ = _all(photos)
    assert sorted(images) == sorted([*NAMES, "masks/carnival.png", "masks/b/Straße.png", "masks/upper.png"])
    assert all(loaded.masks is None for loaded in splits.values())


def test_masks_among_the_pictures_are_no_pictures_where_others_are_named(photos, tmp_path):
    _save(photos / "masks" / "00.png")
    _save(tmp_path / "better" / "00.png", np.rot90(HALF, 2))
    _, images, masks = _all(photos, mask_dir=tmp_path / "better")
    assert sorted(images) == sorted(NAMES)
    assert _labelled(masks) == {"00.png": (1, 0)}


def test_a_mask_beside_its_picture(photos, caplog):
    _save(photos / "a" / "b" / "Straße_mask.png")
    _save(photos / "00_mask.PNG")
    _save(photos / "UPPER_mask.bmp")
    _save(photos / "gas_mask.png")  # Of no picture, hence one itself; so is the next.
    _save(photos / "upper_mask.png")
    with caplog.at_level("INFO", logger="absl"):
        _, images, masks = _all(photos)
    assert sorted(images) == sorted([*NAMES, "gas_mask.png", "upper_mask.png"])
    assert _labelled(masks) == {"a/b/Straße.jpg": (0, 1), "00.png": (0, 1), "UPPER.JPG": (0, 1)}
    assert "Pictures with a mask beside them, NAME_mask: 3." in caplog.text


def test_what_was_segmented_into_the_folder_is_neither_picture_nor_mask(photos):
    for name in ("00", "a/b/Straße"):
        files = {kind: str(photos / f"{name}_{kind}.png") for kind in ("mask", "probabilities")}
        write_files(np.full([4, 4, 2], 0.5, np.float32), (32, 40), "", files)
    splits, images, _ = _all(photos)
    assert sorted(images) == sorted(NAMES)
    assert all(loaded.masks is None for loaded in splits.values())
    _save(photos / "00_mask.bmp")  # A person's own, beside the result.
    assert _labelled(_all(photos)[2]) == {"00.png": (0, 1)}


def test_results_among_the_pictures_do_not_have_them_prepared_again(photos):
    builder = folder.Folder.at_size(photos, 32)
    before = builder.fingerprint(photos)
    write_files(np.full([4, 4, 2], 0.5, np.float32), (32, 40), "", {"mask": str(photos / "00_mask.png")})
    assert builder.fingerprint(photos) == before
    _save(photos / "01_mask.png")
    assert builder.fingerprint(photos) != before


def test_a_mask_of_the_folder_of_masks_goes_before_one_beside_the_picture(photos, tmp_path):
    _save(photos / "00_mask.png")
    _save(photos / "01_mask.png")
    _save(tmp_path / "masks" / "01.png", np.rot90(HALF, 2))
    _, images, masks = _all(photos, mask_dir=tmp_path / "masks")
    assert sorted(images) == sorted(NAMES)
    assert _labelled(masks) == {"00.png": (0, 1), "01.png": (1, 0)}


def test_extensions_of_masks_are_in_any_case_and_names_are_not(photos, tmp_path):
    for name in ("UPPER.PNG", "00.Png", "a/写真.BMP", "A/b/Straße.png", "02.JPG", "02.PNG"):
        _save(tmp_path / "masks" / name)
    _save(tmp_path / "masks" / "02.JPG", np.rot90(HALF, 2))  # What is lossless goes first.
    masks = _all(photos, mask_dir=tmp_path / "masks")[2]
    assert _labelled(masks) == {name: (0, 1) for name in ("UPPER.JPG", "00.png", "a/写真.png", "02.png")}


def test_a_mask_is_turned_as_its_picture_is(photos):
    exif = Image.Exif()
    exif[0x0112] = 3  # Turn by 180° to view.
    Image.open(photos / "00.png").save(photos / "00.png", exif=exif)
    Image.fromarray(255 * HALF.astype(np.uint8)).save(photos / "00_mask.png", exif=exif)
    assert _labelled(_all(photos)[2]) == {"00.png": (1, 0)}


def test_masks_that_are_taken_away_are_gone(photos):
    for name in ("00", "01"):
        _save(photos / "masks" / f"{name}.png")
    assert len(_labelled(_all(photos)[2])) == 2
    shutil.rmtree(photos / "masks")
    assert all(loaded.masks is None for loaded in _all(photos)[0].values())


def test_runs_and_figures_among_the_pictures_are_none(photos):
    before = folder.Folder.at_size(photos, 32).fingerprint(photos)
    run = Workdir(str(photos / "runs" / "folder"))
    with run.claim(Config(), restart=False):
        pass
    _save(photos / "runs" / "folder" / "samples" / "step_0000005.png")
    for name in ("contact_sheet_folder.png", "masks.png", "redraw.png"):
        (photos / name).write_bytes(png(np.zeros([4, 4, 3], np.uint8)))
    (photos / "curves.png").write_bytes(curves.plot({"a": [{"restarts": 0, "step": 5, "val/region_sizes": [0.7, 0.3]}]}))
    assert folder.Folder.at_size(photos, 32).fingerprint(photos) == before
    assert sorted(_all(photos)[1]) == sorted(NAMES)
    _save(photos / "masks.png")  # A person's own.
    assert "masks.png" in _all(photos)[1]


def test_phone_pictures_are_upright(photos):
    picture = np.zeros((40, 30, 3), np.uint8)
    picture[:20] = 255  # White above, once it is upright.
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90° clockwise to view.
    (photos / "phone.jpg").write_bytes(encode_picture(Image.fromarray(np.rot90(picture)), "jpeg", exif=exif))
    image = _all(photos)[1]["phone.jpg"]
    assert image[:14].min() > 240 and image[18:].max() < 15


def test_a_cmyk_jpeg_with_a_large_colour_profile(photos):
    """Pillow opens no PNG with a profile above 1 MiB, so the prepared ones have none."""
    profile = np.random.default_rng(0).bytes(1_800_000)
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(photos / "print.jpg", icc_profile=profile)
    with Image.open(photos / "print.jpg") as picture:
        assert (picture.mode, picture.info["icc_profile"]) == ("CMYK", profile)
    image = _all(photos)[1]["print.jpg"].astype(int)
    assert np.abs(image - [255, 0, 0]).max() <= 6


def test_jpegs_in_a_folder_train_as_the_archive_that_they_come_from(small_lfw, tmp_path):
    """The same pixels, hence the same batches for the same order of names."""
    root = tmp_path / "plain"
    for member, content in small_lfw.images.items():
        path = root / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for size in (20, 16):
        _, images, _ = _all(root, image_size=size)
        lfw = load("lfw", "train", data_dir=small_lfw.folder, image_size=size)
        members = {pathlib.PurePosixPath(name).stem: image for name, image in images.items()}
        same_order = np.stack([members[name] for name in lfw.ids])
        for ours, theirs in zip(training_batches(same_order, batch_size=7, seed=3).take(9).as_numpy_iterator(),
                                training_batches(lfw.images, batch_size=7, seed=3).take(9).as_numpy_iterator()):
            np.testing.assert_array_equal(ours["images"], theirs["images"])
            np.testing.assert_array_equal(ours["real"], theirs["real"])
