"""Facts about colored-2-MNIST."""
from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

from redo_tf.data import c2mnist, cub, flowers, load
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


def test_colours_fill_their_ranges_evenly_and_independently(pictures):
    """300 uniform numbers: their mean is known to √(1/12/300) = 1/60 of the range, a fair share to ±1/40, a correlation to
    ±1/√300 = 1/17; five times that, four where there are fifteen pairs."""
    channels = np.array([[_colour_of(image, mask, label)[channel] / 255 for label, channel in (
        (0, 0), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1))] for image, mask in pictures])
    low = np.array([0.33, 0.33, 0.0, 0.0, 0.66, 0.66])
    width = np.array([0.33, 0.33, 0.33, 0.33, 0.34, 0.34])
    inside = (channels - low) / width
    assert np.abs(inside.mean(0) - 0.5).max() < 5 / 60
    quarters = np.clip(np.floor(4 * inside), 0, 3)  # Rounding to levels of 255 may lead just out of the range.
    shares = [(quarters == quarter).mean(0) for quarter in range(4)]
    assert np.abs(np.array(shares) - 0.25).max() < 5 / 40
    assert np.abs(np.corrcoef(inside.T) - np.eye(6)).max() < 4 / 17


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


def test_real_pictures(real_data):
    """Digits that are wholly seen are MNIST's of the right parity, doubled; whatever else is specified holds as well."""
    images, labels = (c2mnist.read_idx(real_data / "mnist" / name, rank) for name, rank in zip(c2mnist.TEST_FILES, (3, 1)))
    published = [{(digit > 127).tobytes() for digit in images[labels % 2 == parity]} for parity in (0, 1)]
    digits = c2mnist.read_digits(real_data / "mnist", "test")
    found, in_front = 0, [0, 0]
    for seed in range(300):
        image, mask = c2mnist.compose(np.random.default_rng(seed), digits, 128)
        colours = [_colour_of(image, mask, label) / 255 for label in range(3) if (mask == label).any()]
        assert 0.32 < colours[0].min() and colours[0].max() < 0.67 and colours[0][0] == colours[0][1]
        assert colours[1].max() < 0.34 and colours[1][1] == colours[1][2]
        assert colours[2].min() > 0.65 and colours[2][0] == colours[2][2]
        whole = [_published_digit(mask == label, published[label - 1]) for label in (1, 2)]
        found += sum(whole)
        assert any(whole)  # The one in front.
        if whole[0] != whole[1]:
            in_front[whole.index(True)] += 1
    assert found > 400 and 0.3 < in_front[0] / sum(in_front) < 0.7


def _published_digit(shape: np.ndarray, published: set) -> bool:
    """Whether a shape, bool [128, 128], is a doubled digit of a set, at whatever place."""
    rows, columns = np.nonzero(shape)
    for top in range(max(0, rows.max() - 55), min(72, rows.min()) + 1):
        for left in range(max(0, columns.max() - 55), min(72, columns.min()) + 1):
            window = shape[top : top + 56, left : left + 56]
            if np.array_equal(window[::2, ::2], window[1::2, 1::2]) and window[::2, ::2].tobytes() in published:
                return True
    return False


def test_missing_files_are_named(small_mnist):
    (small_mnist / c2mnist.TRAIN_FILES[1]).unlink()
    with pytest.raises(UserError, match=r"^train-labels-idx1-ubyte\.gz not found in .*mnist/.*: get .*https"):
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


def test_a_file_that_cannot_be_read_is_not_said_to_be_damaged(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.mkdir()  # Which the system refuses to read even to root.
    with pytest.raises(UserError, match=rf"^Cannot read {path} \(.*\): check the file and its permissions\.$"):
        c2mnist.read_idx(path, 3)


@pytest.fixture
def host(small_mnist, tmp_path, monkeypatch):
    """Serves the four files on this machine, under checksums that TFDS is told of; the folder that is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(small_mnist))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = c2mnist.TRAIN_FILES + c2mnist.TEST_FILES
    urls = {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in names}
    infos = {
        urls[name]: tfds.core.download.checksums.UrlInfo(
            size=tfds.core.utils.Size(len(content)), checksum=hashlib.sha256(content).hexdigest(), filename=name)
        for name in names for content in [(small_mnist / name).read_bytes()]
    }
    monkeypatch.setattr(c2mnist.C2Mnist, "SOURCES", dataclasses.replace(c2mnist.C2Mnist.SOURCES, urls=urls))
    monkeypatch.setattr(c2mnist.C2Mnist, "url_infos", infos)
    yield small_mnist
    server.shutdown()


def test_files_are_downloaded_on_request_alone(host, tmp_path):
    new = tmp_path / "new"
    with pytest.raises(UserError, match=r"not found in .*/new .*`redo-tf data --prepare` with this --dataset downloads train-images"):
        load("c2mnist", "val", data_dir=new, image_size=32)
    downloaded = load("c2mnist", "val", data_dir=new, image_size=32, download=True)
    np.testing.assert_array_equal(downloaded.images, load("c2mnist", "val", data_dir=host, image_size=32).images)
    assert (new / "downloads" / "manual" / "train-images-idx3-ubyte.gz").read_bytes() == (
        host / "train-images-idx3-ubyte.gz").read_bytes()
    load("c2mnist", "val", data_dir=new, image_size=64)  # From the downloaded files.


def test_files_downloaded_to_the_cache_folder_are_found_there_for_another_size(host, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load("c2mnist", "val", data_dir=None, image_size=32, download=True)
    load("c2mnist", "val", data_dir=None, image_size=64)


@pytest.mark.parametrize("trouble", ["other content", "not there"])
def test_a_download_that_fails_is_told_in_one_sentence(host, tmp_path, leftovers, trouble):
    path = host / c2mnist.TEST_FILES[0]
    if trouble == "other content":
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    else:
        path.unlink()
    with pytest.raises(UserError, match=r"(?s)^Cannot download http://127.* and put them into .*/downloads/manual\.$"):
        load("c2mnist", "val", data_dir=tmp_path / "new", image_size=32, download=True)
    assert not leftovers(tmp_path / "new" / "redo_c2mnist")


def test_checksums_of_every_known_host():
    for builder in (c2mnist.C2Mnist, cub.Cub, flowers.Flowers):
        assert set(builder.SOURCES.urls.values()) <= set(builder.url_infos)
        assert set(builder.SOURCES.urls) <= set(builder.SOURCES.required)


def test_images_and_labels_of_different_number(small_mnist):
    path = small_mnist / c2mnist.TRAIN_FILES[1]
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:7] + bytes([59]) + content[8:-1]))
    with pytest.raises(UserError, match="holds 60 digits and train-labels-idx1-ubyte.gz beside it 59 labels"):
        load("c2mnist", "train", data_dir=small_mnist, image_size=32)
