"""What a report knows of a run."""
from __future__ import annotations

import datetime
import io
import json
import re

from PIL import Image

from pages import SCORES, known, row, write_run


def test_without_data_the_scores_are_those_of_the_best_evaluation(tmp_path):
    run = known(write_run(tmp_path / "run", rows=[row(3, iou=0.25), row(6, iou=0.123456789012345), row(9, iou=0.1)]))
    (score,) = run.scores
    assert (score.split, score.source, score.pictures) == ("val", "metrics.jsonl, step 3", None)
    assert score.values == {"iou": 0.25, "accuracy": 0.35, "iou_per_image": 0.26, "accuracy_per_image": 0.36}
    assert re.fullmatch(r"The val pictures of shapes are not prepared at 32 pixels .*", run.remark)
    assert run.masks is None and run.seconds == 90


def test_what_evaluate_wrote_is_taken_as_it_is_unless_best_changed_since(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(3, iou=0.25)])
    for split, value in (("val", 0.5), ("test", 0.625)):
        (tmp_path / "run" / f"evaluation_{split}.json").write_text(
            json.dumps({**dict.fromkeys(SCORES, value), "pictures": 7, "step": 3, "restarts": 0}))
    described = lambda: [(score.split, score.values["iou"], score.pictures, score.source)
                         for score in known(workdir).scores]
    assert described() == [("val", 0.5, 7, "evaluation_val.json"), ("test", 0.625, 7, "evaluation_test.json")]
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in (row(3, iou=0.25), row(6, iou=0.375))))
    assert described() == [("val", 0.375, None, "metrics.jsonl, step 6"),
                           ("test", 0.625, 7, "evaluation_test.json, not known to be of the masks in best/")]
    (tmp_path / "run" / "evaluation_test.json").write_text('{"accuracy": 0.')  # Cut off by a crash.
    assert [score[0] for score in described()] == ["val"]


def test_samples_are_in_the_order_of_their_steps_and_those_of_an_earlier_start_are_told(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(9), row(3, 1)], samples=[9, 3, 20, 100])
    (tmp_path / "run" / "samples" / ".step_0000004.png.x1").write_text("not finished")
    run = known(workdir)
    assert [label for label, _ in run.samples] == [
        "step 3", *(f"step {step}, of an earlier start" for step in (9, 20, 100))]
    assert [Image.open(io.BytesIO(data)).getpixel((0, 0))[0] for _, data in run.samples] == [1, 0, 2, 3]


def test_of_many_samples_some_are_chosen_evenly_with_the_first_and_the_last(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(90)], samples=range(10, 100, 10))
    assert [label for label, _ in known(workdir, samples=3).samples] == ["step 10", "step 50", "step 90"]
    assert len(known(workdir, samples=0).samples) == len(known(workdir, samples=9).samples) == 9


def test_begin_and_machine_are_read_from_the_events(tmp_path):
    workdir = write_run(tmp_path / "run")
    (tmp_path / "run" / "tensorboard").mkdir()
    for name in ("events.out.tfevents.86400.node-1.example.org.77.0.v2", "events.out.tfevents.3600.vm.5.0.v2", "other"):
        (tmp_path / "run" / "tensorboard" / name).write_text("")
    utc = datetime.timezone.utc
    assert known(workdir).sessions == [
        (datetime.datetime(1970, 1, 1, 1, tzinfo=utc), "vm"),
        (datetime.datetime(1970, 1, 2, tzinfo=utc), "node-1.example.org")]
