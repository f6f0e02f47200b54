"""What every command shares, mostly in this process: exit codes, and what is told of errors."""
from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from absl.testing import flagsaver

from processes import ENVIRONMENT, ROOT, run
from redo_tf import cli
from redo_tf.errors import Diverged, Interrupted, UserError
from redo_tf.files import write_whole


@pytest.mark.parametrize("error, code, message", [
    (UserError("Do this."), 2, "Do this.\n"),
    (Diverged("It did."), 1, "It did.\n"),
    (Interrupted("Stopped.", signal.SIGTERM), 143, "Stopped.\n"),
    (Interrupted("Stopped.", signal.SIGINT), 130, "Stopped.\n"),
    (KeyboardInterrupt(), 130, "Interrupted.\n"),
    (OSError(28, "No space left on device", "/runs/a"), 2,
     "No space left on device at /runs/a: make room or choose another folder.\n"),
    (PermissionError(13, "Permission denied", "/runs/a"), 2,
     "Permission denied at /runs/a: choose another folder or change its permissions.\n"),
])
def test_exit_codes(capsys, error, code, message):
    def body():
        raise error
    assert cli._exit_code(body) == code
    assert capsys.readouterr() == ("", message)


@pytest.mark.parametrize("module", ["redo_tf.train", "export.tflite"])
def test_ctrl_c_while_a_commands_imports_run_shows_no_traceback(tmp_path, module):
    (tmp_path / "tensorflow.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run([sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True,
                          env={**ENVIRONMENT, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "Interrupted.\n")


def test_outputs_that_cannot_be_written_end_with_code_2(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path, named, message in (
            ("folder", "folder", "Is a directory at {}: that is a folder; name a file in it.\n"),
            ("file/a.png", "file", "File exists at {}: a file is where a folder should be; choose another path.\n"),
            ("file/b/a.png", "file/b", "Not a directory at {}: a file is where a folder should be; choose another path.\n")):
        assert cli._exit_code(lambda: write_whole(str(tmp_path / path), b"")) == 2
        assert capsys.readouterr() == ("", message.format(tmp_path / named))
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_success_is_code_0_and_silent(capsys):
    assert cli._exit_code(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_a_process_goes_without_collecting_what_it_holds():
    """TensorFlow's graphs, cycles of thousands of objects, take half a minute."""
    body = """
import sys
from redo_tf import cli

class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        print("collected", flush=True)

def main():
    main.kept = Cycle()
    print("done")

sys.argv = ["command"]
cli.run(main)
"""
    done = run(sys.executable, "-c", body)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    without = run(sys.executable, "-c", body.replace("cli.run(main)", "main()"))
    assert without.stdout == "done\ncollected\n", without.stderr


@pytest.mark.parametrize("error", [ValueError("bug"), FileNotFoundError(2, "No such file", "/x")])
def test_our_own_mistakes_keep_their_traceback(error):
    def body():
        raise error
    with pytest.raises(type(error)):
        cli._exit_code(body)


def test_our_own_mistakes_are_no_divergence(monkeypatch, capsys):
    def main():
        raise ValueError("bug")
    monkeypatch.setattr(sys, "argv", ["redo-tf"])
    with pytest.raises(SystemExit) as left:
        cli.run(main)
    assert left.value.code == 70
    assert "ValueError: bug" in capsys.readouterr().err


def test_a_home_folder_is_found_as_shells_find_it_where_they_do_not(monkeypatch):
    monkeypatch.setenv("HOME", "/home/mia")
    with flagsaver.flagsaver():
        cli._parse_flags(["command", "--workdir=~/runs/a", "--data_dir=photos~/~"], None)
        assert (cli.WORKDIR.value, cli.DATA_DIR.value) == ("/home/mia/runs/a", "photos~/~")


@pytest.mark.parametrize("command", [["-m", "redo_tf.curves", "--help"], ["-c", "from redo_tf import cli; cli.main()"]])
def test_whoever_reads_what_is_printed_may_go_away(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "BrokenPipeError" not in done.stderr
