"""Which pictures a person means, and what their results are called."""
from __future__ import annotations

import collections
import dataclasses
import glob
import itertools
import os
import pathlib
import unicodedata
from typing import BinaryIO, Iterable, List, Optional, Tuple

from absl import logging

from redo_tf.data.folder_masks import Contents, masks_among
from redo_tf.data.picture_tree import EXTENSIONS, OnError, walk
from redo_tf.errors import UserError
from redo_tf.own_pngs import is_result


@dataclasses.dataclass(frozen=True)
class Picture:
    """A file to segment.

    Attributes:
      path: absolute.
      name: path of its results below the output folder, without what is added for each kind, `_mask.png` and so on.
    """

    path: str
    name: str


def find(source: str, listing: BinaryIO, on_error: Optional[OnError] = None) -> List[Picture]:
    """The pictures that a person means.

    Args:
      source: a file; a folder: pictures in it and below, by their suffixes, but for hidden ones and for masks of the
        others, as training tells them, through links as well; a glob (** for folders at any depth): all files that match;
        or `-`: all files that are listed.
      listing: for `-`, paths, one a line or separated by zero bytes.
      on_error: told of folders in or below a folder that cannot be read.

    Returns:
      In a fixed order, each once, without results of this very command. Their names keep the tree below the folder, the
      fixed part of the glob, or the folder that the listed files share.

    Raises:
      UserError: there is none.
    """
    if source == "-":
        paths = _listed(listing)
        base = _shared_folder(paths)
    elif os.path.isdir(source):
        paths, base = _below(source, on_error), source
    elif os.path.lexists(source):
        paths, base = [source], os.path.dirname(source)
    elif glob.has_magic(source):
        matches = sorted(glob.glob(source, recursive=True))
        paths, base = [path for path in matches if not os.path.isdir(path)], _fixed(source)
    else:
        raise UserError(f"There is nothing at --input={source}: name a picture, a folder, a glob, or - for a list on "
                        "stdin.")
    found = list(dict.fromkeys(map(os.path.abspath, paths)))
    paths = [path for path in found if not is_result(path)]
    if not paths and (found or os.path.isdir(source) and any(walk(pathlib.Path(source)))):
        raise UserError(f"All that is found for --input={source} are results of this command: name the pictures that they were "
                        "made of.")
    if not paths:
        raise UserError(f"No picture found for --input={source}: of a folder, files that end in {', '.join(EXTENSIONS)} "
                        "are taken.")
    return _named(paths, os.path.abspath(base))


def _listed(listing: BinaryIO) -> List[str]:
    content = listing.read()
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    return [os.fsdecode(line) for line in lines if line]


def _shared_folder(paths: Iterable[str]) -> str:
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths if os.path.exists(path)]
    return os.path.commonpath(folders) if folders else ""


def _below(folder: str, on_error: Optional[OnError]) -> List[str]:
    masks = masks_among(pathlib.Path(folder))
    if masks:
        logging.info("%s holds masks of the pictures, and is left out.", masks)
    names = Contents(pathlib.Path(folder), [masks] if masks else []).pictures(on_error)
    return [os.path.join(folder, name) for name in sorted(names, key=_folder_by_folder)]


def _folder_by_folder(name: str) -> List[Tuple[bool, str]]:
    """Sorts a folder's files before its subfolders."""
    *folders, file = name.split(os.sep)
    return [(True, folder) for folder in folders] + [(False, file)]


def _fixed(pattern: str) -> str:
    """The folders of a glob before its first wildcard."""
    parts = os.path.abspath(pattern).split(os.sep)
    return os.sep.join(itertools.takewhile(lambda part: not glob.has_magic(part), parts)) or os.sep


def _named(paths: List[str], base: str) -> List[Picture]:
    """Names without suffixes, but where pictures of one folder would then share a name: there all keep theirs."""
    # A path that is not there may lie outside the folder that the others share. It never gets results.
    relative = [os.path.relpath(path, base) if path.startswith(os.path.join(base, "")) else os.path.basename(path)
                for path in paths]
    # Some file systems take names for equal that differ in case or in how accents are composed.
    folded = lambda name: unicodedata.normalize("NFC", name).casefold()
    stems = [os.path.splitext(name)[0] for name in relative]
    taken = collections.Counter(map(folded, stems)) + collections.Counter(set(map(folded, relative)))
    return [Picture(path, stem if taken[folded(stem)] == 1 else name)
            for path, stem, name in zip(paths, stems, relative)]
