"""Charts: their ticks, points and gaps."""
from __future__ import annotations

import numpy as np
import pytest

from pages import Page
from redo_tf.reporting.charts import Line, line_chart, ticks


@pytest.mark.parametrize("low, high, expected", [
    (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 4500, [0, 1000, 2000, 3000, 4000, 5000]),
    (0.84, 0.9, [0.84, 0.86, 0.88, 0.9]), (-0.3, 0.3, [-0.4, -0.2, 0, 0.2, 0.4]), (0, 0, [0, 1]), (5, 5, [5, 6])])
def test_ticks_are_round_and_enclose_the_values(low, high, expected):
    np.testing.assert_allclose(ticks(low, high), expected, atol=1e-12)


def test_a_chart_places_points_in_proportion_and_leaves_gaps():
    text = line_chart("Loss", [Line("a", [[(0, 0.0), (50, float("nan")), (100, 1.0)], [(200, 0.5)]])], y_range=(0, 1))
    found = Page(text)
    # The plotted area is 52…494 wide and 220…10 high.
    assert [given["points"] for given, _ in found.all("polyline")] == ["52.0,220.0 273.0,10.0", "494.0,115.0"]
    assert [title for _, title in found.all("title")] == ["a, 0: 0", "a, 100: 1", "a, 200: 0.5"]
    assert ["lone" in given["class"] for given, _ in found.all("circle")] == [False, False, True]


def test_a_chart_without_values_says_so():
    assert "No values." in line_chart("Loss", [Line("a", [[(1, float("nan"))]])])
