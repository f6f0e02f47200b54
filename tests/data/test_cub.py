"""Facts about CUB-200-2011, on a small archive in the published layout."""
from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from redo_tf.data import cub, load, storage
from redo_tf.data.builder import short_side
from redo_tf.errors import UserError
from small_archives import encode_picture


def _load(folder, split, **options):
    return load("cub", split, data_dir=folder, image_size=options.pop("image_size", 30), **options)


def test_pictures_masks_and_the_released_split(small_cub):
    """At the pictures' own height only columns are cropped, five on either side, so every pixel can be compared."""
    numbers = {"train": [2, 3, 4, 5, 6, 7] + list(range(9, 23)), "val": [1, 24], "test": [8, 23]}
    small_cub.write_list({number: {"train": 0, "val": 1, "test": 2}[split] for split in numbers for number in numbers[split]})
    for split in ("train", "val", "test"):
        loaded = _load(small_cub.folder, split)
        assert sorted(loaded.ids) == sorted(small_cub.numbers[number] for number in numbers[split])
        for name, image, mask in zip(loaded.ids, loaded.images, loaded.masks):
            content = small_cub.images[f"CUB_200_2011/images/{name}.jpg"]
            np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(content)))[:, 5:35])
            np.testing.assert_array_equal(mask, np.isin(small_cub.votes[name], [153, 204, 255])[:, 5:35])


def test_numbers_that_are_not_listed_are_left_out(small_cub):
    small_cub.write_list({1: 0, 5: 1, 9: 2})
    assert list(_load(small_cub.folder, "train").ids) == [small_cub.numbers[1]]


def test_without_the_list_the_split_is_fixed_and_of_the_published_proportions(small_cub):
    splits = {split: list(_load(small_cub.folder, split).ids) for split in ("train", "val", "test")}
    assert {split: len(names) for split, names in splits.items()} == {"train": 20, "val": 2, "test": 2}
    assert sorted(sum(splits.values(), [])) == sorted(small_cub.pictures)
    names = [f"{number}" for number in range(11_788)]
    published = cub.split_by_hash(names)
    assert {split: len(chosen) for split, chosen in published.items()} == {"train": 10_000, "val": 788, "test": 1_000}
    assert cub.split_by_hash(names[::-1]) == published
    assert 2_000 < np.mean([int(name) for name in published["val"]]) < 10_000  # Not the first or last classes.


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_pictures_become_rgb(small_cub, mode):
    name = small_cub.numbers[1]
    picture = Image.new("RGB", (40, 30), (200, 60, 120)).convert(mode)
    small_cub.images[f"CUB_200_2011/images/{name}.jpg"] = encode_picture(picture, "jpeg")
    small_cub.write()
    small_cub.write_list({1: 1, 2: 0, 3: 2})
    expected = (200, 60, 120) if mode == "CMYK" else (109,) * 3  # .299, .587 and .114 of them.
    assert np.abs(_load(small_cub.folder, "val").images.astype(int) - expected).max() <= 4


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA", "1"])
def test_segmentations_of_every_kind(small_cub, mode):
    """The archive has grey ones, a few with an alpha channel; a palette need not be in the order of its greys."""
    name = small_cub.numbers[1]
    votes = small_cub.votes[name]
    if mode == "P":
        picture = Image.fromarray(255 - votes).convert("P")
        picture.putpalette([255 - grey for grey in range(256) for _ in range(3)])
    elif mode in ("RGBA", "LA"):
        picture = Image.fromarray(votes).convert(mode)
        picture.putalpha(Image.new("L", picture.size, 10))
    elif mode == "1":
        picture = Image.fromarray(votes > 127)
    else:
        picture = Image.fromarray(votes).convert(mode)
    assert picture.mode == mode
    small_cub.segmentations[f"segmentations/{name}.png"] = encode_picture(picture, "png")
    small_cub.write()
    small_cub.write_list({1: 1, 2: 0, 3: 2})
    np.testing.assert_array_equal(_load(small_cub.folder, "val").masks[0], (votes >= 128)[:, 5:35])


@pytest.mark.parametrize("resize", ["antialias", "nearest"])
def test_one_resize_from_the_published_pixels(small_cub, resize):
    loaded = _load(small_cub.folder, "train", image_size=16, resize=resize)
    for name, image, mask in zip(loaded.ids, loaded.images, loaded.masks):
        published = Image.open(io.BytesIO(small_cub.images[f"CUB_200_2011/images/{name}.jpg"]))
        method = {"antialias": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}[resize]
        np.testing.assert_array_equal(image, np.asarray(published.resize((21, 16), method))[:, 2:18])
        white = Image.fromarray(small_cub.votes[name]).resize((21, 16), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(mask, np.asarray(white)[:, 2:18] >= 128)


def test_prepared_pictures_are_no_larger_than_needed(small_cub):
    builder, _ = storage.prepare(cub.Cub, small_cub.folder, short_side(16))
    for example in builder.as_dataset(split="train").as_numpy_iterator():
        assert example["image"].shape == (16, 21, 3) and example["mask"].shape == (16, 21)
    builder, _ = storage.prepare(cub.Cub, small_cub.folder, short_side(64))
    assert builder.info.splits["train"].num_examples == 20
    assert next(iter(builder.as_dataset(split="train")))["image"].shape == (30, 40, 3)  # Not enlarged.


def test_missing_archives_are_named(small_cub):
    (small_cub.folder / cub.SEGMENTATIONS).unlink()
    with pytest.raises(UserError, match=r"^segmentations.tgz not found in .* cub/ .*https://www.vision.caltech.edu/.*"
                                        r"train_val_test_split.txt"):
        _load(small_cub.folder, "val")


@pytest.mark.parametrize(
    "line, message",
    [
        ("25 0\n", r"split.txt, line 4: CUB_200_2011.tgz has no picture of number 25"),
        ("3 0\n", r"split.txt, line 4: picture 3 is listed before"),
        ("4 3\n", r"split.txt, line 4: expected NUMBER and 0, 1 or 2, found '4 3'"),
        ("4\n", r"split.txt, line 4: expected NUMBER and 0, 1 or 2, found '4'"),
    ],
)
def test_wrong_line_in_the_list(small_cub, leftovers, line, message):
    small_cub.write_list({1: 0, 2: 1, 3: 2})
    with (small_cub.folder / "train_val_test_split.txt").open("a") as file:
        file.write(line)
    with pytest.raises(UserError, match=message):
        _load(small_cub.folder, "val")
    assert not leftovers(small_cub.folder)


def test_a_list_without_validation_pictures(small_cub):
    small_cub.write_list({1: 0, 2: 2})
    with pytest.raises(UserError, match="split.txt lists no picture of val"):
        _load(small_cub.folder, "val")


@pytest.mark.parametrize("damage, message", [
    ("picture gone", r"CUB_200_2011.tgz lacks 1 of the 24 pictures in its images.txt"),
    ("segmentation gone", r"segmentations.tgz has no segmentation of 00\d.Bird/Bird_"),
    ("picture cut", r"CUB_200_2011/images/00\d.Bird/Bird_\d+_\d+.jpg in .*/CUB_200_2011.tgz is not a readable picture"),
    ("segmentation of another size", r"The mask of 00\d.Bird/.* is \(5, 9\) where the picture is \(30, 40\)"),
])
def test_damaged_archives(small_cub, leftovers, damage, message):
    name = small_cub.numbers[1]
    picture, segmentation = f"CUB_200_2011/images/{name}.jpg", f"segmentations/{name}.png"
    if damage == "picture gone":
        del small_cub.images[picture]
    elif damage == "segmentation gone":
        del small_cub.segmentations[segmentation]
    elif damage == "picture cut":
        small_cub.images[picture] = small_cub.images[picture][:300]
    else:
        small_cub.segmentations[segmentation] = encode_picture(Image.new("L", (9, 5)), "png")
    small_cub.write()
    with pytest.raises(UserError, match=message):
        _load(small_cub.folder, "val")
    assert not leftovers(small_cub.folder)
