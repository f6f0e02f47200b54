from __future__ import annotations

import os
import subprocess
import sys

import pytest

from redo_tf.config import Config, validate
from redo_tf.recipes import FOLDER, load_recipe, recipe_names
from refusals import refusal


RECIPE = """
from redo_tf.config import Config
def get_config():
    config = Config()
    config.train.steps = 123
    return config
"""


@pytest.mark.parametrize("path", ["shapes", "shapes.py", "configs/shapes.py", "configs/shapes"])
def test_a_packaged_recipe_loads_by_name_and_by_path_outside_the_checkout(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(path).data.dataset == "shapes"


def test_every_packaged_recipe_is_valid():
    assert {"default", "shapes"} <= set(recipe_names())
    for name in recipe_names():
        validate(load_recipe(name))


def test_the_default_recipe_is_the_configurations_defaults():
    assert load_recipe("default") == Config()


# What the paper and its code trained with: generator width and d, beside what all data sets share below.
PUBLISHED = {"lfw": (64, 32), "cub": (32, 32), "flowers": (32, 32), "c2mnist": (64, 16)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_named_like_a_data_set_are_the_published_training(name):
    config = load_recipe(name)
    model, objective, optimizer = config.model, config.objective, config.optimizer
    assert (model.generator.channels, model.latent_size) == PUBLISHED[name]
    assert model.regions == (3 if name == "c2mnist" else 2) and config.data.image_size == 128
    assert model.discriminator.widths == model.encoder.widths == (64, 128, 256, 512, 1024, 1024)
    assert (model.mask_network.channels, model.mask_network.residual_blocks, model.mask_network.temperature) == (16, 3, 1)
    assert model.gain == 0.8
    assert (objective.redraw, objective.regions, objective.lambda_z) == ("all", "mean", 5)
    assert (objective.lambda_border, objective.lambda_area, objective.recolour_steps) == (0, 0, 0)
    assert optimizer.learning_rate == optimizer.encoder_learning_rate == optimizer.discriminator_learning_rate == 1e-4
    assert (optimizer.mask_learning_rate, optimizer.mask_delay, optimizer.mask_weight_decay) == (1e-5, 0, 1e-4)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0, 0.9, 1e-8)
    assert (config.train.batch_size, config.train.mask_average) == (25, 0)
    assert config.collapse.last_step == 7000
    assert config.collapse.smallest_region == (0.005 if name == "c2mnist" else 0.1)


def test_a_file_of_ones_own_goes_before_a_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes.py").write_text(RECIPE)
    assert load_recipe("shapes.py").train.steps == 123
    assert load_recipe(str(tmp_path / "shapes.py")).train.steps == 123


def test_a_recipe_may_start_from_a_packaged_one(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from configs import shapes\ndef get_config():\n  c = shapes.get_config()\n  c.seed = 5\n  return c\n")
    config = load_recipe(str(tmp_path / "mine.py"))
    assert (config.seed, config.data.image_size) == (5, 32)


def test_a_package_configs_in_the_current_folder_is_somebody_elses(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("raise SystemExit('not ours')\n")
    (tmp_path / "configs" / "mine.py").write_text("from configs import shapes\nget_config = shapes.get_config\n")
    code = ("from redo_tf.recipes import load_recipe\n"
            "print(load_recipe('lfw_cpu').data.dataset, load_recipe('configs/mine.py').data.dataset)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.path.dirname(FOLDER)})
    assert done.stdout.split() == ["lfw", "shapes"], done.stderr


def test_a_package_configs_that_was_imported_before_stays_as_it_was(tmp_path):
    import configs.default
    kept = configs, configs.default
    load_recipe("lfw_cpu")
    import configs.default
    assert (configs, configs.default) == kept and sys.modules["configs.default"] is configs.default


def test_loading_twice_gives_two_configurations():
    load_recipe("shapes").train.steps = 1
    assert load_recipe("shapes").train.steps > 1


def test_a_folder_or_file_that_happens_to_be_named_like_a_data_set_is_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shapes").write_text("not Python")
    assert load_recipe("shapes").data.dataset == "shapes"


@pytest.mark.parametrize("path, near", [("shape", "shapes"), ("configs/shpes.py", "shapes"), ("defualt", "default")])
def test_an_unknown_recipe_is_refused_with_the_nearest(path, near):
    message = refusal(load_recipe, path)
    assert message.startswith(f"There is no recipe {path}. Did you mean {near}? Recipes that come with the package: ")


def test_a_missing_file_in_another_folder_is_not_taken_for_a_packaged_recipe(tmp_path):
    assert refusal(load_recipe, str(tmp_path / "shapes.py")).startswith(f"There is no recipe {tmp_path / 'shapes.py'}.")


@pytest.mark.parametrize("text, reason", [
    ("def get_config(:\n", "SyntaxError"),
    ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("x = 1\n", "AttributeError"),
    ("def get_config():\n  return 1 / 0\n", "ZeroDivisionError: division by zero"),
])
def test_a_recipe_that_does_not_run_is_told(tmp_path, text, reason):
    (tmp_path / "broken.py").write_text(text)
    message = refusal(load_recipe, str(tmp_path / "broken.py"))
    assert message.startswith(f"The recipe {tmp_path / 'broken.py'} does not run: {reason}")


def test_a_recipe_must_return_a_config(tmp_path):
    (tmp_path / "wrong.py").write_text("def get_config():\n  return {}\n")
    assert refusal(load_recipe, str(tmp_path / "wrong.py")) == (
        f"get_config() of the recipe {tmp_path / 'wrong.py'} returns dict, not a Config.")
