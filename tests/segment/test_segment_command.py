"""The command: from a run's checkpoint to files, and mistakes."""
from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import photographs
import tiny
from outputs import mask, messages, rows
from photographs import red_and_green
from processes import contents, redo_tf
from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints
from redo_tf.pixels import to_model_range
from redo_tf.workdir import Workdir


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose best mask network has weights as they begin, with the regions in reverse order."""
    tf.keras.utils.set_random_seed(0)
    workdir, config = Workdir(str(tmp_path_factory.mktemp("runs") / "run")), tiny.config()
    with workdir.claim(config, restart=False):
        pass
    network = build_mask_network(config.model)
    Checkpoints(workdir.file("best"), 1, mask_network=network).save(3)
    workdir.append_metrics({"step": 3, "restarts": 0, "val/order": [1, 0]})
    return workdir.path, network


def test_the_command_end_to_end(run, tmp_path):
    path, network = run
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, [32, width, 3], dtype=np.uint8)
                for name, width in (("a b", 32), ("x/ü", 48))}
    for name, picture in pictures.items():
        photographs.save(picture, tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "x" / "bad.jpg").write_text("text")
    folder = ["segment", f"--model={path}", "--input=in", "--output=in/out", "--overlay", "--probabilities"]
    listing = "\n".join(["in/a b.png", *(f"missing{i}.png" for i in range(3))])
    listed = ["segment", f"--model={path}", "--input=-", "--output=listed"]
    alone = ["segment", f"--model={path}", "--input=in/x/bad.jpg", "--output=alone"]
    (tmp_path / "link.png").symlink_to("nothing")
    link = ["segment", f"--model={path}", "--input=link.png", "--output=alone"]
    (code, output, errors), again, of_list, of_one, of_link = redo_tf(
        folder, folder, listed, alone, link, cwd=tmp_path, stdin=listing)

    assert code == 1, errors
    assert re.fullmatch(r"Segmented 2 pictures in .* s \(.* a second\): in/out/index\.jsonl\n", output)
    lines = messages(errors)
    assert len(lines) == 2, errors
    assert re.fullmatch(r".*/in/x/bad\.jpg is not a picture in one of the formats .*\.", lines[0])
    assert lines[1] == "1 of 3 pictures failed; in/out/index.jsonl says why."
    assert {str(path) for path in contents(tmp_path / "in" / "out")} == {
        ".redo_lock", "index.jsonl", *(f"{name}_{kind}.png" for name in pictures
                                       for kind in ("mask", "overlay", "probabilities"))}
    for name, picture in pictures.items():
        probabilities = network(to_model_range(picture[None])).numpy()[0, ..., 0]  # Region 1 is the background.
        grey = np.asarray(Image.open(tmp_path / "in" / "out" / f"{name}_probabilities.png"))
        np.testing.assert_allclose(grey, 255 * probabilities, atol=0.6)
        decided = np.abs(probabilities - 0.5) > 1e-4
        np.testing.assert_array_equal(mask(tmp_path / "in" / "out", name)[decided], (probabilities > 0.5)[decided])

    # The results lie in the input folder, and are no pictures to segment.
    assert again[0] == 1 and again[1].startswith("Segmented 0 pictures in ")
    assert "2 of 3 pictures are done already; --overwrite does them anew." in again[2]

    # A single picture that cannot be read is a mistake in the command.
    assert of_one[:2] == [2, ""] and messages(of_one[2]) == lines[:1]
    assert of_link[:2] == [2, ""] and messages(of_link[2]) == [f"{tmp_path}/link.png is a link to nothing."]

    # The exit code says how many failed.
    assert of_list[0] == 3 and of_list[2].endswith("\n3 of 4 pictures failed; listed/index.jsonl says why.\n")
    assert mask(tmp_path / "listed", "a b").shape == (32, 32)
    assert sorted(row.get("error", "") for row in rows(tmp_path / "listed")) == [""] + ["is not there"] * 3


def test_mistakes_end_with_code_2_and_one_sentence_and_write_nothing(run, tmp_path):
    path, _ = run
    picture = photographs.save(red_and_green(20, 20, np.s_[:9]), tmp_path / "a.png")
    (tmp_path / "file").touch()
    model, source, output = f"--model={path}", f"--input={picture}", f"--output={tmp_path / 'out'}"
    expected = [
        ([source, output], r"--model=… is missing \(--help lists the flags\.\)"),
        ([model, f"--input={tmp_path / 'none'}", output], r"There is nothing at --input=.*/none: .*"),
        ([f"--model={tmp_path / 'none'}", source, output], r"There is no model at .*/none: .*"),
        ([model, source, f"--output={tmp_path / 'file' / 'out'}"], r"Not a directory at .*/file/out: .*"),
    ]
    before = contents(tmp_path)
    results = redo_tf(*(["segment", *arguments] for arguments, _ in expected), cwd=tmp_path)
    for (arguments, sentence), (code, text, errors) in zip(expected, results):
        assert (code, text) == (2, ""), (arguments, errors)
        assert re.fullmatch(sentence + "\n", errors), (arguments, errors)
    assert contents(tmp_path) == before
