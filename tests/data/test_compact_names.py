"""Facts about many strings in little memory."""
from __future__ import annotations

import tracemalloc

import pytest

from redo_tf.data.compact_names import Names

WORDS = ["a", "", "Straße", "写真/صورة.png", "a"]


def test_it_is_the_list_that_it_was_made_from():
    names = Names(iter(WORDS))
    assert len(names) == 5 and list(names) == WORDS and names == WORDS and names == Names(WORDS)
    assert [names[i] for i in range(-5, 5)] == WORDS + WORDS
    assert names[1:4] == WORDS[1:4] and names[::-2] == WORDS[::-2]
    assert "Straße" in names and names.index("写真/صورة.png") == 3
    assert names != WORDS[1:] and names != "a"
    assert list(Names([])) == []


@pytest.mark.parametrize("index", [5, -6])
def test_there_is_nothing_beyond_its_ends(index):
    with pytest.raises(IndexError):
        Names(WORDS)[index]


def test_it_takes_little_memory():
    tracemalloc.start()
    names = Names(f"Person_Name/Person_Name_{number:06d}" for number in range(10_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(names) == 10_000 and held < 45 * 10_000  # 30 characters and 8 bytes each; a list of them takes 87.
