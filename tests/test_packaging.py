"""What is installed, and what is said where it cannot run."""
from __future__ import annotations

import pathlib
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DATA = {".tsv", ".tflite", ".json"}  # What the packages read beside their modules.


def test_a_wheel_holds_every_module_and_what_they_read(tmp_path):
    subprocess.run([sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path], cwd=ROOT, check=True)
    wanted = {path.relative_to(ROOT) for package in ("redo_tf", "export", "configs") for path in (ROOT / package).rglob("*")
              if path.suffix in DATA | {".py"}}
    assert {pathlib.Path(name) for name in ("configs/lfw_cpu.py", "redo_tf/pretrained/lfw.tflite")} < wanted
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == wanted


@pytest.mark.parametrize("file", ["setup.py", "redo_tf/__init__.py"])
@pytest.mark.parametrize("version", [(3, 8, 20), (3, 12, 0)])
def test_another_python_is_told_in_one_sentence(monkeypatch, capsys, file, version):
    monkeypatch.setattr(sys, "version_info", (*version, "final", 0))
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / file))
    assert caught.value.code == 2
    assert capsys.readouterr().err == (f"ReDO-TF needs Python 3.9, 3.10 or 3.11, which TensorFlow 2.15 is built for; this is "
                                       f"Python {version[0]}.{version[1]}.\n")
