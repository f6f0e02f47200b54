"""Facts about working on many pictures at once."""
from __future__ import annotations

import os
import threading
import time

import pytest

from redo_tf.data.parallel import ordered_map


@pytest.mark.parametrize("cores", [1, 3])
def test_a_thread_for_each_core_that_the_process_may_use(monkeypatch, cores):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)

    def thread(_):
        time.sleep(.02)  # Long enough for every thread to have something to do.
        return threading.get_ident()

    assert len(set(ordered_map(thread, range(30)))) == cores


def test_results_are_in_order():
    def slower_when_early(number):
        time.sleep((9 - number) / 1000)
        return number

    assert list(ordered_map(slower_when_early, range(10))) == list(range(10))
