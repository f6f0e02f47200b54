"""Mask networks that come with the package: NAME.tflite and its card NAME.json, beside this file."""
from __future__ import annotations

import os
from typing import List, Optional

FOLDER = os.path.dirname(os.path.abspath(__file__))


def names() -> List[str]:
    """All that there are, in alphabetical order."""
    return sorted(name[:-len(".tflite")] for name in os.listdir(FOLDER) if name.endswith(".tflite"))


def path(name: str) -> Optional[str]:
    """Where the .tflite file of this network is; None where none has that name."""
    return os.path.join(FOLDER, name + ".tflite") if name in names() else None
