"""A disk that is nearly full."""
from __future__ import annotations

import contextlib
import resource
from typing import Iterator


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """In its `with` block no file can be longer than so many bytes: EFBIG takes the place of ENOSPC."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
