"""Facts about Flowers-102, on small archives in the published layout."""
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from redo_tf.data import flowers, load
from redo_tf.errors import UserError
from small_archives import encode_picture


def _load(folder, split, image_size=48):
    return load("flowers", split, data_dir=folder, image_size=image_size)


@pytest.mark.parametrize("split, field", [("train", "tstid"), ("val", "valid"), ("test", "trnid")])
def test_splits_pictures_and_masks(small_flowers, split, field):
    """Segmentations are JPEGs of quality 75, whose noise reaches two pixels over a flower's rim, but is no wider than one on
    the whole; nothing else is wrong."""
    loaded = _load(small_flowers.folder, split)
    assert sorted(loaded.ids) == [f"image_{number:05d}" for number in sorted(small_flowers.published[field])]
    for name, image, mask in zip(loaded.ids, loaded.images, loaded.masks):
        number = int(name[-5:])
        truth = small_flowers.masks[number]
        wrong = (mask == 1) != truth[:, 8:56]
        rows, columns = np.nonzero(truth)
        rim = np.ones_like(truth)
        rim[: rows.min() - 2], rim[rows.max() + 3 :] = 0, 0
        rim[:, : columns.min() - 2], rim[:, columns.max() + 3 :] = 0, 0
        rim[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()] = 0
        assert not (wrong & ~rim[:, 8:56]).any()
        assert wrong.sum() <= 2 * (np.ptp(rows) + np.ptp(columns) + 4) and set(np.unique(mask)) == {0, 1}
        assert np.abs(image.astype(int) - small_flowers.pictures[number][:, 8:56]).max() < 12


@pytest.mark.parametrize("colour, label", [
    ((0, 0, 254), 0), ((3, 1, 251), 0), ((12, 20, 235), 0), ((30, 30, 215), 0), ((30, 40, 180), 1), ((60, 50, 190), 1),
    ((0, 0, 100), 1), ((255, 0, 0), 1), ((0, 200, 40), 1), ((90, 60, 220), 1), ((79, 0, 254), 0), ((81, 0, 254), 1),
    ((255, 255, 254), 1), ((0, 0, 0), 1)])
def test_what_is_blue(colour, label):
    """Pure red, green or black petals have a channel of 0, white ones one of 254, gentians and monkshood are blue: petals."""
    assert flowers.object_mask(np.full((2, 3, 3), colour, np.uint8)).tolist() == [[label] * 3] * 2


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_pictures_become_rgb(small_flowers, mode):
    picture = Image.new("RGB", (64, 48), (200, 60, 120)).convert(mode)
    small_flowers.images["jpg/image_00003.jpg"] = encode_picture(picture, "jpeg")
    small_flowers.write()
    loaded = _load(small_flowers.folder, "test")
    image = loaded.images[list(loaded.ids).index("image_00003")]
    expected = (200, 60, 120) if mode == "CMYK" else (109,) * 3
    assert np.abs(image.astype(int) - expected).max() <= 4


def test_missing_files_are_named(small_flowers):
    (small_flowers.folder / "setid.mat").unlink()
    with pytest.raises(UserError, match=r"^setid.mat not found in .* flowers/ .*https://www.robots.ox.ac.uk/.*put them"):
        _load(small_flowers.folder, "val")


@pytest.mark.parametrize("damage, message", [
    ("text", r"setid.mat is damaged or cut short \(.*\): download it again"),
    ("cut", r"setid.mat is damaged or cut short \(.*\): download it again"),
    ("field gone", r"setid.mat is damaged or cut short \('valid'\): download it again"),
    ("picture in two splits", r"setid.mat is damaged or cut short \(a split is empty, or a picture is in two\)"),
    ("picture gone", r"102flowers.tgz lacks image_00003.jpg, which setid.mat lists"),
    ("segmentation gone", r"102segmentations.tgz has no segmim_00003.jpg: download it again"),
    ("segmentation of another size", r"The mask of image_00003 in .* is \(5, 9\) where the picture is \(48, 64\)"),
    ("archive cut", r"102segmentations.tgz is damaged or cut short"),
])
def test_damaged_files(small_flowers, leftovers, damage, message):
    path = small_flowers.folder / "setid.mat"
    if damage == "field gone":
        del small_flowers.published["valid"]
    elif damage == "picture in two splits":
        small_flowers.published["trnid"] = [3, 12]
    elif damage == "picture gone":
        del small_flowers.images["jpg/image_00003.jpg"]
    elif damage == "segmentation gone":
        del small_flowers.segmentations["segmim/segmim_00003.jpg"]
    elif damage == "segmentation of another size":
        small_flowers.segmentations["segmim/segmim_00003.jpg"] = encode_picture(Image.new("RGB", (9, 5)), "jpeg")
    small_flowers.write()
    if damage == "text":
        path.write_text("<html>not found</html>")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:150])
    elif damage == "archive cut":
        archive = small_flowers.folder / flowers.SEGMENTATIONS
        archive.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(UserError, match=message):
        _load(small_flowers.folder, "test")
    assert not leftovers(small_flowers.folder)
