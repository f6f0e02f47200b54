"""The picture of runs' curves."""
from __future__ import annotations

import io
import json

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from redo_tf import curves
from redo_tf.errors import UserError


def rows(*scored: bool):
    """An evaluation for each, with or without masks."""
    return [{"restarts": 0, "step": 500 * i, "val/region_sizes": [0.7, 0.3], **({"val/iou": 0.5} if score else {})}
            for i, score in enumerate(scored, start=1)]


@pytest.mark.filterwarnings("error:No artists")
@pytest.mark.parametrize("scored", [(True, True), (False, False), (True, False), (False, True)])
def test_runs_with_and_without_true_masks_are_drawn_also_where_these_come_and_go(scored):
    picture = np.asarray(Image.open(io.BytesIO(curves.plot({"a": rows(*scored)}))).convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).any(axis=1)  # Rows with the first colour.
    half = len(blue) // 2
    assert blue[half:].any() and blue[:half].any() == any(scored)


def test_as_many_runs_as_there_are_have_a_line_each(monkeypatch):
    """More than matplotlib has colours."""
    from matplotlib import axes
    drawn = []
    plot = axes.Axes.plot
    monkeypatch.setattr(axes.Axes, "plot", lambda *args, **options: drawn.append(options.get("label")) or plot(*args, **options))
    names = [f"run {k}" for k in range(12)]
    curves.plot({name: rows(True, True) for name in names})
    assert [label for label in drawn if label] == [name for name in names for _ in range(2)]


def test_runs_are_separated_by_commas_which_a_folder_may_have_in_its_name(tmp_path, monkeypatch):
    for name in ("a", "b", "c,d"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(True)))
    drawn = []
    curves.FLAGS.mark_as_parsed()
    monkeypatch.setattr(curves, "plot", lambda runs: drawn.append(list(runs)) or b"")
    for given in (f"{tmp_path / 'a'},{tmp_path / 'b'}", str(tmp_path / "c,d")):
        with flagsaver.flagsaver(runs=given, output=str(tmp_path / "curves.png")):
            curves.main()
    assert drawn == [["a", "b"], ["c,d"]]
    with flagsaver.flagsaver(runs=" , "), pytest.raises(UserError, match="^Which runs?"):
        curves.main()
