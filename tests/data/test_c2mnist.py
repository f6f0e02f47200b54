"""Facts about colored-2-MNIST."""
from __future__ import annotations

import gzip

import numpy as np
import pytest

from redo_tf.data import c2mnist, load
from redo_tf.errors import UserError

EVEN = np.zeros((28, 28), np.uint8)
EVEN[4:24, 4:24] = 255
EVEN[10, 10] = 127  # Not above one half.
ODD = np.zeros((28, 28), np.uint8)
ODD[:, 12:16] = 128


@pytest.fixture
def pictures():
    digits = c2mnist.Digits(even=EVEN[np.newaxis], odd=ODD[np.newaxis])
    return [c2mnist.compose(np.random.default_rng(seed), digits, 128) for seed in range(300)]


def _colour_of(image: np.ndarray, mask: np.ndarray, label: int) -> np.ndarray:
    colours = image[mask == label]
    assert (colours == colours[0]).all()  # One colour a region, so mask and colours give the picture back.
    return colours[0]


def test_regions_have_one_colour_each_of_the_published_ranges(pictures):
    for image, mask in pictures:
        background, even, odd = (_colour_of(image, mask, label) for label in range(3))
        assert background[0] == background[1] and 84 <= background.min() and background.max() <= 168
        assert even[1] == even[2] and even.max() <= 84
        assert odd[0] == odd[2] and 168 <= odd.min()


def test_digits_are_doubled_and_thresholded(pictures):
    doubled = {1: np.kron(EVEN > 127, np.ones((2, 2))), 2: np.kron(ODD > 127, np.ones((2, 2)))}
    complete = {1: 0, 2: 0}
    for _, mask in pictures:
        for label, digit in doubled.items():
            if (mask == label).sum() == digit.sum():  # Not covered by the other digit.
                rows, columns = np.nonzero(mask == label)
                shape = (mask == label)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                digit_rows, digit_columns = np.nonzero(digit)
                np.testing.assert_array_equal(
                    shape,
                    digit[digit_rows.min() : digit_rows.max() + 1, digit_columns.min() : digit_columns.max() + 1] == 1,
                )
                complete[label] += 1
    assert min(complete.values()) > 100


def test_either_digit_is_in_front_about_as_often(pictures):
    covered = [(mask == 1).sum() < 4 * (EVEN > 127).sum() for _, mask in pictures]
    covers = [(mask == 2).sum() < 4 * (ODD > 127).sum() for _, mask in pictures]
    assert not np.any(np.logical_and(covered, covers))
    assert 0.35 < np.sum(covered) / (np.sum(covered) + np.sum(covers)) < 0.65


def test_places_reach_every_side(pictures):
    tops = [np.nonzero((mask == 2).any(axis=1))[0].min() for _, mask in pictures]
    assert min(tops) <= 2 and max(tops) >= 70  # The odd digit is 56 pixels high: 0…72.


@pytest.mark.parametrize("size, side", [(32, 14), (64, 28), (128, 56), (256, 112)])
def test_digits_scale_with_the_picture(size, side):
    full = np.full((1, 28, 28), 255, np.uint8)
    _, mask = c2mnist.compose(np.random.default_rng(1), c2mnist.Digits(full, full), size)
    front = max((1, 2), key=lambda label: (mask == label).sum())
    assert (mask == front).sum() == side * side


def test_splits_use_disjoint_digits(small_mnist):
    used = {
        split: {digit.tobytes() for pool in (digits.even, digits.odd) for digit in pool}
        for split in ("train", "val", "test") for digits in [c2mnist.read_digits(small_mnist, split)]
    }
    assert {split: len(digits) for split, digits in used.items()} == {"train": 40, "val": 20, "test": 20}
    assert len(used["train"] | used["val"] | used["test"]) == 80


def test_loads_with_three_regions(small_mnist):
    loaded = load("c2mnist", "train", data_dir=small_mnist, image_size=64)
    assert loaded.images.shape == (30, 64, 64, 3)
    assert set(np.unique(loaded.masks)) == {0, 1, 2}
    for image, mask in zip(loaded.images, loaded.masks):
        for label in np.unique(mask):
            _colour_of(image, mask, label)


def test_real_digits(real_data):
    counts = {}
    for split in ("train", "val", "test"):
        digits = c2mnist.read_digits(real_data / "mnist", split)
        counts[split] = len(digits.even) + len(digits.odd)
    assert counts == {"train": 55_000, "val": 5_000, "test": 10_000}
    # MNIST's first training digit is a 5, its second a 0.
    train = c2mnist.read_digits(real_data / "mnist", "train")
    assert train.odd[0].sum() == 27525 and train.even[0].sum() == 31095


def test_missing_files_are_named(small_mnist):
    (small_mnist / c2mnist.TRAIN_FILES[1]).unlink()
    with pytest.raises(UserError, match=r"^train-labels-idx1-ubyte.gz not found in .*mnist/.*Get|get .*https"):
        load("c2mnist", "val", data_dir=small_mnist, image_size=32)


@pytest.mark.parametrize("damage", ["cut", "text", "labels instead of images"])
def test_damaged_files_are_named(small_mnist, damage, leftovers):
    path = small_mnist / c2mnist.TEST_FILES[0]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    elif damage == "text":
        path.write_text("<html>not found</html>")
    else:
        path.write_bytes((small_mnist / c2mnist.TEST_FILES[1]).read_bytes())
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte.gz is damaged or cut short .*: download it again\.$"):
        load("c2mnist", "val", data_dir=small_mnist, image_size=32)
    assert not leftovers(small_mnist)


def test_images_and_labels_of_different_number(small_mnist):
    path = small_mnist / c2mnist.TRAIN_FILES[1]
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:7] + bytes([59]) + content[8:-1]))
    with pytest.raises(UserError, match="holds 60 digits and train-labels-idx1-ubyte.gz beside it 59 labels"):
        load("c2mnist", "train", data_dir=small_mnist, image_size=32)
