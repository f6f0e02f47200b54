"""Which data sets there are, and loading one or a mixture of them."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from typing import Dict, Iterable, List, Optional, Tuple, Type, Union

import tensorflow_datasets as tfds

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


@dataclasses.dataclass(frozen=True)
class _Options:
    """What `load` was asked for, beside names."""

    data_dir: Optional[pathlib.Path]
    image_size: int
    resize: str
    mask_dir: Optional[pathlib.Path]
    stored_side: int


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


def _options(name: str, split: str, data_dir: Optional[Path], image_size: int, resize: str = "antialias",
             mask_dir: Optional[Path] = None, stored_side: int = 0) -> _Options:
    names = members(name)
    _check_name("split", split, SPLITS)
    _check_name("resize", resize, RESIZE)
    if image_size < 1:
        raise UserError(f"data.image_size is {image_size}: choose a size of at least 1 pixel.")
    if stored_side and stored_side < image_size:
        raise UserError(f"data.stored_side={stored_side} is less than data.image_size={image_size}: raise it, or set it to 0.")
    if mask_dir is not None and "folder" not in names:
        raise UserError(f"--mask_dir={mask_dir} is for --dataset=folder; {name} has masks of its own.")
    masks = None if mask_dir is None else pathlib.Path(mask_dir).expanduser()
    if masks is not None and not masks.is_dir():
        raise UserError(f"--mask_dir={mask_dir} is no folder: name the one that holds the masks.")
    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    return _Options(folder, image_size, resize, masks, stored_side or image_size)


def _mixture(name: str, split: str, options: _Options, builders: Dict[str, PictureBuilder], parts: Dict[str, Split],
             make: bool) -> Optional[Split]:
    if len(parts) == 1:
        return parts[name]
    made_from = {"parts": [[part.info.full_name, dict(part.info.metadata)] for part in builders.values()]}
    folders = [root / "redo_mixtures" / name for root in storage.roots(options.data_dir, None)]
    return cache.cached_mixture(folders, parts, made_from, split, options.image_size, options.resize, make)


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
    """Loads a split; the first call prepares the data set and its pictures at this size.

    Prepared files go under `data_dir` if it is writable, otherwise to a folder
    of their own under `$XDG_CACHE_HOME/redo_tf` or `~/.cache/redo_tf`.

    Args:
      name: one of `NAMES`, or several joined by `+`.
      split: train, val or test.
      data_dir: folder that holds the archives of the data set, or the pictures of folder; for shapes any
        folder, or None.
      image_size: side S: the short side is resized to S, then the centre cropped.
      resize: how images are resized: antialias, or nearest, as in the released
        code. Masks are always resized with nearest.
      mask_dir: folder of the masks, for folder; by default its subfolder `masks`, if that holds a mask of any picture.
      stored_side: short side at which photographs are prepared; 0 for S, hence one resize from the published pixels
        on. A larger one serves several sizes, each of which then resizes a second time.
      download: whether to download missing files, as far as a host is known.

    Raises:
      UserError: a name is unknown, a file is missing or damaged, or there is no
        place to write.
    """
    options = _options(name, split, data_dir, image_size, resize, mask_dir, stored_side)
    builders, parts = {}, {}
    for member in members(name):
        builders[member], roots = storage.prepare(
            _DATASETS[member], options.data_dir, _configuration(member, options), download)
        parts[member] = cache.cached_split(builders[member], roots, split, image_size, resize)
    return _mixture(name, split, options, builders, parts, make=True)


def find(name: str, split: str, **options) -> Optional[Split]:
    """As `load`, with its options but for `download`, and writes nothing: None if the split is not prepared at this size.

    Raises:
      UserError: a name is unknown.
    """
    checked = _options(name, split, **options)
    builders, parts = {}, {}
    for member in members(name):
        prepared = storage.find(_DATASETS[member], checked.data_dir, _configuration(member, checked))
        part = prepared and cache.find_split(*prepared, split, checked.image_size, checked.resize)
        if not part:
            return None
        builders[member], parts[member] = prepared[0], part
    return _mixture(name, split, checked, builders, parts, make=False)


def find_builder(name: str, **options) -> Optional[PictureBuilder]:
    """The builder of one data set, not a mixture, if it is prepared; options as for `find`."""
    checked = _options(name, "train", **options)
    prepared = storage.find(_DATASETS[name], checked.data_dir, _configuration(name, checked))
    return prepared and prepared[0]


def _configuration(member: str, options: _Options) -> Optional[tfds.core.BuilderConfig]:
    """Generated pictures are drawn at their size; photographs may be kept larger."""
    dataset = _DATASETS[member]
    size = options.stored_side if issubclass(dataset, PhotographBuilder) else options.image_size
    return dataset.configuration(size, options.resize, options.mask_dir)
