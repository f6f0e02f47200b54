"""What TensorFlow says of a disk that is full or cannot be written, as one sentence."""
from __future__ import annotations

import contextlib
from typing import Iterator

import tensorflow as tf

from redo_tf.errors import UserError

ERRORS = (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError, tf.errors.UnknownError,
          tf.errors.FailedPreconditionError, tf.errors.NotFoundError, tf.errors.OutOfRangeError)


@contextlib.contextmanager
def writing(what: str, folder: str) -> Iterator[None]:
    """Around TensorFlow's writing of `what` to a folder.

    Raises:
      UserError: the disk is full or cannot be written.
    """
    try:
        yield
    except ERRORS as error:
        # Without the path, the operation and what failed because of it.
        reason = error.message.split("\n")[0].split("; ")[-1].split(" [Op:")[0]
        raise UserError(f"{what} cannot be saved in {folder} ({reason}): "
                        "make room there and run the same command to continue from the last checkpoint.") from error
