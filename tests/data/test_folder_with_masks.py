"""Facts about a folder of a person's own pictures with masks."""
from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from own_photos import HALF, NAMES, labelled, load_all, save
from redo_tf import curves
from redo_tf.config import Config
from redo_tf.data import folder, load
from redo_tf.data.builder import short_side
from redo_tf.errors import UserError
from redo_tf.metrics import SCORES
from redo_tf.photos.drawing import write_files
from redo_tf.pictures import png
from redo_tf.supervision import figure
from redo_tf.workdir import Workdir


def test_objects_keep_their_order_whatever_their_numbers_and_whichever_a_picture_shows(photos):
    """In all splits alike; of more objects than there can be regions the last ones are one."""
    kinds = {3: [0, 7], 2: [0, 2, 255], 1: [0, 2, 9], 0: [0, 7, 9]}
    for number, name in enumerate(NAMES):
        values = np.resize(np.array(kinds[number % 4], np.uint8), (30, 40))
        save(photos / "masks" / f"{os.path.splitext(name)[0]}.png", values)
    splits, _, masks = load_all(photos)
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


def test_where_masks_are_soft_dark_greys_are_background(photos, caplog):
    """A mask that is dark all over shows no object; numbers of objects it would be alone."""
    for number, name in enumerate(NAMES):
        values = np.resize(np.array([0, 20, 28] if number % 2 else [0, 28, 100, 200], np.uint8), (30, 40))
        save(photos / "masks" / f"{os.path.splitext(name)[0]}.png", values)
    with caplog.at_level("WARNING", logger="absl"):
        splits, _, masks = load_all(photos)
    assert {split.classes for split in splits.values()} == {2}
    for number, name in enumerate(NAMES):
        assert set(np.unique(masks[name])) == ({0} if number % 2 else {0, 1})
    assert "has greys that are no objects' numbers, " in caplog.text  # They may be, and one mask be wrong.


def test_a_folder_without_masks_or_with_black_and_white_ones_has_two_kinds_of_labels(photos):
    assert {split.classes for split in load_all(photos)[0].values()} == {2}
    for name in NAMES:
        save(photos / "masks" / f"{os.path.splitext(name)[0]}.png")
    splits, _, masks = load_all(photos)
    assert {split.classes for split in splits.values()} == {2}
    assert set(labelled(masks).values()) == {(0, 1)} and len(masks) == len(NAMES)


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
        splits, _, found = load_all(photos, image_size=30, mask_dir=masks)
    assert sum(len(loaded.ids) for loaded in splits.values()) == 20
    labelled = {name: mask for name, mask in found.items() if (mask != 255).any()}
    assert sorted(labelled) == ["a/b/Straße.jpg", "a/写真.png"]
    for mask in labelled.values():
        np.testing.assert_array_equal(mask, truth[:, 5:35])
    reports = [record.getMessage() for record in caplog.records if "without a mask" in record.getMessage()]
    assert len(reports) == 2 and any("00.png has 9×9 pixels and its picture 40×30" in report for report in reports)
    assert all(loaded.masks is None for loaded in load_all(photos, image_size=30)[0].values())  # Without --mask_dir.


def test_a_folder_of_masks_without_any_mask(photos, tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match="--mask_dir=.*/masks holds no mask of any picture"):
        load("folder", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "masks")
    with pytest.raises(UserError, match="--mask_dir=.*/none is no folder"):
        load("folder", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "none")
    with pytest.raises(UserError, match="is for --dataset=folder; shapes has masks of its own"):
        load("shapes", "train", data_dir=photos, image_size=32, mask_dir=tmp_path / "masks")


def test_a_folder_of_masks_among_the_pictures_is_none_of_pictures(photos, caplog):
    for name in ("a/b/Straße.png", "00.png", "nobody.png"):
        save(photos / "masks" / name)
    with caplog.at_level("INFO", logger="absl"):
        _, images, masks = load_all(photos)
        load_all(photos)
    assert sorted(images) == sorted(NAMES)
    assert labelled(masks) == {"a/b/Straße.jpg": (0, 1), "00.png": (0, 1)}
    told = [record.getMessage() for record in caplog.records if "folder of masks" in record.getMessage()]
    assert told == [f"{photos / 'masks'} is taken for the folder of masks; pictures with a mask there: 2."]


def test_masks_among_the_pictures_are_noticed_when_they_come_and_when_they_change(photos):
    assert not labelled(load_all(photos)[2])
    save(photos / "masks" / "00.png")
    assert labelled(load_all(photos)[2]) == {"00.png": (0, 1)}
    save(photos / "masks" / "00.png", np.rot90(HALF, 2))
    assert labelled(load_all(photos)[2]) == {"00.png": (1, 0)}
    save(photos / "01_mask.png")
    splits, images, masks = load_all(photos)
    assert labelled(masks) == {"00.png": (1, 0), "01.png": (0, 1)}
    assert sorted(images) == sorted(NAMES)


def test_prepared_pictures_are_moved_with_their_masks(photos, tmp_path, monkeypatch):
    save(photos / "masks" / "00.png")
    before = load_all(photos)[2]
    photos.rename(tmp_path / "moved")
    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", None)
    after = load_all(tmp_path / "moved")[2]
    assert after.keys() == before.keys() and all((after[name] == before[name]).all() for name in before)


def test_a_folder_called_masks_without_a_mask_is_one_of_pictures(photos):
    save(photos / "masks" / "carnival.png")
    save(photos / "masks" / "b" / "Straße.png")  # Its picture is in a/b.
    save(photos / "masks" / "upper.png")  # Its picture is UPPER.
    splits, images, _ = load_all(photos)
    assert sorted(images) == sorted([*NAMES, "masks/carnival.png", "masks/b/Straße.png", "masks/upper.png"])
    assert all(loaded.masks is None for loaded in splits.values())


def test_masks_among_the_pictures_are_no_pictures_where_others_are_named(photos, tmp_path):
    save(photos / "masks" / "00.png")
    save(tmp_path / "better" / "00.png", np.rot90(HALF, 2))
    _, images, masks = load_all(photos, mask_dir=tmp_path / "better")
    assert sorted(images) == sorted(NAMES)
    assert labelled(masks) == {"00.png": (1, 0)}


def test_a_mask_beside_its_picture(photos, caplog):
    save(photos / "a" / "b" / "Straße_mask.png")
    save(photos / "00_mask.PNG")
    save(photos / "UPPER_mask.bmp")
    save(photos / "gas_mask.png")  # Of no picture, hence one itself; so is the next.
    save(photos / "upper_mask.png")
    with caplog.at_level("INFO", logger="absl"):
        _, images, masks = load_all(photos)
    assert sorted(images) == sorted([*NAMES, "gas_mask.png", "upper_mask.png"])
    assert labelled(masks) == {"a/b/Straße.jpg": (0, 1), "00.png": (0, 1), "UPPER.JPG": (0, 1)}
    assert "Pictures with a mask beside them, NAME_mask: 3." in caplog.text


def test_what_was_segmented_into_the_folder_is_neither_picture_nor_mask(photos):
    for name in ("00", "a/b/Straße"):
        files = {kind: str(photos / f"{name}_{kind}.png") for kind in ("mask", "probabilities")}
        write_files(np.full([4, 4, 2], 0.5, np.float32), (32, 40), "", files)
    splits, images, _ = load_all(photos)
    assert sorted(images) == sorted(NAMES)
    assert all(loaded.masks is None for loaded in splits.values())
    save(photos / "00_mask.bmp")  # A person's own, beside the result.
    assert labelled(load_all(photos)[2]) == {"00.png": (0, 1)}


def test_results_among_the_pictures_do_not_have_them_prepared_again(photos):
    builder = folder.Folder.configured(photos, short_side(32))
    before = builder.fingerprint(photos)
    write_files(np.full([4, 4, 2], 0.5, np.float32), (32, 40), "", {"mask": str(photos / "00_mask.png")})
    assert builder.fingerprint(photos) == before
    save(photos / "01_mask.png")
    assert builder.fingerprint(photos) != before


def test_a_mask_of_the_folder_of_masks_goes_before_one_beside_the_picture(photos, tmp_path):
    save(photos / "00_mask.png")
    save(photos / "01_mask.png")
    save(tmp_path / "masks" / "01.png", np.rot90(HALF, 2))
    _, images, masks = load_all(photos, mask_dir=tmp_path / "masks")
    assert sorted(images) == sorted(NAMES)
    assert labelled(masks) == {"00.png": (0, 1), "01.png": (1, 0)}


def test_extensions_of_masks_are_in_any_case_and_names_are_not(photos, tmp_path):
    for name in ("UPPER.PNG", "00.Png", "a/写真.BMP", "A/b/Straße.png", "02.JPG", "02.PNG"):
        save(tmp_path / "masks" / name)
    save(tmp_path / "masks" / "02.JPG", np.rot90(HALF, 2))  # What is lossless goes first.
    masks = load_all(photos, mask_dir=tmp_path / "masks")[2]
    assert labelled(masks) == {name: (0, 1) for name in ("UPPER.JPG", "00.png", "a/写真.png", "02.png")}


def test_a_mask_is_turned_as_its_picture_is(photos):
    exif = Image.Exif()
    exif[0x0112] = 3  # Turn by 180° to view.
    Image.open(photos / "00.png").save(photos / "00.png", exif=exif)
    Image.fromarray(255 * HALF.astype(np.uint8)).save(photos / "00_mask.png", exif=exif)
    assert labelled(load_all(photos)[2]) == {"00.png": (1, 0)}


def test_masks_that_are_taken_away_are_gone(photos):
    for name in ("00", "01"):
        save(photos / "masks" / f"{name}.png")
    assert len(labelled(load_all(photos)[2])) == 2
    shutil.rmtree(photos / "masks")
    assert all(loaded.masks is None for loaded in load_all(photos)[0].values())


def test_runs_and_figures_among_the_pictures_are_none(photos):
    before = folder.Folder.configured(photos, short_side(32)).fingerprint(photos)
    run = Workdir(str(photos / "runs" / "folder"))
    with run.claim(Config(), restart=False):
        pass
    save(photos / "runs" / "folder" / "samples" / "step_0000005.png")
    for name in ("contact_sheet_folder.png", "masks.png", "redraw.png"):
        (photos / name).write_bytes(png(np.zeros([4, 4, 3], np.uint8)))
    scores = figure.summarize([{"labels": 5, "scoring": dict.fromkeys(SCORES, 0.5)}])
    (photos / "supervised.png").write_bytes(figure.plot(scores, None, "title"))
    (photos / "curves.png").write_bytes(curves.plot({"a": [{"restarts": 0, "step": 5, "val/region_sizes": [0.7, 0.3]}]}))
    assert folder.Folder.configured(photos, short_side(32)).fingerprint(photos) == before
    assert sorted(load_all(photos)[1]) == sorted(NAMES)
    save(photos / "masks.png")  # A person's own.
    assert "masks.png" in load_all(photos)[1]
