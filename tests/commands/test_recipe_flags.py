"""What a configuration is put together from: recipe, data set, overrides."""
from __future__ import annotations

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


def test_runs_to_begin_with_are_named():
    begins_with = lambda text: resolve(None, None, [f"train.begin_with={text}"]).train.begin_with
    assert begins_with("runs/a, b") == "runs/a, b"  # As typed: a project may move.
    assert begins_with("None") is None
    for empty in ("", ",", " "):
        with pytest.raises(UserError, match=f"^train.begin_with={empty} names no run: give a run's folder, or leave it out"):
            begins_with(empty)


def test_a_folder_of_masks_is_known_by_its_whole_path_as_a_run_may_go_on_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    for given, kept in (("masks", str(tmp_path / "masks")), ("~/masks", "/home/somebody/masks"), ("/masks", "/masks")):
        assert resolve(None, None, [f"data.mask_dir={given}"]).data.mask_dir == kept
    assert resolve(None, None, []).data.mask_dir is None
