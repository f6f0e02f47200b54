"""When a region has (nearly) nothing left, and whether the run is begun anew then."""
from __future__ import annotations

from typing import Any, Dict, Optional

from redo_tf.config import CollapseConfig


def fault(row: Dict[str, Any], limits: CollapseConfig) -> Optional[str]:
    """What is wrong with the regions of an evaluation, a row of metrics.jsonl; None where nothing is."""
    training, validation = min(row["train/region_sizes"]), min(row["val/region_sizes"])
    if max(training, validation) < limits.smallest_region:
        return (f"the smallest region covers {training:.3f} of the training and {validation:.3f} of the validation pictures, "
                f"less than {limits.smallest_region:g}")
    share = min(row["val/label_shares"])
    if row["step"] >= limits.share_from and share < limits.smallest_share:
        return f"a region wins {share:.4f} of the validation pictures' pixels, less than {limits.smallest_share:g}"
    return None


def hindrance(row: Dict[str, Any], limits: CollapseConfig, at_rest_until: int = 0) -> Optional[str]:
    """Why a run that has collapsed in this row is not begun anew; None where it may be.

    Args:
      at_rest_until: of a run that begins with given masks: the step up to which they stay as they are.
    """
    if row["step"] <= at_rest_until:
        return (f"until step {at_rest_until} the masks are those that the run began with, as they would be again; if the "
                "object is small, begin anew with --restart and a lower collapse.smallest_region or smallest_share")
    if row["step"] > limits.last_step:
        return f"later than step {limits.last_step}"
    if row["restarts"] >= limits.restarts:
        return f"that was done {row['restarts']} times already"
    return None
