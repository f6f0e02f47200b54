"""The report's page: whole, safe and self-contained, whatever is known of the runs."""
from __future__ import annotations

import json

import pytest

from pages import check, frames_of, known, row, write_run
from redo_tf.reporting.page import duration, page


@pytest.mark.parametrize("seconds, text", [
    (4.6, "5 s"), (442.2, "7 min 22 s"), (3600, "1 h 0 min 0 s"), (90061, "25 h 1 min 1 s")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_slider_has_a_position_for_each_sample_and_the_last_is_shown(tmp_path):
    runs = [known(write_run(tmp_path / name, rows=[row(9)], samples=steps), name)
            for name, steps in (("a", [3, 6, 9]), ("b", [5]), ("c", []))]
    assert frames_of(page(runs, {})) == [(3, [True, True, False]), (1, [False])]
    assert "No samples yet." in page(runs, {})


def test_the_environment_of_each_run_stands_beside_the_reports(tmp_path):
    recorded = write_run(tmp_path / "a")
    (tmp_path / "a" / "environment.json").write_text(json.dumps({"Python": "3.9.1", "host": "there"}))
    text = page([known(recorded, "a"), known(write_run(tmp_path / "b"), "b")], {"Python": "3.11.2", "commit": "c"})
    assert check(text).rows("environment") == [
        ["", "a", "b", "this report"], ["Python", "3.9.1", "–", "3.11.2"], ["host", "there", "–", "–"],
        ["commit", "–", "–", "c"]]


def test_whatever_stands_in_names_is_text(tmp_path):
    evil = "<script>alert(1)</script>\"'&"
    run = known(write_run(tmp_path / "run", rows=[row(3, iou=0.2), row(3, 1, iou=0.2)], samples=[3]), evil)
    run.path, run.remark, run.config.data.mask_dir = evil, evil, evil
    text = page([run, known(write_run(tmp_path / "two"), "two")], {evil: evil})
    found = check(text)
    assert len(found.all("script")) == 1 and "alert" not in found.all("script")[0][1]
    assert found.all("h1")[0][1] == f"ReDO: {evil}, two"
    assert [evil, "–", "–", evil] in found.rows("environment")
    assert ["folder", evil, str(tmp_path / "two")] in found.rows("runs")
    assert ["data.mask_dir", evil, "None"] in found.rows("configuration")


def test_rows_of_the_configuration_that_differ_are_marked(tmp_path):
    runs = [known(write_run(tmp_path / name, *sets), name)
            for name, sets in (("a", ["seed=1"]),
                               ("b", ["seed=1", "objective.lambda_z=2.5", "model.encoder.widths=4,4,4,4"]))]
    found = check(page(runs, {}))
    assert len(found.all("tr", **{"class": "differs"})) == 2
    assert {tuple(cells) for cells in found.rows("configuration")} >= {
        ("seed", "1", "1"), ("objective.lambda_z", "5.0", "2.5"), ("model.encoder.widths", "2, 2, 2, 2", "4, 4, 4, 4")}
    assert not check(page(runs[:1], {})).all("tr", **{"class": "differs"})


def test_steps_count_on_over_restarts_and_each_is_marked(tmp_path):
    rows = [row(10, iou=0.2), row(20, iou=0.3), row(10, 1, iou=0.4), row(20, 1, iou=0.5)]
    text = page([known(write_run(tmp_path / "run", rows=rows))], {})
    found = check(text)
    titles = [title for _, title in found.all("title")]
    # IoU is drawn by both protocols; steps of the second start follow on the 20 of the first.
    assert [title for title in titles if title.startswith("one assignment")][:4] == [
        "one assignment, 10: 0.2", "one assignment, 20: 0.3", "one assignment, 30: 0.4", "one assignment, 40: 0.5"]
    figures = len(found.all("svg"))
    assert titles.count("restart 1") == figures == 5  # IoU, accuracy, sizes of both splits, one loss
    marks = {given["x1"] for given, _ in found.all("line") if given["x1"] == given["x2"]}
    assert marks == {"273.0"}  # The middle of 52…494.


def test_published_scores_stand_beside_those_of_their_data_set_alone(tmp_path):
    runs = {name: known(write_run(tmp_path / name, f"data.dataset={name}", rows=[row(3, iou=0.5)]), name)
            for name in ("lfw", "cub", "shapes")}
    published = {name: [cells[1:] for cells in check(page([run], {})).rows("scores") if "published" in cells[0]]
                 for name, run in runs.items()}
    source = "Chen et al. 2019, Table 1, five runs"
    assert published == {
        "lfw": [["test", "", "", "", "0.917 ± 0.002", "0.781 ± 0.005", source]],
        "cub": [["train", "", "", "", "0.840 ± 0.012", "0.423 ± 0.023", source],
                ["test", "", "", "", "0.845 ± 0.012", "0.426 ± 0.025", source]],
        "shapes": []}


def test_a_run_without_masks_has_a_report_without_scores(tmp_path):
    found = check(page([known(write_run(tmp_path / "run", rows=[row(3), row(6)], samples=[3]))], {}))
    assert found.rows("scores") == [] and not found.all("data")
    assert "no scores, as its validation pictures have no masks" in found.all("section", id="scores")[0][1]
    assert len(found.all("svg")) == 3  # region sizes and the loss


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    found = check(page([known(write_run(tmp_path / "run"))], {}))
    assert ["state", "not evaluated yet"] in found.rows("runs") and ["wall time of training", "–"] in found.rows("runs")
    assert "so there are no curves" in found.all("section", id="curves")[0][1]
    assert not found.all("svg") and not found.all("img")


@pytest.mark.parametrize("summary, state", [
    (None, "not finished: evaluated up to step 3 of 6"), ({"steps": 6}, "finished, 6 steps"),
    ({"steps": 5}, "not finished: evaluated up to step 3 of 6")])
def test_a_run_is_finished_when_its_summary_has_all_steps(tmp_path, summary, state):
    workdir = write_run(tmp_path / "run", rows=[row(3)])
    if summary:
        (tmp_path / "run" / "summary.json").write_text(json.dumps(summary))
    assert ["state", state] in check(page([known(workdir)], {})).rows("runs")
