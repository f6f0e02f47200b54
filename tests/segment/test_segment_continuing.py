"""A second time: what is whole is left alone, everything else is done."""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import photographs
from outputs import ENVIRONMENT, rows
from photographs import FakeSegmenter, named, red_and_green
from processes import contents
from redo_tf.photos.pipeline import segment

KILLED = """
import sys, time
from photographs import FakeSegmenter, named
from redo_tf.photos.pipeline import segment
segmenter = FakeSegmenter(before=lambda images: time.sleep(0.01))
segment(segmenter, named(sys.argv[2:]), sys.argv[1], ("mask", "overlay"), 1, 4)
"""


def interrupted(output, photos, batches, **options):
    """Raises KeyboardInterrupt, as Ctrl-C does, before this batch, from 0."""
    def before(images):
        if len(segmenter.batches) == batches:
            raise KeyboardInterrupt
    segmenter = FakeSegmenter(before=before)
    with pytest.raises(KeyboardInterrupt):
        segment(segmenter, photos, str(output), batch_size=1, workers=1, **options)


def test_after_an_interruption_nothing_is_missing_and_nothing_done_twice(tmp_path, photos):
    whole, output = tmp_path / "whole", tmp_path / "out"
    segment(FakeSegmenter(), photos, str(whole))
    interrupted(output, photos, 6)
    for path in output.glob("*.png"):
        assert path.read_bytes() == (whole / path.name).read_bytes()
    listed = {row["mask"] for row in rows(output)}
    assert listed and all((output / name).exists() for name in listed)
    before = {name: os.stat(output / name).st_mtime_ns for name in listed}
    segmenter = FakeSegmenter()
    outcome = segment(segmenter, photos, str(output))
    assert outcome == (12 - len(listed), len(listed), 0)
    assert sum(shape[0] for shape in segmenter.batches) == 12 - len(listed)
    assert {name: os.stat(output / name).st_mtime_ns for name in listed} == before
    assert contents(output) == contents(whole)


def test_a_second_time_nothing_is_done_unless_it_is_wanted(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    segmenter = FakeSegmenter()
    assert segment(segmenter, photos, str(tmp_path / "out")) == (0, 12, 0)
    assert segmenter.batches == []
    assert contents(tmp_path / "out") == before
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out"), overwrite=True) == (12, 0, 0)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("damage", [
    lambda output: (output / "p03_mask.png").unlink(),
    lambda output: (output / "p03_mask.png").write_bytes((output / "p03_mask.png").read_bytes()[:-5]),
    lambda output: (output / "p03_mask.png").write_bytes(b""),
    lambda output: (output / "index.jsonl").write_text(re.sub(r".*p03.*\n", "", (output / "index.jsonl").read_text())),
])
def test_a_picture_whose_results_are_not_whole_is_done_again(tmp_path, photos, damage):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    damage(tmp_path / "out")
    assert contents(tmp_path / "out") != before
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert contents(tmp_path / "out") == before


def test_another_model_or_more_files_leave_nothing_done(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out")) == (12, 0, 0)
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out"), ("mask", "overlay")) == (12, 0, 0)
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out")) == (0, 12, 0)


def test_a_process_that_is_killed_leaves_whole_files_and_is_continued(tmp_path):
    whole, output = tmp_path / "whole", tmp_path / "out"
    pictures = [photographs.save(red_and_green(300, 300, np.s_[:, :i]), tmp_path / "in" / f"{i:03}.png")
                for i in range(100)]
    segment(FakeSegmenter(), named(pictures), str(whole), ("mask", "overlay"))
    output.mkdir()
    (output / "index.jsonl").touch()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(output), *pictures], env=ENVIRONMENT,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and (output / "index.jsonl").read_bytes().count(b"\n") < 20:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    names = {path.name for path in output.iterdir() if path.suffix == ".png"}
    assert all((output / name).read_bytes() == (whole / name).read_bytes() for name in names)
    listed = [json.loads(line)["mask"] for line in (output / "index.jsonl").read_bytes().split(b"\n")[:-1]]
    assert 20 <= len(listed) == len(set(listed)) and set(listed) <= names
    assert sum(name.endswith("_mask.png") for name in names) <= len(listed) + 12  # Little is lost.
    outcome = segment(FakeSegmenter(), named(pictures), str(output), ("mask", "overlay"))
    assert outcome == (100 - len(listed), len(listed), 0)
    assert contents(output) == contents(whole)
