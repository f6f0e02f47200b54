"""Which data sets there are, and loading one or a mixture of them."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from typing import Dict, Iterable, List, Optional, Tuple, Type, Union

import tensorflow_datasets as tfds

from redo_tf.config import DataConfig
from redo_tf.data import cache, storage
from redo_tf.data.builder import PhotographBuilder, PictureBuilder
from redo_tf.data.c2mnist import C2Mnist
from redo_tf.data.cub import Cub
from redo_tf.data.flowers import Flowers
from redo_tf.data.folder import Folder
from redo_tf.data.lfw import Lfw
from redo_tf.data.resizing import RESIZE
from redo_tf.data.shapes import Shapes
from redo_tf.data.split import Split
from redo_tf.errors import UserError

_DATASETS: Dict[str, Type[PictureBuilder]] = {
    "shapes": Shapes,
    "c2mnist": C2Mnist,
    "lfw": Lfw,
    "cub": Cub,
    "flowers": Flowers,
    "folder": Folder,
}

NAMES: Tuple[str, ...] = tuple(_DATASETS)
SPLITS = ("train", "val", "test")

Path = Union[str, "os.PathLike[str]"]


def _check_name(what: str, given: str, known: Iterable[str]) -> None:
    known = list(known)
    if given not in known:
        nearest = difflib.get_close_matches(str(given), known, n=1, cutoff=0)
        raise UserError(f"Unknown {what} {given!r}: did you mean {nearest[0]!r}? Known: {', '.join(known)}.")


def members(name: str) -> List[str]:
    """The data sets of a mixture, which are written `lfw+flowers`; a single one is a mixture of itself.

    Raises:
      UserError: one is unknown, comes twice, or does not mix with the others.
    """
    names = name.split("+")
    for member in names:
        _check_name("data set", member, NAMES)
    if len(set(names)) < len(names):
        raise UserError(f"{name} names a data set twice: leave one out, and say how often it is drawn by data.weights.")
    if "folder" in names and len(names) > 1:
        raise UserError(f"{name}: folder takes all of --data_dir and mixes with no other data set; "
                        "put the pictures of both into one folder.")
    if len({_DATASETS[member].REGIONS for member in names}) > 1:
        numbers = ", ".join(f"{member} {_DATASETS[member].REGIONS}" for member in names)
        raise UserError(f"{name} cannot be mixed, as the numbers of regions differ ({numbers}): mix sets of one number.")
    return names


def dataset(name: str) -> Type[PictureBuilder]:
    """The builder of a data set, one of `NAMES`."""
    return _DATASETS[name]


def _checked(config: DataConfig, split: str) -> DataConfig:
    """The configuration with whole paths, and with the short side at which photographs are prepared."""
    names = members(config.dataset)
    _check_name("split", split, SPLITS)
    _check_name("resize", config.resize, RESIZE)
    if config.image_size < 1:
        raise UserError(f"data.image_size is {config.image_size}: choose a size of at least 1 pixel.")
    if config.stored_side and config.stored_side < config.image_size:
        raise UserError(f"data.stored_side={config.stored_side} is less than data.image_size={config.image_size}: raise it, or "
                        "set it to 0.")
    if config.mask_dir is not None and "folder" not in names:
        raise UserError(f"--mask_dir={config.mask_dir} is for --dataset=folder; {config.dataset} has masks of its own.")
    masks = _folder(config.mask_dir)
    if masks is not None and not masks.is_dir():
        raise UserError(f"--mask_dir={config.mask_dir} is no folder: name the one that holds the masks.")
    return dataclasses.replace(config, mask_dir=masks, stored_side=config.stored_side or config.image_size)


def _folder(path: Optional[Path]) -> Optional[pathlib.Path]:
    return None if path is None else pathlib.Path(path).expanduser()


def _builder_config(member: str, config: DataConfig) -> Optional[tfds.core.BuilderConfig]:
    """Generated pictures are drawn at their size; photographs may be kept larger."""
    dataset = _DATASETS[member]
    size = config.stored_side if issubclass(dataset, PhotographBuilder) else config.image_size
    return dataset.configuration(size, config.resize, config.mask_dir)


def _mixture(config: DataConfig, split: str, data_dir: Optional[Path], builders: Dict[str, PictureBuilder],
             parts: Dict[str, Split], make: bool) -> Optional[Split]:
    if len(parts) == 1:
        return parts[config.dataset]
    made_from = {"parts": [[part.info.full_name, dict(part.info.metadata)] for part in builders.values()]}
    folders = [root / "redo_mixtures" / config.dataset for root in storage.roots(_folder(data_dir), None)]
    return cache.cached_mixture(folders, parts, made_from, split, config.image_size, config.resize, make)


def load_configured(config: DataConfig, split: str, data_dir: Optional[Path], download: bool = False) -> Split:
    """Loads a split; the first call prepares the data set and its pictures at this size.

    Prepared files go under `data_dir` if it is writable, otherwise to a folder
    of their own under `$XDG_CACHE_HOME/redo_tf` or `~/.cache/redo_tf`.

    Args:
      config: names the data set, or several joined by `+`, and says how its pictures are prepared.
      split: train, val or test.
      data_dir: folder that holds the archives of the data set, or the pictures of folder; for shapes any
        folder, or None.
      download: whether to download missing files, as far as a host is known.

    Raises:
      UserError: a name is unknown, a file is missing or damaged, or there is no
        place to write.
    """
    config = _checked(config, split)
    builders, parts = {}, {}
    for member in members(config.dataset):
        builders[member], roots = storage.prepare(
            _DATASETS[member], _folder(data_dir), _builder_config(member, config), download)
        parts[member] = cache.cached_split(builders[member], roots, split, config.image_size, config.resize)
    return _mixture(config, split, data_dir, builders, parts, make=True)


def load(
    name: str,
    split: str,
    *,
    data_dir: Optional[Path],
    image_size: int,
    resize: str = "antialias",
    mask_dir: Optional[Path] = None,
    stored_side: int = 0,
    download: bool = False,
) -> Split:
    """As `load_configured`, with the configuration's fields one by one.

    Args:
      name: one of `NAMES`, or several joined by `+`.
      split, data_dir, download: as there.
      image_size: side S: the short side is resized to S, then the centre cropped.
      resize: how images are resized: antialias, or nearest, as in the released
        code. Masks are always resized with nearest.
      mask_dir: folder of the masks, for folder; by default its subfolder `masks`, if that holds a mask of any picture.
      stored_side: short side at which photographs are prepared; 0 for S, hence one resize from the published pixels
        on. A larger one serves several sizes, each of which then resizes a second time.

    Raises:
      UserError: as there.
    """
    config = DataConfig(dataset=name, image_size=image_size, resize=resize, mask_dir=mask_dir, stored_side=stored_side)
    return load_configured(config, split, data_dir, download)


def find(config: DataConfig, split: str, data_dir: Optional[Path]) -> Optional[Split]:
    """As `load_configured`, but writes nothing: None if the split is not prepared at this size.

    Raises:
      UserError: a name is unknown.
    """
    config = _checked(config, split)
    builders, parts = {}, {}
    for member in members(config.dataset):
        prepared = storage.find(_DATASETS[member], _folder(data_dir), _builder_config(member, config))
        part = prepared and cache.find_split(*prepared, split, config.image_size, config.resize)
        if not part:
            return None
        builders[member], parts[member] = prepared[0], part
    return _mixture(config, split, data_dir, builders, parts, make=False)


def find_builder(config: DataConfig, member: str, data_dir: Optional[Path]) -> Optional[PictureBuilder]:
    """The builder of one of the configured data sets if it is prepared."""
    prepared = storage.find(
        _DATASETS[member], _folder(data_dir), _builder_config(member, _checked(config, "train")))
    return prepared and prepared[0]
