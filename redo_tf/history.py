"""A run's evaluations, the rows of metrics.jsonl: which start of the run they belong to, and which is the best."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

Row = Dict[str, Any]


def of_start(rows: Sequence[Row], restarts: int) -> List[Row]:
    """Those of the start after so many restarts."""
    return [row for row in rows if row["restarts"] == restarts]


def starts(rows: Sequence[Row]) -> List[List[Row]]:
    """Start by start; none is empty."""
    return [of_start(rows, restarts) for restarts in sorted({row["restarts"] for row in rows})]


def best(rows: Sequence[Row]) -> Row:
    """The first of those with the highest validation IoU; where none had true masks, the newest."""
    return max(rows, key=lambda row: ("val/iou" in row, row.get("val/iou", row["step"])))


def best_of_last_start(rows: Sequence[Row]) -> Optional[Row]:
    """The evaluation that best/ belongs to; None before the first."""
    return best(starts(rows)[-1]) if rows else None
