"""Line charts as inline SVG: no library, colours from the page's style, values as tooltips."""
from __future__ import annotations

import dataclasses
import math
from typing import List, Optional, Sequence, Tuple

from redo_tf.reporting.markup import Html, element, join

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 26, 10, 40  # Margins around the plotted area.
COLOURS, DASHES = 6, 4  # How many the style has.


@dataclasses.dataclass
class Line:
    """A named curve.

    Attributes:
      label: for the legend.
      pieces: points (x, y) that are connected; a gap between two pieces. Points that are not finite are left out.
      colour, dash: which of the style's.
    """
    label: str
    pieces: Sequence[Sequence[Tuple[float, float]]]
    colour: int = 0
    dash: int = 0

    def __post_init__(self):
        self.pieces = [[point for point in piece if math.isfinite(point[1])] for piece in self.pieces]

    @property
    def points(self) -> List[Tuple[float, float]]:
        return [point for piece in self.pieces for point in piece]


@dataclasses.dataclass
class Mark:
    """A vertical line with a text."""
    x: float
    label: str
    colour: int = 0


def ticks(low: float, high: float, count: int = 5) -> List[float]:
    """At most count + 2 multiples of 1, 2 or 5 times a power of ten that enclose low…high."""
    span = (high - low) / count or abs(high) / count or 1.0
    power = 10.0 ** math.floor(math.log10(span))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def line_chart(title: str, lines: Sequence[Line], marks: Sequence[Mark] = (), x_label: str = "step",
               y_range: Optional[Tuple[float, float]] = None) -> Html:
    """A figure with title, legend of several lines, and chart; the y axis fits the lines where no range is given."""
    points = [point for line in lines for point in line.points]
    if not points:
        return element("figure", element("figcaption", title), element("p", "No values."), class_="chart")
    y_ticks = ticks(*(y_range or (min(y for _, y in points), max(y for _, y in points))))
    x_ticks = ticks(0, max(x for x, _ in points))
    right, low, high = max(x for x, _ in points) or 1, y_ticks[0], y_ticks[-1]
    place_x = lambda x: round(LEFT + x / right * (WIDTH - LEFT - RIGHT), 2)
    place_y = lambda y: round(HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 2)

    drawn = []
    for y in y_ticks:
        drawn += [element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=place_y(y), y2=place_y(y), class_="gridline"),
                  element("text", f"{y:.6g}", x=LEFT - 6, y=place_y(y) + 4, text_anchor="end")]
    drawn += [element("text", f"{x:,.6g}", x=place_x(x), y=HEIGHT - BOTTOM + 16, text_anchor="middle")
              for x in x_ticks if x <= right]
    drawn.append(element("text", x_label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle"))
    for mark in marks:
        x = place_x(mark.x)
        drawn.append(element("g", element("title", mark.label), element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM),
                             element("text", mark.label, x=x + 4, y=TOP + 12),
                             class_=f"mark c{mark.colour % COLOURS}"))
    for line in lines:
        style = f"c{line.colour % COLOURS} d{line.dash % DASHES}"
        for piece in line.pieces:
            placed = " ".join(f"{place_x(x)},{place_y(y)}" for x, y in piece)
            drawn.append(element("polyline", points=placed, class_=f"line {style}"))
            lone = " lone" if len(piece) == 1 else ""
            drawn += [element("circle", element("title", f"{line.label}, {x:,g}: {y:.6g}"), r=4, cx=place_x(x),
                              cy=place_y(y), class_=f"point {style}{lone}") for x, y in piece]
    legend = [element("li", element("span", class_=f"key c{line.colour % COLOURS} d{line.dash % DASHES}"), line.label)
              for line in lines]
    return element(
        "figure", element("figcaption", title), element("ul", legend, class_="legend") if len(lines) > 1 else None,
        element("svg", join(drawn), viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title), class_="chart")
