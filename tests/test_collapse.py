"""What counts as a collapse, and when a run is begun anew for it, by hand."""
from __future__ import annotations

import pytest

from redo_tf import collapse
from redo_tf.config import CollapseConfig


def row(**changes):
    return {"step": 3000, "restarts": 0, "train/region_sizes": [0.5, 0.3, 0.2], "val/region_sizes": [0.5, 0.3, 0.2],
            "val/label_shares": [0.8, 0.1, 0.1], **changes}


LIMITS = CollapseConfig(smallest_region=0.05, smallest_share=0.01, share_from=2000, last_step=5000, restarts=2)
SMALL = [0.9, 0.06, 0.04]


@pytest.mark.parametrize("changes, message", [
    ({}, None),
    ({"train/region_sizes": SMALL}, None),
    ({"val/region_sizes": SMALL}, None),
    ({"train/region_sizes": SMALL, "val/region_sizes": [0.95, 0.02, 0.03]},
     "the smallest region covers 0.040 of the training and 0.020 of the validation pictures, less than 0.05"),
    ({"train/region_sizes": [0.9, 0.05, 0.05], "val/region_sizes": [0.9, 0.05, 0.05]}, None),  # not less
    ({"val/label_shares": [0.98, 0.01, 0.01]}, None),
    ({"val/label_shares": [0.99, 0.01, 0.0]},
     "a region wins 0.0000 of the validation pictures' pixels, less than 0.01"),
    ({"val/label_shares": [0.99, 0.01, 0.0], "step": 1999}, None),
])
def test_faults(changes, message):
    assert collapse.fault(row(**changes), LIMITS) == message


def test_limits_of_0_are_not_looked_at():
    nothing = [1.0, 0.0, 0.0]
    empty = row(**{"train/region_sizes": nothing, "val/region_sizes": nothing, "val/label_shares": nothing})
    assert collapse.fault(empty, CollapseConfig(smallest_region=0, smallest_share=0)) is None


@pytest.mark.parametrize("changes, message", [
    ({}, None), ({"step": 5000, "restarts": 1}, None),
    ({"step": 5001}, "later than step 5000"), ({"restarts": 2}, "that was done 2 times already")])
def test_hindrances(changes, message):
    assert collapse.hindrance(row(**changes), LIMITS) == message


@pytest.mark.parametrize("step, hindered", [(999, True), (1000, True), (1001, False)])
def test_masks_that_were_given_and_are_at_rest_would_be_the_same_again(step, hindered):
    hindrance = collapse.hindrance(row(step=step), LIMITS, at_rest_until=1000)
    assert bool(hindrance) == hindered
    assert not hindered or hindrance.startswith("until step 1000 the masks are those that the run began with")
