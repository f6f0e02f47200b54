"""Where the time of a process goes."""
from __future__ import annotations

import contextlib
import time
from typing import Dict, Iterator


class Stopwatch:
    """Adds up the seconds of each activity, and how often it was done."""

    def __init__(self):
        self.seconds: Dict[str, float] = {}
        self.times: Dict[str, int] = {}

    def add(self, activity: str, seconds: float, times: int = 1) -> None:
        self.seconds[activity] = self.seconds.get(activity, 0.0) + seconds
        self.times[activity] = self.times.get(activity, 0) + times

    @contextlib.contextmanager
    def of(self, activity: str) -> Iterator[None]:
        """Times what is in its `with` block, also when that raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(activity, time.perf_counter() - start)

    def __str__(self) -> str:
        """Each activity with its share of the total: `200 iterations 90.0 s (90.0 %), 2 checkpoints 10.0 s (10.0 %)`."""
        total = sum(self.seconds.values())
        return ", ".join(f"{self.times[activity]} {activity} {seconds:.1f} s ({100 * seconds / total:.1f} %)"
                         for activity, seconds in self.seconds.items())
