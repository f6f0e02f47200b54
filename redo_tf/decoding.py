"""Pictures in any common format as the mask network takes them: upright, RGB, 8 bits a channel."""
from __future__ import annotations

import contextlib
import os
import stat
from typing import Callable, Iterator, Optional, Tuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

# 134 million, e.g. 11585×11585. Decoding takes at most about 10 bytes a pixel, hence 1.3 GB.
MOST_PIXELS = 2**27
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow's own limit warns from 89 million on.

# Pillow's blocks, of 16 MiB else, then never come from the threads' own heaps, which keep what is freed to themselves.
Image.core.set_block_size(2**26)

Image.init()
# Only these: Pillow also knows formats that it hands to other programs, as PostScript to Ghostscript.
FORMATS = tuple(name for name in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
                if name in Image.OPEN)

# A JPEG may be made smaller by halves while it is decoded, which smooths a little differently from resizing; down to
# this many times the size that is wanted the difference is below a grey level.
DRAFT_MARGIN = 8

_TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}  # EXIF's orientation → what makes it upright.


class PictureError(Exception):
    """What is wrong with one picture, to be said after its name; the others are not concerned."""


def read_fitted(path: str, fitted_size: Callable[[int, int], Tuple[int, int]], resample: Image.Resampling,
                hold: Callable[[int], contextlib.AbstractContextManager]) -> Tuple[np.ndarray, Tuple[int, int]]:
    """A picture at the mask network's size, all of it.

    Args:
      path: of the file.
      fitted_size: (height, width) of a picture, in either order → size (h, w) that is wanted, in that order.
      resample: how it is resized.
      hold: is entered with the picture's number of pixels while they are in memory.

    Returns:
      uint8 [h, w, 3], upright, and the picture's own (height, width).

    Raises:
      PictureError: it cannot be read.
    """
    with _opened(path) as image, hold(image.width * image.height):
        width, height = image.size
        side = DRAFT_MARGIN * max(fitted_size(height, width))
        drafted = image.draft("RGB", (side, side))  # None for other formats than JPEG.
        box = drafted[1] if drafted else None  # Its size is rounded up; the picture ends within the last pixel.
        image.load()
        turn = turn_of(image)
        height, width = _turned((height, width), turn)
        h, w = _turned(fitted_size(height, width), turn)
        fitted = _rgb(image).resize((w, h), resample, box)
        return np.asarray(upright(fitted, turn)), (height, width)


def read(path: str) -> Image.Image:
    """A picture at its own size, upright, RGB.

    Raises:
      PictureError: it cannot be read.
    """
    with _opened(path) as image:
        image.load()
        return upright(_rgb(image), turn_of(image))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """The file's picture, its first if it holds several; whatever goes wrong with it is a PictureError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # Reading a pipe may wait forever.
            raise PictureError("is not a file")
        if not os.path.getsize(path):
            raise PictureError("is empty")
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise PictureError(
                    f"has {image.width}×{image.height} pixels; {MOST_PIXELS / 1e6:.0f} million are the most")
            yield image
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError("is a link to nothing" if os.path.islink(path) else "is not there") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"is not a picture in one of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # On damaged data Pillow's decoders raise OSError, SyntaxError, struct.error and others.
        raise PictureError(why_unreadable(error)) from error


def why_unreadable(error: Exception) -> str:
    """What an error in reading a file says, in a form that follows the file's name."""
    if isinstance(error, OSError) and error.strerror:  # The system's, which would name the file again.
        advice = ": check its permissions" if isinstance(error, PermissionError) else ""
        return f"cannot be read ({error.strerror}){advice}"
    return f"cannot be read ({' '.join(str(error).split()) or type(error).__name__})"


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode → RGB; 16 bits keep their upper 8, what is transparent becomes white."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image  # `convert` would copy it.
    if image.mode == "F":
        raise PictureError("has floating-point pixels, whose range is not known: save it with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):  # `convert` would cut off all that is above 255.
        values = np.array(image)
        transparent = values == image.info.get("transparency", -1)
        values >>= 8
        values[transparent] = 255
        image = Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))
    elif image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("RGB")


def turn_of(image: Image.Image) -> Optional[Image.Transpose]:
    """What makes a loaded picture upright, by its EXIF orientation; TIFF files are turned by Pillow while loading."""
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # A damaged header, in the many ways that a parser may fail, leaves the pixels good.
        return None


def _turned(size: Tuple[int, int], turn: Optional[Image.Transpose]) -> Tuple[int, int]:
    swaps = turn in (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
                     Image.Transpose.ROTATE_270)
    return size[::-1] if swaps else size


def upright(image: Image.Image, turn: Optional[Image.Transpose]) -> Image.Image:
    """The picture as its camera was held; `turn` from `turn_of`."""
    return image if turn is None else image.transpose(turn)
