from __future__ import annotations

import pytest

from redo_tf import guard
from redo_tf.config import CollapseConfig

LIMITS = CollapseConfig(smallest_region=0.1, border=0.25, border_step=30)


def row(step=1000, train=(0.5, 0.5), val=(0.5, 0.5), border=(0.875, 0.125)):
    found = {"step": step, "train/region_sizes": train, "val/region_sizes": val, "val/border_shares": border}
    return {**found, "collapsed": guard.is_collapsed(found, LIMITS)}


@pytest.mark.parametrize("train, val, collapsed", [
    ((0.95, 0.05), (0.09, 0.91), True),
    ((0.95, 0.05), (0.89, 0.11), False),  # In training alone.
    ((0.89, 0.11), (0.95, 0.05), False),  # In validation alone.
    ((0.48, 0.48, 0.04), (0.04, 0.48, 0.48), True),
])
def test_collapsed_is_a_region_small_in_training_and_validation(train, val, collapsed):
    assert guard.is_collapsed(row(train=train, val=val), LIMITS) == collapsed
    assert (guard.fault(row(train=train, val=val), LIMITS, 10) is not None) == collapsed


def test_all_but_the_region_with_most_of_the_border_are_objects():
    assert guard.objects_at_border(row(border=(0.125, 0.625, 0.25))) == 0.375


@pytest.mark.parametrize("step, border, astray", [
    (29, (0.5, 0.5), False),
    (30, (0.5, 0.5), True),
    (39, (0.5, 0.5), True),
    (40, (0.5, 0.5), False),  # The evaluation before had looked.
    (30, (0.75, 0.25), False),
    (30, (0.5, 0.25, 0.25), True),
])
def test_the_border_is_looked_at_once(step, border, astray):
    found = guard.fault(row(step=step, border=border), LIMITS, eval_every=10)
    assert (found is not None) == astray
    if astray:
        assert found.startswith(f"Astray at step {step}: ") and "hold 0.500 of" in found


def test_by_default_the_border_is_no_fault():
    assert guard.fault(row(border=(0.25,) * 4), CollapseConfig(border_step=1000), 500) is None


def test_the_sentence_of_a_collapse_has_both_sizes_and_the_limit():
    assert guard.fault(row(step=7, train=(0.0625, 0.9375), val=(0.03125, 0.96875)), LIMITS, 10) == (
        "Collapsed at step 7: the smallest region covers 0.062 of the training and 0.031 of the validation pictures, less "
        "than 0.1")
