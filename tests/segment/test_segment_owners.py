"""One folder of results for several commands: no picture's results replace another's unnoticed."""
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import photographs
from outputs import mask, messages, rows
from photographs import FakeSegmenter, named, red_and_green
from processes import contents
from redo_tf.photos.finding import Picture
from redo_tf.photos.pipeline import segment


@pytest.fixture
def years(tmp_path):
    """2023/IMG_1.png and 2024/IMG_1.png, of other sizes."""
    return [photographs.save(red_and_green(side, side, np.s_[:9]), tmp_path / year / "IMG_1.png")
            for year, side in (("2023", 20), ("2024", 30))]


def run(output, *paths, **options):
    return segment(FakeSegmenter(), named(paths), str(output), **options)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pictures_results_are_not_replaced_by_another_pictures(tmp_path, years, capsys, overwrite):
    old, new = years
    output = tmp_path / "out"
    run(output, old)
    before = mask(output, "IMG_1")
    other = photographs.save(red_and_green(30, 30, np.s_[:9]), tmp_path / "2024" / "IMG_2.png")
    assert run(output, new, other, overwrite=overwrite) == (1, 0, 1)
    error = f"would overwrite {output}/IMG_1_mask.png, the mask of {old}: choose another --output"
    assert messages(capsys.readouterr().err) == [f"{new} {error}."]
    np.testing.assert_array_equal(mask(output, "IMG_1"), before)
    assert [(row["input"], row.get("mask"), row.get("error")) for row in rows(output)] == [
        (old, "IMG_1_mask.png", None), (new, None, error), (other, "IMG_2_mask.png", None)]
    assert run(output, old) == (0, 1, 0)
    assert run(output, new, other) == (0, 1, 1)


def test_a_refused_picture_is_not_even_read(tmp_path, years):
    run(tmp_path / "out", years[0])
    segmenter = FakeSegmenter()
    segment(segmenter, named(years[1:]), str(tmp_path / "out"))
    assert segmenter.batches == []


def test_a_moved_picture_replaces_its_results_when_that_is_wanted(tmp_path, years):
    old, _ = years
    output = tmp_path / "out"
    run(output, old)
    shutil.move(tmp_path / "2023", tmp_path / "moved")
    new = str(tmp_path / "moved" / "IMG_1.png")
    assert run(output, new) == (0, 0, 1)
    assert [row["input"] for row in rows(output)] == [old, new]
    assert rows(output)[1]["error"] == (f"would overwrite {output}/IMG_1_mask.png, the mask of {old}, which is no longer "
                                        "there: add --overwrite to replace it, or choose another --output")
    assert run(output, new, overwrite=True) == (1, 0, 0)
    assert [(row["input"], row["mask"]) for row in rows(output)] == [(new, "IMG_1_mask.png")]
    assert run(output, new) == (0, 1, 0)


def test_a_picture_that_is_reached_through_a_link_is_the_same(tmp_path, years):
    old, _ = years
    output = tmp_path / "out"
    run(output, old)
    before = contents(output)
    (tmp_path / "link").symlink_to(tmp_path / "2023")
    through = str(tmp_path / "link" / "IMG_1.png")
    assert run(output, through) == (0, 1, 0)
    assert [(row["input"], row["mask"]) for row in rows(output)] == [(through, "IMG_1_mask.png")]
    assert run(output, through, overwrite=True) == (1, 0, 0)
    assert run(output, old) == (0, 1, 0)
    assert contents(output) == before


def test_a_picture_that_failed_owns_nothing(tmp_path, years):
    old, new = years
    path = tmp_path / "2023" / "IMG_1.png"
    content = path.read_bytes()
    path.write_bytes(b"")
    output = tmp_path / "out"
    assert run(output, old) == (0, 0, 1)
    assert run(output, new) == (1, 0, 0)
    path.write_bytes(content)
    assert run(output, old) == (0, 0, 1)
    assert mask(output, "IMG_1").shape == (30, 30)


def test_a_picture_that_has_another_name_by_now_leaves_its_old_one_free(tmp_path, years):
    old, new = years
    output = tmp_path / "out"
    run(output, old)
    pictures = [Picture(old, "2023/IMG_1"), Picture(new, "IMG_1")]
    assert segment(FakeSegmenter(), pictures, str(output)) == (2, 0, 0)
    assert {row["input"]: row["mask"] for row in rows(output)} == {old: "2023/IMG_1_mask.png", new: "IMG_1_mask.png"}


def test_of_a_mask_that_two_rows_name_nobody_is_the_owner(tmp_path, years, caplog):
    """As earlier versions left it."""
    old, new = years
    output = tmp_path / "out"
    run(output, old)
    row = rows(output)[0]
    (output / "index.jsonl").write_text("".join(json.dumps({**row, "input": path}) + "\n" for path in years))
    caplog.clear()
    assert run(output, new) == (1, 0, 0)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{output}/index.jsonl names the same masks for several of 2 pictures, as {old}: they count as not segmented."]
    assert mask(output, "IMG_1").shape == (30, 30)
    assert [row["input"] for row in rows(output)] == [new]
    assert run(output, old) == (0, 0, 1)


def test_a_picture_that_fails_when_done_anew_keeps_the_results_that_it_had(tmp_path, years):
    old, new = years
    output, content = tmp_path / "out", (tmp_path / "2023" / "IMG_1.png").read_bytes()
    run(output, old)
    before = mask(output, "IMG_1")
    (tmp_path / "2023" / "IMG_1.png").write_bytes(b"")
    assert run(output, old, overwrite=True) == (0, 0, 1)
    assert run(output, new) == (0, 0, 1)  # Still the first picture's.
    np.testing.assert_array_equal(mask(output, "IMG_1"), before)
    (tmp_path / "2023" / "IMG_1.png").write_bytes(content)
    assert run(output, old) == (1, 0, 0)
    assert [sorted(row) for row in rows(output) if row["input"] == old] == [
        ["height", "input", "mask", "model", "object_share", "shares", "width"]]


def test_interrupted_overwriting_takes_no_picture_s_results_away(tmp_path, years):
    old, new = years
    output = tmp_path / "out"
    run(output, old)

    def interrupt(_):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        segment(FakeSegmenter(before=interrupt), named([old]), str(output), overwrite=True)
    assert run(output, new) == (0, 0, 1)  # Still the first picture's.
    assert run(output, old) == (1, 0, 0)  # Not done anew yet.
    assert run(output, old) == (0, 1, 0)
    assert [sorted(row) for row in rows(output) if row["input"] == old] == [
        ["height", "input", "mask", "model", "object_share", "shares", "width"]]
