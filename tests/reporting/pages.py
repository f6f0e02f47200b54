"""What the tests of reports share: runs to report on, and pages taken apart."""
from __future__ import annotations

import base64
import html.parser
import io
import json
import re

import numpy as np
from PIL import Image

import tiny
from redo_tf.config import to_json
from redo_tf.pictures import png
from redo_tf.reporting.facts import gather
from redo_tf.workdir import Workdir

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
    return gather(workdir, name, split, data_dir, samples)
