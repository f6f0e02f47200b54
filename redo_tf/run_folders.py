"""Several runs in one word: their folders, separated by commas."""
from __future__ import annotations

import os
from typing import List


def split(text: str) -> List[str]:
    """The folders that a word names, in order; empty parts are left out. A folder that is there may have commas in its path."""
    return [text] if os.path.exists(text) else [part.strip() for part in text.split(",") if part.strip()]


def full(text: str) -> str:
    """The same word with full paths."""
    return ",".join(map(os.path.abspath, split(text)))
