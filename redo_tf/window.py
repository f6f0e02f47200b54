"""Means of the training metrics since the last evaluation."""
from __future__ import annotations

import json
from typing import Dict

import numpy as np
import tensorflow as tf


class Window(tf.train.experimental.PythonState):
    """Sums over iterations. Saved in every checkpoint, so that a run stopped between two evaluations reports afterwards
    what it would have reported without the stop."""

    def __init__(self):
        super().__init__()
        self.clear()

    def clear(self) -> None:
        self.iterations, self.sums = 0, {}
        self.timed_iterations, self.seconds = 0, 0.0

    def add(self, metrics: Dict[str, np.ndarray], seconds: float, timed: bool = True) -> None:
        """`metrics`: name → values [T, …] of T iterations; `seconds` that they took; not `timed`: no part of the rate."""
        iterations = len(next(iter(metrics.values())))
        self.iterations += iterations
        if timed:
            self.timed_iterations += iterations
            self.seconds += seconds
        for name, values in metrics.items():
            for value in values.astype(np.float64):  # One by one, so that the grouping does not change the rounding.
                self.sums[name] = self.sums.get(name, 0.0) + value

    def iterations_per_second(self) -> float:
        """0 when no iteration was timed."""
        return self.timed_iterations / self.seconds if self.timed_iterations else 0.0

    def means(self) -> Dict[str, np.ndarray]:
        """Name → mean over the iterations, float64 […]."""
        return {name: total / self.iterations for name, total in self.sums.items()}

    def serialize(self) -> str:
        sums = {name: np.asarray(total).tolist() for name, total in self.sums.items()}
        return json.dumps({"iterations": self.iterations, "timed_iterations": self.timed_iterations,
                           "seconds": self.seconds, "sums": sums})

    def deserialize(self, text: str) -> None:
        saved = json.loads(text)
        self.iterations, self.timed_iterations = saved["iterations"], saved["timed_iterations"]
        self.seconds = saved["seconds"]
        self.sums = {name: np.asarray(total) for name, total in saved["sums"].items()}
