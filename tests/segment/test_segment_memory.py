"""Large pictures, and several at a time."""
from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image

import photographs
from outputs import ENVIRONMENT, mask
from photographs import red_and_green
from redo_tf.decoding import MOST_PIXELS

MEMORY = """
import json, os, sys
from photographs import FakeSegmenter, named
from redo_tf import decoding
from redo_tf.photos.pipeline import segment
peaks = []
for case, (most_pixels, paths) in enumerate(json.loads(sys.argv[2])):
    child = os.fork()
    if child == 0:
        decoding.MOST_PIXELS = most_pixels
        outcome = segment(FakeSegmenter(), named(paths), os.path.join(sys.argv[1], str(case)), workers=6)
        os._exit(outcome.failed)
    _, status, usage = os.wait4(child, 0)
    assert status == 0, status
    peaks.append(usage.ru_maxrss / 1024)
print(json.dumps(peaks))
"""


def test_large_pictures_take_bounded_memory(tmp_path):
    small = photographs.save(red_and_green(100, 100, np.s_[:50]), tmp_path / "small.png")
    large = Image.fromarray(red_and_green(8000, 8000, np.s_[:5000]))
    large.save(tmp_path / "large.jpg")
    large.save(tmp_path / "large.png", compress_level=1)
    many = [photographs.save(red_and_green(4000, 4000, np.s_[:50]), tmp_path / "many0.png")]
    for i in range(1, 6):
        many.append(str(tmp_path / f"many{i}.png"))
        os.link(many[0], many[i])
    cases = [(MOST_PIXELS, [small]), (MOST_PIXELS, [str(tmp_path / "large.jpg")]),
             (MOST_PIXELS, [str(tmp_path / "large.png")]), (2 * 4000 * 4000, many)]
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "out"), json.dumps(cases)], env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    small, jpeg, png, many = json.loads(done.stdout)
    pixels = 8000 * 8000 / 2**20  # Bytes a pixel → MiB.
    # A JPEG is reduced while it is decoded; its labels take one byte a pixel, and one more as a picture.
    assert jpeg - small < 3 * pixels
    # Four bytes a pixel, decoded; labels only afterwards. A float array of the masks would take eight more.
    assert png - small < 6 * pixels
    # Two at a time, of four bytes a pixel: 122 MiB, and strips for each thread; all six at a time would be 366.
    assert many - small < 260
    for case in "12":
        labels = mask(tmp_path / "out" / case, "large")
        assert labels.shape == (8000, 8000)
        assert labels[:4800].all() and not labels[5200:].any()
