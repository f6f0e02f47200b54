"""When a run has gone wrong and should begin anew. Nothing here looks at a true mask."""
from __future__ import annotations

from typing import Any, Dict, Optional

from redo_tf.config import CollapseConfig


def is_collapsed(row: Dict[str, Any], limits: CollapseConfig) -> bool:
    """Whether one region took (nearly) everything, in training and in validation alike."""
    return max(min(row["train/region_sizes"]), min(row["val/region_sizes"])) < limits.smallest_region


def objects_at_border(row: Dict[str, Any]) -> float:
    """How much of the pictures' border lies in other regions than the background's, which has most of it; 0…1."""
    return 1 - max(row["val/border_shares"])


def fault(row: Dict[str, Any], limits: CollapseConfig, eval_every: int) -> Optional[str]:
    """What is wrong with a run, as a sentence without its full stop, or None.

    The border is looked at once, in the first evaluation from `limits.border_step` on. That objects keep away from the
    border, where the background is, is an old prior of saliency (Wei et al., "Geodesic saliency using background priors",
    ECCV 2012).

    Args:
      row: of an evaluation, as in metrics.jsonl.
      eval_every: steps between two evaluations.
    """
    step = row["step"]
    if row["collapsed"]:
        return (f"Collapsed at step {step}: the smallest region covers {min(row['train/region_sizes']):.3f} of the training "
                f"and {min(row['val/region_sizes']):.3f} of the validation pictures, less than {limits.smallest_region:g}")
    if limits.border_step <= step < limits.border_step + eval_every and objects_at_border(row) > limits.border:
        return (f"Astray at step {step}: the regions beside the largest at the border hold {objects_at_border(row):.3f} of "
                f"the validation pictures' border, more than {limits.border:g}")
    return None
