"""Finding and reading the archives a data set was published in."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import pathlib
import tarfile
import zlib
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
from PIL import Image

from redo_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Sources:
    """Files that a person downloads, and what to tell who has not.

    Attributes:
      folder: subfolder of the data folder in which the files may lie.
      required: names without which the data set cannot be made.
      optional: names that are used where they are.
      page: where to get the files; completes the sentence "Get them from …".
      urls: where files can be downloaded, by name; their checksums are in checksums.tsv.
    """

    folder: str
    required: Tuple[str, ...]
    optional: Tuple[str, ...]
    page: str
    urls: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def instructions(self) -> str:
        """For TFDS's MANUAL_DOWNLOAD_INSTRUCTIONS."""
        lines = [f"{name} (required)" for name in self.required]
        lines += [f"{name} (used if there)" for name in self.optional]
        return "Put these files there, as published:\n  " + "\n  ".join(lines) + f"\nGet them from {self.page}."

    def find(self, data_dir: Optional[pathlib.Path]) -> Optional[pathlib.Path]:
        """The first folder that holds every required file, or None."""
        for folder in self._candidates(data_dir):
            if not self.absent(folder):
                return folder
        return None

    def fullest(self, data_dir: pathlib.Path) -> pathlib.Path:
        """The folder that holds the most of the required files; downloads/manual where none holds any."""
        return max(reversed(self._candidates(data_dir)), key=lambda folder: len(self.required) - len(self.absent(folder)))

    def absent(self, folder: pathlib.Path) -> List[str]:
        """The required files that are not in a folder."""
        return [name for name in self.required if not (folder / name).is_file()]

    def missing(self, data_dir: Optional[pathlib.Path]) -> UserError:
        """The error to raise where `find` gave None."""
        if data_dir is None:
            return UserError(
                f"This data set is made from {' and '.join(self.required)}: "
                f"get them from {self.page}{self._offer}, and name the folder that holds them with --data_dir=FOLDER."
            )
        present = {name for folder in self._candidates(data_dir) for name in self.required if (folder / name).is_file()}
        absent = [name for name in self.required if name not in present] or list(self.required)
        return UserError(
            f"{' and '.join(absent)} not found in {data_dir} or its subfolders {self.folder}/ and "
            f"downloads/manual/: get the published files from {self.page}{self._offer}, and put them there "
            f"(also used if there: {', '.join(self.optional) or 'nothing'})."
        )

    def fingerprint(self, folder: pathlib.Path) -> Dict[str, str]:
        """Size and a hash of the first MiB of each file that is there."""
        prints = {}
        for name in self.required + self.optional:
            path = folder / name
            if path.is_file():
                with path.open("rb") as file:
                    digest = hashlib.sha256(file.read(1 << 20)).hexdigest()
                prints[name] = f"{path.stat().st_size}-{digest[:16]}"
        return prints

    @property
    def _offer(self) -> str:
        return f" (`redo-tf data --prepare` with this --dataset downloads {' and '.join(self.urls)})" if self.urls else ""

    def _candidates(self, data_dir: Optional[pathlib.Path]) -> List[pathlib.Path]:
        if data_dir is None:
            return []
        return [data_dir, data_dir / self.folder, data_dir / "downloads" / "manual"]


def damaged(path: pathlib.Path, reason: object) -> UserError:
    return UserError(f"{path} is damaged or cut short ({reason}): download it again.")


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[tarfile.TarFile]:
    try:
        # Decompressing outside tarfile: its own stream mode takes a truncated file for a whole one.
        with gzip.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive
            while stream.read(1 << 20):  # To the end, where the checksum is.
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, error) from error
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error}): check the file and its permissions.") from error


def names(path: pathlib.Path, wanted: Callable[[str], bool]) -> List[str]:
    """Names of the wanted files of a .tgz.

    Raises:
      UserError: the archive is not a gzipped tar file, or is cut short.
    """
    with _open(path) as archive:
        return [member.name for member in archive if member.isfile() and wanted(member.name)]


def members(path: pathlib.Path, wanted: Callable[[str], bool]) -> Iterator[Tuple[str, bytes]]:
    """Name and content of each wanted file of a .tgz, in the archive's order.

    Raises:
      UserError: as for `names`.
    """
    with _open(path) as archive:
        for member in archive:
            if member.isfile() and wanted(member.name):
                yield member.name, archive.extractfile(member).read()


def decode(content: bytes, path: pathlib.Path, member: str) -> np.ndarray:
    """Decodes a picture of an archive, uint8 [H, W, 3].

    Raises:
      UserError: the picture is unreadable; names archive and member.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{member} in {path} is not a readable picture ({error}): download the archive again."
        ) from error


def check_same_size(image: np.ndarray, mask: np.ndarray, name: str, path: pathlib.Path) -> None:
    """Raises UserError if a mask, which comes from the archive at `path`, is not of its picture's size."""
    if image.shape[:2] != mask.shape[:2]:
        raise UserError(
            f"The mask of {name} in {path} is {mask.shape[:2]} where the picture is {image.shape[:2]}: "
            "download the published archives."
        )
