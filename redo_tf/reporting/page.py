"""The report's page: one HTML file that needs nothing else, from facts about one or several runs."""
from __future__ import annotations

import datetime
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from redo_tf import history
from redo_tf.config import flatten
from redo_tf.metrics import SCORES
from redo_tf.published import TABLE_1
from redo_tf.reporting.assets import SCRIPT, STYLE
from redo_tf.reporting.charts import Line, Mark, line_chart
from redo_tf.reporting.facts import Run
from redo_tf.reporting.markup import Html, element, join, png_image

# Nothing is fetched: not even what somebody might smuggle into a name.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(runs: Sequence[Run], environment: Dict[str, str]) -> str:
    """The whole file.

    Args:
      runs: compared where there are several.
      environment: name → value, of the process that makes the report.
    """
    sections = (("runs", "Runs" if len(runs) > 1 else "Run", _runs(runs)), ("scores", "Scores", _scores(runs)),
                ("curves", "Curves", _curves(runs)), ("samples", "Samples", _samples(runs)),
                ("masks", "Best and worst masks", _masks(runs)),
                ("configuration", "Configuration", _configuration(runs)),
                ("environment", "Environment", _environment(runs, environment)))
    title = "ReDO: " + ", ".join(run.name for run in runs)
    made = datetime.datetime.now(datetime.timezone.utc)
    head = element(
        "head", element("meta", charset="utf-8"), element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"), element("title", title),
        element("style", Html(STYLE)))
    body = element(
        "body", element("h1", title), element("p", f"Report of {made:%Y-%m-%d %H:%M} UTC", class_="faint"),
        element("nav", [element("a", name, href=f"#{key}") for key, name, _ in sections]),
        [element("section", element("h2", name), content, id=key) for key, name, content in sections],
        element("script", Html(SCRIPT)))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


# ------------------------------------------------------------------------------------------------------------- sections

def _runs(runs: Sequence[Run]) -> Html:
    facts: List[Tuple[str, Callable[[Run], object]]] = [
        ("folder", lambda run: run.path),
        ("data set", lambda run: "{0}, {1}×{1}".format(run.config.data.dataset, run.config.data.image_size)),
        ("state", _state),
        ("best evaluation", lambda run: f"step {run.best['step']:,}" if run.best else None),
        ("restarts", lambda run: run.rows[-1]["restarts"] if run.rows else None),
        ("seed", lambda run: run.rows[-1]["seed"] if run.rows else run.config.seed),
        ("wall time of training", lambda run: None if run.seconds is None else duration(run.seconds)),
        ("images per second", lambda run: f"{run.rows[-1]['images_per_second']:.1f}" if run.rows else None),
        ("machine", lambda run: ", ".join(sorted({host for _, host in run.sessions})) or None),
        ("begun or continued (UTC)",
         lambda run: ", ".join(f"{begin:%Y-%m-%d %H:%M}" for begin, _ in run.sessions) or None),
    ]
    return _columns([(name, [fact(run) for run in runs]) for name, fact in facts], runs)


def _state(run: Run) -> str:
    steps = run.config.train.steps
    if run.summary and run.summary.get("steps", 0) >= steps:
        return f"finished, {steps:,} steps"
    if not run.rows:
        return "not evaluated yet"
    return f"not finished: evaluated up to step {run.rows[-1]['step']:,} of {steps:,}"


def _scores(runs: Sequence[Run]) -> Html:
    rows = [element(
        "tr", _cells(run.name, score.split), element("td", score.pictures, class_="number"),
        [element("td", _number(score.values[key]), class_="number") for key in SCORES], element("td", score.source))
        for run in runs for score in run.scores]
    paragraphs = [element("p", f"{run.name}: {_why_no_scores(run)}", class_="faint")
                  for run in runs if not run.scores]
    if not rows:
        return join(paragraphs)
    for dataset in sorted({run.config.data.dataset for run in runs if run.scores}):
        for split, published in TABLE_1.get(dataset, {}).items():
            rows.append(element(
                "tr", _cells(f"published for {dataset}, 128×128", split), element("td"), element("td"), element("td"),
                [element("td", "{:.3f} ± {:.3f}".format(*published[key]), class_="number")
                 for key in ("accuracy", "iou")],
                element("td", "Chen et al. 2019, Table 1, five runs"), class_="published"))
    head = element(
        "thead",
        element("tr", [element("th", name, rowspan=2) for name in ("run", "split", "pictures")],
                element("th", "one assignment for the set", colspan=2),
                element("th", "best assignment for each picture", colspan=2), element("th", "source", rowspan=2)),
        element("tr", [element("th", name, class_="number") for name in ("accuracy", "IoU") * 2]))
    return join(
        element("p", "Regions are unordered, so scores take the best assignment of regions to labels, by both protocols "
                     "of the field; published numbers follow the second. Tooltips have every digit.",
                class_="faint"),
        element("div", element("table", head, element("tbody", rows)), class_="wide"), paragraphs)


def _why_no_scores(run: Run) -> str:
    if not run.rows:
        return "not evaluated yet, so there are no scores."
    return "no scores, as its validation pictures have no masks." + (f" {run.remark}" if run.remark else "")


def _curves(runs: Sequence[Run]) -> Html:
    rows = [row for run in runs for row in run.rows]
    if not rows:
        return element("p", "Not evaluated yet, so there are no curves.", class_="faint")
    names = list(dict.fromkeys(name for row in rows for name in row))
    protocols = ("one assignment", ""), ("best for each picture", "_per_image")
    charts = [line_chart(f"{title}, validation", _lines(runs, [
        (label, _value(f"val/{name}{suffix}")) for label, suffix in protocols]), _restart_marks(runs), y_range=(0, 1))
        for title, name in (("IoU", "iou"), ("Accuracy", "accuracy")) if f"val/{name}" in names]
    regions = range(max(run.config.model.regions for run in runs))
    charts += [line_chart(f"Region sizes, {title}", _lines(runs, [
        (f"region {k}", _value(f"{split}/region_sizes", k)) for k in regions]), _restart_marks(runs), y_range=(0, 1))
        for title, split in (("validation", "val"), ("training", "train"))]
    charts += [line_chart(name.replace("/", ": ").replace("_", " ").capitalize(), _lines(runs, [(name, _value(name))]),
                          _restart_marks(runs)) for name in names if name.startswith(("generator/", "discriminator/"))]
    remark = element("p", "Steps count on over restarts; a dashed upright marks each.", class_="faint") if any(
        run.rows and run.rows[-1]["restarts"] for run in runs) else None
    return join(remark, element("div", charts, class_="columns"))


def _samples(runs: Sequence[Run]) -> Html:
    shown = [element("div", element("h3", run.name) if len(runs) > 1 else None, _slides(run, i))
             for i, run in enumerate(runs)]
    return join(element("p", "Validation pictures: input, true mask if there is one, inferred mask, and the picture "
                             "with each region redrawn.", class_="faint"), element("div", shown, class_="columns"))


def _slides(run: Run, number: int) -> Html:
    """The sample grids, one at a time, the last first."""
    if not run.samples:
        return element("p", "No samples yet.", class_="faint")
    last = len(run.samples) - 1
    slider = element("input", type="range", min=0, max=last, value=last, aria_label=f"samples of {run.name}",
                     data_frames=f"frames-{number}", data_label=f"frame-label-{number}")
    return join(
        element("div", slider, element("output", run.samples[last][0], id=f"frame-label-{number}"), class_="slider"),
        element("div", [png_image(png, label, hidden=k != last) for k, (label, png) in enumerate(run.samples)],
                id=f"frames-{number}", class_="frames"))


def _masks(runs: Sequence[Run]) -> Html:
    parts = []
    for run in runs:
        parts.append(element("h3", run.name) if len(runs) > 1 else None)
        if run.masks:
            split, png = run.masks
            parts += [element("p", f"Of the {split} pictures, with one assignment for all.", class_="faint"),
                      element("div", png_image(png, f"best, random and worst masks of {run.name}, {split}"),
                              class_="masks")]
        else:
            parts.append(element("p", run.remark, class_="faint"))
    return join(parts)


def _configuration(runs: Sequence[Run]) -> Html:
    flat = [flatten(run.config) for run in runs]
    rows = [(name, [_literal(fields[name]) for fields in flat]) for name in flat[0]]
    if len(runs) == 1:
        return _columns(rows, runs)
    box = element("label", element("input", type="checkbox", data_table="configuration-table"), " only what differs")
    return join(element("p", box), _columns(rows, runs, highlight=True, id="configuration-table"))


def _environment(runs: Sequence[Run], environment: Dict[str, str]) -> Html:
    columns = [*(run.environment for run in runs), environment]
    head = element("tr", element("th"), [element("th", run.name) for run in runs], element("th", "this report"))
    rows = [element("tr", element("th", name, scope="row"), _cells(*(column.get(name, "–") for column in columns)))
            for name in dict.fromkeys(name for column in columns for name in column)]
    return element("div", element("table", element("thead", head), element("tbody", rows)), class_="wide")


# --------------------------------------------------------------------------------------------------------------- pieces

def _columns(rows: Sequence[Tuple[str, Sequence[Optional[object]]]], runs: Sequence[Run], highlight: bool = False,
             **attributes) -> Html:
    """A table with a column for each run; `highlight` marks the rows whose values differ."""
    def row(name, values):
        kind = None if not highlight else "same" if len(set(values)) == 1 else "differs"
        shown = ("–" if value is None else value for value in values)
        return element("tr", element("th", name, scope="row"), _cells(*shown), class_=kind)

    names = element("thead", element("tr", element("th"), [element("th", run.name) for run in runs]))
    head = names if len(runs) > 1 else None
    table = element("table", head, element("tbody", [row(*each) for each in rows]), **attributes)
    return element("div", table, class_="wide")


def _cells(*contents: object) -> List[Html]:
    return [element("td", content) for content in contents]


def _number(value: float) -> Html:
    return element("data", f"{value:.4f}", value=repr(value), title=repr(value))


def _literal(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _value(name: str, index: Optional[int] = None) -> Callable[[Dict], float]:
    """Reads a number from a row of metrics; NaN where the row has none."""
    def read(row):
        value = row.get(name)
        if index is not None:
            value = value[index] if value and index < len(value) else None
        return float("nan") if value is None else value
    return read


def _starts(run: Run) -> List[Tuple[int, List[Dict]]]:
    """Of each start: the steps of all starts before it, as far as they were evaluated, and its rows."""
    starts, offset = [], 0
    for rows in history.starts(run.rows):
        starts.append((offset, rows))
        offset += rows[-1]["step"]
    return starts


def _lines(runs: Sequence[Run], series: Sequence[Tuple[str, Callable[[Dict], float]]]) -> List[Line]:
    """A line for each run and series. One run has a colour for each series; several have a colour each, and dashes."""
    lines = []
    for i, run in enumerate(runs):
        for k, (label, read) in enumerate(series):
            name = label if len(runs) == 1 else run.name if len(series) == 1 else f"{run.name}, {label}"
            pieces = [[(offset + row["step"], read(row)) for row in rows] for offset, rows in _starts(run)]
            line = Line(name, pieces, colour=k if len(runs) == 1 else i, dash=k)
            lines += [line] if line.points else []
    return lines


def _restart_marks(runs: Sequence[Run]) -> List[Mark]:
    return [Mark(offset, f"restart {rows[0]['restarts']}" + (f" of {run.name}" if len(runs) > 1 else ""), i)
            for i, run in enumerate(runs) for offset, rows in _starts(run) if rows[0]["restarts"]]


def duration(seconds: float) -> str:
    """As a person would say it, to the second."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{seconds} s"]
    return " ".join(parts)
