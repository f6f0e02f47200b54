"""What --help tells."""
from __future__ import annotations

import ast
import importlib.util
import pathlib
import re
import sys

from processes import redo_tf, run
from redo_tf import cli

SHARED, RECIPE, TRAINED = {"data_dir", "mask_dir", "workdir"}, {"dataset", "config", "set"}, {"model", "dataset"}


def flags_in(text):
    return set(re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE))


def test_help_lists_every_flag_and_ends_with_code_0():
    results = redo_tf([], ["help"], ["--help"], ["train", "--seed", "--helpfull"],
                      *([name, "--help"] for name in cli.COMMANDS))
    assert [(code, errors) for code, _, errors in results] == [(0, "")] * len(results)
    for _, output, _ in results[:3]:
        assert [line.split()[0] for line in output.splitlines() if " python -m " in line] == list(cli.COMMANDS)
    helps = dict(zip(cli.COMMANDS, (output for _, output, _ in results[4:])))
    for name, text in helps.items():
        source = pathlib.Path(importlib.util.find_spec(cli.COMMANDS[name]).origin).read_text(encoding="utf-8")
        own = set(re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', source))
        assert text.splitlines()[0] == ast.get_docstring(ast.parse(source)).splitlines()[0], name
        assert own and flags_in(text) - own in (SHARED, SHARED | RECIPE, SHARED | TRAINED) and own <= flags_in(text), name
    assert flags_in(helps["train"]) == flags_in(results[3][1]) == {"restart", *SHARED, *RECIPE}
    assert flags_in(helps["evaluate"]) == {"split", "batch_size", "model", "dataset", *SHARED}
    assert "Trains ReDO" in helps["train"] and "Scores a run's mask network, or an exported model" in helps["evaluate"]


def test_help_of_a_module_is_the_same():
    done = run(sys.executable, "-m", "redo_tf.train", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert flags_in(done.stdout) == {"restart", *SHARED, *RECIPE}
