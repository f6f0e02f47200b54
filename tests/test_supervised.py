"""Training with true masks: who may be seen where, what is learned, when it stops, and the command."""
from __future__ import annotations

import io
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver
from PIL import Image

import prepared
import tiny
from redo_tf import data, supervised
from redo_tf.errors import Diverged, UserError
from redo_tf.evaluation import compile_segmenter
from redo_tf.experiments import runs
from redo_tf.segmenter import load_mask_network
from redo_tf.workdir import Workdir

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REAL_LISTS = pathlib.Path(os.environ.get("REDO_TF_DATA", ""), "lfw", "splits")


# --------------------------------------------------------------------------------------------------------- the pictures

def people_named(prefix, count):
    """Names of LFW: person p has 1 + p % 4 pictures."""
    return [f"{prefix}_Van_{p}_{number + 1:04d}" for p in range(count) for number in range(1 + p % 4)]


MADE_UP = {"train": people_named("Ann", 50), "val": people_named("Bob", 120), "test": people_named("Cat", 60)}


def seen(names, parts):
    """Part → people on its pictures."""
    return {part: {re.sub(r"_\d{4}$", "", names[split][row]) for row in rows} for part, (split, rows) in parts.items()}


def assert_disjoint(people):
    for one, other in itertools.combinations(people.values(), 2):
        assert one and other and not one & other


@pytest.mark.parametrize("names", [
    MADE_UP,
    pytest.param("real", marks=pytest.mark.skipif(not REAL_LISTS.is_dir(), reason="REDO_TF_DATA has no lfw/splits"))])
@pytest.mark.parametrize("test_has_masks", [True, False])
def test_of_lfw_nobody_is_learned_from_and_stopped_by_or_scored_on(names, test_has_masks):
    if names == "real":
        names = {split: [line.split()[1] for line in (REAL_LISTS / f"{split}.txt").read_text().splitlines()]
                 for split in ("train", "val", "test")}
    labelled = {"train": [], "val": list(range(len(names["val"]))),
                "test": list(range(len(names["test"]))) if test_has_masks else []}
    parts = supervised.divide("lfw", names, labelled)
    assert_disjoint(seen(names, parts))
    assert {part: split for part, (split, _) in parts.items()} == {
        "training": "val", "stopping": "val", "scoring": "test" if test_has_masks else "val"}
    # Every labelled picture has its part: three quarters of val, or half of it, are to learn from.
    of_val = [row for split, rows in parts.values() if split == "val" for row in rows]
    assert sorted(of_val) == labelled["val"]
    if test_has_masks:
        assert parts["scoring"][1] == labelled["test"]
    assert len(parts["training"][1]) / len(of_val) == pytest.approx(0.75 if test_has_masks else 0.5, abs=0.12)
    assert parts == supervised.divide("lfw", names, labelled)


def test_people_who_are_in_both_lists_are_scored_on_only():
    names = {**MADE_UP, "val": MADE_UP["val"] + ["Cat_Van_1_0009", "Cat_Van_2_0009"]}
    labelled = {split: list(range(len(names[split]))) if split != "train" else [] for split in names}
    parts = supervised.divide("lfw", names, labelled)
    assert_disjoint(seen(names, parts))
    assert len(parts["training"][1]) + len(parts["stopping"][1]) == len(MADE_UP["val"])


def test_where_every_split_has_masks_each_has_its_part_and_pictures_without_a_mask_none():
    names = {split: ["0", "1", "2", "3"] for split in ("train", "val", "test")}  # The same names are other pictures.
    parts = supervised.divide("shapes", names, {"train": [0, 2, 3], "val": [1, 2], "test": [3]})
    assert parts == {"training": ("train", [0, 2, 3]), "stopping": ("val", [1, 2]), "scoring": ("test", [3])}


@pytest.mark.parametrize("val, sentence", [
    ([], "No picture of lfw's val split has a mask"), ([0], "too few for some to be")])
def test_too_few_masks_are_told(val, sentence):
    with pytest.raises(UserError, match=sentence):
        supervised.divide("lfw", MADE_UP, {"train": [], "val": val, "test": []})


def test_rows_with_a_mask():
    masks = np.full([3, 2, 2], 255, np.uint8)
    masks[1, 0, 0] = 0
    assert supervised.labelled_rows(data.Split(np.zeros([3, 2, 2, 3], np.uint8), masks, ["a", "b", "c"])) == [1]
    assert supervised.labelled_rows(data.Split(np.zeros([3, 2, 2, 3], np.uint8), None, ["a", "b", "c"])) == []


def test_fewer_are_a_subset_of_more_and_seeds_differ():
    rows = list(range(100, 160))
    few, many = supervised.draw(rows, 5, seed=1), supervised.draw(rows, 20, seed=1)
    assert few == many[:5] and len(set(many)) == 20 and set(many) <= set(rows)
    assert set(many) != set(supervised.draw(rows, 20, seed=2))


def numbered(count):
    """Pictures that show their number on the left and 0 on the right, in image and mask."""
    images, masks = np.zeros([count, 4, 4, 3], np.uint8), np.zeros([count, 4, 4], np.uint8)
    images[:, :, 0] = masks[:, :, 0, None] = np.arange(count, dtype=np.uint8)[:, None, None]
    masks[:, :, 0] = np.arange(count)[:, None]
    return data.Split(images, masks, [str(i) for i in range(count)])


def test_every_epoch_shows_every_picture_once_with_its_mask():
    stream = supervised.batches(numbered(6), 4, seed=5, flip=False)
    shown = []
    for images, masks in itertools.islice(stream, 6):  # Four epochs.
        assert images.shape == (4, 4, 4, 3) and np.array_equal(images[..., 0], masks)
        shown.extend(masks[:, 0, 0].tolist())
    epochs = [shown[i:i + 6] for i in range(0, 24, 6)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2, 3, 4, 5]] * 4
    assert len(set(map(tuple, epochs))) > 1


def test_mirrored_pictures_have_mirrored_masks_and_a_seed_fixes_everything():
    first, second = (
        list(itertools.islice(supervised.batches(numbered(6), 8, seed=5, flip=True), 20)) for _ in range(2))
    for (images, masks), (again, _) in zip(first, second):
        assert len(images) == 6  # No more than there are.
        assert np.array_equal(images[..., 0], masks) and np.array_equal(images, again)
    mirrored = np.concatenate([masks[:, 0, 3] > 0 for _, masks in first])
    assert 0.3 < mirrored.mean() < 0.6  # Half of those five in six that do not show 0.


# --------------------------------------------------------------------------------------------------------- the training

def test_cross_entropy_is_the_mean_over_labelled_pixels():
    masks = tf.constant([[[[0.25, 0.75], [0.5, 0.5]], [[0.9, 0.1], [0.3, 0.7]]]])
    labels = tf.constant([[[0, 1], [255, 1]]], tf.uint8)
    expected = -(np.log(0.25) + np.log(0.5) + np.log(0.7)) / 3
    assert float(supervised.cross_entropy(masks, labels)) == pytest.approx(expected, rel=1e-5)
    assert float(supervised.cross_entropy(masks, tf.fill([1, 2, 2], tf.constant(255, tf.uint8)))) == 0


def train(seed=0, **settings):
    val = tiny.pictures("val")
    return supervised.train(
        tiny.config(), supervised.Settings(**settings), tiny.pictures("train"), val, val, seed)


@pytest.fixture
def toy(monkeypatch):
    """f is one convolution."""
    monkeypatch.setattr(supervised, "build_mask_network", lambda config: tiny.ToyMaskNetwork(config.regions))


def test_the_mask_network_learns_from_masks():
    untrained = train(learning_rate=0.0, max_steps=1)
    trained = train(learning_rate=1e-2, max_steps=60, evaluate_every=20)
    assert trained["labels"] == 16 and trained["best_step"] in (20, 40, 60)
    assert trained["scoring"]["iou"] > untrained["scoring"]["iou"] + 0.1


def test_a_seed_fixes_the_result_whatever_was_trained_before(toy):
    options = dict(learning_rate=1e-2, max_steps=12, evaluate_every=4)
    first = train(seed=1, **options)
    other = train(seed=2, **options)
    assert train(seed=1, **options) == first != other


def test_training_stops_when_the_iou_no_longer_rises(toy):
    # Nothing is learned at rate 0: the first evaluation is the best, and three more without a better one follow.
    result = train(learning_rate=0.0, max_steps=100, evaluate_every=2, patience=3)
    assert (result["best_step"], result["steps"]) == (2, 8)


def test_the_best_weights_are_scored_not_the_last(toy, monkeypatch):
    asked, networks = [], []
    monkeypatch.setattr(supervised, "compile_segmenter", lambda network, size: networks.append(network))

    def score(segment, config, pictures):
        asked.append(networks[0].get_weights())
        return {"iou": [0.2, 0.7, 0.6, 0.5, 0.0][len(asked) - 1]}
    monkeypatch.setattr(runs, "score", score)
    result = train(learning_rate=1e-2, max_steps=7, evaluate_every=2)  # The last step is evaluated too.
    assert result["best_step"] == 4 and result["stopping"] == {"iou": 0.7}
    assert all(map(np.array_equal, asked[4], asked[1])) and not np.array_equal(asked[4][0], asked[3][0])


def test_divergence_is_told(toy):
    with pytest.raises(Diverged, match="cross-entropy became nan at step .* lower --learning_rate"):
        train(learning_rate=1e38, max_steps=10, evaluate_every=5)


# ---------------------------------------------------------------------------------------------------------- the command

@pytest.mark.parametrize("words", [[], ["5", "x"], ["0"], ["-1"], ["2.5"], [""]])
def test_numbers_that_are_none(words):
    with pytest.raises(UserError, match="is no list of positive whole numbers"):
        supervised.numbers_of_labels(words)


def test_numbers_are_sorted_and_unique():
    assert supervised.numbers_of_labels(["20", " 5", "20"]) == [5, 20]


def test_the_mean_and_deviation_of_each_number():
    def result(labels, accuracy):
        return {"labels": labels, "scoring": dict.fromkeys(runs.SCORES, accuracy)}
    summary = supervised.summarize([result(20, .5), result(5, .1), result(5, .4)])
    assert list(summary) == [5, 20]
    assert summary[5]["iou"] == pytest.approx({"mean": .25, "std": .3 / 2 ** .5})
    assert summary[20]["accuracy_per_image"] == {"mean": .5, "std": None}


def test_a_folder_belongs_to_its_settings(tmp_path):
    folder, settings = Workdir(str(tmp_path)), supervised.Settings()
    supervised.claim(folder, tiny.config(), settings)
    supervised.claim(folder, tiny.config("seed=5", "objective.lambda_z=1", "train.steps=99"), settings)
    with pytest.raises(UserError, match="model.gain is 0.8 there and 0.5 here.*another --workdir"):
        supervised.claim(folder, tiny.config("model.gain=0.5"), settings)
    with pytest.raises(UserError, match="patience is 10 there and 4 here"):
        supervised.claim(folder, tiny.config(), supervised.Settings(patience=4))
    with pytest.raises(UserError, match="settings.json is not a folder"):
        supervised.claim(Workdir(folder.file("settings.json")), tiny.config(), settings)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    prepared.shapes_at_32_pixels(folder)
    return folder


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """The folder of an unsupervised run."""
    with monkeypatch.context() as patch:
        tiny.use_pictures(patch)
        trainer = tiny.trainer(tmp_path / "unsupervised")
        tiny.FakeStep(trainer)
        trainer.run()
    return tmp_path / "unsupervised"


def test_the_command_draws_the_curve_and_trains_nothing_twice(data_dir, reference, tmp_path, capsys):
    arguments = ["--dataset=shapes", "--config=default", f"--data_dir={data_dir}", f"--workdir={tmp_path}/figure",
                 *(f"--set={setting}" for setting in tiny.SETTINGS), "--seeds=1", "--max_steps=4", "--evaluate_every=2",
                 f"--reference={reference}"]
    done = subprocess.run(
        [sys.executable, "-m", "redo_tf.supervised", *arguments, "--labels=8,2"], cwd=ROOT, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": ROOT, "CUDA_VISIBLE_DEVICES": ""}, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Pictures with masks: 32 of train for training, 8 of val for stopping, 5 of test for scoring." in done.stderr
    picture = Image.open(io.BytesIO((tmp_path / "figure" / "supervised.png").read_bytes()))
    assert picture.size == (1000, 420) and len(picture.getcolors(10**6)) > 20
    first = json.loads((tmp_path / "figure" / "supervised.json").read_text())
    assert [(result["labels"], result["seed"]) for result in first["results"]] == [(2, 0), (8, 0)]

    network, row = load_mask_network(Workdir(str(reference)))
    test = data.load("shapes", "test", data_dir=data_dir, image_size=32)
    level = runs.score(compile_segmenter(network, 32), tiny.config(), test)
    assert first["reference"]["step"] == row["step"] and first["reference"]["scoring"] == pytest.approx(level, abs=1e-6)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[1].strip() for row in rows] == ["true masks", "2", "8", "none (unsupervised)"]
    assert rows[3][3].strip() == f"{level['iou']:.3f}"

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "figure" / "trained").iterdir()}
    with flagsaver.flagsaver():
        flags.FLAGS(["test", *arguments, "--labels=2,8,3"])
        supervised.main()
        flags.FLAGS(["test", *arguments, "--labels=33"])
        with pytest.raises(UserError, match="asks for 33 masks and shapes has 32"):
            supervised.main()
        flags.FLAGS(["test", *arguments, "--labels=2", "--set=data.resize=nearest"])
        with pytest.raises(UserError, match="--set data.resize=antialias, or choose another reference"):
            supervised.main()
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "figure" / "trained").iterdir()}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} == {"labels_00003_seed_0.json"}
    second = json.loads((tmp_path / "figure" / "supervised.json").read_text())
    assert {name: second["summary"][name] for name in ("2", "8")} == first["summary"]
    assert list(second["summary"]) == ["2", "3", "8"]
