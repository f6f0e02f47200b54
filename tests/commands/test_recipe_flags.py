"""What a configuration is put together from: recipe, data set, overrides."""
from __future__ import annotations

import os

import pytest

from redo_tf import data
from redo_tf.errors import UserError
from redo_tf.recipe_flags import resolve


def test_overrides_go_before_the_data_set_and_the_data_set_before_the_recipe(tmp_path):
    (tmp_path / "mine.py").write_text("from redo_tf.config import Config\ndef get_config():\n  c = Config()\n"
                                      "  c.data.dataset = 'lfw'\n  c.train.steps = 3\n  c.seed = 4\n  return c\n")
    recipe = str(tmp_path / "mine.py")
    assert resolve(None, recipe, []).data.dataset == "lfw"
    config = resolve("c2mnist", recipe, ["train.steps=5", "train.steps=6"])
    assert (config.data.dataset, config.train.steps, config.seed) == ("c2mnist", 6, 4)
    assert resolve("c2mnist", recipe, ["data.dataset=shapes"]).data.dataset == "shapes"


def test_without_a_recipe_the_one_named_like_the_data_set_is_taken():
    assert resolve(None, None, []) == resolve("shapes", None, []) == resolve(None, "shapes", [])


@pytest.mark.parametrize("name", data.NAMES)
def test_every_data_set_has_a_recipe_of_its_name(name):
    assert resolve(name, None, []).data.dataset == name


@pytest.mark.parametrize("dataset, recipe, name", [("", None, "dataset"), ("shapes", "", "config")])
def test_an_empty_flag_is_no_flag_left_out(dataset, recipe, name):
    with pytest.raises(UserError, match=f"^--{name}= is empty: give it a value, or leave it out for the default.$"):
        resolve(dataset, recipe, [])


def test_runs_to_begin_with_have_their_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begins_with = lambda text: resolve(None, None, [f"train.begin_with={text}"]).train.begin_with
    run = os.path.join(os.getcwd(), "runs", "a")
    for text in ("runs/a", "runs/a/", "./runs/../runs/a", run, "runs/a,"):
        assert begins_with(text) == run
    assert begins_with("runs/a, b") == f"{run},{os.getcwd()}/b"
    assert begins_with("None") is None
    os.makedirs("with,comma/run")
    assert begins_with("with,comma/run") == f"{os.getcwd()}/with,comma/run"
    for empty in ("", ",", " "):
        with pytest.raises(UserError, match=f"^train.begin_with={empty} names no run: give a run's folder, or leave it out"):
            begins_with(empty)
