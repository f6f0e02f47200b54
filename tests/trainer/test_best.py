"""Which weights best/ holds and what a row of metrics is the mean of: the loop around a step that is fake."""
from __future__ import annotations

import glob
import os
import signal
import types

import numpy as np
import pytest
from PIL import Image

import tiny
from loop import best_weights, checkpoint_numbers, scalars, script_scores
from redo_tf import trainer as training
from redo_tf.errors import Interrupted
from redo_tf.progress import bar


def test_best_holds_the_step_with_the_best_iou(fake, monkeypatch):
    script_scores(monkeypatch, iter([0.2, 0.7, 0.7, 0.3]))
    trainer = fake("train.steps=4", "train.eval_every=1")
    kernels = []
    save = trainer.best.save

    def remember(number):
        kernels.append(trainer.model.mask_network.variables[0].numpy().tolist())
        save(number)
    monkeypatch.setattr(trainer.best, "save", remember)
    summary = trainer.run()
    assert len(kernels) == 2  # Step 3 is no better than step 2.
    assert summary["best"]["step"] == 2 and summary["last"]["step"] == 4
    assert best_weights(trainer) == kernels[1]
    assert best_weights(trainer) != trainer.model.mask_network.variables[0].numpy().tolist()


@pytest.mark.parametrize("ious, best", [
    ([None, None, None], 3), ([None, 0.1, None], 2), ([0.2, None, 0.1], 1), ([0.2, None, 0.3], 3)])
def test_best_where_masks_come_and_go(fake, monkeypatch, ious, best):
    script_scores(monkeypatch, iter(ious))
    trainer = fake("train.steps=3", "train.eval_every=1")
    assert trainer.run()["best"]["step"] == best
    assert checkpoint_numbers(trainer.workdir.file("best")) == [best]


def test_best_holds_the_running_average_where_there_is_one(fake, monkeypatch):
    script_scores(monkeypatch, iter([0.2]))
    trainer = fake("train.mask_average=0.9", "train.steps=1")
    trainer.run()
    assert best_weights(trainer) == trainer.average.variables[0].numpy().tolist()
    assert best_weights(trainer) != trainer.model.mask_network.variables[0].numpy().tolist()


def test_best_is_of_the_last_start_even_where_a_killed_process_left_an_older_one(fake, monkeypatch):
    script_scores(monkeypatch, iter([0.9, 0.1, 0.2, 0.3]))
    trainer = fake("train.steps=3", "train.eval_every=1", "collapse.smallest_region=0.5", "collapse.restarts=1")
    save, left = trainer.best.save, []

    def keep_the_first(number):  # Copies what the manager is about to delete.
        for path in glob.glob(trainer.workdir.file("best", "ckpt-*")):
            left.append((path, open(path, "rb").read()))
        save(number)
    monkeypatch.setattr(trainer.best, "save", keep_the_first)
    summary = trainer.run()
    assert summary["restarts"] == 1 and summary["best"]["val/iou"] == 0.3
    for path, content in left:
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(content)
    assert best_weights(trainer) == trainer.model.mask_network.variables[0].numpy().tolist()


def test_without_masks_there_are_no_scores_and_best_holds_the_newest(fake, monkeypatch):
    tiny.use_pictures(monkeypatch, masks=False)
    trainer = fake()
    summary = trainer.run()
    for row in trainer.workdir.metrics():
        assert {name for name in row if name.startswith("val/")} == {
            "val/region_sizes", "val/label_shares", "val/border_shares", "val/order", "val/ordered_by"}
    assert summary["best"]["step"] == summary["last"]["step"] == 6
    assert best_weights(trainer) == trainer.model.mask_network.variables[0].numpy().tolist()
    with Image.open(trainer.workdir.file("samples", "step_0000006.png")) as picture:
        assert picture.size == (4 * 98, 6 * 98)  # One column less: there is no truth to show.


def test_metrics_are_means_over_the_iterations_since_the_last_evaluation(fake):
    """However they are fetched: here 2, 2 and 1 at a time."""
    trainer = fake("train.steps=5", "train.eval_every=5", "train.sample_every=5", "train.checkpoint_every=5")

    def before(step):
        trainer.step_function.metrics = {"generator/total": np.float32(step), "region_sizes": np.array([step, 0], np.float32)}
    trainer.step_function.before = before
    trainer.run()
    (row,) = trainer.workdir.metrics()
    assert row["generator/total"] == 2 and row["train/region_sizes"] == [2, 0]
    shown = scalars(trainer.workdir.file("tensorboard"))["generator/total"]
    # Iteration 0 is fetched alone; then 1; 2 and 3; 4.
    assert [(step, float(value)) for step, value in shown] == [(1, 0), (2, 1), (4, 2.5), (5, 4)]


@pytest.mark.parametrize("stopped", [False, True])
def test_rates_and_times_are_of_the_iterations_alone_and_outlast_a_stop(fake, monkeypatch, stopped):
    """The first iteration of a process, which is mostly tracing, counts for the time and not for the rate."""
    now = [0.0]
    monkeypatch.setattr(training, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(training, "evaluate", clocked(training.evaluate, now))

    def before(step):
        now[0] += 10 if step in first else 2
        if stopped and step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    first = {0}
    trainer = fake(before=before)
    if stopped:
        with pytest.raises(Interrupted):
            trainer.run()
        first, stopped = {5}, False  # The next process goes on with the sixth iteration.
        trainer = fake(before=before)
        expected = [(14, 2.0), (28, 2.0)]  # 2 + 2 + 10 s; 4 pictures in 2 s.
    else:
        expected = [(14, 2.0), (20, 2.0)]
    trainer.run()
    assert [(row["seconds"], row["images_per_second"]) for row in trainer.workdir.metrics()] == expected


def test_every_iteration_that_is_traced_is_left_out_of_the_rate(fake, monkeypatch):
    """As with one sampled region, whose graph is made when it is first drawn."""
    now = [0.0]
    monkeypatch.setattr(training, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))

    def before(step):
        if step == 4:
            trainer.step_function.traces = 2
        now[0] += 10 if step in (0, 4) else 2
    trainer = fake("train.eval_every=6", before=before)
    trainer.run()
    (row,) = trainer.workdir.metrics()
    assert (row["seconds"], row["images_per_second"]) == (28, 2.0)


def clocked(function, now):
    """The function, which takes 100 s by this clock."""
    def slow(*arguments):
        now[0] += 100
        return function(*arguments)
    return slow


def test_the_bar_counts_iterations_and_shows_losses_and_sizes(fake, monkeypatch):
    made = []

    def recorded(total, text, **options):
        shown = bar(total, text, **options)
        monkeypatch.setattr(shown, "set_postfix", lambda refresh, **values: made.append(values))
        made.append((total, text, shown))
        return shown
    monkeypatch.setattr(training, "bar", recorded)
    fake().run()
    (total, text, shown), *values = made
    assert (total, text, shown.n) == (6, "shapes", 6)
    assert values[-1].keys() == {"D", "G", "Lz", "sizes"} and values[-1]["sizes"] == "0.75/0.25"
