"""Table 1: the table against numbers worked out by hand, and the command from beginning to end."""
from __future__ import annotations

import json

from printed import cells
from redo_tf.evaluate import evaluate_split
from redo_tf.experiments import runs, table1 as command_of_table1
from redo_tf.metrics import SCORES
from redo_tf.trained import of_run
from redo_tf.workdir import Workdir


def scores(accuracy, iou):
    """Those by one assignment are a tenth lower."""
    return {"accuracy": accuracy - 0.1, "iou": iou - 0.1, "accuracy_per_image": accuracy, "iou_per_image": iou}


RESULTS = [
    {"seed": 0, "step": 40, "restarts": 2, "train": None, "val": scores(.90, .70), "test": scores(.90, .70)},
    {"seed": 1, "step": 20, "restarts": 1, "train": None, "val": scores(.92, .76), "test": scores(.94, .76)}]


def test_scores_stand_beside_the_published_ones_of_the_same_protocol():
    rows = cells(command_of_table1.table("lfw", RESULTS))
    # The deviation of two numbers that differ by δ is δ/√2: .04 → .0283, .06 → .0424, .02 → .0141.
    assert rows[:7] == [
        ["split", "protocol", "Acc", "IoU", "published Acc", "published IoU"],
        ["train", "best assignment for each picture", "–", "–", "–", "–"],
        ["train", "one assignment for the whole set", "–", "–", "–", "–"],
        ["val", "best assignment for each picture", "0.910 ± 0.014", "0.730 ± 0.042", "–", "–"],
        ["val", "one assignment for the whole set", "0.810 ± 0.014", "0.630 ± 0.042", "–", "–"],
        ["test", "best assignment for each picture", "0.920 ± 0.028", "0.730 ± 0.042", "0.917 ± 0.002",
         "0.781 ± 0.005"],
        ["test", "one assignment for the whole set", "0.820 ± 0.028", "0.630 ± 0.042", "–", "–"]]


def test_every_run_has_a_row_and_restarts_are_counted():
    text = command_of_table1.table("shapes", RESULTS)
    assert text.startswith("shapes: 2 run(s), 3 restart(s); mean ± sample standard deviation\n")
    assert cells(text)[7:] == [
        ["seed", "restarts", "best step", "val IoU", "test Acc", "test IoU"],
        ["0", "2", "40", "0.600", "0.800", "0.600"],
        ["1", "1", "20", "0.660", "0.840", "0.660"]]


def test_without_masks_there_are_dashes():
    rows = cells(command_of_table1.table("lfw", [{**RESULTS[0], "val": None, "test": None}]))
    assert rows[5] == ["test", "best assignment for each picture", "–", "–", "0.917 ± 0.002", "0.781 ± 0.005"]
    assert rows[-1] == ["0", "2", "40", "–", "–", "–"]


def test_seeds_follow_the_recipes(parse, monkeypatch, tmp_path, capsys):
    trained = []
    monkeypatch.setattr(runs, "train_all", lambda config, changes, folder: trained.append(changes))
    monkeypatch.setattr(runs, "score_run", lambda workdir, splits, data_dir: {
        **RESULTS[0], "seed": None, "from": workdir.path})
    parse("--dataset=shapes", "--config=default", "--set=seed=3", "--seeds=3", f"--workdir={tmp_path}")
    command_of_table1.main()
    assert trained == [{f"seed_{seed}": [f"seed={seed}"] for seed in (3, 4, 5)}]
    results = json.loads((tmp_path / "table1.json").read_text())["runs"]
    assert [result["from"] for result in results] == [f"{tmp_path}/seed_{seed}" for seed in (3, 4, 5)]
    assert capsys.readouterr().out.startswith("shapes: 3 run(s), 6 restart(s)")


def test_the_command_trains_scores_and_writes(table1, data_dir):
    folder, done = table1
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    written = json.loads((folder / "table1.json").read_text())
    [result] = written["runs"]
    summary = json.loads((folder / "seed_0" / "summary.json").read_text())
    assert (result["seed"], result["step"], result["restarts"]) == (0, summary["best"]["step"], 0)
    assert result["val"]["iou"] == summary["best"]["val/iou"]
    for split in ("train", "test"):  # As redo_tf.evaluate scores it.
        expected = evaluate_split(of_run(Workdir(str(folder / "seed_0"))), split, str(data_dir))
        assert result[split] == {name: expected[name] for name in SCORES}
        assert written["summary"][split]["iou"] == {"mean": expected["iou"], "std": None}
    assert (folder / "table1.md").read_text() in done.stdout
