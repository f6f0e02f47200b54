"""Progress bars."""
from __future__ import annotations

import sys

from tqdm import tqdm


def bar(total: int, description: str, initial: int = 0, unit: str = "step", brief: bool = False) -> tqdm:
    """A tqdm bar on stderr; in a log file it writes a line every half minute instead of redrawing itself.

    Args:
      brief: for what may be over at once: shown after three seconds, and taken away at its end.
    """
    terminal = sys.stderr.isatty()
    return tqdm(total=total, initial=initial, desc=description, unit=unit, dynamic_ncols=terminal,
                mininterval=0.2 if terminal else 30, file=sys.stderr, delay=3 if brief else 0, leave=not brief)
