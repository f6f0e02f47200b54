"""A person's mistakes: exit code 2, one sentence, and nothing is changed."""
from __future__ import annotations

import re

import tiny
from processes import contents, redo_tf
from redo_tf.config import to_json


def test_every_mistake_ends_with_code_2_and_one_sentence_and_changes_nothing(data_dir, tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.py").write_text("def get_config(:\n")
    run_dir = tmp_path / "run"  # Of another configuration, with a checkpoint, never evaluated.
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / "ckpt-5.index").write_text("")
    (run_dir / "config.json").write_text(to_json(tiny.config("seed=77")))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    new = f"--workdir={tmp_path / 'new'}"
    shapes_data = f"--data_dir={data_dir}"
    expected = [
        (["train", new, "--dataset=shape"], r"Unknown data set 'shape': did you mean 'shapes'\? Known: shapes, .*"),
        (["train", new, "--set", "data.dataset=shape"], r"Unknown data set 'shape': did you mean 'shapes'\? Known: .*"),
        (["train", new, "--set", "train.batchsize=3"],
         r"There is no configuration field train\.batchsize\. Did you mean train\.batch_size\?"),
        (["train", new, "--set=train.batch_size=many"], r"train\.batch_size takes a whole number, not 'many'\."),
        (["train", new, "--set=train.precision=float16"], r"train\.precision is one of float32, .*, not 'float16'\."),
        (["train", new, "--set=data.image_size=33"], r"data\.image_size: .*33.*"),
        (["train", new, "--set", "train.steps"], r"--set train\.steps is not of the form name=value\."),
        (["train", new, "--set"], r".*--set.* \(--help lists the flags\.\)"),
        (["train", new, "--datset=shapes"], r"Unknown command line flag 'datset'\. Did you mean: dataset \? .*"),
        (["train", new, "--restart=maybe"], r"flag --restart=maybe: .*"),
        (["train", new, "shapes", "lfw"], r"Not understood: shapes lfw \(flags have the form --name=value; .*"),
        (["train", new, "--config=shapess"], r"There is no recipe shapess\. Did you mean shapes\? .*"),
        *((["train", new, f"--{flag}="], rf"--{flag}= is empty: give it a value, or leave it out for the default\.")
          for flag in ("config", "dataset", "workdir", "data_dir", "mask_dir")),
        (["supervised", "--reference="], r"--reference= is empty: .*"),
        (["redraw", f"--workdir={run_dir}", "--gif="], r"--gif= is empty: .*"),
        (["segment", f"--input={tmp_path}", "-holiday.jpg"], r"Unknown command line flag 'holiday.jpg'.*"),
        (["train", new, "--set=model=3"],
         r"model is a section of the configuration, not a field: set model\.regions, model\.latent_size, .*"),
        (["train", new, f"--config={tmp_path / 'broken.py'}"], r"The recipe .*broken\.py does not run: SyntaxError: .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data],
         r".*/run holds a run of another configuration: seed is 77 there and 0 here; .*--restart .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data, "--restart", f"--set=train.begin_with={run_dir}"],
         r".*/run cannot begin with itself: .*"),
        (["train", f"--workdir={run_dir}", "--dataset=shapes", shapes_data, "--restart",
          f"--set=train.begin_with={tmp_path / 'empty'}"], r".*/empty holds no run \(no config\.json\): .*"),
        (["train", f"--workdir={tmp_path / 'file' / 'run'}"], r"The run cannot be written to .*/file/run \(.*"),
        (["train", f"--workdir={tmp_path / 'file'}"], r"The run cannot be written to .*/file \(.*"),
        (["evaluate"], r"Which model\? Give a run's folder as --workdir=… or an exported model as --model=…, .*"),
        (["evaluate", f"--workdir={tmp_path / 'none'}"], r".*/none holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'empty'}"], r".*/empty holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'file'}"], r".*/file holds no run \(no config\.json\): .*"),
        (["evaluate", f"--workdir={tmp_path / 'damaged'}"], r".*/damaged/config\.json is damaged, or of another version of this package: .*"),
        (["evaluate", f"--workdir={run_dir}", shapes_data], r".*/run has no best/ checkpoint yet: train past .*=3 steps .*"),
        (["evaluate", f"--workdir={run_dir}", "--split=vall"], r"flag --split=vall: .*"),
        (["evaluate", f"--workdir={run_dir}", "--batch_size=0"], r"flag --batch_size=0: .*"),
        (["trian"], r"redo-tf has no subcommand trian\. Did you mean train\? There is train, .*"),
    ]
    before = contents(tmp_path)
    for (arguments, sentence), (code, output, errors) in zip(expected, redo_tf(*[case[0] for case in expected])):
        assert (code, output) == (2, ""), (arguments, errors)
        assert errors.endswith("\n") and errors.count("\n") == 1, (arguments, errors)
        assert re.fullmatch(sentence, errors.strip()), (arguments, errors)
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_data_that_is_not_there_or_too_little_is_told_before_the_folder_is_touched(data_dir, tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    workdir = f"--workdir={tmp_path / 'run'}"
    too_large = [f"--set={setting}" for setting in tiny.SETTINGS] + ["--set=train.batch_size=33", f"--data_dir={data_dir}"]
    expected = [
        (["train", workdir, "--dataset=lfw", "--config=default"], r".*lfw.*\.tgz.*--data_dir=.*"),
        (["train", workdir, "--dataset=lfw", "--config=default", f"--data_dir={tmp_path / 'empty'}"],
         r".*lfw.*\.tgz.* not found in .*/empty .*"),
        (["train", workdir, "--dataset=shapes", f"--data_dir={tmp_path / 'file'}"], r"--data_dir=.*/file is a file: .*"),
        (["train", workdir, "--dataset=shapes", "--config=default", *too_large],
         r"shapes has 32 training pictures, fewer than train\.batch_size=33: add pictures, or --set train\.batch_size=32\."),
    ]
    for (arguments, sentence), (code, output, errors) in zip(expected, redo_tf(*[case[0] for case in expected])):
        assert (code, output) == (2, ""), (arguments, errors)
        assert errors.count("\n") == 1 and re.fullmatch(sentence, errors.strip()), (arguments, errors)
    assert [str(path) for path in contents(tmp_path)] == ["file"]
