"""An empty cache for every test here, and the commands run once for all."""
from __future__ import annotations

import shutil

import pytest

from processes import redo_tf


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    """Nothing that this machine has prepared is found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def commands(finished_run, tmp_path_factory):
    """Folder with two copies of a run, and what an evaluation of the first and reports of both printed."""
    folder = tmp_path_factory.mktemp("reports")
    for name in ("one", "two"):
        shutil.copytree(finished_run[0], folder / name)
    (folder / "with,comma").mkdir()
    data_dir = f"--data_dir={finished_run[1]}"
    return folder, redo_tf(
        ["evaluate", f"--workdir={folder / 'one'}", "--split=test", data_dir],
        ["report", f"--workdir={folder / 'one'},{folder / 'two'}", "--split=test", data_dir,
         f"--output={folder / 'r.html'}"],
        ["report", f"--workdir={folder / 'none'},"], ["report", f"--workdir={folder / 'with,comma'}"], ["report"])
