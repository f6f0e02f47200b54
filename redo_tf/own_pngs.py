"""Which PNG files this package has written, so that they are not taken for a person's own pictures and masks."""
from __future__ import annotations

import os

from PIL.PngImagePlugin import PngInfo

# What stands in a file as its software.
FIGURES = "redo_tf"
MASKS = "redo_tf.segment"
KINDS = ("mask", "overlay", "probabilities")  # Of files that `redo_tf.segment` writes for a picture.
_ENDINGS = tuple(f"_{kind}.png" for kind in KINDS)
_FIGURES = ("masks.png", "redraw.png", "curves.png", "supervised.png")  # Names by default; and contact_sheet_DATASET.png.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"  # Every PNG file's beginning.
_SMALLEST = 67  # Bytes of a PNG file that holds a picture, of one pixel; the text ends before.
_LAST_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"  # Every whole PNG file's end.


def signature(writer: str) -> PngInfo:
    """What Pillow puts into a PNG file of this writer, `FIGURES` or `MASKS`; it comes right after the header."""
    information = PngInfo()
    information.add_text("Software", writer)
    return information


def is_output(path: str) -> bool:
    """Whether a file was written by `redo_tf.segment`."""
    return _is_by(MASKS, path)


def is_result(path: str) -> bool:
    """Whether a file among a person's pictures is none of them, but a mask of `redo_tf.segment`, or a figure of another
    command under the name that it has by default. Only files of such names are opened, as there may be millions."""
    name = os.path.basename(path)
    if name.endswith(_ENDINGS):
        return is_output(path)
    return (name in _FIGURES or name.startswith("contact_sheet_")) and _is_by(FIGURES, path)


def _is_by(writer: str, path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"Software\0" + writer.encode() in file.read(128)
    except OSError:
        return False


def is_whole(path: str) -> bool:
    """Whether a file was written by `redo_tf.segment` to its end."""
    if not is_output(path):
        return False
    with open(path, "rb") as file:
        file.seek(-len(_LAST_CHUNK), os.SEEK_END)
        return file.read() == _LAST_CHUNK


def is_cut(path: str) -> bool:
    """Whether a file is empty or begins a PNG file without any picture: a mask may be left so when the power fails."""
    try:
        with open(path, "rb") as file:
            start = file.read(_SMALLEST)
    except OSError:
        return False
    return len(start) < _SMALLEST and start[:len(_SIGNATURE)] == _SIGNATURE[:len(start)]
