"""Scores that others reported, to stand beside one's own. All use the best assignment for each picture."""
from __future__ import annotations

# The paper's Table 1, at 128×128: data set → split → score → mean and standard deviation of five runs.
TABLE_1 = {
    "lfw": {"test": {"accuracy": (.917, .002), "iou": (.781, .005)}},
    "cub": {"train": {"accuracy": (.840, .012), "iou": (.423, .023)},
            "test": {"accuracy": (.845, .012), "iou": (.426, .025)}},
    "flowers": {"train": {"accuracy": (.886, .008), "iou": (.780, .012)},
                "test": {"accuracy": (.879, .008), "iou": (.764, .012)}},
}
