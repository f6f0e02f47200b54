"""Files that are written whole or not at all, and folders that one process at a time writes to."""
from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import tempfile
from typing import IO, Any, Dict, Iterator, Optional

from absl import logging

from redo_tf.errors import UserError

try:
    import fcntl
except ImportError:  # Not on Windows: nothing is locked there.
    fcntl = None

# What file systems say that have no locks, as some over a network.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


def write_whole(path: str, content: bytes) -> None:
    """Writes to a temporary name in the same folder, flushes to the disk, then renames over `path`.

    Raises:
      OSError: it cannot be written; names the file, which on a full disk the system does not, and never the temporary one.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix="." + os.path.basename(path) + ".")
    except OSError as error:
        error.filename = path
        raise
    try:
        with naming(path), os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        open_to_others(temporary, 0o666)  # mkstemp makes files that only their owner can read.
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Around writing to a file: puts its path into an OSError that has none, as a full disk's."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def write_text(path: str, text: str) -> None:
    """As `write_whole`, in UTF-8."""
    write_whole(path, text.encode("utf-8"))


def write_json(path: str, value: Any) -> None:
    """As `write_whole`, what JSON can hold, indented."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def open_to_others(path: str, mode: int) -> None:
    """Gives a file or folder this mode, less what the process's umask takes away."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, mode & ~umask)


def read_json(path: str, advice: str) -> Dict[str, Any]:
    """The JSON object in a file.

    Args:
      advice: what to do where the file is damaged.

    Raises:
      FileNotFoundError: there is no such file.
      UserError: it holds anything else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except ValueError:  # UnicodeDecodeError is one.
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: {advice}.")
    return value


def find_json(path: str) -> Optional[Dict[str, Any]]:
    """The JSON object in a file; None where there is none that can be read, as after a crash."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextlib.contextmanager
def exclusive(folder: str, refusal: str, wait: bool = False) -> Iterator[None]:
    """Keeps other processes that ask from writing to a folder; the lock goes when the process does.

    Where the file system has no locks none is taken, and a warning is logged.

    Args:
      folder: that is there and may be written to.
      refusal: what a person is told when another process writes there.
      wait: for that process, having logged so.

    Raises:
      UserError: another process writes there, and is not waited for.
    """
    path = os.path.join(folder, ".redo_lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not os.path.exists(path):
            raise
        handle = os.open(path, os.O_RDONLY)  # Another person's, in a folder that several share: it can be locked all the same.
    with os.fdopen(handle) as lock:
        if fcntl:
            _lock(lock, folder, refusal, wait)
        yield


def _lock(lock: IO, folder: str, refusal: str, wait: bool) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise UserError(refusal) from None
        logging.info("%s", refusal)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _warn_of_no_lock(folder, error.strerror)


@functools.lru_cache(maxsize=None)  # Once for each folder.
def _warn_of_no_lock(folder: str, reason: str) -> None:
    logging.warning("%s cannot be locked (%s): let no other command write there at the same time.", folder, reason)
