"""Numbers of several runs, for reading: mean ± deviation, and tables that are Markdown and plain text."""
from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

import numpy as np


def mean_and_deviation(values: Sequence[float]) -> Dict[str, Optional[float]]:
    """`mean`, and `std`, the sample standard deviation (n − 1 in the denominator), None for a single value."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def plus_minus(summary: Optional[Dict[str, Optional[float]]]) -> str:
    """`0.917 ± 0.002` of a mean and deviation, a dash for None."""
    if summary is None:
        return "–"
    deviation = "" if summary["std"] is None else f" ± {summary['std']:.3f}"
    return f"{summary['mean']:.3f}{deviation}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table whose columns are aligned as plain text too."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
