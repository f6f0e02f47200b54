"""The report: what it knows of a run, that its page is whole, safe and self-contained, and the command."""
from __future__ import annotations

import base64
import datetime
import html.parser
import io
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import tiny
from redo_tf.config import to_json
from redo_tf.history import best_of_last_start
from redo_tf.pictures import png
from redo_tf.reporting.charts import Line, line_chart, ticks
from redo_tf.reporting.facts import MASKS_SHOWN, gather
from redo_tf.reporting.markup import Html, element, join
from redo_tf.reporting.page import duration, page
from redo_tf.workdir import Workdir
from test_commands import redo_tf

SCORES = ("accuracy", "iou", "accuracy_per_image", "iou_per_image")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(html.parser.HTMLParser):
    """A page taken apart; fails where an end tag is not the one that is due.

    Attributes:
      elements: name, attributes and text below, in the order of their start tags.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names), (tag, attributes)
        self.elements.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2].append(data)

    def all(self, tag, **attributes):
        return [(given, "".join(text)) for name, given, text in self.elements
                if name == tag and attributes.items() <= given.items()]

    def rows(self, section):
        """Texts of every row of the tables in a section, by position between its heading and the next section's."""
        begin = next(i for i, (name, given, _) in enumerate(self.elements)
                     if name == "section" and given["id"] == section)
        rows = []
        for name, given, text in self.elements[begin + 1:]:
            if name == "section":
                break
            if name == "tr":
                rows.append([])
            elif name in ("td", "th") and rows:
                rows[-1].append(text)
        return [["".join(text) for text in row] for row in rows]


def row(step, restarts=0, iou=None, **more):
    scores = {} if iou is None else {
        "val/iou": iou, "val/accuracy": iou + 0.1,
        "val/iou_per_image": iou + 0.01, "val/accuracy_per_image": iou + 0.11}
    return {"step": step, "restarts": restarts, "seed": 3, "seconds": 10.0 * step, "images_per_second": 12.345,
            "generator/total": 1.5 / step, "train/region_sizes": [0.3, 0.7], "val/region_sizes": [0.4, 0.6], **scores,
            **more}


def write_run(folder, *assignments, rows=(), samples=()):
    """A run's small files, without any checkpoint."""
    (folder / "samples").mkdir(parents=True)
    (folder / "config.json").write_text(to_json(tiny.config(*assignments)))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    for i, step in enumerate(samples):
        (folder / "samples" / f"step_{step:07d}.png").write_bytes(png(np.full([3, 4, 3], i, np.uint8)))
    return Workdir(folder)


def known(workdir, name="run", samples=40, data_dir=None, split="val"):
    return gather(workdir, name, split, data_dir, None, samples)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    """Nothing that this machine has prepared is found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# ---------------------------------------------------------------------------------------------------- markup and charts

def test_text_is_escaped_once_and_markup_is_not():
    cell = element("td", "a<b>&\"c'", class_="x\"y", data_name="&", hidden=True, title=None)
    assert cell == '<td class="x&quot;y" data-name="&amp;" hidden>a&lt;b&gt;&amp;&quot;c&#x27;</td>'
    assert element("tr", cell, [None, 3]) == f"<tr>{cell}3</tr>"
    assert join("<", Html("<br>")) == "&lt;<br>" and element("img", src="s") == '<img src="s">'


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


@pytest.mark.parametrize("seconds, text", [
    (4.6, "5 s"), (442.2, "7 min 22 s"), (3600, "1 h 0 min 0 s"), (90061, "25 h 1 min 1 s")])
def test_durations(seconds, text):
    assert duration(seconds) == text


# ---------------------------------------------------------------------------------------------------------------- facts

def test_without_data_the_scores_are_those_of_the_best_evaluation(tmp_path):
    run = known(write_run(tmp_path / "run", rows=[row(3, iou=0.25), row(6, iou=0.123456789012345), row(9, iou=0.1)]))
    (score,) = run.scores
    assert (score.split, score.source, score.pictures) == ("val", "metrics.jsonl, step 3", None)
    assert score.values == {"iou": 0.25, "accuracy": 0.35, "iou_per_image": 0.26, "accuracy_per_image": 0.36}
    assert re.fullmatch(r"The val pictures of shapes are not prepared at 32 pixels .*", run.remark)
    assert run.masks is None and run.seconds == 90


def test_what_evaluate_wrote_is_taken_as_it_is_unless_best_changed_since(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(3, iou=0.25)])
    for split, value in (("val", 0.5), ("test", 0.625)):
        (tmp_path / "run" / f"evaluation_{split}.json").write_text(
            json.dumps({**dict.fromkeys(SCORES, value), "pictures": 7}))
    (tmp_path / "run" / "best").mkdir()
    (tmp_path / "run" / "best" / "ckpt-3.index").write_text("")
    os.utime(tmp_path / "run" / "best" / "ckpt-3.index", (1, 1))
    described = lambda: [(score.split, score.values["iou"], score.pictures, score.source)
                         for score in known(workdir).scores]
    assert described() == [("val", 0.5, 7, "evaluation_val.json"), ("test", 0.625, 7, "evaluation_test.json")]
    os.utime(tmp_path / "run" / "evaluation_test.json", (0, 0))
    os.utime(tmp_path / "run" / "evaluation_val.json", (0, 0))
    assert described() == [("val", 0.25, None, "metrics.jsonl, step 3"),
                           ("test", 0.625, 7, "evaluation_test.json, older than best/")]
    (tmp_path / "run" / "evaluation_test.json").write_text('{"accuracy": 0.')  # Cut off by a crash.
    assert [score[0] for score in described()] == ["val"]


def test_samples_are_in_the_order_of_their_steps_and_those_of_an_earlier_start_are_told(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(9), row(3, 1)], samples=[9, 3, 20, 100])
    (tmp_path / "run" / "samples" / ".step_0000004.png.x1").write_text("not finished")
    run = known(workdir)
    assert [label for label, _ in run.samples] == [
        "step 3", *(f"step {step}, of an earlier start" for step in (9, 20, 100))]
    assert [Image.open(io.BytesIO(data)).getpixel((0, 0))[0] for _, data in run.samples] == [1, 0, 2, 3]


def test_of_many_samples_some_are_chosen_evenly_with_the_first_and_the_last(tmp_path):
    workdir = write_run(tmp_path / "run", rows=[row(90)], samples=range(10, 100, 10))
    assert [label for label, _ in known(workdir, samples=3).samples] == ["step 10", "step 50", "step 90"]
    assert len(known(workdir, samples=0).samples) == len(known(workdir, samples=9).samples) == 9


def test_begin_and_machine_are_read_from_the_events(tmp_path):
    workdir = write_run(tmp_path / "run")
    (tmp_path / "run" / "tensorboard").mkdir()
    for name in ("events.out.tfevents.86400.node-1.example.org.77.0.v2", "events.out.tfevents.3600.vm.5.0.v2", "other"):
        (tmp_path / "run" / "tensorboard" / name).write_text("")
    utc = datetime.timezone.utc
    assert known(workdir).sessions == [
        (datetime.datetime(1970, 1, 1, 1, tzinfo=utc), "vm"),
        (datetime.datetime(1970, 1, 2, tzinfo=utc), "node-1.example.org")]


# ------------------------------------------------------------------------------------------------------------- the page

def check(text):
    """What holds for every page; the page taken apart."""
    found = Page(text)
    ids = [given["id"] for _, given, _ in found.elements if "id" in given]
    assert len(set(ids)) == len(ids)
    for name, given, _ in found.elements:
        for key in ("src", "href", "data", "action", "xlink:href"):
            assert given.get(key, "#").startswith(("#", "data:image/png;base64,")), (name, key)
        assert name not in ("link", "iframe", "object", "embed", "base")
        assert not [key for key in given if key.startswith("on")]
        for key in ("data-frames", "data-label", "data-table"):
            assert key not in given or given[key] in ids
        assert "href" not in given or given["href"][1:] in ids
    code = "".join(text for _, text in found.all("style") + found.all("script"))
    assert not re.search(r"url\(|@import|fetch\(|https?://", code)
    for given, _ in found.all("img"):
        Image.open(io.BytesIO(base64.b64decode(given["src"].split(",")[1]))).load()
    return found


def frames_of(text):
    """For each slider: its number of positions, and the hidden attribute of each frame."""
    found = check(text)
    frames, current = {}, None
    for name, given, _ in found.elements:
        if name == "div":
            current = given.get("id")
        elif name == "img" and current:
            frames.setdefault(current, []).append("hidden" in given)
    return [(int(given["max"]) - int(given["min"]) + 1, frames[given["data-frames"]])
            for given, _ in found.all("input", type="range")]


def test_the_slider_has_a_position_for_each_sample_and_the_last_is_shown(tmp_path):
    runs = [known(write_run(tmp_path / name, rows=[row(9)], samples=steps), name)
            for name, steps in (("a", [3, 6, 9]), ("b", [5]), ("c", []))]
    assert frames_of(page(runs, {})) == [(3, [True, True, False]), (1, [False])]
    assert "No samples yet." in page(runs, {})


def test_the_environment_of_each_run_stands_beside_the_reports(tmp_path):
    recorded = write_run(tmp_path / "a")
    (tmp_path / "a" / "environment.json").write_text(json.dumps({"Python": "3.9.1", "host": "there"}))
    text = page([known(recorded, "a"), known(write_run(tmp_path / "b"), "b")], {"Python": "3.11.2", "commit": "c"})
    assert check(text).rows("environment") == [
        ["", "a", "b", "this report"], ["Python", "3.9.1", "–", "3.11.2"], ["host", "there", "–", "–"],
        ["commit", "–", "–", "c"]]


def test_whatever_stands_in_names_is_text(tmp_path):
    evil = "<script>alert(1)</script>\"'&"
    run = known(write_run(tmp_path / "run", rows=[row(3, iou=0.2), row(3, 1, iou=0.2)], samples=[3]), evil)
    run.path, run.remark, run.config.data.mask_dir = evil, evil, evil
    text = page([run, known(write_run(tmp_path / "two"), "two")], {evil: evil})
    found = check(text)
    assert len(found.all("script")) == 1 and "alert" not in found.all("script")[0][1]
    assert found.all("h1")[0][1] == f"ReDO: {evil}, two"
    assert [evil, "–", "–", evil] in found.rows("environment")
    assert ["folder", evil, str(tmp_path / "two")] in found.rows("runs")
    assert ["data.mask_dir", evil, "None"] in found.rows("configuration")


def test_rows_of_the_configuration_that_differ_are_marked(tmp_path):
    runs = [known(write_run(tmp_path / name, *sets), name)
            for name, sets in (("a", ["seed=1"]),
                               ("b", ["seed=1", "objective.lambda_z=2.5", "model.encoder.widths=4,4,4,4"]))]
    found = check(page(runs, {}))
    assert len(found.all("tr", **{"class": "differs"})) == 2
    assert {tuple(cells) for cells in found.rows("configuration")} >= {
        ("seed", "1", "1"), ("objective.lambda_z", "5.0", "2.5"), ("model.encoder.widths", "2, 2, 2, 2", "4, 4, 4, 4")}
    assert not check(page(runs[:1], {})).all("tr", **{"class": "differs"})


def test_steps_count_on_over_restarts_and_each_is_marked(tmp_path):
    rows = [row(10, iou=0.2), row(20, iou=0.3), row(10, 1, iou=0.4), row(20, 1, iou=0.5)]
    text = page([known(write_run(tmp_path / "run", rows=rows))], {})
    found = check(text)
    titles = [title for _, title in found.all("title")]
    # IoU is drawn by both protocols; steps of the second start follow on the 20 of the first.
    assert [title for title in titles if title.startswith("one assignment")][:4] == [
        "one assignment, 10: 0.2", "one assignment, 20: 0.3", "one assignment, 30: 0.4", "one assignment, 40: 0.5"]
    figures = len(found.all("svg"))
    assert titles.count("restart 1") == figures == 5  # IoU, accuracy, sizes of both splits, one loss
    marks = {given["x1"] for given, _ in found.all("line") if given["x1"] == given["x2"]}
    assert marks == {"273.0"}  # The middle of 52…494.


def test_published_scores_stand_beside_those_of_their_data_set_alone(tmp_path):
    runs = {name: known(write_run(tmp_path / name, f"data.dataset={name}", rows=[row(3, iou=0.5)]), name)
            for name in ("lfw", "cub", "shapes")}
    published = {name: [cells[1:] for cells in check(page([run], {})).rows("scores") if "published" in cells[0]]
                 for name, run in runs.items()}
    source = "Chen et al. 2019, Table 1, five runs"
    assert published == {
        "lfw": [["test", "", "", "", "0.917 ± 0.002", "0.781 ± 0.005", source]],
        "cub": [["train", "", "", "", "0.840 ± 0.012", "0.423 ± 0.023", source],
                ["test", "", "", "", "0.845 ± 0.012", "0.426 ± 0.025", source]],
        "shapes": []}


def test_a_run_without_masks_has_a_report_without_scores(tmp_path):
    found = check(page([known(write_run(tmp_path / "run", rows=[row(3), row(6)], samples=[3]))], {}))
    assert found.rows("scores") == [] and not found.all("data")
    assert "no scores, as its validation pictures have no masks" in found.all("section", id="scores")[0][1]
    assert len(found.all("svg")) == 3  # region sizes and the loss


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    found = check(page([known(write_run(tmp_path / "run"))], {}))
    assert ["state", "not evaluated yet"] in found.rows("runs") and ["wall time of training", "–"] in found.rows("runs")
    assert "so there are no curves" in found.all("section", id="curves")[0][1]
    assert not found.all("svg") and not found.all("img")


@pytest.mark.parametrize("summary, state", [
    (None, "not finished: evaluated up to step 3 of 6"), ({"steps": 6}, "finished, 6 steps"),
    ({"steps": 5}, "not finished: evaluated up to step 3 of 6")])
def test_a_run_is_finished_when_its_summary_has_all_steps(tmp_path, summary, state):
    workdir = write_run(tmp_path / "run", rows=[row(3)])
    if summary:
        (tmp_path / "run" / "summary.json").write_text(json.dumps(summary))
    assert ["state", state] in check(page([known(workdir)], {})).rows("runs")


# ---------------------------------------------------------------------------------------------------------- the command

@pytest.fixture(scope="module")
def commands(finished_run, tmp_path_factory):
    """Folder with two copies of a run, and what an evaluation of the first and reports of both printed."""
    folder = tmp_path_factory.mktemp("reports")
    for name in ("one", "two"):
        shutil.copytree(finished_run[0], folder / name)
    data_dir = f"--data_dir={finished_run[1]}"
    return folder, redo_tf(
        ["evaluate", f"--workdir={folder / 'one'}", "--split=test", data_dir],
        ["report", f"--workdir={folder / 'one'},{folder / 'two'}", "--split=test", data_dir,
         f"--output={folder / 'r.html'}"],
        ["report", f"--workdir={folder / 'none'}"], ["report"])


def test_scores_are_those_of_evaluate_to_the_last_digit_whether_read_or_computed(commands):
    folder, results = commands
    assert [result[0] for result in results[:2]] == [0, 0], results
    assert results[1][1] == f"Report: {folder / 'r.html'}\n"
    evaluated = json.loads((folder / "one" / "evaluation_test.json").read_text())
    found = check((folder / "r.html").read_text())
    best = best_of_last_start(Workdir(folder / "one").metrics())
    val, test = [best[f"val/{name}"] for name in SCORES], [evaluated[name] for name in SCORES]
    assert [float(given["value"]) for given, _ in found.all("data")] == [*val, *test] * 2
    assert [text for _, text in found.all("data")] == [f"{value:.4f}" for value in [*val, *test] * 2]
    source = f"metrics.jsonl, step {best['step']}"
    assert [(cells[0], cells[1], cells[2], cells[-1]) for cells in found.rows("scores")[2:]] == [
        ("one", "val", "", source), ("one", "test", "4", "evaluation_test.json"),
        ("two", "val", "", source), ("two", "test", "4", "scored for this report")]
    assert not (folder / "two" / "evaluation_test.json").exists()  # A report changes no run.


def test_the_report_shows_every_sample_and_the_masks_of_each_run(commands, finished_run):
    text = (commands[0] / "r.html").read_text()
    assert frames_of(text) == [(2, [True, False])] * 2
    pictures = [base64.b64decode(given["src"].split(",")[1]) for given, _ in check(text).all("img")]
    assert len(pictures) == 2 * 2 + 2
    for pair in (pictures[:2], pictures[2:4]):
        assert pair == [(finished_run[0] / "samples" / f"step_000000{step}.png").read_bytes() for step in (3, 6)]
    for masks in pictures[4:]:
        assert Image.open(io.BytesIO(masks)).size[1] == 40 + MASKS_SHOWN * (96 + 2)


def test_mistakes_are_one_sentence(commands):
    assert [result[:2] for result in commands[1][2:]] == [[2, ""]] * 2
    assert re.fullmatch(r".*/none holds no run \(no config\.json\): .*\n", commands[1][2][2])
    assert commands[1][3][2] == "Which run? Give its folder as --workdir=…, several separated by commas.\n"


# --------------------------------------------------------------------------------------------------------- in a browser

BROWSER = next(filter(None, map(shutil.which, (
    "chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell"))), None)


class Browser:
    """Headless Chromium, spoken to by its debugging protocol over a pair of pipes."""

    def __init__(self, profile):
        (self._their_input, self._to), (self._from, self._their_output) = os.pipe(), os.pipe()
        # The protocol is spoken on descriptors 3 and 4.
        command = f'exec "$@" 3<&{self._their_input} 4>&{self._their_output}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "browser", BROWSER, "--headless", "--no-sandbox", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(self._their_input, self._their_output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(self._their_input)
        os.close(self._their_output)
        self._answers, self._count, self.session, self.events = os.fdopen(self._from, "rb"), 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()

    def call(self, method, **parameters):
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._count:
            self.events.append(answer)
        return answer["result"]

    def open(self, path):
        self.call("Page.navigate", url=f"file://{path}")
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self):
        data = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("L"))

    def _read(self):
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "The browser has ended."
            message += byte
        return json.loads(message)


@pytest.mark.skipif(not BROWSER, reason="No Chromium on the PATH.")
@pytest.mark.parametrize("scheme, lightness", [("light", (240, 255)), ("dark", (0, 40))])
def test_a_browser_shows_it_in_light_and_dark_without_a_complaint_or_a_request(commands, tmp_path, scheme, lightness):
    browser = Browser(tmp_path / "profile")
    try:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(commands[0] / "r.html")
        assert browser.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        shown = "[...document.querySelectorAll('#frames-1 img')].map(image => image.offsetHeight > 0)"
        label = "document.getElementById('frame-label-1').textContent"
        assert (browser.value(shown), browser.value(label)) == ([False, True], "step 6")
        browser.value("{ const s = document.querySelector('[data-frames=frames-1]'); s.value = 0; "
                      "s.dispatchEvent(new Event('input')); }")
        assert (browser.value(shown), browser.value(label)) == ([True, False], "step 3")
        rows = ("[...document.querySelectorAll('#configuration-table tbody tr')]"
                ".filter(row => row.offsetHeight > 0).length")
        assert browser.value(rows) > 30
        browser.value("document.querySelector('[data-table]').click()")
        assert browser.value(rows) == 0  # Both are copies of one run.
        picture = browser.screenshot()
        assert lightness[0] <= np.median(picture) <= lightness[1] and picture.std() > 3
        complaints = [event for event in browser.events if event["method"] in (
            "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
        assert complaints == []
        requests = [event["params"]["request"]["url"] for event in browser.events
                    if event["method"] == "Network.requestWillBeSent"]
        assert {url.split(":")[0] for url in requests} == {"file", "data"}
        assert len([url for url in requests if url.startswith("file:")]) == 1
    finally:
        browser.close()
