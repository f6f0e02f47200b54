"""JPEG and PNG files through an exported SavedModel: how they are decoded, and what comes back."""
from __future__ import annotations

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from checks import encoded, pictures, read
from export import serving
from redo_tf import decoding


def serve_files(model, files):
    results = model.signatures["image_bytes"](image_bytes=tf.constant(files, tf.string))
    return [read(file) for file in results["label_png_bytes"].numpy()], [
        read(file) for file in results["mask_png_bytes"].numpy()]


def test_files_of_a_size_each_give_pngs_of_their_sizes(model, segmented):
    images = [pictures(1, *size)[0] for size in ((32, 32), (97, 65), (20, 33))]
    labels, masks = serve_files(model, [encoded(image) for image in images])
    for image, label, mask in zip(images, labels, masks):
        expected = segmented(image[None])
        assert label.dtype == mask.dtype == np.uint8 and label.shape == image.shape[:2]
        assert np.mean(label == expected.labels[0]) >= 0.999
        np.testing.assert_allclose(mask, 255 * (1 - expected.masks[0, ..., 0]), atol=0.51 + 0.255)


def test_a_files_result_does_not_depend_on_the_other_files(model):
    files = [encoded(pictures(1, 30 + side, 40)[0]) for side in range(17)]
    together = serve_files(model, files)[1]
    for file, mask in zip(files, together):
        np.testing.assert_allclose(serve_files(model, [file])[1][0], mask, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_png_files_are_decoded_as_by_pillow_bit_for_bit(mode):
    file = encoded(pictures(1, 40, 52)[0], "PNG", mode)
    np.testing.assert_array_equal(serving.decode(tf.constant(file)), Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.parametrize("mode, most", [("L", 1), ("RGB", 4), ("CMYK", 3)])
def test_jpeg_files_are_decoded_as_by_pillow_to_a_few_levels(mode, most):
    """Cosine transforms may be rounded another way, by a level. RGB adds up brightness and 1.772 times a colour difference,
    CMYK multiplies two planes; and both are rounded once more. The picture is smooth, as colours are kept at half its size."""
    rows, columns = np.mgrid[:40, :52]
    image = np.stack([rows * 6, columns * 4, 200 - rows * 2 - columns], axis=-1).astype(np.uint8)
    file = encoded(image, "JPEG", mode)
    wanted = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), int)
    assert np.abs(serving.decode(tf.constant(file)).numpy() - wanted).max() <= most
    assert np.ptp(wanted) > 100


def test_files_without_three_channels_get_the_masks_of_their_pixels(model):
    file = encoded(pictures(1, 40, 52)[0], "JPEG", "CMYK")
    pixels = serving.decode(tf.constant(file)).numpy()
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(pixels)])[1])


def test_the_mask_is_the_probability_of_any_object_and_labels_are_the_networks():
    def of_three_regions(images):
        return {"masks": tf.broadcast_to([0.4, 0.35, 0.25], [*images.shape[:3], 3]), "labels": 2 * tf.ones_like(images[..., 0])}

    results = serving.segment_files(of_three_regions, tf.constant([encoded(pictures(1, 40, 52)[0])]))
    mask, label = (tf.io.decode_png(results[name][0]).numpy() for name in ("mask_png_bytes", "label_png_bytes"))
    assert mask.shape == label.shape == (40, 52, 1)
    assert (mask == 153).all() and (label == 2).all()  # 255·(0.35 + 0.25)


def test_sixteen_bit_files_are_taken_by_their_upper_eight(model):
    image = pictures(1, 40, 52)[0]
    file = tf.io.encode_png(image.astype(np.uint16) * 256 + 200).numpy()
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(image)])[1])


def transparent_file(kind: str) -> bytes:
    """A PNG file that is transparent in its left half, more or less; or where it has certain colours."""
    image = Image.fromarray(pictures(1, 40, 52)[0])
    alpha = np.full([40, 52], 255, np.uint8)
    alpha[:, :26] = np.arange(40)[:, None] * 6
    layered, grey, palette = image.convert("RGBA"), image.convert("LA"), image.convert("P")
    for picture in (layered, grey):
        picture.putalpha(Image.fromarray(alpha))
    if kind == "16 bits":
        return tf.io.encode_png(np.asarray(layered).astype(np.uint16) * 257).numpy()
    picture, options = {
        "RGBA": (layered, {}), "grey": (grey, {}), "palette": (palette, {"transparency": bytes(range(256))}),
        "one colour": (image, {"transparency": image.getpixel((3, 4))})}[kind]
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["RGBA", "grey", "palette", "one colour", "16 bits"])
def test_what_is_transparent_becomes_white_as_in_segment(tmp_path, kind):
    file = transparent_file(kind)
    (tmp_path / "picture.png").write_bytes(file)
    wanted = np.asarray(decoding.read(str(tmp_path / "picture.png")))
    np.testing.assert_array_equal(serving.decode(tf.constant(file)), wanted)
    assert not np.array_equal(wanted, tf.io.decode_png(file, channels=3))  # Under the transparency there is something else.


def test_a_transparent_file_gets_the_mask_of_its_picture_on_white(model):
    file = transparent_file("RGBA")
    white = Image.new("RGB", (52, 40), "white")
    layered = Image.open(io.BytesIO(file))
    white.paste(layered, mask=layered)
    assert np.array_equal(serve_files(model, [file])[1], serve_files(model, [encoded(np.asarray(white))])[1])


def test_no_files_give_no_files(model):
    assert serve_files(model, []) == ([], [])


@pytest.mark.parametrize("broken", [
    b"", b"text", encoded(pictures(1, 40, 40)[0], "JPEG")[:500], encoded(pictures(1, 40, 40)[0])[:500]])
def test_broken_files_are_named_and_only_they(model, broken):
    good = encoded(pictures(1, 40, 40)[0], "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape("picture at index [1 3], counted from 0")):
        serve_files(model, [good, broken, good, broken])
    assert len(serve_files(model, [good])[0]) == 1  # The next request is none the worse.
