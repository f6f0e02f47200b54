from __future__ import annotations

from redo_tf import history


def row(step, restarts=0, **scores):
    return {"step": step, "restarts": restarts, **{f"val/{name}": value for name, value in scores.items()}}


ROWS = [row(3, iou=0.9), row(3, 1, iou=0.2), row(6, 1, iou=0.4), row(9, 1, iou=0.4)]


def test_starts_are_told_apart():
    assert history.starts(ROWS) == [ROWS[:1], ROWS[1:]] and history.starts([]) == []
    assert history.of_start(ROWS, 1) == ROWS[1:] and history.of_start(ROWS, 2) == []


def test_the_best_is_the_first_highest_since_the_last_restart():
    assert history.best_of_last_start(ROWS) is ROWS[2] and history.best(ROWS) is ROWS[0]
    assert history.best_of_last_start([]) is None


def test_without_true_masks_the_newest_is_the_best():
    assert history.best([row(3), row(6)])["step"] == 6
    assert history.best([row(3, iou=0.5), row(6, iou=0.4), row(9)])["step"] == 3  # They were there for a time.
