"""Which folders a word names."""
from __future__ import annotations

import pytest

from redo_tf.run_folders import split


@pytest.mark.parametrize("text, folders", [
    ("a", ["a"]), ("a,b", ["a", "b"]), ("a, b ", ["a", "b"]), ("a,", ["a"]), (",a,,b", ["a", "b"]), (",", []), ("", [])])
def test_folders_are_separated_by_commas(tmp_path, monkeypatch, text, folders):
    monkeypatch.chdir(tmp_path)
    assert split(text) == folders


def test_a_folder_that_is_there_may_have_commas_in_its_path(tmp_path):
    path = tmp_path / "lr=1,seed=2" / "run"
    assert split(f"{path}") == [f"{tmp_path}/lr=1", "seed=2/run"]
    path.mkdir(parents=True)
    assert split(f"{path}") == [f"{path}"]
