"""Shapes: one textured object on a textured background, with its exact mask.

The data set that needs no download. A picture is two independent draws, as the
method assumes: an object (shape, place, size, colours and texture) in front of
a background (colours and texture). Objects are one kind of thing, warm and
patterned, shaded towards their rim; backgrounds are another, dull and smooth.
Their colours overlap, so that no threshold on colour separates them.

All lengths are in units of the picture's side and all randomness is drawn
before any pixel, so the same seed gives the same picture at any size.
"""

from __future__ import annotations

import colorsys
import functools
from typing import Tuple, Union

import numpy as np
import tensorflow_datasets as tfds

from redo_tf.data.builder import PictureBuilder, picture_size

SPLIT_INDEX = {"train": 0, "val": 1, "test": 2}
SPLIT_SIZES = {"train": 10_000, "val": 1_000, "test": 1_000}

_ANGLES = np.linspace(-np.pi, np.pi, 241)  # The outline's samples; both ends are the same point.
_OCTAVES = ((3, 0.5), (6, 0.3), (12, 0.2))  # Cells a side and weight of the background's noise.


@functools.lru_cache(maxsize=8)
def _pixel_centres(size: int) -> Tuple[np.ndarray, np.ndarray]:
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[np.newaxis, :], centres[:, np.newaxis]


@functools.lru_cache(maxsize=32)
def _interpolation(size: int, cells: int) -> np.ndarray:
    """[size, cells + 1] weights that sample a lattice smoothly at pixel centres."""
    position = (np.arange(size) + 0.5) / size * cells
    cell = np.minimum(position.astype(int), cells - 1)
    fraction = position - cell
    fraction = fraction * fraction * (3 - 2 * fraction)
    weights = np.zeros((size, cells + 1), np.float32)
    weights[np.arange(size), cell] = 1 - fraction
    weights[np.arange(size), cell + 1] = fraction
    return weights


def _colour(rng: np.random.Generator, hue, saturation, value) -> np.ndarray:
    """[3] float32 RGB in 0…1 with hue, saturation and value uniform in the given ranges."""
    h, s, v = (low + (high - low) * u for (low, high), u in zip((hue, saturation, value), rng.random(3)))
    return np.array(colorsys.hsv_to_rgb(h % 1.0, s, v), np.float32)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Radius at each of `_ANGLES`, before scaling: an ellipse, a polygon, a flower or a blob."""
    kind = rng.integers(4)
    if kind == 0:  # From ellipse to rounded rectangle.
        power = rng.uniform(2, 6)
        return (np.abs(np.cos(_ANGLES)) ** power + np.abs(np.sin(_ANGLES)) ** power) ** (-1 / power)
    if kind == 1:  # A p-norm over the distances to the sides rounds the corners.
        sides = rng.integers(4, 8)
        normals = np.arange(sides) * (2 * np.pi / sides)
        distances = np.maximum(np.cos(_ANGLES[:, np.newaxis] - normals), 0)
        return (distances**14).sum(axis=1) ** (-1 / 14)
    if kind == 2:
        return 1 + rng.uniform(0.08, 0.25) * np.cos(rng.integers(3, 7) * _ANGLES)
    harmonics = np.arange(2, 6)
    phases = rng.uniform(0, 2 * np.pi, 4)
    amplitudes = rng.uniform(0, 0.3, 4) / harmonics
    return 1 + amplitudes @ np.cos(harmonics[:, np.newaxis] * _ANGLES + phases[:, np.newaxis])


def _object_coordinates(
    rng: np.random.Generator, size: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws shape, size, rotation and place of the object.

    Returns:
      u, v: float32 [S, S], coordinates along the object's own axes from its centre.
      depth: float32 [S, S], 0 at the centre, 1 on the outline, more outside.
    """
    radius = _outline(rng)
    stretch = np.sqrt(rng.uniform(0.6, 1.0))
    outline_u = radius * np.cos(_ANGLES) / stretch
    outline_v = radius * np.sin(_ANGLES) * stretch  # Area is kept.
    share = rng.uniform(0.28, 0.5)
    area = 0.5 * np.mean(radius[:-1] ** 2) * 2 * np.pi
    scale = np.sqrt(share / area)

    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    outline_x = cos * outline_u - sin * outline_v
    outline_y = sin * outline_u + cos * outline_v
    box = np.array([[outline_x.min(), outline_x.max()], [outline_y.min(), outline_y.max()]])
    scale = min(scale, 0.96 / (box[:, 1] - box[:, 0]).max())
    box *= scale
    # One picture in ten cuts the object off a little, as photographs do.
    overhang = 0.08 if rng.random() < 0.1 else -0.01
    low, high = -box[:, 0] - overhang, 1 - box[:, 1] + overhang
    centre_x, centre_y = low + (high - low) * rng.random(2)

    x, y = _pixel_centres(size)
    x, y = x - np.float32(centre_x), y - np.float32(centre_y)
    u = np.float32(cos) * x + np.float32(sin) * y
    v = np.float32(cos) * y - np.float32(sin) * x
    shape_u, shape_v = u * np.float32(stretch / scale), v * np.float32(1 / (stretch * scale))
    reach = np.interp(np.arctan2(shape_v, shape_u).ravel(), _ANGLES, radius)
    depth = np.sqrt(shape_u**2 + shape_v**2) / reach.reshape(size, size).astype(np.float32)
    return u, v, depth


def _pattern(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """float32 [S, S] in 0…1: stripes, checks, dots, or rings."""
    kind = rng.integers(4)
    wave = np.float32(2 * np.pi / rng.uniform(0.22, 0.5))
    phase_u, phase_v = rng.uniform(0, 2 * np.pi, 2).astype(np.float32)
    sharpness = np.float32(rng.uniform(1, 5))
    if kind == 0:
        signal = np.sin(wave * u + phase_u)
    elif kind == 1:
        signal = 1.5 * np.sin(wave * u + phase_u) * np.sin(wave * v + phase_v)
    elif kind == 2:
        signal = np.sin(wave * u + phase_u) + np.sin(wave * v + phase_v) - 0.6
    else:
        signal = np.sin(wave * np.sqrt(u * u + v * v) + phase_u)
    return 0.5 + 0.5 * np.clip(sharpness * signal, -1, 1)


def _draw_object(rng: np.random.Generator, size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Object painted over the whole picture, float32 [S, S, 3] in 0…1, and its mask, bool [S, S]."""
    u, v, depth = _object_coordinates(rng, size)
    first = _colour(rng, (-0.12, 0.14), (0.55, 1.0), (0.6, 1.0))
    if rng.random() < 0.3:  # Pale or dark marks: colours that backgrounds have too.
        second = _colour(rng, (0.0, 1.0), (0.0, 0.35), (0.1, 1.0))
    else:
        second = _colour(rng, (-0.15, 0.17), (0.5, 1.0), (0.25, 1.0))
    amount = _pattern(rng, u, v)[..., np.newaxis]
    shade = 1.05 - np.float32(rng.uniform(0.15, 0.4)) * np.minimum(depth, 1) ** 2
    colours = (first + amount * (second - first)) * shade[..., np.newaxis]
    return colours, depth <= 1


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """float32 [S, S, 3] in 0…1: two dull colours mixed by a gradient and smooth noise."""
    hue = rng.uniform(0.17, 0.75)
    if rng.random() < 0.15:  # Sand and brick: a dull shade of the objects' hues.
        hue = rng.uniform(-0.1, 0.12)
    first = _colour(rng, (hue, hue), (0.1, 0.55), (0.15, 0.6))
    second = _colour(rng, (hue - 0.12, hue + 0.12), (0.05, 0.5), (0.4, 0.95))
    noise = np.zeros((size, size), np.float32)
    for cells, weight in _OCTAVES:
        weights = _interpolation(size, cells)
        lattice = rng.random((cells + 1, cells + 1), np.float32) - 0.5
        noise += weight * (weights @ lattice @ weights.T)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.float32(rng.uniform(0, 0.5))
    x, y = _pixel_centres(size)
    gradient = slope * ((x - 0.5) * np.float32(np.cos(angle)) + (y - 0.5) * np.float32(np.sin(angle)))
    contrast = np.float32(rng.uniform(1.0, 2.6))
    amount = np.clip(0.5 + contrast * noise + gradient, 0, 1)[..., np.newaxis]
    return first + amount * (second - first)


def draw(
    rng_or_seed: Union[np.random.Generator, np.random.SeedSequence, int], size: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Draws one picture.

    Args:
      rng_or_seed: a generator, or anything `np.random.default_rng` takes.
      size: side S of the picture in pixels; 32 and up look alike.

    Returns:
      image: uint8 [S, S, 3].
      mask: uint8 [S, S], 1 where a pixel's centre lies inside the object, else 0.
    """
    rng = np.random.default_rng(rng_or_seed)
    front, inside = _draw_object(rng, size)
    back = _draw_background(rng, size)
    image = np.where(inside[..., np.newaxis], front, back)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), inside.astype(np.uint8)


def picture_seed(split: str, index: int) -> np.random.SeedSequence:
    """Seed of a split's picture; no two pictures of any split share one."""
    return np.random.SeedSequence([SPLIT_INDEX[split], index])


class Shapes(PictureBuilder):
    """TFDS builder of `draw`'s pictures: 10,000 train, 1,000 val, 1,000 test, at any size."""

    name = "redo_shapes"
    VERSION = tfds.core.Version("1.0.0")  # To be raised when any picture changes: prepared data is kept by version.
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [picture_size(size) for size in (64, 32, 128, 256)]
    DESCRIPTION = (
        "One textured object on a textured background, drawn independently of each other, "
        "with the exact mask: 0 background, 1 object."
    )
    HOMEPAGE = "https://arxiv.org/abs/1905.13539"
    CITATION = ""

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing to download.
        return {split: self._with_bar(split, size, self._generate_examples(split)) for split, size in SPLIT_SIZES.items()}

    def _generate_examples(self, split: str):
        for index in range(SPLIT_SIZES[split]):
            image, mask = draw(picture_seed(split, index), self.builder_config.image_size)
            name = f"{split}_{index:05d}"
            yield name, {"image": image, "mask": mask, "id": name}
