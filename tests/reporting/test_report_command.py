"""The command: the scores and pictures of its report, and mistakes."""
from __future__ import annotations

import base64
import io
import json
import re

from PIL import Image

from pages import SCORES, check, frames_of
from redo_tf.history import best_of_last_start
from redo_tf.reporting.facts import MASKS_SHOWN
from redo_tf.workdir import Workdir


def test_scores_are_those_of_evaluate_to_the_last_digit_whether_read_or_computed(commands):
    folder, results = commands
    assert [result[0] for result in results[:2]] == [0, 0], results
    assert results[1][1] == f"Report: {folder / 'r.html'}\n"
    evaluated = json.loads((folder / "one" / "evaluation_test.json").read_text())
    found = check((folder / "r.html").read_text())
    best = best_of_last_start(Workdir(folder / "one").metrics())
    val, test = [best[f"val/{name}"] for name in SCORES], [evaluated[name] for name in SCORES]
    assert [float(given["value"]) for given, _ in found.all("data")] == [*val, *test] * 2
    assert [text for _, text in found.all("data")] == [f"{value:.4f}" for value in [*val, *test] * 2]
    source = f"metrics.jsonl, step {best['step']}"
    assert [(cells[0], cells[1], cells[2], cells[-1]) for cells in found.rows("scores")[2:]] == [
        ("one", "val", "", source), ("one", "test", "4", "evaluation_test.json"),
        ("two", "val", "", source), ("two", "test", "4", "scored for this report")]
    assert not (folder / "two" / "evaluation_test.json").exists()  # A report changes no run.


def test_the_report_shows_every_sample_and_the_masks_of_each_run(commands, finished_run):
    text = (commands[0] / "r.html").read_text()
    assert frames_of(text) == [(2, [True, False])] * 2
    pictures = [base64.b64decode(given["src"].split(",")[1]) for given, _ in check(text).all("img")]
    assert len(pictures) == 2 * 2 + 2
    for pair in (pictures[:2], pictures[2:4]):
        assert pair == [(finished_run[0] / "samples" / f"step_000000{step}.png").read_bytes() for step in (3, 6)]
    for masks in pictures[4:]:
        assert Image.open(io.BytesIO(masks)).size[1] == 40 + MASKS_SHOWN * (96 + 2)


def test_mistakes_are_one_sentence(commands):
    none, comma, nothing = commands[1][2:]
    assert [result[:2] for result in (none, comma, nothing)] == [[2, ""]] * 3
    assert re.fullmatch(r".*/none holds no run \(no config\.json\): .*\n", none[2])
    assert re.fullmatch(r".*/with,comma holds no run \(no config\.json\): .*\n", comma[2])
    assert nothing[2] == "Which run? Give its folder as --workdir=…, several separated by commas.\n"
