"""Redrawing with a trained run: which networks, which z, and the command's picture and animation."""
from __future__ import annotations

import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from redo_tf import data
from redo_tf.best import load_mask_network
from redo_tf.build import build_model
from redo_tf.checkpoints import number
from redo_tf.errors import UserError
from redo_tf.redrawing import BATCH, FRAME_MILLISECONDS, Redrawer, draw_latents, gif, walk
from redo_tf.workdir import Workdir

CELL = 3 * 32 + 2  # A picture of 32 pixels is enlarged three times and has a pixel of white on each side.
TITLE, GAP = 40, 12


def cells(picture, first_column, columns, rows):
    """Of a titled grid: [rows, columns, 32, 32, 3], each pixel taken once, from the middle of the nine that show it."""
    pixels = picture[TITLE:, first_column:first_column + columns * CELL]
    return pixels.reshape(rows, CELL, columns, CELL, 3).transpose(0, 2, 1, 3, 4)[:, :, 2:-1:3, 2:-1:3]


# -------------------------------------------------------------------------------------------------------------------- z

def test_a_walk_goes_once_around_through_both_ends():
    start, other = np.array([[3.0, 0.0]]), np.array([[0.0, 2.0]])
    np.testing.assert_allclose(walk(start, other, 4), [[[3, 0]], [[0, 2]], [[-3, 0]], [[0, -2]]], atol=1e-6)


def test_a_walk_keeps_the_length_of_z_and_its_steps_are_equal():
    steps = walk(np.array([1.0, 0, 0]), np.array([0, 0.6, 0.8]), 12)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1, atol=1e-6)
    # A chord of a twelfth of the unit circle, also from the last frame to the first.
    chords = np.linalg.norm(steps - np.roll(steps, 1, axis=0), axis=1)
    np.testing.assert_allclose(chords, 2 * np.sin(np.pi / 12), atol=1e-6)


def test_more_columns_leave_the_first_z_as_they_are_and_seeds_differ():
    z = draw_latents(5, 2, 3, 4)
    assert z.shape == (2, 3, 4) and z.dtype == np.float32
    np.testing.assert_array_equal(draw_latents(5, 7, 3, 4)[:2], z)
    assert not np.isclose(draw_latents(6, 2, 3, 4), z).any()
    many = draw_latents(0, 1000, 2, 8)
    assert abs(many.mean()) < 0.02 and abs(many.std() - 1) < 0.02


# ------------------------------------------------------------------------------------------------------------ redrawing

@pytest.fixture(scope="module")
def redrawer(finished_run):
    return Redrawer(Workdir(finished_run[0]))


@pytest.fixture(scope="module")
def of_three_regions(tmp_path_factory):
    """A run of three regions, by the order in which it says that they are the labels."""
    folder = tmp_path_factory.mktemp("three") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use_pictures(monkeypatch)
        trainer = tiny.trainer(folder, "model.regions=3", "train.steps=1")
        tiny.FakeStep(trainer)
        trainer.run()

    def redrawer(order):
        (row,) = Workdir(folder).metrics()
        (folder / "metrics.jsonl").write_text(json.dumps({**row, "val/order": order}) + "\n")
        return Redrawer(Workdir(folder))
    return redrawer


def test_redrawing_is_the_papers_equation_with_the_best_networks(finished_run, redrawer):
    model = build_model(tiny.config().model, 32)
    best = tf.train.Checkpoint(mask_network=model.mask_network, region_generators=model.region_generators)
    best.restore(tf.train.latest_checkpoint(finished_run[0] / "best")).assert_existing_objects_matched()
    order = max(Workdir(finished_run[0]).metrics(), key=lambda row: row["val/iou"])["val/order"]
    images = tiny.pictures("val").images
    reals = images / 127.5 - 1
    soft = model.mask_network(tf.constant(reals, tf.float32)).numpy()[..., order]
    masks, z = redrawer.masks(images), draw_latents(0, 1, 2, 2)[0]
    np.testing.assert_allclose(masks, soft, atol=1e-5)
    drawn = redrawer.redraw(images, masks, z)
    assert drawn.shape == (2, 6, 32, 32, 3) and drawn.dtype == np.uint8
    for label, region in enumerate(order):
        mask = soft[..., label:label + 1]
        painted = model.region_generators[region]((mask, np.repeat(z[label:label + 1], 6, axis=0))).numpy()
        expected = ((painted + (1 - mask) * reals) + 1) * 127.5
        assert np.abs(drawn[label] - expected).max() < 0.51  # Rounded to whole grey levels.
        assert np.abs(drawn[label] - images.astype(float)).max() > 5


def test_regions_follow_the_labels_order(of_three_regions):
    order = [2, 0, 1]  # Not its own inverse.
    redrawer, other = of_three_regions([0, 1, 2]), of_three_regions(order)
    images, z = tiny.pictures("val").images, draw_latents(0, 1, 3, 2)[0]
    masks, others = redrawer.masks(images), other.masks(images)
    np.testing.assert_array_equal(others, masks[..., order])
    np.testing.assert_array_equal(other.redraw(images, others, z[order]), redrawer.redraw(images, masks, z)[order])


def test_an_evaluation_that_came_between_reading_f_and_the_generators_is_noticed(finished_run, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished_run[0], folder)
    found = load_mask_network(Workdir(folder))

    def and_then_training_goes_on(workdir):
        for path in (folder / "best").glob("ckpt-*"):  # Another start's, whose regions may be in another order.
            path.rename(path.with_name(re.sub(r"ckpt-\d+", f"ckpt-{number(1, 3)}", path.name)))
        return found
    monkeypatch.setattr("redo_tf.redrawing.load_mask_network", and_then_training_goes_on)
    with pytest.raises(UserError, match="/best was replaced while it was read: run the same command again.$"):
        Redrawer(Workdir(folder))


def test_pictures_beyond_one_batch_are_redrawn_with_the_same_z(redrawer):
    images = np.repeat(tiny.pictures("val").images[:1], BATCH + 3, axis=0)
    drawn = redrawer.redraw(images, redrawer.masks(images), draw_latents(0, 1, 2, 2)[0])
    assert drawn.shape[1] == BATCH + 3
    assert np.abs(drawn.astype(int) - drawn[:, :1]).max() <= 1


def test_an_animation_repeats_for_ever_and_what_stands_still_does():
    still = np.random.default_rng(0).integers(0, 256, [10, 1, 3], dtype=np.uint8).repeat(3, axis=0).repeat(30, axis=1)
    frames = [np.concatenate([still, np.full([30, 30, 3], 20 * i, np.uint8)]) for i in range(12)]
    with Image.open(io.BytesIO(gif(frames))) as animation:
        assert (animation.n_frames, animation.info["loop"], animation.info["duration"]) == (12, 0, FRAME_MILLISECONDS)
        shown = []
        for i in range(12):
            animation.seek(i)
            shown.append(np.asarray(animation.convert("RGB")).astype(int))
    for i, picture in enumerate(shown):
        np.testing.assert_array_equal(picture[:30], shown[0][:30])
        assert np.abs(picture[30:] - 20 * i).max() <= 1
    assert np.abs(shown[0][:30] - still).max() <= 1


# ---------------------------------------------------------------------------------------------------------- the command

def test_a_row_is_input_truth_mask_and_each_region_redrawn_with_one_z_a_column(figures, finished_run, redrawer):
    folder, (code, output, errors) = figures[0], figures[1]["redraw"]
    assert code == 0, errors
    # Nine pictures and z_seed=7 were asked for, but the split has four.
    assert output == (f"4 pictures of shapes's test split redrawn: {folder / 'redraw.png'}\n"
                      f"Animation: {folder / 'redraw.gif'}\n")
    picture = np.asarray(Image.open(folder / "redraw.png"))
    assert picture.shape == (TITLE + 4 * CELL, (3 + 3 + 3) * CELL + 4 * GAP, 3)
    split = data.load("shapes", "test", data_dir=finished_run[1], image_size=32)
    images, truth, masks = np.asarray(split.images), np.asarray(split.masks), redrawer.masks(split.images)
    np.testing.assert_array_equal(cells(picture, 0, 1, 4)[:, 0], images)
    np.testing.assert_array_equal(cells(picture, CELL + GAP, 1, 4)[:, 0], np.repeat(255 * truth[..., None], 3, axis=-1))
    shown = cells(picture, 2 * (CELL + GAP), 1, 4)[:, 0].astype(float)
    assert np.abs(shown - 255 * masks[..., 1:]).max() < 1.01
    latents = draw_latents(7, 3, 2, 2)
    for label in range(2):
        block = cells(picture, 3 * (CELL + GAP) + label * (3 * CELL + GAP), 3, 4).astype(int)
        for column in range(3):
            drawn = redrawer.redraw(images, masks, latents[column])[label]
            assert np.abs(block[:, column] - drawn).max() <= 1
        assert np.abs(block[:, 0] - block[:, 1]).max() > 5  # Another z, another picture.


def test_every_block_has_a_title(figures):
    picture = np.asarray(Image.open(figures[0] / "redraw.png"))[:TITLE]
    first = 0
    for columns in (1, 1, 1, 3, 3):
        title = picture[:, first:first + columns * CELL]
        assert (title < 100).any()
        assert (title[:, [0, -1]] == 255).all()  # Not cut off.
        first += columns * CELL + GAP


def test_the_animation_begins_with_the_first_column(figures):
    still = np.asarray(Image.open(figures[0] / "redraw.png")).astype(int)
    with Image.open(figures[0] / "redraw.gif") as animation:
        assert animation.n_frames == 48
        frame = np.asarray(animation.convert("RGB")).astype(int)
        animation.seek(24)
        halfway = np.asarray(animation.convert("RGB")).astype(int)
    assert frame.shape == (TITLE + 4 * CELL, 5 * CELL + 4 * GAP, 3)
    for label in range(2):
        begin = 3 * (CELL + GAP) + label * (CELL + GAP)
        block = still[TITLE:, 3 * (CELL + GAP) + label * (3 * CELL + GAP):][:, :3 * CELL]
        columns = block.reshape(4 * CELL, 3, CELL, 3)
        errors = np.abs(frame[TITLE:, None, begin:begin + CELL] - columns).mean((0, 2, 3))
        assert errors[0] < 10 and errors.argmin() == 0  # A GIF has 256 colours.
    assert np.abs(halfway - frame)[:, 3 * (CELL + GAP):].max() > 20
    assert np.abs(halfway - frame)[:, :3 * CELL].max() == 0


@pytest.mark.parametrize("command, sentence", [
    ("redraw without a run", r"Which run\? Give its folder as --workdir=…"),
    ("redraw of no run", r".* holds no run \(no config\.json\): .*"),
    ("redraw without columns", r"flag --columns=0: .*")])
def test_mistakes_are_one_sentence(figures, command, sentence):
    code, output, errors = figures[1][command]
    assert (code, output) == (2, "") and re.fullmatch(sentence + "\n", errors), errors
