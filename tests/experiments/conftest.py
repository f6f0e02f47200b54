"""One real training, which the tests of several commands start from."""
from __future__ import annotations

import sys

import pytest
from absl import flags
from absl.testing import flagsaver

import tiny
from processes import run


@pytest.fixture(scope="session")
def command(data_dir):
    """Runs `python -m redo_tf.experiments.NAME FLAGS…` with tiny networks on few pictures; its finished process."""
    return lambda name, *arguments: run(
        sys.executable, "-m", f"redo_tf.experiments.{name}", "--dataset=shapes", "--config=default",
        f"--data_dir={data_dir}", *(f"--set={setting}" for setting in tiny.SETTINGS), *arguments)


@pytest.fixture(scope="session")
def table1(command, tmp_path_factory):
    """The folder of a Table 1 of one run, and its finished process."""
    folder = tmp_path_factory.mktemp("table1")
    return folder, command("table1", "--seeds=1", f"--workdir={folder}")


@pytest.fixture
def parse():
    """Sets flags, until the test is over, as if this process had been started with these arguments."""
    with flagsaver.flagsaver():
        yield lambda *arguments: flags.FLAGS(["test", *arguments])
