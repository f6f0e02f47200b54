from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from redo_tf.build import build_mask_network
from redo_tf.data.resizing import RESIZE, resize
from redo_tf.segmentation import Segmentation, fitted_size, label_names, resized, whole_levels


@pytest.fixture(scope="module")
def segmentation() -> Segmentation:
    tf.keras.utils.set_random_seed(0)
    network = build_mask_network(tiny.config("model.regions=3").model)
    return Segmentation(network, 32, [2, 0, 1])


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, [*shape, 3], dtype=np.uint8)


def test_one_object_has_no_number():
    assert label_names(2) == ["background", "object"]
    assert label_names(3) == ["background", "object 1", "object 2"]


@pytest.mark.parametrize("height, width, expected", [
    (32, 32, (32, 32)), (250, 250, (32, 32)), (1, 1, (32, 32)), (64, 96, (32, 48)),
    (96, 64, (48, 32)), (100, 133, (32, 44)),  # 32·133/100 = 42.6, between 40 and 44.
    (8000, 1, (128, 32)), (1, 8000, (32, 128)),  # At most four times as long as wide.
])
def test_fitted_size(height, width, expected):
    assert fitted_size(height, width, 32) == expected
    assert tuple(side.numpy() for side in fitted_size(tf.constant(height), tf.constant(width), 32)) == expected


@pytest.mark.parametrize("method", ["antialias", "nearest"])
@pytest.mark.parametrize("side", [250, 64, 20])
def test_resizing_is_the_one_of_training(method, side):
    picture = pictures(side, side)
    expected = resize(Image.fromarray(picture), 32, RESIZE[method])
    actual = resized(tf.constant(picture[None]), tf.constant([32, 32]), method).numpy()[0]
    # Pillow rounds after either direction, the graph once.
    np.testing.assert_allclose(actual.astype(int), expected, atol=0 if method == "nearest" else 1)


def test_halves_round_upwards_whichever_side_of_the_half_their_sum_fell():
    halves = np.float32([0.5, 1.5, 127.5, 254.5])
    either_side = np.stack([np.nextafter(halves, np.float32(0)), halves, np.nextafter(halves, np.float32(255))])
    np.testing.assert_array_equal(whole_levels(either_side), [[1, 2, 128, 255]] * 3)
    np.testing.assert_array_equal(whole_levels(np.float32([0, 0.49, 0.51, 255])), [0, 0, 1, 255])


@pytest.mark.parametrize("size", [(32, 48), (31, 400), (300, 20)])
def test_smaller_pictures_are_those_of_tensorflows_own_operation(size):
    picture = tf.constant(pictures(1, 250, 371), tf.float32)
    np.testing.assert_allclose(resized(picture, tf.constant(size)), tf.image.resize(picture, size, antialias=True), atol=2e-3)


def test_masks_of_a_picture_at_its_training_size_are_the_networks_in_the_labels_order(segmentation):
    images = pictures(2, 32, 32)
    expected = segmentation.mask_network(images / np.float32(127.5) - 1).numpy()
    np.testing.assert_allclose(segmentation(tf.constant(images))["masks"], expected[..., [2, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 50, 41), (2, 20, 90), (1, 300, 7)])
def test_pictures_of_any_size(segmentation, shape):
    results = tf.function(segmentation.__call__, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])(
        pictures(*shape))
    masks, labels = results["masks"].numpy(), results["labels"].numpy()
    assert masks.shape == (*shape, 3) and masks.dtype == np.float32
    np.testing.assert_allclose(masks.sum(-1), 1, atol=1e-5)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, masks.argmax(-1))


def test_a_picture_does_not_see_the_others_of_its_batch(segmentation):
    images = pictures(3, 40, 50)
    together = segmentation.masks(tf.constant(images))
    for i in range(3):
        np.testing.assert_allclose(segmentation.masks(tf.constant(images[i:i + 1]))[0], together[i], atol=1e-5)


@pytest.mark.parametrize("height, width", [(32, 32), (8, 12), (200, 300), (301, 97)])
def test_masks_lie_where_the_object_is(height, width):
    """A stand-in for f that takes red for region 0: the mask comes back at the picture's own size, in its own place."""
    red = lambda images, training: tf.stack([(images[..., 0] + 1) / 2, 1 - (images[..., 0] + 1) / 2], axis=-1)
    picture = np.zeros([1, height, width, 3], np.uint8)
    picture[:, :height // 2, width // 2:, 0] = 255
    labels = Segmentation(red, 32, [1, 0])(tf.constant(picture))["labels"].numpy()
    wrong = (labels[0] == 1) != (picture[0, ..., 0] == 255)
    # At most half a pixel of the network's 32 on each side of the two edges, each half a picture long.
    assert wrong.mean() <= 0.5 / 32 + (0 if min(height, width) >= 32 else 0.02)


@pytest.mark.parametrize("resize, soft", [("nearest", False), ("antialias", True)])
def test_pictures_are_made_smaller_as_in_training(resize, soft):
    """Columns of one pixel, black and white in turn, and a network whose mask is how light a pixel is."""
    image = np.zeros([1, 64, 64, 3], np.uint8)
    image[:, :, ::2] = 255
    network = lambda images, training: tf.concat([(images[..., :1] + 1) / 2, (1 - images[..., :1]) / 2], axis=-1)
    masks = Segmentation(network, 32, [0, 1], resize).masks(tf.constant(image)).numpy()
    assert (np.abs(masks[:, :, 4:-4] - 0.5).max() < 0.01) == soft
