"""The pictures of a folder and all folders below it: finding, telling changes, splitting.

Files are taken one after another and never listed. What is remembered of each is eight bytes, so that a tree may hold
millions.
"""

from __future__ import annotations

import array
import hashlib
import heapq
import os
import pathlib
from typing import Callable, Iterable, Iterator, Optional, Set, Tuple

import numpy as np

# Of pictures, those without loss first. HEIC cannot be read, which is said of each such file: not among these, it would be
# missed in silence.
EXTENSIONS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".webp", ".jp2", ".j2k", ".avif",
              ".jpg", ".jpeg", ".jpe", ".jfif", ".heic", ".heif")
PREPARED = "redo_folder"  # Where prepared data lies, if that is below the pictures.

A_RUN_HAS = ("config.json", ".redo_lock")  # The folder of a run, which holds pictures, too.

MOST_HELD_OUT = 1_000  # Pictures in val and in test.

# Called with a folder that cannot be read, and why.
OnError = Callable[[str, OSError], None]


def walk(folder: pathlib.Path, leave_out: Iterable[pathlib.Path] = (), on_error: Optional[OnError] = None) -> Iterator[str]:
    """Paths of the pictures below a folder, relative to it with slashes, in no particular order.

    Links are followed, but no folder is entered twice: by its own path if that lies below `folder`, else by the first of
    the links to it. Hidden files and folders, prepared data and runs are passed over.

    Args:
      folder: where to look.
      leave_out: folders that are not entered.
      on_error: told of folders that cannot be read.
    """
    entered: Set[Tuple[int, int]] = {_identity(path) for path in leave_out if path.is_dir()}
    pending, links = [""], []
    while pending or links:
        below = pending.pop() if pending else heapq.heappop(links)
        try:
            identity = _identity(folder / below)
            if identity in entered:
                continue
            entered.add(identity)
            if below and all(os.path.exists(folder / below / name) for name in A_RUN_HAS):
                continue
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name == PREPARED:
                        continue
                    if _is_folder(entry):
                        path = f"{below}{entry.name}/"
                        heapq.heappush(links, path) if entry.is_symlink() else pending.append(path)
                    elif entry.name.lower().endswith(EXTENSIONS):
                        yield below + entry.name
        except OSError as error:
            if on_error:
                on_error(str(folder / below), error)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link to itself, or through a folder that may not be entered.
        return False


def _identity(folder: pathlib.Path) -> Tuple[int, int]:
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def fingerprint(folder: pathlib.Path, leave_out: Iterable[pathlib.Path] = (),
                counts: Callable[[pathlib.Path], bool] = lambda path: True) -> str:
    """Tells a tree from one with other, more, fewer or changed pictures, without reading any; of those that count."""
    count = total = 0
    for name in walk(folder, leave_out):
        if not counts(folder / name):
            continue
        try:
            found = os.stat(folder / name)
            state = f"{found.st_size} {found.st_mtime_ns}"
        except OSError:
            state = "not there"
        digest = hashlib.sha256(os.fsencode(name) + b"\0" + state.encode()).digest()
        total += int.from_bytes(digest[:16], "big")  # A sum, as the order of files is arbitrary.
        count += 1
    return f"{count}-{total % 2**128:032x}"


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")


class Division:
    """Splits pictures by the hashes of their names: a tenth, at most `MOST_HELD_OUT`, for each of val and test.

    The same names are always split alike, on any machine.

    Args:
      names: of all pictures.
    """

    def __init__(self, names: Iterable[str]):
        hashes = array.array("Q", (_hash(name) for name in names))
        self._hashes = np.sort(np.frombuffer(hashes, np.uint64)) if hashes else np.zeros(0, np.uint64)
        held_out = min(max(1, len(hashes) // 10), MOST_HELD_OUT)
        self.sizes = {"val": held_out, "test": held_out, "train": len(hashes) - 2 * held_out}

    def __len__(self) -> int:
        return len(self._hashes)

    def split_of(self, name: str) -> Optional[str]:
        """The split of a picture, None for one that was not among `names`."""
        value = np.uint64(_hash(name))
        rank = int(np.searchsorted(self._hashes, value))
        if rank == len(self._hashes) or self._hashes[rank] != value:
            return None
        for split, size in self.sizes.items():
            if rank < size:
                return split
            rank -= size
        return None
