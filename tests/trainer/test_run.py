"""Whole runs: what they leave, how they continue, how they begin anew."""
from __future__ import annotations

import dataclasses
import glob
import io
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from loop import CLOCK, checkpoint_numbers, scalars
from redo_tf.beginning import keeps_beginning
from redo_tf.best import load_mask_network
from redo_tf.errors import UserError
from redo_tf.evaluation import compile_segmenter, evaluate
from redo_tf.models import compose
from redo_tf.pictures import blend_masks, colour_labels
from redo_tf.pixels import to_model_range, to_uint8
from redo_tf.signals import StopSignals

FULL = ("train.mask_average=0.9", "objective.regions=worst", "train.checkpoints_kept=2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trainer that ran 6 steps: evaluated after 3 and 6, saved after 2, 4 and 6. And the summary it returned."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use_pictures(monkeypatch)
        tiny.use_toy_networks(monkeypatch)
        trainer = tiny.trainer(tmp_path_factory.mktemp("finished") / "run", *FULL)
        return trainer, trainer.run()


def test_a_run_leaves_its_files(finished):
    trainer, _ = finished
    assert sorted(os.listdir(trainer.workdir.path)) == [
        ".redo_lock", "best", "checkpoints", "config.json", "metrics.jsonl", "samples", "summary.json", "tensorboard"]
    assert sorted(os.listdir(trainer.workdir.file("samples"))) == ["step_0000003.png", "step_0000006.png"]
    assert checkpoint_numbers(trainer.workdir.file("checkpoints")) == [4, 6]
    assert len(checkpoint_numbers(trainer.workdir.file("best"))) == 1
    assert trainer.workdir.load_config() == tiny.config(*FULL)


def test_metrics_have_the_names_that_others_rely_on(finished):
    rows = finished[0].workdir.metrics()
    assert [row["step"] for row in rows] == [3, 6]
    for row in rows:
        assert {"step", "images_per_second", "restarts", "seed", "seconds", "val/accuracy", "val/iou",
                "val/iou_per_image", "val/accuracy_per_image", "val/region_sizes", "val/label_shares", "val/border_shares",
                "val/order", "val/ordered_by", "train/region_sizes", "collapsed",
                "generator/total", "generator/adversarial", "generator/information", "generator/gradient_norm",
                "discriminator/total", "discriminator/real", "discriminator/fake",
                "discriminator/gradient_norm"} == set(row)
        assert row["restarts"] == 0 and row["collapsed"] is False and row["images_per_second"] > 0
        assert sum(row["val/region_sizes"]) == pytest.approx(1) and sum(row["train/region_sizes"]) == pytest.approx(1)
        assert 0 <= row["val/iou"] <= row["val/iou_per_image"] + 1e-9 <= 1
        assert row["generator/total"] == pytest.approx(row["generator/adversarial"] + 5 * row["generator/information"])
        assert row["discriminator/total"] == pytest.approx(row["discriminator/real"] + row["discriminator/fake"])


def test_pictures_are_drawn_as_configured_from_the_step_that_is_reached(tmp_path, monkeypatch):
    tiny.use_pictures(monkeypatch)
    tiny.use_toy_networks(monkeypatch)
    trainer = tiny.trainer(tmp_path / "run", "data.flip=True", "seed=3")
    trainer.train = dataclasses.replace(trainer.train, parts=(10, 6))
    trainer.config.data.weights = (1.0, 3.0)
    trainer.counters["step"].assign(4)
    trainer.counters["restarts"].assign(2)

    class Drawn(Exception):
        pass

    def drawn(images, **options):
        assert images is trainer.train.images
        assert options == {"batch_size": 4, "seed": trainer.seed(2), "start_step": 4, "flip": True, "parts": (10, 6),
                           "weights": (1.0, 3.0)}
        raise Drawn

    monkeypatch.setattr("redo_tf.trainer.training_batches", drawn)
    with pytest.raises(Drawn):
        trainer._train(StopSignals())


def test_the_summary_is_what_run_returns_and_repeats_the_metrics(finished):
    trainer, summary = finished
    rows = trainer.workdir.metrics()
    assert json.loads(open(trainer.workdir.file("summary.json")).read()) == summary
    assert (summary["dataset"], summary["steps"], summary["restarts"], summary["seed"]) == ("shapes", 6, 0, 0)
    assert summary["last"]["step"] == 6 and summary["last"]["val/iou"] == rows[-1]["val/iou"]
    best = max(rows, key=lambda row: row["val/iou"])
    assert summary["best"] == {name: value for name, value in best.items() if name == "step" or name.startswith("val/")}


def test_scores_are_those_of_the_running_average_which_is_what_is_kept(finished):
    trainer, _ = finished
    average, network = (evaluate(compile_segmenter(f, 32), tiny.pictures("val"), 2)["region_sizes"]
                        for f in (trainer.average, trainer.model.mask_network))
    found = trainer.workdir.metrics()[-1]["val/region_sizes"]
    assert found == pytest.approx(average, abs=1e-6) and found != pytest.approx(network, abs=1e-4)


def test_tensorboard_shows_losses_scores_and_pictures(finished):
    trainer, _ = finished
    found = scalars(trainer.workdir.file("tensorboard"))
    assert [step for step, _ in found["generator/total"]] == [1, 2, 3, 4, 6]  # The first, logged, evaluated or saved.
    rows = trainer.workdir.metrics()
    for name in ("val/iou", "val/accuracy_per_image"):
        assert [(step, float(value)) for step, value in found[name]] == [
            (row["step"], pytest.approx(row[name])) for row in rows]
    assert [float(value) for _, value in found["val/region_sizes/1"]] == [
        pytest.approx(row["val/region_sizes"][1]) for row in rows]
    (step, (width, height, png)), _ = found["samples"]
    assert step == 3
    with open(trainer.workdir.file("samples", "step_0000003.png"), "rb") as file:
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(Image.open(file)))


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [2, 0, 1]])
def test_samples_show_input_truth_mask_and_each_region_redrawn_in_the_labels_order(finished, monkeypatch, tmp_path, order):
    n = len(order)
    trainer = finished[0] if n == 2 else tiny.trainer(tmp_path / "three", "model.regions=3", "train.mask_average=0.9")
    monkeypatch.setattr(trainer.workdir, "metrics", lambda: [{"restarts": 0, "val/order": order}])
    monkeypatch.setattr(trainer.writers, "events", tf.summary.create_noop_writer())  # The run's own is closed.
    trainer._write_samples(step=9)
    sample = trainer.workdir.file("samples", "step_0000009.png")
    grid = np.asarray(Image.open(sample))
    os.unlink(sample)
    val = tiny.pictures("val")
    assert grid.shape == (6 * 98, (3 + n) * 98, 3)  # 32 pixels are drawn as 96, with a white line around.
    cells = grid.reshape(6, 98, 3 + n, 98, 3).transpose(0, 2, 1, 3, 4)[:, :, 1:-1:3, 1:-1:3]
    assert np.array_equal(cells[:, 0], val.images)
    assert np.array_equal(cells[:, 1], colour_labels(val.masks))
    images = to_model_range(val.images)
    masks = trainer.average(images)
    assert np.abs(cells[:, 2].astype(int) - blend_masks(masks.numpy()[..., order])).max() <= 1
    latents = tf.repeat(tf.random.stateless_normal([1, n, 2], [0, 0]), 6, axis=0)  # One z for all rows.
    redrawn = compose(images, masks, trainer.model.paint(masks, latents)).numpy()
    for column, k in enumerate(order, start=3):
        assert np.abs(cells[:, column].astype(int) - to_uint8(redrawn[k])).max() <= 1


def test_samples_show_the_first_pictures_alone(finished, monkeypatch):
    trainer, _ = finished
    grids = []
    monkeypatch.setattr("redo_tf.trainer.SAMPLE_ROWS", 4)
    monkeypatch.setattr(trainer.writers, "samples", lambda grid, step: grids.append(grid.shape))
    trainer._write_samples(step=9)
    assert grids == [(4 * 98, 5 * 98, 3)]


def interrupted_after(trainer, folder, number):
    """A copy of a finished run, as it was left by a process that was killed right after checkpoint `number`."""
    shutil.copytree(trainer.workdir.path, folder)
    for path in glob.glob(os.path.join(folder, "checkpoints", "ckpt-*")):
        if int(os.path.basename(path)[len("ckpt-"):].split(".")[0]) > number:
            os.unlink(path)
    os.unlink(os.path.join(folder, "summary.json"))
    return folder


def test_continuing_gives_bit_by_bit_what_never_stopping_gave(finished, tmp_path):
    """From step 4, in the middle between two evaluations."""
    trainer, summary = finished
    other = tiny.trainer(interrupted_after(trainer, tmp_path / "run", 4), *FULL)
    assert {**other.run(), **CLOCK} == {**summary, **CLOCK}
    tiny.assert_same_state(tiny.state(other), tiny.state(trainer))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(trainer.workdir.metrics())


def test_one_sampled_region_continues_bit_by_bit_too(tmp_path):
    settings = ("objective.redraw=one", "train.checkpoints_kept=9")
    trainer = tiny.trainer(tmp_path / "run", *settings)
    trainer.run()
    other = tiny.trainer(interrupted_after(trainer, tmp_path / "other", 2), *settings)
    other.run()
    tiny.assert_same_state(tiny.state(other), tiny.state(trainer))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(trainer.workdir.metrics())


def test_a_finished_run_is_read_not_trained_again(finished, tmp_path):
    trainer, summary = finished
    other = tiny.trainer(interrupted_after(trainer, tmp_path / "run", 6), *FULL)
    other.step_function = None
    assert other.run() == summary
    tiny.assert_same_state(tiny.state(other), tiny.state(trainer))


def test_the_step_is_traced_once(finished):
    assert finished[0].step_function.compiled.experimental_get_tracing_count() == 1


def test_a_restart_is_a_run_of_the_next_seed_in_the_same_graph(tmp_path):
    """Every split of two regions has one below 0.6, so that step 2 begins anew and step 2 after that may not."""
    collapsing = ("collapse.smallest_region=0.6", "collapse.restarts=1", "train.steps=4", "train.eval_every=2",
                  "train.mask_average=0.9")
    trainer = tiny.trainer(tmp_path / "collapsing", *collapsing)
    trainer.run()
    assert [(row["restarts"], row["step"], row["seed"]) for row in trainer.workdir.metrics()] == [
        (0, 2, 0), (1, 2, 1_000_003), (1, 4, 1_000_003)]
    assert trainer.step_function.compiled.experimental_get_tracing_count() == 1
    straight = tiny.trainer(tmp_path / "straight", "seed=1000003", "train.steps=4", "train.eval_every=2",
                            "train.mask_average=0.9")
    straight.run()
    tiny.assert_same_state(tiny.state(trainer), tiny.state(straight))
    for row, other in zip(trainer.workdir.metrics()[1:], straight.workdir.metrics()):
        assert tiny.untimed([{**row, "restarts": 0, "collapsed": False}]) == tiny.untimed([other])


def test_a_run_that_begins_with_anothers_mask_network_does_so_after_a_collapse_too(tmp_path, finished, monkeypatch):
    best = load_mask_network(finished[0].workdir)[0].get_weights()
    collapsing = (f"train.begin_with={finished[0].workdir.path}", "collapse.smallest_region=0.6", "collapse.restarts=1",
                  "train.steps=2", "train.eval_every=1", "train.mask_average=0.9")
    trainer = tiny.trainer(tmp_path / "run", *collapsing)
    for network in (trainer.model.mask_network, trainer.average, trainer._fresh_model(restarts=1).mask_network):
        assert all(np.array_equal(weight, wanted) for weight, wanted in zip(network.get_weights(), best))
    other = finished[0]._fresh_model(restarts=0)
    assert not np.array_equal(other.mask_network.get_weights()[0], best[0])
    assert trainer.run()["restarts"] == 1

    shutil.copytree(trainer.workdir.path, tmp_path / "stopped")
    for path in glob.glob(str(tmp_path / "stopped/checkpoints/*")):
        if "ckpt-100000000" not in path:  # As the restart left it.
            os.remove(path)
    monkeypatch.setattr("redo_tf.beginning.load_mask_network", None)
    resumed = tiny.trainer(tmp_path / "stopped", *collapsing)
    resumed.run()
    tiny.assert_same_state(tiny.state(trainer), tiny.state(resumed))


def test_first_masks_are_kept_from_the_beginning_and_collapse_only_after_their_rest(tmp_path, finished, caplog):
    settings = (f"train.begin_with={finished[0].workdir.path}", "collapse.smallest_region=0.6", "collapse.restarts=1",
                "train.steps=3", "train.eval_every=1", "optimizer.mask_delay=2")
    trainer = tiny.trainer(tmp_path / "run", *settings)
    trainer._resume()
    assert keeps_beginning(trainer.workdir)
    assert tiny.trainer(tmp_path / "run", *settings).run()["restarts"] == 1
    assert [(row["restarts"], row["step"]) for row in trainer.workdir.metrics()] == [
        (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert caplog.text.count("not begun anew: until step 2 the masks are those that the run began with") == 4


def test_a_batch_larger_than_the_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="^shapes has 16 training pictures, .*=17: add pictures, or --set train.batch_size=16.$"):
        tiny.trainer(tmp_path / "run", "train.batch_size=17")
