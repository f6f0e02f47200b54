"""Where data sets are prepared, and preparing them once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import tempfile
from typing import ContextManager, Iterator, List, Optional, Sequence, Tuple, Type, Union

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from redo_tf import files
from redo_tf.data.builder import PictureBuilder
from redo_tf.errors import UserError

# A builder whose data is prepared, and the folders in which files derived from it may be kept, best first.
Prepared = Tuple[PictureBuilder, List[pathlib.Path]]


def cache_root() -> pathlib.Path:
    """`$XDG_CACHE_HOME/redo_tf`, or `~/.cache/redo_tf`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return pathlib.Path(base).expanduser() / "redo_tf"


def roots(data_dir: Optional[pathlib.Path], sources: Optional[pathlib.Path]) -> List[pathlib.Path]:
    """Folders that may hold prepared data, best first.

    Args:
      data_dir: the folder that was asked for.
      sources: the folder of the published files, `data_dir` or below it.

    Returns:
      `data_dir`, then a cache folder that belongs to these files alone.
    """
    if data_dir is None:
        return [cache_root()]
    origin = (sources or data_dir).resolve()
    key = hashlib.sha256(os.fsencode(origin)).hexdigest()[:12]
    return [data_dir, cache_root() / f"{origin.name}-{key}"]


def _is_writable(folder: pathlib.Path) -> bool:
    """Whether files can be made in a folder, which is made if need be."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        # Root may write anywhere; a folder that its owner closed is left alone all the same.
        if not existing.stat().st_mode & 0o222:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def first_writable(folders: Sequence[pathlib.Path], subfolder: str = "") -> pathlib.Path:
    """The first folder in which files can be made, and in its subfolder, where that is there already, perhaps another person's.

    Raises:
      UserError: there is none.
    """
    for folder in folders:
        if _is_writable(folder) and (not (folder / subfolder).exists() or _is_writable(folder / subfolder)):
            if folder != folders[0]:
                logging.info("%s is read-only: prepared data goes to %s.", folders[0], folder)
            return folder
    raise UserError(
        f"Cannot write to {' or '.join(map(str, folders))}: name a folder where you may write with --data_dir=FOLDER, "
        "or set XDG_CACHE_HOME to one."
    )


def exclusive(folder: pathlib.Path) -> ContextManager[None]:
    """Lets one process at a time prepare data in a folder; the others wait."""
    return files.exclusive(str(folder), f"Waiting for another process that prepares data in {folder}.", wait=True)


def _lies_in(path: Union[str, bytes], folder: pathlib.Path) -> bool:
    """Whether links, followed, lead to the folder or below it."""
    return pathlib.Path(os.path.realpath(os.fsdecode(path))).is_relative_to(os.path.realpath(folder))


def _of_a_file(error: Optional[BaseException]) -> Union[OSError, tf.errors.OpError, None]:
    """The error of the system or of TensorFlow that an error is or was raised from, as TFDS does with a RuntimeError."""
    while error and not isinstance(error, (OSError, tf.errors.OpError)):
        error = error.__cause__
    return error


@contextlib.contextmanager
def writing_to(folder: pathlib.Path) -> Iterator[None]:
    """Tells a full disk and the like in one sentence; what is said of a file elsewhere, which is only read, passes."""
    try:
        yield
    except (OSError, tf.errors.OpError, RuntimeError) as raised:
        error = _of_a_file(raised)
        named = getattr(error, "filename", None)
        if error is None or named is not None and not _lies_in(named, folder):
            raise
        raise UserError(
            f"Cannot write to {folder} ({error}): make room there, or name another folder with --data_dir=FOLDER."
        ) from error


def _is_ready(builder: PictureBuilder, sources: Optional[pathlib.Path]) -> bool:
    """Whether a builder's data is prepared, from the files that are there now."""
    if not (builder.data_path.exists() and builder.is_prepared()):
        return False
    if sources is None:  # Generated, or the archives were removed after preparing.
        return True
    used = builder.info.metadata.get("sources", {})
    # Files removed since are no reason to prepare anew; new and changed ones are.
    return all(used.get(name) == value for name, value in builder.fingerprint(sources).items())


@contextlib.contextmanager
def _no_empty_downloads(root: pathlib.Path) -> Iterator[None]:
    """Removes the folders that TFDS makes for downloads where it downloads nothing."""
    made = not (root / "downloads").exists()
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # Not there, or in use.
                (root / "downloads" / "extracted").rmdir()
                (root / "downloads").rmdir()


def _remove_leftovers(builder: PictureBuilder) -> None:
    """Removes what a killed process left behind, and data made from other files."""
    for folder in builder.data_path.parent.glob("*incomplete*"):
        shutil.rmtree(folder)
    if builder.data_path.exists():
        logging.warning("The files that %s was made from have changed: preparing it anew.", builder.data_path)
        shutil.rmtree(builder.data_path)


def _sources(dataset: Type[PictureBuilder], data_dir: Optional[pathlib.Path]) -> Optional[pathlib.Path]:
    """The folder of the published files, or None. Without a `data_dir` they may have been downloaded to the cache folder."""
    if dataset.SOURCES is None:
        return None
    downloads = cache_root() if dataset.SOURCES.urls else None
    return dataset.SOURCES.find(downloads if data_dir is None else data_dir)


def find(
    dataset: Type[PictureBuilder], data_dir: Optional[pathlib.Path], config: Optional[tfds.core.BuilderConfig]
) -> Optional[Prepared]:
    """As `prepare`, but None if it is not prepared."""
    sources = _sources(dataset, data_dir)
    candidates = roots(data_dir, sources)
    for position, root in enumerate(candidates):
        builder = dataset.configured(root, config)
        if _is_ready(builder, sources):
            return builder, candidates[position:]
    return None


def prepare(
    dataset: Type[PictureBuilder],
    data_dir: Optional[pathlib.Path],
    config: Optional[tfds.core.BuilderConfig],
    download: bool = False,
) -> Prepared:
    """A builder whose data is prepared; instant if it was before.

    Args:
      dataset: the class of the builder.
      data_dir: folder of the archives, and of the prepared data if it is writable.
      config: from the class's `configuration`.
      download: whether to download files that are missing, as far as a host is known.

    Returns:
      The builder, and the folders in which files derived from it may be kept,
      best first.

    Raises:
      UserError: a file is missing or damaged, or there is no place to write.
    """
    if data_dir is not None and data_dir.exists() and not data_dir.is_dir():
        raise UserError(f"--data_dir={data_dir} is a file: name the folder that holds the data.")
    found = find(dataset, data_dir, config)
    if found:
        return found
    sources = _sources(dataset, data_dir)
    downloads = download and dataset.SOURCES and sources is None and dataset.SOURCES.urls
    if dataset.SOURCES and sources is None and not downloads:
        raise dataset.SOURCES.missing(data_dir)

    candidates = roots(data_dir, sources)
    root = first_writable(candidates, dataset.name)
    if downloads:
        sources = dataset.SOURCES.fullest(root if data_dir is None else data_dir)
    # The archives may lie in the root itself.
    with writing_to(root / dataset.name), exclusive(root):
        builder = dataset.configured(root, config)
        if not _is_ready(builder, sources):  # It is, if another process prepared it meanwhile.
            _remove_leftovers(builder)
            builder = dataset.configured(root, config)
            tfds.disable_progress_bar()  # Builders have one of their own, which suits log files too.
            archives = tfds.download.DownloadConfig(manual_dir=sources, try_download_gcs=False)
            logging.info("Preparing %s in %s.", builder.name, builder.data_path)
            # What TFDS prints, of downloads that are none and unknown sizes, would stand among a command's results.
            with _no_empty_downloads(root), contextlib.redirect_stdout(io.StringIO()):
                builder.download_and_prepare(download_config=archives)
    return builder, candidates[candidates.index(root) :]
