"""Several runs in one word: their folders, separated by commas."""
from __future__ import annotations

import os
from typing import List, Optional, Sequence


def split(text: str) -> List[str]:
    """The folders that a word names, in order; empty parts are left out, ~ is the home folder. A folder that is there may have
    commas in its path."""
    text = os.path.expanduser(text)
    return [text] if os.path.exists(text) else [os.path.expanduser(part.strip()) for part in text.split(",") if part.strip()]


def same(one: Optional[str], other: Optional[str]) -> bool:
    """Whether both name the same folders: as they are written, as after a project has moved, or by their full paths."""
    if one is None or other is None:
        return one == other
    return any(list(map(path, split(one))) == list(map(path, split(other))) for path in (os.path.normpath, os.path.abspath))


def names_of(paths: Sequence[str]) -> List[str]:
    """The folders' own names where these tell them apart, otherwise the paths."""
    names = [os.path.basename(os.path.abspath(path)) for path in paths]
    return names if len(set(names)) == len(names) else list(paths)
