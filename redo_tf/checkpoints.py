"""Saving and restoring a run; a damaged checkpoint is passed over for the one before."""
from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import shutil
from typing import List, Optional, Tuple

import tensorflow as tf
from absl import logging
from google.protobuf import text_format

from redo_tf.config import STEP_LIMIT
from redo_tf.disk import writing
from redo_tf.errors import UserError


def number(restarts: int, step: int) -> int:
    """The checkpoint's number at this step. It grows over restarts, so that the newest is always the last."""
    return restarts * STEP_LIMIT + step


def restarts_and_step(prefix: str) -> Tuple[int, int]:
    """What the number of the checkpoint with this path is made of, see `number`."""
    return divmod(int(prefix.rsplit("-", 1)[1]), STEP_LIMIT)


def is_readable(prefix: str) -> bool:
    """Whether every tensor of a checkpoint can be read; TensorFlow checks each one's checksum."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
        return True
    # The reader shows a damaged file as an OpError, or as the Python exception that is nearest: truncated data is IndexError.
    except (tf.errors.OpError, ValueError, RuntimeError, LookupError):
        return False


def _files(prefix: str) -> List[Tuple[str, int, int]]:
    """Name, size and time of change of each of a checkpoint's files."""
    found = []
    for path in sorted(glob.glob(f"{glob.escape(prefix)}.*")):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            found.append((path, status.st_size, status.st_mtime_ns))
    return found


class Checkpoints:
    """The newest few checkpoints in a folder.

    Args:
      folder: where they lie.
      kept: how many.
      trackables: name → anything `tf.train.Checkpoint` takes, or None for what this run does not have.
    """

    def __init__(self, folder: str, kept: int, **trackables):
        self.checkpoint = tf.train.Checkpoint(
            **{name: trackable for name, trackable in trackables.items() if trackable is not None})
        self.folder, self.kept = folder, kept

    @functools.cached_property
    def manager(self) -> tf.train.CheckpointManager:
        """TensorFlow's, which writes; its list of what is there, where a crash has cut it off, is made anew."""
        try:
            tf.train.get_checkpoint_state(self.folder)
        except (ValueError, text_format.ParseError, UnicodeDecodeError):
            os.unlink(os.path.join(self.folder, "checkpoint"))
        return tf.train.CheckpointManager(self.checkpoint, self.folder, max_to_keep=self.kept)

    def save(self, number: int) -> None:
        """Saves as number `number`; what is there stays until the new one is complete.

        Raises:
          UserError: the disk is full or cannot be written.
        """
        with writing(f"Checkpoint {number}", self.folder):
            self.manager.save(checkpoint_number=number)

    def restore_newest(self) -> Optional[str]:
        """Restores the newest readable checkpoint; its path, or None when there is none.

        Another process may be saving there: the folder is listed again after each that cannot be read, and what has changed is
        read again.

        Raises:
          UserError: it lacks variables that are here.
        """
        skipped = {}  # What cannot be read, with its files: those of one that was being written are others afterwards.
        while prefix := next((prefix for prefix in reversed(self.prefixes()) if skipped.get(prefix) != _files(prefix)), None):
            skipped[prefix] = _files(prefix)
            with contextlib.suppress(tf.errors.NotFoundError):  # It was deleted while it was read.
                if is_readable(prefix):
                    self._restore(prefix)
                    return prefix
            if skipped[prefix] == _files(prefix):
                logging.warning("Checkpoint %s is damaged and was skipped.", prefix)
        return None

    def prefixes(self) -> List[str]:
        """Oldest first. Read from the folder, not from the manager's list, which a crash may leave behind the files."""
        if not os.path.isdir(self.folder):
            return []
        matches = (re.fullmatch(r"ckpt-(\d+)\.index", name) for name in os.listdir(self.folder))
        return [os.path.join(self.folder, f"ckpt-{number}") for number in sorted(int(match[1]) for match in matches if match)]

    def sweep(self, restored: str) -> None:
        """Deletes what saves that were cut off have left, which TensorFlow does not list: half a checkpoint, or one too many;
        not the one that was restored, which may be older than the newest few if these are damaged."""
        kept = {os.path.basename(prefix) for prefix in (restored, *self.prefixes()[-self.kept:])}
        for name in os.listdir(self.folder):
            match, path = re.match(r"(ckpt-\d+)[._]", name), os.path.join(self.folder, name)
            if match and match[1] not in kept:
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def _restore(self, prefix: str) -> None:
        restored = self.checkpoint.restore(prefix)
        try:
            restored.assert_existing_objects_matched()
        except AssertionError as error:
            raise UserError(f"Checkpoint {prefix} lacks variables of this version's networks or optimisers: continue with the "
                            "version that wrote it, or train anew.") from error
        restored.expect_partial()  # It may hold more, as best/ does for who wants the mask network alone.
