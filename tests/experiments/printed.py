"""Tables as they are printed."""
from __future__ import annotations

from typing import List


def cells(text: str) -> List[List[str]]:
    """The rows of every table in a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
