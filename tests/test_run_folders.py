"""Which folders a word names."""
from __future__ import annotations

import pytest

from redo_tf.run_folders import names_of, split


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


def test_runs_go_by_their_folders_names_where_these_tell_them_apart():
    assert names_of(["runs/a", "runs/b/"]) == ["a", "b"]
    assert names_of(["one/a", "two/a"]) == ["one/a", "two/a"]
