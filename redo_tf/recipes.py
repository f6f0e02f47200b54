"""Recipes: Python files whose `get_config()` gives a configuration."""
from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Dict, Iterator, List

from redo_tf.config import Config, nearest
from redo_tf.errors import UserError

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "configs")


def _module(name: str, path: str) -> ModuleType:
    """A Python file as a new module of this name, not run yet."""
    return importlib.util.module_from_spec(importlib.util.spec_from_file_location(name, path))


@contextlib.contextmanager
def _own_configs() -> Iterator[None]:
    """Recipes import one another as `configs.NAME`: while one runs, that is the folder which comes with the package. Another
    package of that name may be there, as `python -m` looks into the current folder first."""
    def of_that_name() -> Dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "configs"}

    others = of_that_name()
    sys.modules["configs"] = _module("configs", os.path.join(FOLDER, "__init__.py"))
    try:
        yield
    finally:
        of_that_name()
        sys.modules.update(others)


def recipe_names() -> List[str]:
    """The recipes that come with the package, without `.py`."""
    return sorted(name[:-3] for name in os.listdir(FOLDER) if name.endswith(".py") and name != "__init__.py")


def load_recipe(path: str) -> Config:
    """Runs `get_config()` of a recipe file.

    `path` is a file, or the name of a recipe that comes with the package (`lfw_cpu`, also as configs/lfw_cpu.py).

    Raises:
      UserError: neither exists (names the nearest), or the file cannot be run or has no get_config.
    """
    file = path
    if not (path.endswith(".py") and os.path.isfile(path)):
        folder, name = os.path.split(path)
        name = name[:-3] if name.endswith(".py") else name
        file = os.path.join(FOLDER, name + ".py")
        if name not in recipe_names() or folder not in ("", "configs"):
            raise UserError(f"There is no recipe {path}.{nearest(name, recipe_names())} "
                            f"Recipes that come with the package: {', '.join(recipe_names())}.")
    recipe = _module("recipe", file)
    try:
        with _own_configs():
            recipe.__spec__.loader.exec_module(recipe)
            config = recipe.get_config()
    except Exception as error:  # A person's own Python may fail in any way.
        raise UserError(f"The recipe {file} does not run: {type(error).__name__}: {error}") from error
    if not isinstance(config, Config):
        raise UserError(f"get_config() of the recipe {file} returns {type(config).__name__}, not a Config.")
    return config
