from __future__ import annotations

import pytest

from redo_tf import tables


def test_deviation_is_the_samples():
    # Squares of −1.5, −0.5, 0.5, 1.5 sum to 5; over 3.
    assert tables.mean_and_deviation([1, 2, 3, 4]) == {"mean": 2.5, "std": pytest.approx((5 / 3) ** 0.5)}
    assert tables.mean_and_deviation([0.25]) == {"mean": 0.25, "std": None}


def test_means_are_written_with_their_deviation_where_there_is_one():
    assert tables.plus_minus({"mean": 0.9166, "std": 0.0021}) == "0.917 ± 0.002"
    assert tables.plus_minus({"mean": 0.25, "std": None}) == "0.250"
    assert tables.plus_minus(None) == "–"


def test_columns_are_aligned():
    assert tables.markdown(["a", "long"], [["wide", 1], ["–", ""]]).splitlines() == [
        "| a    | long |",
        "|------|------|",
        "| wide | 1    |",
        "| –    |      |"]
