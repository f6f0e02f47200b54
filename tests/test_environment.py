from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from redo_tf import environment

ONE_DNN = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asked for on these processors only")
@pytest.mark.parametrize("wish, used", [(None, "True"), ("1", "True"), ("0", "False")])
def test_onednn_unless_its_user_says_no(wish, used):
    """Whatever the make of the processor."""
    chosen = {name: value for name, value in os.environ.items() if name != ONE_DNN}
    if wish:
        chosen[ONE_DNN] = wish
    code = ("import redo_tf, tensorflow; from tensorflow.python.util import _pywrap_util_port as port; "
            "print(port.IsMklEnabled())")
    done = subprocess.run([sys.executable, "-c", code], env=chosen, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == used


def test_git_revision_is_of_the_checkout_that_tracks_the_package_and_tells_changes(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert environment.git_revision(str(package)) is None
    git("init")
    git("commit", "--allow-empty", "-m", "another project's")
    assert environment.git_revision(str(package)) is None
    git("add", "package")
    git("commit", "-m", "the package")
    commit = git("rev-parse", "HEAD")
    assert environment.git_revision(str(package)) == commit and len(commit) == 40
    (package / "__init__.py").write_text("changed = True")
    assert environment.git_revision(str(package)) == commit + "-dirty"


def test_cores_are_those_that_the_process_is_held_to(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3}, raising=False)
    assert environment.usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # As on macOS.
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert environment.usable_cores() == 5


def test_what_a_run_records():
    described = environment.describe()
    assert {"Python", "tensorflow", "git commit", "host", "processor", "GPUs"} <= set(described)
    assert all(isinstance(value, str) for value in described.values())
