from __future__ import annotations

import pytest

from redo_tf import stopwatch


def test_seconds_and_times_add_up_and_an_error_stops_the_watch(monkeypatch):
    clock = iter([0, 4, 10, 16])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    watch = stopwatch.Stopwatch()
    watch.add("iterations", 90, times=200)
    with watch.of("checkpoints"):
        pass
    with pytest.raises(ZeroDivisionError), watch.of("checkpoints"):
        raise ZeroDivisionError
    assert watch.seconds == {"iterations": 90, "checkpoints": 10} and watch.times == {"iterations": 200, "checkpoints": 2}
    assert str(watch) == "200 iterations 90.0 s (90.0 %), 2 checkpoints 10.0 s (10.0 %)"
