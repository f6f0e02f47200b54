"""What the tests of segmenting share: what stands in a folder of results, and what was told."""
from __future__ import annotations

import json
import os

import numpy as np
from PIL import Image

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, TESTS]), "CUDA_VISIBLE_DEVICES": ""}


def rows(output):
    return [json.loads(line) for line in (output / "index.jsonl").read_text().splitlines()]


def mask(output, name):
    with Image.open(output / f"{name}_mask.png") as image:
        return np.asarray(image)


def messages(errors):
    """Lines on stderr but for the progress bar's."""
    return [line for line in errors.splitlines() if line.strip() and not line.startswith("Segmenting: ")]


def close(monkeypatch, name):
    """Refuses to list folders of this name, which chmod does not for root."""
    listed = os.scandir

    def scandir(path):
        if os.path.basename(os.path.normpath(path)) == name:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
