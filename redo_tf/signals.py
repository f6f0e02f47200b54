"""Being asked to stop, by Ctrl-C or SIGTERM."""
from __future__ import annotations

import signal
from typing import Optional


class StopSignals:
    """Remembers SIGINT and SIGTERM instead of dying of them, while in its `with` block."""

    def __enter__(self):
        self.received: Optional[int] = None
        self._previous = {number: signal.signal(number, self._remember) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number, _):
        self.received = number
