"""Commands in processes of their own, as a person starts them."""
from __future__ import annotations

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Without the variable that importing redo_tf set here: commands must silence TensorFlow by themselves.
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
               "PYTHONPATH": ROOT, "CUDA_VISIBLE_DEVICES": ""}
# Several commands in one process: what they import is imported once, then each runs in a fork.
FORKS = """
import gc, json, os, sys, tempfile
import redo_tf.evaluation, redo_tf.trainer
from redo_tf import cli
gc.freeze()  # Or else every fork collects all that was imported before it goes: about a second each.
results = []
for arguments in json.loads(sys.argv[1]):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(sys.argv[2].encode())
    files[0].seek(0)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.argv = ["redo-tf"] + arguments
        cli.main()
        sys.exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode())
    results.append([code] + texts)
print(json.dumps(results))
"""


def run(*command, cwd=ROOT):
    """A finished process: `returncode`, `stdout`, `stderr`."""
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)


def redo_tf(*commands, cwd=ROOT, stdin=""):
    """[exit code, stdout, stderr] of each `redo-tf` command, a list of arguments; each reads the same text."""
    done = run(sys.executable, "-c", FORKS, json.dumps(commands), stdin, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
