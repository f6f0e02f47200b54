"""Folders that appear whole or not at all."""
from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from typing import Callable, Iterator

from redo_tf.errors import Interrupted, UserError
from redo_tf.files import open_to_others
from redo_tf.segmenter import newest_version

UNFINISHED = ".exporting-"  # TF Serving passes over names that are not numbers.


def write_version(base: str, fill: Callable[[str], None]) -> str:
    """Makes BASE/N, N one more than the largest number there, from 1 on.

    When `fill` raises, or SIGTERM or Ctrl-C end it, nothing of it is left, nor of BASE if it was made for it; after a crash a
    hidden folder may be.

    Args:
      base: folder of the versions; made when it is not there.
      fill: writes into the folder that it is given.

    Returns:
      Path of the new version.

    Raises:
      UserError: nothing can be written to `base`.
    """
    made = not os.path.exists(base)
    try:
        os.makedirs(base, exist_ok=True)
        folder = tempfile.mkdtemp(dir=base, prefix=UNFINISHED)
    except OSError as error:
        raise UserError(f"Nothing can be written to {base} ({error.strerror}): choose another --output.") from error
    try:
        with _terminated_as_exception():
            fill(folder)
            open_to_others(folder, 0o777)  # mkdtemp makes folders that only their owner can read.
            _flush(folder)
            return _rename(folder, base)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # Another process may have written there meanwhile.
                os.rmdir(base)
        raise


def _rename(folder: str, base: str) -> str:
    """To the next version's name, which another process may take first."""
    while True:
        version = os.path.join(base, str((newest_version(base) or 0) + 1))
        try:
            os.rename(folder, version)
            return version
        except OSError:
            if not os.path.exists(version):
                raise


def _flush(folder: str) -> None:
    """To the disk, so that the rename is not there before the contents."""
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                os.fsync(file.fileno())


@contextlib.contextmanager
def _terminated_as_exception() -> Iterator[None]:
    """SIGTERM raises `Interrupted` within the block, where Python lets signals be handled: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number, frame):
        del frame
        raise Interrupted("Stopped: nothing was exported.", number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
