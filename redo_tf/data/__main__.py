"""Tells what is there of a data set, or prepares it.

  python -m redo_tf.data --dataset=lfw --data_dir=ARCHIVES              # what is there
  python -m redo_tf.data --dataset=cub --data_dir=ARCHIVES --prepare    # downloads what it can, prepares all splits

Prints the files that were found, and of each prepared split the number of pictures, their sizes, and the share of pixels
that belong to objects; writes a contact sheet with masks outlined.
"""
from __future__ import annotations

import functools
import os
import pathlib
from typing import List, Optional

import numpy as np
from absl import flags

from redo_tf import cli, data
from redo_tf.config import DataConfig
from redo_tf.data import SPLITS, Split, loading
from redo_tf.data.builder import PictureBuilder
from redo_tf.data.cache import stored_sizes
from redo_tf.data.contact_sheet import contact_sheet
from redo_tf.data.split import evenly_spread
from redo_tf.files import write_whole
from redo_tf.labels import UNLABELLED
from redo_tf.pictures import png
from redo_tf.recipe_flags import config_from_flags

FLAGS = flags.FLAGS
flags.DEFINE_bool("prepare", False, "Prepare what is not prepared yet; missing files are downloaded where a host is known.")
flags.DEFINE_string("contact_sheet", None, "PNG to write. Default: contact_sheet_DATASET.png in the current folder.")
flags.DEFINE_integer("pictures", 12, "Pictures of each split on the contact sheet.", lower_bound=1)

COLUMNS = 12
ROWS_AT_A_TIME = 1024  # Masks are counted in pieces, so that a large split need not fit into memory.


def object_share(masks: Optional[np.ndarray]) -> Optional[float]:
    """Share of object pixels among those with a label, of masks uint8 [N, S, S]; None without labels."""
    if masks is None:
        return None
    counts = sum(np.bincount(masks[first : first + ROWS_AT_A_TIME].ravel(), minlength=256)
                 for first in range(0, len(masks), ROWS_AT_A_TIME))
    return float(counts[1:UNLABELLED].sum() / counts[:UNLABELLED].sum())


def describe_files(member: str, data_dir: Optional[str]) -> str:
    """What a data set is made from, and whether that is there."""
    sources = loading.dataset(member).SOURCES
    if sources is None:
        return "generated, no files needed"
    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    found = sources.find(folder)
    return f"files in {found}" if found else str(sources.missing(folder))


def describe_sizes(builder: PictureBuilder) -> str:
    """The smallest and the largest picture, as published; of data sets that are kept so, of the first 1,000 pictures."""
    sizes = builder.info.metadata.get("published_sizes") or stored_sizes(builder, "train", 1000)
    by_area = sorted(map(tuple, sizes), key=lambda size: (size[0] * size[1], size))
    smallest, largest = (f"{width}×{height}" for width, height in (by_area[0], by_area[-1]))
    return smallest if smallest == largest else f"{smallest} to {largest}"


def describe_split(name: str, split: Optional[Split]) -> str:
    """How many pictures and masks, and the share of object pixels."""
    if split is None:
        return f"{name:8}not prepared"
    share = object_share(split.masks)
    masks = "no masks" if share is None else (
        f"{len(split.labelled_rows()):,} with masks, {share:.1%} of their pixels are object")
    return f"{name:8}{len(split.images):,} pictures, {masks}"


def main() -> None:
    config = config_from_flags().data
    action = functools.partial(data.load_configured, download=True) if FLAGS.prepare else data.find
    splits = {name: action(config, name, cli.DATA_DIR.value) for name in SPLITS}
    for member in data.members(config.dataset):
        builder = loading.find_builder(config, member, cli.DATA_DIR.value)
        sizes = f"; pictures of {describe_sizes(builder)}" if builder else ""
        print(f"{member}: {describe_files(member, cli.DATA_DIR.value)}{sizes}")
    print(f"At {config.image_size}×{config.image_size}, {config.resize}:")
    for name, split in splits.items():
        print(describe_split(name, split))
    ready = [split for split in splits.values() if split is not None]
    if ready:
        print(f"Contact sheet: {write_contact_sheet(config, ready)}")
    if len(ready) < len(splits):
        print("To prepare what is not: the same command with --prepare.")


def write_contact_sheet(config: DataConfig, splits: List[Split]) -> str:
    """Writes pictures spread evenly over each split; the path."""
    chosen = [evenly_spread(len(split.images), FLAGS.pictures) for split in splits]
    images = np.concatenate([split.images[rows] for split, rows in zip(splits, chosen)])
    masks = np.concatenate([
        np.full((len(rows), *images.shape[1:3]), UNLABELLED, np.uint8) if split.masks is None else split.masks[rows]
        for split, rows in zip(splits, chosen)])
    path = FLAGS.contact_sheet or f"contact_sheet_{config.dataset}.png"
    write_whole(path, png(contact_sheet(images, masks, COLUMNS)))
    return os.path.abspath(path)


if __name__ == "__main__":
    cli.run(main)
