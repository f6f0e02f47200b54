"""Ablations: what each changes, which are trained, what the table says, and the command from beginning to end."""
from __future__ import annotations

import json
import shutil

import pytest

import tiny
from printed import cells
from redo_tf.config import flatten
from redo_tf.recipes import load_recipe, recipe_names
from redo_tf.errors import UserError
from redo_tf.experiments import ablations, runs
from redo_tf.workdir import Workdir

# Of configs/shapes.py: λ_z 5, gain .8, G 16 wide, lr of G and f 2e-4, of D 4e-4, all regions redrawn, the worst judged.
OF_SHAPES = {
    "recipe": {},
    "lambda_z_0": {"objective.lambda_z": 0.0},
    "lambda_z_1": {"objective.lambda_z": 1.0},
    "lambda_z_5": {},
    "gain_0.2": {"model.gain": 0.2},
    "gain_1": {"model.gain": 1.0},
    "gain_1.4": {"model.gain": 1.4},
    "no_attention_d": {"model.discriminator.attention": False},
    "no_attention_g": {"model.generator.attention": False},
    "no_pyramid_pooling": {"model.mask_network.pooling_windows": None},
    "half_generator": {"model.generator.channels": 8},
    "double_generator": {"model.generator.channels": 32},
    "equal_rates": {"optimizer.discriminator_learning_rate": 2e-4},
    "fast_discriminator": {"optimizer.discriminator_learning_rate": 8e-4},
    "slow_masks": {"optimizer.mask_learning_rate": 2e-5},
    "fast_masks": {},
    "one_region": {"objective.redraw": "one", "objective.regions": "mean"},
    "all_regions": {},
    "mean": {"objective.regions": "mean"},
    "worst": {},
}

ONE_PROCESS = "--set=train.intra_op_threads=0"  # Threads cannot be set once TensorFlow runs, as it does under pytest.


def test_what_each_changes_in_the_recipe_of_shapes():
    assert {name: ablations.changes(name, load_recipe("shapes")) for name in ablations.ABLATIONS} == OF_SHAPES


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_change_survives_the_command_line_and_nothing_else_changes(recipe):
    config = load_recipe(recipe)
    for name in ablations.ABLATIONS:
        expected = {**flatten(config), **ablations.changes(name, config)}
        assert flatten(runs.overridden(config, ablations.assignments(name, config))) == expected, name


def test_those_that_change_nothing_are_left_out_unless_named_which_is_a_mistake():
    recipe = load_recipe("shapes")
    assert ablations.chosen([], recipe) == [name for name, fields in OF_SHAPES.items() if fields or name == "recipe"]
    assert ablations.chosen(["mean", "lambda_z_0"], recipe) == ["lambda_z_0", "mean"]
    with pytest.raises(UserError, match="no ablation lambda_0. Did you mean lambda_z_0?"):
        ablations.chosen(["lambda_0"], recipe)
    with pytest.raises(UserError, match="The recipe is as the ablation worst would make it"):
        ablations.chosen(["worst"], recipe)


def row(restarts, step, iou, sizes, collapsed=False):
    return {"restarts": restarts, "step": step, "val/iou": iou, "val/accuracy": iou + .1, "val/iou_per_image": iou + .2,
            "val/accuracy_per_image": iou + .3, "val/region_sizes": sizes, "collapsed": collapsed}


def test_a_run_is_told_by_the_best_and_the_last_evaluation_of_its_last_start(tmp_path):
    workdir = Workdir(str(tmp_path))
    assert ablations.result(workdir) == {}
    for evaluation in (row(0, 500, .6, [.95, .05], True), row(1, 500, .3, [.5, .5]), row(1, 1000, .5, [.4, .6]),
                       row(1, 1500, .25, [.75, .25])):
        workdir.append_metrics(evaluation)
    assert ablations.result(workdir) == {
        "step": 1000, "val/iou": .5, "val/accuracy": .6, "val/iou_per_image": .7, "val/accuracy_per_image": .8,
        "restarts": 1, "last_step": 1500, "smallest_region": .25, "collapsed": False}


def test_the_table_says_what_became_of_each(tmp_path):
    workdir = Workdir(str(tmp_path))
    workdir.append_metrics(row(2, 500, .5, [.97, .03], True))
    found = ablations.result(workdir)
    rows = cells(ablations.table({
        "recipe": {"changes": "nothing", "failed": False, **found, "collapsed": False},
        "lambda_z_0": {"changes": "a → b", "failed": False, **found},
        "gain_1.4": {"changes": "c → d", "failed": True}}))
    numbers = ["0.500", "0.600", "0.700", "0.800", "500", "500", "2", "0.030"]
    assert rows[0][2:6] == ["val IoU", "val Acc", "IoU per image", "Acc per image"]
    assert rows[1:] == [["recipe", "nothing", *numbers, ""], ["lambda_z_0", "a → b", *numbers, "collapsed"],
                        ["gain_1.4", "c → d", *["–"] * 8, "diverged"]]


def test_the_list_names_all_of_them_and_trains_nothing(parse, monkeypatch, capsys):
    monkeypatch.setattr(runs, "train_all", None)
    parse("--dataset=shapes", "--list", ONE_PROCESS, "--set=objective.lambda_z=2")
    ablations.main()
    rows = {line[0]: line[1] for line in cells(capsys.readouterr().out)[1:]}
    assert list(rows) == list(OF_SHAPES)
    assert rows["lambda_z_0"] == "objective.lambda_z 2.0 → 0.0"
    assert rows["no_pyramid_pooling"] == "model.mask_network.pooling_windows equal → None"
    assert rows["worst"] == "nothing"


def test_runs_that_diverge_make_the_exit_code_1_after_the_table(parse, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(runs, "train_all", lambda *_, may_fail: ["mean"] if may_fail else None)
    parse("--dataset=shapes", "--only=recipe,mean", ONE_PROCESS, f"--workdir={tmp_path}")
    with pytest.raises(SystemExit) as leaving:
        ablations.main()
    assert leaving.value.code == 1
    output, errors = capsys.readouterr()
    assert [line[-1] for line in cells(output)[1:]] == ["", "diverged"]
    assert errors == "Diverged, for the reasons above: mean.\n"
    assert json.loads((tmp_path / "ablations.json").read_text())["results"]["mean"]["failed"] is True


def test_the_command_takes_a_finished_run_trains_the_other_and_writes_the_table(table1, command, tmp_path):
    shutil.copytree(table1[0] / "seed_0", tmp_path / "recipe")
    done = command("ablations", "--only=lambda_z_0,recipe", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "Run 1 of 2, recipe: finished already." in done.stderr and "Traceback" not in done.stderr
    assert Workdir(str(tmp_path / "lambda_z_0")).load_config() == tiny.config("objective.lambda_z=0")
    text = (tmp_path / "ablations.md").read_text()
    assert text in done.stdout
    for line in cells(text)[1:]:
        best = json.loads((tmp_path / line[0] / "summary.json").read_text())["best"]
        assert line[2:7] == [*(f"{best[f'val/{name}']:.3f}" for name in (
            "iou", "accuracy", "iou_per_image", "accuracy_per_image")), str(best["step"])]
    assert [line[:2] for line in cells(text)[1:]] == [
        ["recipe", "nothing"], ["lambda_z_0", "objective.lambda_z 5.0 → 0.0"]]
