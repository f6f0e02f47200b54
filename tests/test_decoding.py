from __future__ import annotations

import contextlib
import errno
import os

import numpy as np
import pytest
from PIL import Image

import photographs
from redo_tf import decoding
from redo_tf.data.resizing import RESIZE, resize
from redo_tf.decoding import PictureError, read, read_fitted

BILINEAR = Image.Resampling.BILINEAR
# What each EXIF orientation asks of a viewer (CIPA DC-008, tag 274), [H, W, 3] as stored → upright.
TO_UPRIGHT = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
              5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, -1),
              7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
              8: lambda a: np.rot90(a)}


def own_size(height, width):
    return height, width


def no_limit(pixels):
    return contextlib.nullcontext()


def blocks() -> np.ndarray:
    """uint8 [48, 64, 3]: blocks of 16 pixels, each of another colour, so that it equals none of its turned or flipped
    versions."""
    colours = np.random.default_rng(0).integers(0, 256, [3, 4, 3], dtype=np.uint8)
    return colours.repeat(16, axis=0).repeat(16, axis=1)


def grey(picture):
    """ITU-R 601, Pillow's `L`."""
    return np.round(picture @ [0.299, 0.587, 0.114]).astype(np.uint8)[..., None].repeat(3, axis=2)


def alpha() -> np.ndarray:
    """Opaque, half transparent and transparent columns."""
    return np.repeat(np.array([255, 128, 0, 255], np.uint8), 16)[None].repeat(48, axis=0)


def over_white(picture):
    share = alpha()[..., None] / 255
    return picture * share + 255 * (1 - share)


def stored(path, picture) -> None:
    """Writes the picture in the way that the file's name says: MODE.FORMAT."""
    mode, suffix = os.path.basename(path).split(".")
    image = Image.fromarray(picture)
    with_alpha = image.copy()
    with_alpha.putalpha(Image.fromarray(alpha()))
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True, "exact": True}, "jp2": {},
               "avif": {"quality": 95, "subsampling": "4:4:4"}}.get(suffix, {})
    other = Image.fromarray(255 - picture)
    if mode == "animated":
        image.save(path, save_all=True, append_images=[other, other], **options)
    elif mode == "rgba":
        with_alpha.save(path, **options)
    elif mode == "la":
        with_alpha.convert("LA").save(path)
    elif mode == "grey16":
        Image.fromarray(grey(picture)[..., 0].astype(np.uint16) * 257).save(path)
    elif mode == "rgb16":
        with open(path, "wb") as file:
            file.write(photographs.png_of_16_bits(picture.astype(np.uint16) * 257))
    elif mode == "palette":
        image.quantize(12).save(path)  # As many colours as there are blocks.
    else:
        image.convert({"rgb": "RGB", "grey": "L", "cmyk": "CMYK"}[mode]).save(path, **options)


@pytest.mark.parametrize("name, expected, tolerance", [
    ("rgb.jpg", blocks(), 4), ("rgb.png", blocks(), 0), ("rgb.webp", blocks(), 0), ("rgb.bmp", blocks(), 0),
    ("rgb.tif", blocks(), 0), ("rgb.ppm", blocks(), 0), ("rgb.jp2", blocks(), 2), ("rgb.avif", blocks(), 12),
    ("grey.jpg", grey(blocks()), 2), ("grey.png", grey(blocks()), 1), ("grey.pgm", grey(blocks()), 1),
    ("cmyk.jpg", blocks(), 6), ("cmyk.tif", blocks(), 2),
    ("animated.gif", blocks(), 0), ("animated.webp", blocks(), 0), ("animated.tif", blocks(), 0),
    ("animated.png", blocks(), 0),
    ("rgba.png", over_white(blocks()), 1), ("rgba.webp", over_white(blocks()), 1),
    ("la.png", over_white(grey(blocks())), 1),
    ("grey16.png", grey(blocks()), 1), ("grey16.tif", grey(blocks()), 1), ("grey16.pgm", grey(blocks()), 1),
    ("rgb16.png", blocks(), 0), ("palette.png", blocks(), 0), ("palette.gif", blocks(), 0),
])
def test_every_format_and_mode_has_the_colours_that_were_stored(tmp_path, name, expected, tolerance):
    if name.endswith("avif") and "AVIF" not in decoding.FORMATS:
        pytest.skip("This Pillow has no AVIF.")
    path = str(tmp_path / name)
    stored(path, blocks())
    whole = read(path)
    assert whole.mode == "RGB"
    np.testing.assert_allclose(np.asarray(whole).astype(int), expected, atol=tolerance)
    fitted, size = read_fitted(path, own_size, BILINEAR, no_limit)
    assert size == (48, 64) and fitted.dtype == np.uint8
    np.testing.assert_array_equal(fitted, np.asarray(whole))


def test_black_and_white(tmp_path):
    Image.fromarray(grey(blocks())[..., 0] > 128).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read(str(tmp_path / "bits.png")), np.where(grey(blocks()) > 128, 255, 0))


def test_a_transparent_entry_of_a_palette_is_white(tmp_path):
    path = str(tmp_path / "a.png")
    image = Image.fromarray(blocks()).quantize(12)
    image.save(path, transparency=image.getpixel((0, 0)))
    expected = blocks()
    expected[(expected == expected[0, 0]).all(-1)] = 255
    np.testing.assert_array_equal(read(path), expected)


@pytest.mark.parametrize("value, expected", [(0, 0), (255, 0), (256, 1), (32768, 128), (65535, 255)])
def test_16_bits_keep_their_upper_8(tmp_path, value, expected):
    Image.fromarray(np.full([4, 4], value, np.uint16)).save(tmp_path / "a.png")
    assert np.unique(read(str(tmp_path / "a.png"))).tolist() == [expected]


@pytest.mark.parametrize("transparent, expected", [
    (None, [0, 0, 156, 156]), (0, [255, 0, 156, 156]), (40_000, [0, 0, 255, 156])])
def test_a_transparent_grey_of_16_bits_is_white(tmp_path, transparent, expected):
    path = tmp_path / "a.png"
    options = {} if transparent is None else {"transparency": transparent}
    Image.fromarray(np.array([[0, 1, 40_000, 40_001]], np.uint16)).save(path, **options)
    for picture in (read(path), read_fitted(path, own_size, BILINEAR, no_limit)[0]):
        assert np.asarray(picture).tolist() == [[[grey] * 3 for grey in expected]]


@pytest.mark.parametrize("suffix, options", [
    ("png", {}), ("webp", {"lossless": True}), ("tif", {}), ("jpg", {"quality": 95, "subsampling": 0})])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, options, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = photographs.save(blocks(), tmp_path / f"a.{suffix}", exif=exif, **options)
    expected = TO_UPRIGHT[orientation](blocks())
    tolerance = 4 if suffix == "jpg" else 0
    np.testing.assert_allclose(np.asarray(read(path)).astype(int), expected, atol=tolerance)
    fitted, size = read_fitted(path, own_size, BILINEAR, no_limit)
    assert size == expected.shape[:2]
    np.testing.assert_allclose(fitted.astype(int), expected, atol=tolerance)
    halved, _ = read_fitted(path, lambda height, width: (height // 4, width // 2), BILINEAR, no_limit)
    assert halved.shape == (expected.shape[0] // 4, expected.shape[1] // 2, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_header_leaves_the_picture_good(tmp_path):
    path = photographs.save(blocks(), tmp_path / "a.png", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    np.testing.assert_array_equal(read(path), blocks())


@pytest.mark.parametrize("method", ["antialias", "nearest"])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_square_picture_is_resized_bit_by_bit_as_in_training(tmp_path, method, suffix):
    photograph = np.asarray(Image.fromarray(blocks()).resize((250, 250), Image.Resampling.BICUBIC))
    path = photographs.save(photograph, tmp_path / f"a.{suffix}")
    expected = resize(Image.open(path).convert("RGB"), 32, RESIZE[method])
    actual, _ = read_fitted(path, lambda height, width: (32, 32), RESIZE[method], no_limit)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("height, width", [(800, 1200), (1500, 2000), (1111, 777)])
def test_a_large_jpeg_that_is_reduced_while_it_is_decoded_differs_by_less_than_a_grey_level(tmp_path, height, width):
    photograph = np.asarray(Image.fromarray(blocks()).resize((width, height), Image.Resampling.BICUBIC))
    path = photographs.save(photograph, tmp_path / "a.jpg", quality=92)
    expected = np.asarray(Image.open(path).convert("RGB").resize((44, 32), BILINEAR))
    decoded = []
    def hold(pixels):
        decoded.append(pixels)
        return contextlib.nullcontext()
    actual, size = read_fitted(path, lambda height, width: (32, 44), BILINEAR, hold)
    assert size == (height, width) and decoded == [height * width]
    assert np.abs(actual.astype(int) - expected).mean() < 0.2
    assert np.abs(actual.astype(int) - expected).max() <= 2


def test_all_of_a_wide_picture_is_seen(tmp_path):
    picture = photographs.red_and_green(100, 300, np.s_[:, 200:])
    path = photographs.save(picture, tmp_path / "a.png")
    fitted, _ = read_fitted(path, lambda height, width: (32, 96), BILINEAR, no_limit)
    assert fitted[:, 0].tolist() == [[255, 0, 0]] * 32 and fitted[:, -1].tolist() == [[0, 255, 0]] * 32
    assert (fitted[..., 1] > 127).mean() == pytest.approx(1 / 3, abs=1 / 96)


def truncated(path, source, share):
    content = source.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])


@pytest.mark.filterwarnings("ignore:Image size")
def test_what_cannot_be_read_is_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64, 3], dtype=np.uint8)
    for suffix in ("jpg", "png", "gif", "webp", "tif"):
        photographs.save(noise, tmp_path / f"whole.{suffix}")
        truncated(tmp_path / f"cut.{suffix}", tmp_path / f"whole.{suffix}", 0.6)
    (tmp_path / "text.jpg").write_text("This is a text.")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "vector.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    Image.fromarray(np.ones([4, 4], np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "bomb.png").write_bytes(photographs.png_that_claims(60000, 60000))
    (tmp_path / "large.png").write_bytes(photographs.png_that_claims(11586, 11586))
    formats = r"is not a picture in one of the formats JPEG, PNG, .*"
    expected = {
        "text.jpg": formats, "vector.eps": formats, "empty.jpg": "is empty", "dangling.jpg": "is a link to nothing",
        "missing.jpg": "is not there", "folder.jpg": "is not a file", "pipe.jpg": "is not a file",
        "float.tif": "has floating-point pixels.*", "large.png": "has 11586×11586 pixels; 134 million are the most",
        "bomb.png": r".*3600000000 pixels.*", **{f"cut.{suffix}": r"cannot be read \(.+\)|" + formats
                                                 for suffix in ("jpg", "png", "gif", "webp", "tif")}}
    for name, sentence in expected.items():
        for reading in (read, lambda path: read_fitted(path, own_size, BILINEAR, no_limit)):
            with pytest.raises(PictureError, match=f"^({sentence})$") as raised:
                reading(str(tmp_path / name))
            assert "\n" not in str(raised.value)


@pytest.mark.parametrize("code, sentence", [
    (errno.EACCES, "cannot be read (Permission denied): check its permissions"),
    (errno.EIO, "cannot be read (Input/output error)")])
def test_what_the_system_says_of_a_file_is_told_without_its_path(tmp_path, monkeypatch, code, sentence):
    path = photographs.save(blocks(), tmp_path / "a.png")

    def refuse(path, *_, **__):  # Root may read any file, so the refusal is made here.
        raise OSError(code, os.strerror(code), path)
    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(PictureError) as raised:
        read(path)
    assert str(raised.value) == sentence
