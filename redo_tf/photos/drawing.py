"""A picture's masks as PNG files of its own size."""
from __future__ import annotations

import errno
import os
from typing import Dict, Iterator, List, Tuple

import numpy as np
from PIL import Image

from redo_tf.decoding import PictureError, read
from redo_tf.files import naming
from redo_tf.own_pngs import MASKS, is_cut, is_output, signature
from redo_tf.pictures import palette

STRIP_PIXELS = 2**20  # Float arrays never hold more than this many pixels of a picture.
_KEPT = 0.4, 0.7  # Of the picture's own colour in an overlay: in the background, in objects.


def write_files(masks: np.ndarray, size: Tuple[int, int], picture: str, files: Dict[str, str]) -> List[float]:
    """Enlarges a picture's masks to its own size and writes them.

    Args:
      masks: probabilities float32 [h, w, n], sums to 1 over n.
      size: (height, width) of the picture.
      picture: path of the picture, which `overlay` is drawn on.
      files: path of each kind of file to write; `mask`: palette, the pixels' values are the labels; `overlay`: the
        picture with its labels' colours, the background darkened; `probabilities`: grey, 255 × that of being object.

    Returns:
      Share of each label, n numbers.

    Raises:
      PictureError: the picture cannot be read any more, or its files cannot have these names.
      OSError: nothing can be written, as on a full disk.
    """
    for path in files.values():
        if os.path.lexists(path) and not (is_output(path) or is_cut(path)):
            raise PictureError(f"would overwrite {path}, which {MASKS} has not written: choose another --output")
    labels = np.empty(size, np.uint8)
    objects = np.empty(size, np.uint8) if "probabilities" in files else None
    overlay = read(picture) if "overlay" in files else None
    if overlay and overlay.size != size[::-1]:
        raise PictureError("has changed meanwhile")
    for rows, strip_labels, strip_objects in enlarged(masks, size):
        labels[rows] = strip_labels
        if objects is not None:
            objects[rows] = strip_objects * 255 + 0.5
        if overlay:
            _colour(overlay, rows, strip_labels, masks.shape[-1])
    if overlay:
        _save(overlay, files["overlay"], compress_level=1)  # The default takes several times as long for a tenth less.
        del overlay
    if objects is not None:
        _save(Image.fromarray(objects), files["probabilities"])
    label_map = Image.fromarray(labels)
    label_map.putpalette(palette(masks.shape[-1]).tobytes())
    _save(label_map, files["mask"])
    return [count / labels.size for count in label_map.histogram()[:masks.shape[-1]]]


def enlarged(masks: np.ndarray, size: Tuple[int, int]) -> Iterator[Tuple[slice, np.ndarray, np.ndarray]]:
    """Masks [h, w, n] → strips of the picture, from its top down: rows, labels uint8 [r, W], object float32 [r, W].

    Bilinear, as in exported models. The label is the most probable, the first of equals; the object is all that is not
    background.
    """
    height, width = size
    channels = [Image.fromarray(np.ascontiguousarray(masks[..., k])) for k in range(masks.shape[-1])]
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        box = (0, top * masks.shape[0] / height, masks.shape[1], bottom * masks.shape[0] / height)
        strip = lambda channel: np.array(channel.resize((width, bottom - top), Image.Resampling.BILINEAR, box))
        most = strip(channels[0])
        objects = 1 - most
        labels = np.zeros(most.shape, np.uint8)
        for k, channel in enumerate(channels[1:], start=1):
            values = objects if len(channels) == 2 else strip(channel)
            labels[values > most] = k
            np.maximum(most, values, out=most)
        yield slice(top, bottom), labels, np.clip(objects, 0, 1)


def _colour(picture: Image.Image, rows: slice, labels: np.ndarray, count: int) -> None:
    """Mixes the labels' colours into these rows of a picture."""
    kept = np.array([_KEPT[0]] + [_KEPT[1]] * (count - 1), np.float32)
    added = (1 - kept)[:, None] * palette(count) + 0.5
    strip = picture.crop((0, rows.start, picture.width, rows.stop))
    mixed = np.asarray(strip) * kept[labels][..., None] + added.astype(np.float32)[labels]
    picture.paste(Image.fromarray(mixed.astype(np.uint8)), (0, rows.start))


def _save(image: Image.Image, path: str, **options) -> None:
    """Writes a PNG file under a temporary name, always the same, then renames it."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.part")
    try:
        os.makedirs(folder, exist_ok=True)
        with naming(path), open(temporary, "wb") as file:
            # Without the picture's colour profile, which may be CMYK's, or large, and would come before the text.
            image.save(file, "PNG", pnginfo=signature(MASKS), icc_profile=None, **options)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
            raise PictureError(f"has a mask that cannot be written to {path} ({os.strerror(error.errno)})") from error
        raise
