"""Grids of pictures: what a run draws of itself."""
from __future__ import annotations

import io
from typing import List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redo_tf.labels import UNLABELLED
from redo_tf.own_pngs import FIGURES, signature
from redo_tf.pixels import to_uint8

# Labels 0, 1, 2, …: black for the background, then colours that also differ in lightness; see `palette` past the last.
PALETTE = np.array([[0, 0, 0], [255, 255, 255], [230, 120, 30], [60, 150, 230], [120, 200, 80], [190, 90, 200]], np.uint8)
GREY = np.array([128, 128, 128], np.uint8)
SMALLEST_SIDE = 96  # pixels of a picture in a grid
TITLE_SIZE, TITLE_HEIGHT, BLOCK_GAP = 14, 40, 12  # pixels


def palette(count: int) -> np.ndarray:
    """Colours of labels 0…count−1, uint8 [count, 3]: the objects' repeat past the last, black is the background's."""
    return np.concatenate([PALETTE[:1], np.resize(PALETTE[1:], [count - 1, 3])])


def colour_labels(labels: np.ndarray) -> np.ndarray:
    """Label maps uint8 [N, H, W] → colours uint8 [N, H, W, 3]; pixels without a label are grey."""
    colours = palette(UNLABELLED + 1)
    colours[UNLABELLED] = GREY
    return colours[labels]


def blend_masks(masks: np.ndarray) -> np.ndarray:
    """Soft masks [N, H, W, n] → colours uint8 [N, H, W, 3]: each region's colour in its share; n = 2 is a grey scale."""
    colours = palette(masks.shape[-1]).astype(np.float32)
    return (np.asarray(masks, np.float32) @ colours + 0.5).astype(np.uint8)


def grid(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures side by side: row i holds picture i of every column.

    Args:
      columns: each uint8 [N, S, S, 3].

    Returns:
      uint8 [rows, columns, 3], two pixels of white between the cells; pictures smaller than `SMALLEST_SIDE` are enlarged by a
      whole factor.
    """
    cells = np.stack(columns, axis=1)
    factor = -(-SMALLEST_SIDE // cells.shape[2])
    cells = cells.repeat(factor, axis=2).repeat(factor, axis=3)
    cells = np.pad(cells, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=255)
    rows, count, height, width, _ = cells.shape
    return cells.transpose(0, 2, 1, 3, 4).reshape(rows * height, count * width, 3)


def sample_grid(images: np.ndarray, masks: np.ndarray, redrawn: List[np.ndarray],
                truth: Optional[np.ndarray] = None) -> np.ndarray:
    """One row a picture: input, true mask if any, inferred mask, then the picture with each region redrawn.

    Args:
      images: uint8 [N, S, S, 3].
      masks: soft [N, S, S, n].
      redrawn: for each region, [N, S, S, 3] in −1…1.
      truth: labels uint8 [N, S, S].

    Returns:
      uint8 [rows, columns, 3].
    """
    columns = [images] + ([colour_labels(truth)] if truth is not None else [])
    return grid(columns + [blend_masks(masks)] + [to_uint8(column) for column in redrawn])


def titled_grids(blocks: Sequence[Tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """Grids next to each other on white, each under its title.

    Args:
      blocks: title, of up to two lines, and the columns of its `grid`; the same number of rows in all.

    Returns:
      uint8 [H, W, 3]; the grids begin below `TITLE_HEIGHT` rows of titles and have `BLOCK_GAP` columns between them.
    """
    drawn = []
    for title, columns in blocks:
        pixels = grid(columns)
        strip = Image.new("RGB", (pixels.shape[1], TITLE_HEIGHT), "white")
        ImageDraw.Draw(strip).multiline_text(
            (pixels.shape[1] / 2, TITLE_HEIGHT / 2), title, fill="black", anchor="mm", align="center",
            font=ImageFont.load_default(TITLE_SIZE))
        drawn += [np.concatenate([np.asarray(strip), pixels]),
                  np.full([TITLE_HEIGHT + len(pixels), BLOCK_GAP, 3], 255, np.uint8)]
    return np.concatenate(drawn[:-1], axis=1)


def figure_png(figure, dpi: int) -> bytes:
    """A figure of matplotlib's as a PNG file's bytes, with the name of its writer; the figure is closed."""
    from matplotlib import pyplot
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": FIGURES})
    pyplot.close(figure)
    return buffer.getvalue()


def png(image: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a PNG file's bytes, with the name of its writer."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", pnginfo=signature(FIGURES))
    return buffer.getvalue()
