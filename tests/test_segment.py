"""Segmenting many pictures: what is written, in which batches, after interruptions, in what memory; and the command."""
from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import photographs
import tiny
from photographs import FakeSegmenter, named, red_and_green
from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints
from redo_tf.errors import UserError
from redo_tf.decoding import MOST_PIXELS
from redo_tf.photos.pipeline import Outcome, exit_code, segment
from redo_tf.step import to_model_range
from redo_tf.workdir import Workdir

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, TESTS]), "CUDA_VISIBLE_DEVICES": ""}


def rows(output):
    return [json.loads(line) for line in (output / "index.jsonl").read_text().splitlines()]


def mask(output, name):
    with Image.open(output / f"{name}_mask.png") as image:
        return np.asarray(image)


def messages(errors):
    """Lines on stderr but for the progress bar's."""
    return [line for line in errors.splitlines() if line.strip() and not line.startswith("Segmenting: ")]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path):
    """Twelve pictures of four sizes: green, the object, is another part of each."""
    sizes = [(40, 40), (40, 60), (60, 40), (100, 100)]
    return named([photographs.save(red_and_green(*sizes[i % 4], np.s_[:, :3 * i]), tmp_path / "in" / f"p{i:02}.png")
                  for i in range(12)])


# ------------------------------------------------------------------------------------------------------ what is written

def test_masks_have_the_pictures_size_and_lie_on_its_objects(tmp_path):
    sizes = [(1, 1), (2, 1), (3, 2000), (2000, 3), (50, 37), (250, 250), (481, 640)]
    pictures, expected = [], {}
    for height, width in sizes:
        name = f"{height}x{width}"
        objects = np.zeros([height, width], bool)
        objects[height // 3:, width // 2:] = True
        expected[name] = objects
        pictures.append(photographs.save(red_and_green(height, width, objects), tmp_path / "in" / f"{name}.png"))
    outcome = segment(FakeSegmenter(), named(pictures), str(tmp_path / "out"))
    assert outcome == (len(sizes), 0, 0)
    for row in rows(tmp_path / "out"):
        name = row["mask"][:-len("_mask.png")]
        labels, objects = mask(tmp_path / "out", name), expected[name]
        assert labels.shape == objects.shape == (row["height"], row["width"])
        assert row["input"] == str(tmp_path / "in" / f"{name}.png")
        assert row["shares"] == pytest.approx([(labels == 0).mean(), (labels == 1).mean()], abs=1e-6)
        assert row["object_share"] == pytest.approx((labels == 1).mean(), abs=1e-6)
        # Along the two edges, a pixel of the network's 32 on either side; 4 times that for what is squeezed.
        near = np.ones_like(objects)
        rows_near, columns_near = (max(1, round(side / 32)) for side in objects.shape)
        near[:max(0, objects.shape[0] // 3 - rows_near)] = False
        near[objects.shape[0] // 3 + rows_near:, :max(0, objects.shape[1] // 2 - columns_near)] = False
        near[objects.shape[0] // 3 + rows_near:, objects.shape[1] // 2 + columns_near:] = False
        np.testing.assert_array_equal((labels == 1)[~near], objects[~near])
        assert near.mean() < 0.2 or min(objects.shape) < 40


def test_three_regions(tmp_path):
    picture = np.zeros([64, 96, 3], np.uint8)
    for k in range(3):
        picture[:, 32 * k:32 * (k + 1), k] = 255
    segment(FakeSegmenter(3), named([photographs.save(picture, tmp_path / "a.png")]), str(tmp_path / "out"))
    np.testing.assert_array_equal(mask(tmp_path / "out", "a"), np.arange(3).repeat(32)[None].repeat(64, axis=0))
    assert rows(tmp_path / "out")[0]["shares"] == [0.333333] * 3
    assert rows(tmp_path / "out")[0]["object_share"] == 0.666667


def test_only_the_files_that_were_asked_for_are_written(tmp_path, photos):
    segment(FakeSegmenter(), photos[:1], str(tmp_path / "one"))
    assert set(map(str, contents(tmp_path / "one"))) == {"p00_mask.png", "index.jsonl", ".redo_lock"}
    segment(FakeSegmenter(), photos[:1], str(tmp_path / "all"), ("mask", "overlay", "probabilities"))
    assert set(map(str, contents(tmp_path / "all"))) == {
        "p00_mask.png", "p00_overlay.png", "p00_probabilities.png", "index.jsonl", ".redo_lock"}
    row = rows(tmp_path / "all")[0]
    assert [row[kind] for kind in ("mask", "overlay", "probabilities")] == [
        "p00_mask.png", "p00_overlay.png", "p00_probabilities.png"]


def test_exif_orientation_turns_the_mask_too(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    picture = photographs.save(red_and_green(64, 128, np.s_[:, :32]), tmp_path / "a.jpg", exif=exif, quality=95)
    segment(FakeSegmenter(), named([picture]), str(tmp_path / "out"))
    np.testing.assert_array_equal(mask(tmp_path / "out", "a"), (np.arange(128)[:, None] < 32).repeat(64, axis=1))


# -------------------------------------------------------------------------------------------------------------- batches

def test_the_network_sees_pictures_of_one_size_together(tmp_path, photos):
    segmenter = FakeSegmenter()
    segment(segmenter, photos, str(tmp_path / "out"), batch_size=4)
    # Of 40×40 and 100×100 there are six in all, of each of the others three.
    assert sorted(segmenter.batches) == [(2, 32, 32, 3), (3, 32, 48, 3), (3, 48, 32, 3), (4, 32, 32, 3)]


def test_a_pictures_results_are_the_same_in_every_batch_and_with_any_number_of_threads(tmp_path, photos):
    kinds = ("mask", "overlay", "probabilities")
    results = []
    for batch_size, workers in ((1, 1), (4, 3), (64, 8)):
        output = tmp_path / f"out{batch_size}"
        segment(FakeSegmenter(), photos, str(output), kinds, batch_size, workers)
        results.append(contents(output))
    assert len(results[0]) == 3 * 12 + 2
    assert results[0] == results[1] == results[2]


def test_pictures_of_many_sizes_do_not_pile_up(tmp_path):
    """Those that wait for others of their size are taken all the same, long before the last picture is decoded."""
    pictures = [photographs.save(red_and_green(32, 32 + 4 * i, np.s_[:, :9]), tmp_path / "in" / f"{i:02}.png")
                for i in range(24)]
    sizes, seen = set(), []
    segmenter = FakeSegmenter(before=lambda images: seen.append(len(sizes)))
    fitted_size = segmenter.fitted_size
    def noting(height, width):
        sizes.add((height, width))
        return fitted_size(height, width)
    segmenter.fitted_size = noting
    assert segment(segmenter, named(pictures), str(tmp_path / "out"), batch_size=2, workers=1).segmented == 24
    assert {count for count, *_ in segmenter.batches} == {1}
    # Four batches of two may wait, and two batches more are decoded ahead.
    assert 8 <= seen[0] <= 12 and len(sizes) == 24


# ------------------------------------------------------------------------------------------------------------- failures

def test_bad_pictures_are_reported_in_a_line_each_and_the_others_segmented(tmp_path, photos, capsys):
    folder = tmp_path / "in"
    content = (folder / "p03.png").read_bytes()
    (folder / "cut.png").write_bytes(content[:len(content) // 2])
    (folder / "text.jpg").write_text("This is a text.")
    (folder / "empty.jpg").touch()
    (folder / "dangling.jpg").symlink_to("nothing")
    (folder / "two\nlines.jpg").touch()
    names = "cut.png", "text.jpg", "empty.jpg", "dangling.jpg", "two\nlines.jpg", "missing.jpg"
    bad = [folder / name for name in names]
    pictures = [picture for pair in zip(named(bad), photos) for picture in pair]
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (6, 0, 6)
    errors = messages(capsys.readouterr().err)
    assert len(errors) == 6
    for path in bad:
        told = str(path).replace("\n", " ")
        assert sum(bool(re.fullmatch(rf"{re.escape(told)} \S.*\.", line)) for line in errors) == 1, errors
    by_input = {row["input"]: row for row in rows(tmp_path / "out")}
    assert len(by_input) == 12
    assert {path for path, row in by_input.items() if "error" in row} == set(map(str, bad))
    assert all("mask" not in row for row in by_input.values() if "error" in row)
    assert by_input[str(folder / "empty.jpg")]["error"] == "is empty"
    assert sum(path.name.endswith("_mask.png") for path in contents(tmp_path / "out")) == 6


def test_a_picture_whose_files_cannot_be_written_is_reported(tmp_path, photos):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p01_mask.png").write_text("A person's own.")
    assert segment(FakeSegmenter(), photos[:3], str(tmp_path / "out")) == (2, 0, 1)
    assert (tmp_path / "out" / "p01_mask.png").read_text() == "A person's own."
    assert ["error" in row for row in rows(tmp_path / "out")] == [False, True, False]


def test_a_failed_picture_is_tried_again(tmp_path, photos):
    path = tmp_path / "in" / "p00.png"
    content = path.read_bytes()
    path.write_bytes(b"")
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (11, 0, 1)
    path.write_bytes(content)
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert ["error" in row for row in rows(tmp_path / "out")] == [False] * 12


def test_a_full_disk_ends_the_whole(tmp_path, photos, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("redo_tf.photos.drawing._save", full)
    with pytest.raises(OSError, match="No space left"):
        segment(FakeSegmenter(), photos, str(tmp_path / "out"))


def test_too_large_a_batch_is_a_persons_mistake(tmp_path, photos):
    def before(images):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
    with pytest.raises(UserError, match="^6 pictures at a time do not fit into memory: lower --batch_size"):
        segment(FakeSegmenter(before=before), photos[::4] + photos[3::4], str(tmp_path / "out"), batch_size=6)


def test_an_output_that_is_a_file_or_in_use(tmp_path, photos):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--output=.*/file is a file: name a folder"):
        segment(FakeSegmenter(), photos, str(tmp_path / "file"))
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".redo_lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is segmenting into .*/out: wait for it, or .*"):
            segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")).segmented == 12


# -------------------------------------------------------------------------------------------------------- interruptions

def interrupted(output, photos, batches, **options):
    """Raises KeyboardInterrupt, as Ctrl-C does, before this batch, from 0."""
    def before(images):
        if len(segmenter.batches) == batches:
            raise KeyboardInterrupt
    segmenter = FakeSegmenter(before=before)
    with pytest.raises(KeyboardInterrupt):
        segment(segmenter, photos, str(output), batch_size=1, workers=1, **options)


def test_after_an_interruption_nothing_is_missing_and_nothing_done_twice(tmp_path, photos):
    whole, output = tmp_path / "whole", tmp_path / "out"
    segment(FakeSegmenter(), photos, str(whole))
    interrupted(output, photos, 6)
    for path in output.glob("*.png"):
        assert path.read_bytes() == (whole / path.name).read_bytes()
    listed = {row["mask"] for row in rows(output)}
    assert listed and all((output / name).exists() for name in listed)
    before = {name: os.stat(output / name).st_mtime_ns for name in listed}
    segmenter = FakeSegmenter()
    outcome = segment(segmenter, photos, str(output))
    assert outcome == (12 - len(listed), len(listed), 0)
    assert sum(shape[0] for shape in segmenter.batches) == 12 - len(listed)
    assert {name: os.stat(output / name).st_mtime_ns for name in listed} == before
    assert contents(output) == contents(whole)


def test_a_second_time_nothing_is_done_unless_it_is_wanted(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    segmenter = FakeSegmenter()
    assert segment(segmenter, photos, str(tmp_path / "out")) == (0, 12, 0)
    assert segmenter.batches == []
    assert contents(tmp_path / "out") == before
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out"), overwrite=True) == (12, 0, 0)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("damage", [
    lambda output: (output / "p03_mask.png").unlink(),
    lambda output: (output / "p03_mask.png").write_bytes((output / "p03_mask.png").read_bytes()[:-5]),
    lambda output: (output / "p03_mask.png").write_bytes(b""),
    lambda output: (output / "index.jsonl").write_text(re.sub(r".*p03.*\n", "", (output / "index.jsonl").read_text())),
])
def test_a_picture_whose_results_are_not_whole_is_done_again(tmp_path, photos, damage):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    damage(tmp_path / "out")
    assert contents(tmp_path / "out") != before
    if (tmp_path / "out" / "p03_mask.png").exists() and not (tmp_path / "out" / "p03_mask.png").read_bytes():
        (tmp_path / "out" / "p03_mask.png").unlink()
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert contents(tmp_path / "out") == before


def test_an_index_that_ends_in_the_middle_of_a_line_is_mended(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    before = contents(tmp_path / "out")
    index = tmp_path / "out" / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-40])
    assert segment(FakeSegmenter(), photos, str(tmp_path / "out")) == (1, 11, 0)
    assert contents(tmp_path / "out") == before


def test_another_model_or_more_files_leave_nothing_done(tmp_path, photos):
    segment(FakeSegmenter(), photos, str(tmp_path / "out"))
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out")) == (12, 0, 0)
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out"), ("mask", "overlay")) == (12, 0, 0)
    assert segment(FakeSegmenter(path="other"), photos, str(tmp_path / "out")) == (0, 12, 0)


def test_the_index_keeps_other_pictures_and_is_in_the_order_of_their_paths(tmp_path, photos):
    segment(FakeSegmenter(), photos[6:], str(tmp_path / "out"))
    segment(FakeSegmenter(), photos[:8][::-1], str(tmp_path / "out"))
    assert [row["input"] for row in rows(tmp_path / "out")] == [picture.path for picture in photos]


def test_names_in_any_script_and_of_any_bytes_stand_in_the_index(tmp_path):
    names = ["日本 語", "Ωμέγα", "صورة", "🙂", " a  b ", os.fsdecode(b"\xff\xfe")]
    picture = photographs.save(red_and_green(8, 8, np.s_[:]), tmp_path / "a.png")
    for name in names:
        os.link(picture, tmp_path / f"{name}.png")
    pictures = named([tmp_path / f"{name}.png" for name in names])
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (6, 0, 0)
    assert {row["mask"] for row in rows(tmp_path / "out")} == {f"{name}_mask.png" for name in names}
    assert all((tmp_path / "out" / row["mask"]).exists() for row in rows(tmp_path / "out"))
    assert "日本 語" in (tmp_path / "out" / "index.jsonl").read_text()
    assert segment(FakeSegmenter(), pictures, str(tmp_path / "out")) == (0, 6, 0)


KILLED = """
import sys, time
from photographs import FakeSegmenter, named
from redo_tf.decoding import MOST_PIXELS
from redo_tf.photos.pipeline import Outcome, exit_code, segment
segmenter = FakeSegmenter(before=lambda images: time.sleep(0.01))
segment(segmenter, named(sys.argv[2:]), sys.argv[1], ("mask", "overlay"), 1, 4)
"""


def test_a_process_that_is_killed_leaves_whole_files_and_is_continued(tmp_path):
    whole, output = tmp_path / "whole", tmp_path / "out"
    pictures = [photographs.save(red_and_green(300, 300, np.s_[:, :i]), tmp_path / "in" / f"{i:03}.png")
                for i in range(100)]
    segment(FakeSegmenter(), named(pictures), str(whole), ("mask", "overlay"))
    output.mkdir()
    (output / "index.jsonl").touch()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(output), *pictures], env=ENVIRONMENT,
                               stderr=subprocess.DEVNULL)
    while process.poll() is None and (output / "index.jsonl").read_bytes().count(b"\n") < 20:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    names = {path.name for path in output.iterdir() if path.suffix == ".png"}
    assert all((output / name).read_bytes() == (whole / name).read_bytes() for name in names)
    listed = [json.loads(line)["mask"] for line in (output / "index.jsonl").read_bytes().split(b"\n")[:-1]]
    assert 20 <= len(listed) == len(set(listed)) and set(listed) <= names
    assert sum(name.endswith("_mask.png") for name in names) <= len(listed) + 12  # Little is lost.
    outcome = segment(FakeSegmenter(), named(pictures), str(output), ("mask", "overlay"))
    assert outcome == (100 - len(listed), len(listed), 0)
    assert contents(output) == contents(whole)


# --------------------------------------------------------------------------------------------------------------- memory

MEMORY = """
import json, os, sys
from photographs import FakeSegmenter, named
from redo_tf import decoding
from redo_tf.decoding import MOST_PIXELS
from redo_tf.photos.pipeline import Outcome, exit_code, segment
peaks = []
for case, (most_pixels, paths) in enumerate(json.loads(sys.argv[2])):
    child = os.fork()
    if child == 0:
        decoding.MOST_PIXELS = most_pixels
        outcome = segment(FakeSegmenter(), named(paths), os.path.join(sys.argv[1], str(case)), workers=6)
        os._exit(outcome.failed)
    _, status, usage = os.wait4(child, 0)
    assert status == 0, status
    peaks.append(usage.ru_maxrss / 1024)
print(json.dumps(peaks))
"""


def test_large_pictures_take_bounded_memory(tmp_path):
    small = photographs.save(red_and_green(100, 100, np.s_[:50]), tmp_path / "small.png")
    large = Image.fromarray(red_and_green(8000, 8000, np.s_[:5000]))
    large.save(tmp_path / "large.jpg")
    large.save(tmp_path / "large.png", compress_level=1)
    many = [photographs.save(red_and_green(4000, 4000, np.s_[:50]), tmp_path / "many0.png")]
    for i in range(1, 6):
        many.append(str(tmp_path / f"many{i}.png"))
        os.link(many[0], many[i])
    cases = [(MOST_PIXELS, [small]), (MOST_PIXELS, [str(tmp_path / "large.jpg")]),
             (MOST_PIXELS, [str(tmp_path / "large.png")]), (2 * 4000 * 4000, many)]
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "out"), json.dumps(cases)], env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    small, jpeg, png, many = json.loads(done.stdout)
    pixels = 8000 * 8000 / 2**20  # Bytes a pixel → MiB.
    # A JPEG is reduced while it is decoded; its labels take one byte a pixel, and one more as a picture.
    assert jpeg - small < 3 * pixels
    # Four bytes a pixel, decoded; labels only afterwards. A float array of the masks would take eight more.
    assert png - small < 6 * pixels
    # Two at a time, of four bytes a pixel: 122 MiB, and strips for each thread; all six at a time would be 366.
    assert many - small < 260
    for case in "12":
        labels = mask(tmp_path / "out" / case, "large")
        assert labels.shape == (8000, 8000)
        assert labels[:4800].all() and not labels[5200:].any()


# ---------------------------------------------------------------------------------------------------------- the command

@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose best mask network has weights as they begin, with the regions in reverse order."""
    tf.keras.utils.set_random_seed(0)
    workdir, config = Workdir(str(tmp_path_factory.mktemp("runs") / "run")), tiny.config()
    workdir.claim(config, restart=False)
    network = build_mask_network(config.model)
    network(tf.zeros([1, 32, 32, 3]))
    Checkpoints(workdir.file("best"), 1, mask_network=network).save(3)
    workdir.append_metrics({"step": 3, "restarts": 0, "val/order": [1, 0]})
    return workdir.path, network


COMMANDS = """
import json, os, sys, tempfile
from redo_tf import cli, segment
results = []
for folder, standard_input, arguments in json.loads(sys.argv[1]):
    files = [tempfile.TemporaryFile() for _ in range(3)]
    files[0].write(standard_input.encode())
    files[0].seek(0)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        os.chdir(folder)
        sys.argv = ["redo-tf", "segment"] + arguments
        cli.main()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = []
    for file in files[1:]:
        file.seek(0)
        texts.append(file.read().decode())
    results.append([code] + texts)
print(json.dumps(results))
"""


def redo_tf_segment(*commands):
    """[exit code, stdout, stderr] of each `redo-tf segment`: (working folder, standard input, flags).

    What they import is imported once, then each runs in a fork."""
    done = subprocess.run([sys.executable, "-c", COMMANDS, json.dumps(commands)], env=ENVIRONMENT, capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_end_to_end(run, tmp_path):
    path, network = run
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, [32, width, 3], dtype=np.uint8)
                for name, width in (("a b", 32), ("x/ü", 48))}
    for name, picture in pictures.items():
        photographs.save(picture, tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "x" / "bad.jpg").write_text("text")
    folder = (str(tmp_path), "", [f"--model={path}", "--input=in", "--output=in/out", "--overlay", "--probabilities"])
    listing = "\n".join(["in/a b.png", *(f"missing{i}.png" for i in range(3))])
    listed = (str(tmp_path), listing, [f"--model={path}", "--input=-", "--output=listed"])
    (code, output, errors), again, of_list = redo_tf_segment(folder, folder, listed)

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
    results = redo_tf_segment(*((str(tmp_path), "", arguments) for arguments, _ in expected))
    for (arguments, sentence), (code, text, errors) in zip(expected, results):
        assert (code, text) == (2, ""), (arguments, errors)
        assert re.fullmatch(sentence + "\n", errors), (arguments, errors)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("failed, code", [(1, 1), (125, 125), (126, 125), (4000, 125)])
def test_the_exit_code_is_no_larger_than_shells_leave_free(failed, code):
    assert exit_code(Outcome(segmented=3, skipped=2, failed=failed)) == code
