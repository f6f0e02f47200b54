from __future__ import annotations

import errno
import json
import os
import shutil

import pytest

from processes import contents
from redo_tf.config import Config, flatten, override, to_json
from redo_tf.errors import UserError
from redo_tf.workdir import FREE_FIELDS, Workdir
from refusals import refusal


def config(**values) -> Config:
    made = Config()
    for name, value in values.items():
        override(made, name.replace("__", "."), value)
    return made


def trained(path, **values) -> Workdir:
    """A folder that a run of this configuration has saved a checkpoint in."""
    workdir = Workdir(str(path))
    claim(workdir, config(**values), restart=False)
    os.makedirs(workdir.file("checkpoints"))
    open(workdir.file("checkpoints", "ckpt-500.index"), "w").close()
    return workdir


def claim(workdir, *arguments, **options):
    """Begins a run and leaves it at once."""
    with workdir.claim(*arguments, **options):
        pass


def rows(*steps, restarts=0):
    return [{"step": step, "restarts": restarts} for step in steps]


# ------------------------------------------------------------------------------------------- the configuration of a run

def test_a_new_folder_is_made_and_holds_the_configuration(tmp_path):
    workdir = Workdir(str(tmp_path / "runs" / "a"))
    claim(workdir, config(seed=3), restart=False)
    assert workdir.load_config() == config(seed=3)
    assert sorted(os.listdir(tmp_path / "runs" / "a")) == [".redo_lock", "config.json"]


def test_the_same_configuration_continues(tmp_path):
    workdir = trained(tmp_path / "run", seed=3)
    before = contents(tmp_path)
    claim(workdir, config(seed=3), restart=False)
    assert contents(tmp_path) == before


def test_another_configuration_is_refused_with_the_field_and_both_values_and_nothing_changes(tmp_path):
    workdir = trained(tmp_path / "run", seed=3)
    before = contents(tmp_path)
    assert refusal(claim, workdir, config(seed=4), restart=False) == (
        f"{tmp_path / 'run'} holds a run of another configuration: seed is 3 there and 4 here. "
        "Choose another --workdir, or --restart to move that run aside and begin anew.")
    assert contents(tmp_path) == before


def test_checking_refuses_the_same_and_changes_nothing(tmp_path):
    workdir = trained(tmp_path / "run", seed=3)
    before = contents(tmp_path)
    assert "seed is 3 there and 4 here" in refusal(workdir.check, config(seed=4))
    workdir.check(config(seed=3))
    Workdir(str(tmp_path / "new" / "run")).check(config())
    assert contents(tmp_path) == before and not (tmp_path / "new").exists()


def test_many_differences_are_counted(tmp_path):
    workdir = trained(tmp_path / "run")
    other = config(seed=1, model__regions=3, model__latent_size=4, objective__lambda_z=1.0, train__batch_size=5)
    message = refusal(claim, workdir, other, restart=False)
    assert message.count(" there and ") == 3 and "(and 2 more)" in message


@pytest.mark.parametrize("name", [name for name in flatten(Config()) if name not in FREE_FIELDS])
def test_every_field_that_can_change_a_weight_is_compared(tmp_path, name):
    old = flatten(Config())[name]
    if old is None:
        new = {"data.weights": (1.0, 2.0), "train.begin_with": "runs/other"}[name]
    else:
        new = {bool: lambda: not old, int: lambda: old + 1, float: lambda: old / 2 + 0.1, str: lambda: old + "x",
               tuple: lambda: old + (1,)}[type(old)]()
    workdir = trained(tmp_path / "run")
    assert f"{name} is {old} there and {new} here" in refusal(
        claim, workdir, config(**{name.replace(".", "__"): new}), restart=False)


def test_other_pictures_are_refused_and_nothing_changes(tmp_path):
    workdir = trained(tmp_path / "run")
    claim(workdir, config(), restart=False, pictures={"train": "9 pictures, aa", "val": "1 pictures, bb"})  # Not known before.
    claim(workdir, config(), restart=False, pictures={"train": "9 pictures, aa", "val": "1 pictures, bb"})
    before = contents(tmp_path)
    message = refusal(claim, workdir, config(), restart=False, pictures={"train": "9 pictures, cc", "val": "1 pictures, bb"})
    assert message.startswith(f"{tmp_path / 'run'} holds a run on other pictures (train: 9 pictures, aa there and 9 pictures, cc "
                              "here): ")
    assert contents(tmp_path) == before
    claim(workdir, config(), restart=True, pictures={"train": "9 pictures, cc", "val": "1 pictures, bb"})


def test_runs_to_begin_with_are_the_same_by_whatever_path_and_in_a_project_that_moved(tmp_path, monkeypatch):
    (tmp_path / "A").mkdir()
    monkeypatch.chdir(tmp_path / "A")
    trained("run", train__begin_with="a, b/")
    for same in ("a,b", f"{tmp_path / 'A' / 'a'}/,{tmp_path / 'A' / 'b'}"):
        Workdir("run").check(config(train__begin_with=same))
    os.rename(tmp_path / "A", tmp_path / "B")
    monkeypatch.chdir(tmp_path / "B")
    Workdir("run").check(config(train__begin_with="./a/,b"))
    assert "train.begin_with is a, b/ there and a here" in refusal(Workdir("run").check, config(train__begin_with="a"))


def test_what_recipes_choose_by_the_processor_is_told_as_flags(tmp_path):
    workdir = trained(tmp_path / "run", train__precision="mixed_bfloat16", train__intra_op_threads=1)
    assert ("add --set train.precision=mixed_bfloat16 --set train.intra_op_threads=1; or choose another --workdir"
            in refusal(workdir.check, config()))
    assert "--set" not in refusal(workdir.check, config(seed=8))


def test_one_process_at_a_time(tmp_path):
    workdir = trained(tmp_path / "run")
    before = contents(tmp_path)
    with workdir.exclusive():  # Another process's, for all that the lock knows.
        for restart in (False, True):
            assert refusal(claim, Workdir(workdir.path), config(), restart=restart) == (
                f"Another process is training in {workdir.path}: wait for it, or choose another --workdir.")
    assert contents(tmp_path) == before
    claim(workdir, config(), restart=False)


def test_no_other_field_is_free():
    assert set(FREE_FIELDS) == {"train.steps", "train.log_every", "train.eval_every", "train.sample_every",
                                "train.checkpoint_every", "train.checkpoints_kept", "data.mask_dir"}


@pytest.mark.parametrize("name", FREE_FIELDS)
def test_a_free_field_may_change_and_the_new_value_is_kept(tmp_path, name):
    workdir = trained(tmp_path / "run")
    changed = config(**{name.replace(".", "__"): "elsewhere" if name == "data.mask_dir" else 7})
    claim(workdir, changed, restart=False)
    assert workdir.load_config() == changed


def test_a_mistaken_first_command_does_not_occupy_the_folder(tmp_path):
    """It wrote its configuration, then failed (no archive, say) before there was a checkpoint."""
    workdir = Workdir(str(tmp_path / "run"))
    claim(workdir, config(data__dataset="lfw"), restart=False)
    claim(workdir, config(data__dataset="shapes"), restart=False)
    assert workdir.load_config().data.dataset == "shapes"


@pytest.mark.parametrize("name", ["metrics.jsonl", "summary.json"])
def test_a_run_whose_checkpoints_are_gone_still_occupies_the_folder(tmp_path, name):
    workdir = trained(tmp_path / "run", seed=3)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    claim(workdir, config(seed=4), restart=False)  # Nothing but a configuration.
    (tmp_path / "run" / name).write_text(json.dumps(rows(5)[0]) + "\n")
    assert "seed is 4 there and 5 here" in refusal(claim, workdir, config(seed=5), restart=False)
    claim(workdir, config(seed=4), restart=False)


@pytest.mark.parametrize("left, lost", [
    ({}, False),
    ({"metrics.jsonl": rows(5)}, False),  # Killed between the first evaluation and the checkpoint that follows it.
    ({"metrics.jsonl": rows(5, 10)}, True),
    ({"metrics.jsonl": rows(5), "summary.json": rows(5)}, True)])
def test_a_run_whose_checkpoints_are_gone_is_told_before_anything_is_done(tmp_path, left, lost):
    workdir = trained(tmp_path / "run")
    for name, lines in left.items():
        (tmp_path / "run" / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    workdir.check_kept()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    if lost:
        step = left["metrics.jsonl"][-1]["step"]
        assert f"can be read, and the run had come to step {step}: bring them back" in refusal(workdir.check_kept)
    else:
        workdir.check_kept()


def test_restart_moves_the_run_aside_every_time_and_deletes_nothing(tmp_path):
    workdir = trained(tmp_path / "run", seed=3)
    first = contents(tmp_path / "run")
    claim(workdir, config(seed=4), restart=True)
    second = contents(tmp_path / "run")
    claim(workdir, config(seed=5), restart=True)
    assert contents(tmp_path / "run.old1") == first
    assert contents(tmp_path / "run.old2") == second
    assert workdir.load_config().seed == 5
    assert sorted(os.listdir(tmp_path / "run")) == [".redo_lock", "config.json"]


def test_restart_moves_no_folder_aside_that_holds_other_files(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("")
    workdir = Workdir(str(tmp_path / "photos"))
    assert "--restart moves a run aside" in refusal(claim, workdir, config(), restart=True)
    assert os.listdir(tmp_path) == ["photos"] and os.listdir(tmp_path / "photos") == ["me.jpg"]


def test_another_programs_configuration_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text('{"my": "settings"}')
    assert "It would be overwritten: choose another --workdir" in refusal(
        claim, Workdir(str(tmp_path)), config(), restart=False)
    assert (tmp_path / "config.json").read_text() == '{"my": "settings"}'


def test_restart_where_there_is_no_run_begins_one(tmp_path):
    claim(Workdir(str(tmp_path / "run")), config(), restart=True)
    assert os.listdir(tmp_path) == ["run"]


def test_a_run_keeps_its_configuration_while_it_trains(tmp_path):
    workdir = Workdir(str(tmp_path / "run"))
    with workdir.claim(config(seed=3), restart=False):
        assert refusal(claim, Workdir(workdir.path), config(seed=4), restart=False) == (
            f"Another process is training in {workdir.path}: wait for it, or choose another --workdir.")
        assert workdir.load_config().seed == 3
    claim(workdir, config(seed=4), restart=False)  # Nothing was saved.
    assert workdir.load_config().seed == 4


def test_a_trailing_slash_changes_nothing(tmp_path):
    trained(tmp_path / "run")
    claim(Workdir(f"{tmp_path / 'run'}/"), config(), restart=True)
    assert sorted(os.listdir(tmp_path)) == ["run", "run.old1"]


def test_a_folder_below_a_regular_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("text")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        for call in (lambda: Workdir(str(path)).check(config()), lambda: claim(Workdir(str(path)), config(), restart=False)):
            message = refusal(call)
            assert message.startswith(f"The run cannot be written to {path} (") and message.endswith("another --workdir.")
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.parametrize("path", ["none", "file", "file/run", "empty"])
def test_a_folder_without_a_run_is_told(tmp_path, path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    assert refusal(Workdir(str(tmp_path / path)).load_config) == (
        f"{tmp_path / path} holds no run (no config.json): train one there, or check --workdir.")


@pytest.mark.parametrize("content", [
    b"", b"{", to_json(Config()).encode()[:200], b"\xff\xfe\x00", b"\0" * 100, b"[]", b'{"seed": "x"}'])
def test_a_damaged_configuration_is_told_in_one_sentence_and_stays(tmp_path, content):
    workdir = trained(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_bytes(content)
    message = refusal(workdir.load_config)
    assert message.startswith(f"{tmp_path / 'run' / 'config.json'} is damaged, or of another version of this package: ")
    assert refusal(claim, workdir, config(), restart=False) == message
    assert (tmp_path / "run" / "config.json").read_bytes() == content


# ------------------------------------------------------------------------------------------------------------- metrics

def test_a_run_without_metrics_has_no_rows(tmp_path):
    assert Workdir(str(tmp_path)).metrics() == []


def test_metrics_are_one_json_object_a_line_oldest_first(tmp_path):
    workdir = Workdir(str(tmp_path))
    for row in rows(1, 2, 3):
        workdir.append_metrics(row)
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == rows(1, 2, 3)
    assert workdir.metrics() == rows(1, 2, 3)


@pytest.mark.parametrize("cut", [1, 2, 10, 25])
def test_a_last_line_cut_off_is_left_out_and_the_next_row_starts_a_line(tmp_path, cut):
    workdir = Workdir(str(tmp_path))
    for row in rows(1, 2):
        workdir.append_metrics(row)
    text = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(text[:-cut])
    expected = rows(1, 2) if cut == 1 else rows(1)  # Without its line feed alone, a row is whole.
    assert workdir.metrics() == expected
    workdir.append_metrics({"step": 3, "restarts": 0})
    assert workdir.metrics() == expected + rows(3)


@pytest.mark.parametrize("line", [b'{"step": 2, "rest', b"\xff\xfe\0", b"\xc3", b"3", bytes(20)])
def test_a_damaged_line_is_told_unless_it_is_the_last_and_loses_no_row(tmp_path, line):
    workdir = Workdir(str(tmp_path))
    for row in rows(1, 2, 3):
        workdir.append_metrics(row)
    path = tmp_path / "metrics.jsonl"
    first, _, third = path.read_bytes().splitlines()
    damaged = first + b"\n" + line + b"\n" + third + b"\n"
    path.write_bytes(damaged)
    for call in (workdir.metrics, workdir.has_begun, lambda: workdir.append_metrics(rows(4)[0])):
        assert refusal(call) == f"{path} is damaged in line 2: mend or remove that line, or bring back the file from a copy."
    assert path.read_bytes() == damaged
    for end in (b"", b"\n", b"\n\n"):
        path.write_bytes(first + b"\n\n" + third + b"\n" + line + end)
        assert workdir.metrics() == rows(1, 3)


@pytest.mark.parametrize("restarts, step, kept", [
    (1, 4, rows(2, 4, 6) + rows(2, 4, restarts=1)),
    (1, 5, rows(2, 4, 6) + rows(2, 4, restarts=1)),
    (1, 0, rows(2, 4, 6)),
    (0, 4, rows(2, 4)),
    (0, -1, []),
    (1, 6, rows(2, 4, 6) + rows(2, 4, 6, restarts=1)),
])
def test_what_was_written_after_the_checkpoint_is_forgotten(tmp_path, restarts, step, kept):
    workdir = Workdir(str(tmp_path))
    for row in rows(2, 4, 6) + rows(2, 4, 6, restarts=1):
        workdir.append_metrics(row)
    workdir.forget_metrics_after(restarts, step)
    assert workdir.metrics() == kept


@pytest.mark.parametrize("write", [
    lambda workdir: workdir.append_metrics(rows(3)[0]), lambda workdir: workdir.forget_metrics_after(0, 1),
    lambda workdir: workdir.write_summary({"steps": 9}),
    lambda workdir: claim(workdir, config(train__steps=7), restart=False),
    lambda workdir: claim(workdir, config(), restart=False, pictures={"train": "9 pictures, aa"})])
def test_what_cannot_be_written_whole_is_left_as_it_was(tmp_path, monkeypatch, write):
    workdir = trained(tmp_path / "run")
    for row in rows(1, 2):
        workdir.append_metrics(row)
    workdir.write_summary({"steps": 2})
    before = contents(tmp_path)

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((OSError, UserError)):
        write(workdir)
    assert contents(tmp_path) == before


def test_the_summary_is_json(tmp_path):
    Workdir(str(tmp_path)).write_summary({"steps": 3, "best": {"val/iou": 0.5}})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"steps": 3, "best": {"val/iou": 0.5}}
