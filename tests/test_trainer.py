from __future__ import annotations

import glob
import io
import json
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tiny
from redo_tf import trainer as training
from redo_tf.checkpoints import Checkpoints, is_readable
from redo_tf.errors import Diverged, Interrupted, UserError
from redo_tf.models import compose
from redo_tf.pictures import blend_masks, colour_labels, to_uint8
from redo_tf.segmenter import load_mask_network
from redo_tf.step import TrainingStep, to_model_range


@pytest.fixture(autouse=True)
def small_things(monkeypatch):
    tiny.use_pictures(monkeypatch)
    tiny.use_toy_networks(monkeypatch)


def checkpoint_numbers(folder):
    return sorted(int(name[len("ckpt-"):-len(".index")]) for name in os.listdir(folder) if name.endswith(".index"))


def scalars(folder):
    """Everything in TensorBoard's files: tag → [(step, value), …]."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "events.out.tfevents.*"))):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def send(number, at):
    """Sends this process a signal before iteration `at`."""
    def before(step):
        if step == at:
            os.kill(os.getpid(), number)
    return before


# ------------------------------------------------------------------------------------ one whole run, and continuing it

CLOCK = {"seconds": None, "images_per_second": None}
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
                "val/iou_per_image", "val/accuracy_per_image", "val/region_sizes", "val/border_shares", "val/order", "val/ordered_by",
                "train/region_sizes", "collapsed",
                "generator/total", "generator/adversarial", "generator/information", "generator/gradient_norm",
                "discriminator/total", "discriminator/real", "discriminator/fake",
                "discriminator/gradient_norm"} == set(row)
        assert row["restarts"] == 0 and row["collapsed"] is False and row["images_per_second"] > 0
        assert sum(row["val/region_sizes"]) == pytest.approx(1) and sum(row["train/region_sizes"]) == pytest.approx(1)
        assert 0 <= row["val/iou"] <= row["val/iou_per_image"] + 1e-9 <= 1
        assert row["generator/total"] == pytest.approx(row["generator/adversarial"] + 5 * row["generator/information"])
        assert row["discriminator/total"] == pytest.approx(row["discriminator/real"] + row["discriminator/fake"])


def test_the_summary_is_what_run_returns_and_repeats_the_metrics(finished):
    trainer, summary = finished
    rows = trainer.workdir.metrics()
    assert json.loads(open(trainer.workdir.file("summary.json")).read()) == summary
    assert (summary["dataset"], summary["steps"], summary["restarts"], summary["seed"]) == ("shapes", 6, 0, 0)
    assert summary["last"]["step"] == 6 and summary["last"]["val/iou"] == rows[-1]["val/iou"]
    best = max(rows, key=lambda row: row["val/iou"])
    assert summary["best"] == {name: value for name, value in best.items() if name == "step" or name.startswith("val/")}


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


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_samples_show_input_truth_mask_and_each_region_redrawn_in_the_labels_order(finished, monkeypatch, order):
    trainer, _ = finished
    monkeypatch.setattr(trainer.workdir, "metrics", lambda: [{"restarts": 0, "val/order": order}])
    monkeypatch.setattr(trainer, "events", tf.summary.create_noop_writer())  # The run's own is closed.
    trainer._write_samples(step=9)
    sample = trainer.workdir.file("samples", "step_0000009.png")
    grid = np.asarray(Image.open(sample))
    os.unlink(sample)
    val = tiny.pictures("val")
    assert grid.shape == (6 * 98, 5 * 98, 3)  # 32 pixels are drawn as 96, with a white line around.
    cells = grid.reshape(6, 98, 5, 98, 3).transpose(0, 2, 1, 3, 4)[:, :, 1:-1:3, 1:-1:3]
    assert np.array_equal(cells[:, 0], val.images)
    assert np.array_equal(cells[:, 1], colour_labels(val.masks))
    images = to_model_range(val.images)
    masks = trainer.average(images)
    assert np.abs(cells[:, 2].astype(int) - blend_masks(masks.numpy()[..., order])).max() <= 1
    latents = tf.repeat(tf.random.stateless_normal([1, 2, 2], [0, 0]), 6, axis=0)  # One z for all rows.
    redrawn = compose(images, masks, trainer.model.paint(masks, latents)).numpy()
    for column, k in enumerate(order, start=3):
        assert np.abs(cells[:, column].astype(int) - to_uint8(redrawn[k])).max() <= 1


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
    assert finished[0].step_function.traces() == 1


# ---------------------------------------------------------------------------------------- restarts, replicas, precision

def test_a_restart_is_a_run_of_the_next_seed_in_the_same_graph(tmp_path):
    """Every split of two regions has one below 0.6, so that step 2 begins anew and step 2 after that may not."""
    collapsing = ("collapse.smallest_region=0.6", "collapse.restarts=1", "train.steps=4", "train.eval_every=2",
                  "train.mask_average=0.9")
    trainer = tiny.trainer(tmp_path / "collapsing", *collapsing)
    trainer.run()
    assert [(row["restarts"], row["step"], row["seed"]) for row in trainer.workdir.metrics()] == [
        (0, 2, 0), (1, 2, 1_000_003), (1, 4, 1_000_003)]
    assert trainer.step_function.traces() == 1
    straight = tiny.trainer(tmp_path / "straight", "seed=1000003", "train.steps=4", "train.eval_every=2",
                            "train.mask_average=0.9")
    straight.run()
    tiny.assert_same_state(tiny.state(trainer), tiny.state(straight))
    for row, other in zip(trainer.workdir.metrics()[1:], straight.workdir.metrics()):
        assert tiny.untimed([{**row, "restarts": 0, "collapsed": False}]) == tiny.untimed([other])


def test_a_run_that_begins_with_anothers_mask_network_does_so_after_a_collapse_too(tmp_path, finished, monkeypatch):
    monkeypatch.setattr("redo_tf.beginning.build_mask_network", lambda config: tiny.ToyMaskNetwork(config.regions))
    monkeypatch.setattr("redo_tf.segmenter.build_mask_network", lambda config: tiny.ToyMaskNetwork(config.regions))
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
    monkeypatch.setattr("redo_tf.segmenter.load_mask_network", None)
    resumed = tiny.trainer(tmp_path / "stopped", *collapsing)
    resumed.run()
    tiny.assert_same_state(tiny.state(trainer), tiny.state(resumed))


def test_two_replicas_train_restart_and_hold_the_same_weights(tmp_path, two_replicas):
    trainer = tiny.trainer(
        tmp_path / "run", "train.steps=2", "train.eval_every=1", "train.mask_average=0.9",
        "collapse.smallest_region=0.6", "collapse.restarts=1", "collapse.last_step=1", strategy=two_replicas)
    summary = trainer.run()
    assert (summary["steps"], summary["restarts"], trainer.step_function.traces()) == (2, 1, 1)
    for variable in trainer._model_variables(trainer.model) + trainer.average.variables:
        first, second = two_replicas.experimental_local_results(variable)
        assert np.array_equal(first.numpy(), second.numpy()), variable.name
    fresh = trainer._fresh_model(restarts=1)
    assert not np.array_equal(fresh.mask_network.variables[0], trainer.model.mask_network.variables[0])


def test_a_batch_that_the_replicas_cannot_share_is_refused(tmp_path, two_replicas):
    with pytest.raises(UserError, match="^train.batch_size=3 cannot be shared equally by 2 replicas: add --set train.batch_size=4, "):
        tiny.trainer(tmp_path / "run", "train.batch_size=3", strategy=two_replicas)


def test_xla_for_several_replicas_is_refused(tmp_path, two_replicas):
    with pytest.raises(UserError, match="^train.xla compiles for one device and there are 2: add --set train.xla=False, or set CUDA_VISIBLE_DEVICES "):
        tiny.trainer(tmp_path / "run", "train.xla=True", strategy=two_replicas)


def test_given_the_same_noise_xla_computes_the_same_iteration_evaluation_and_samples(tmp_path, monkeypatch, caplog):
    """XLA's random numbers are others. After one iteration, as rounding may turn the sign of Adam's first steps around."""
    noise = np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32)
    monkeypatch.setattr(TrainingStep, "_latents", lambda self, seeds, images: tf.constant(noise))
    settings = ("train.steps=1", "train.eval_every=1", "train.sample_every=1", "train.mask_average=0.9",
                "optimizer.mask_learning_rate=0.0")
    plain, compiled = (tiny.trainer(tmp_path / str(xla), f"train.xla={xla}", *settings) for xla in (False, True))
    assert [record.getMessage() for record in caplog.records if record.name == "absl" and record.levelname == "WARNING"] == [
        "train.xla is for a GPU: on a CPU it compiles for minutes, and iterations take longer; --set train.xla=False is faster."]
    assert [function._jit_compile for function in (compiled.step_function.compiled, compiled.segment, compiled.redraw)] == [True] * 3
    plain.run(), compiled.run()
    [expected], [actual] = (tiny.untimed(trainer.workdir.metrics()) for trainer in (plain, compiled))
    assert actual.pop("val/ordered_by") == expected.pop("val/ordered_by")
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    states = tiny.state(plain), tiny.state(compiled)
    for name in (name for name in states[0] if "optimizer" in name):  # Adam's first and second moments: β₁ = 0, the gradients.
        np.testing.assert_allclose(states[1][name], states[0][name], rtol=1e-3, atol=1e-6, err_msg=name)
    grids = [np.asarray(Image.open(trainer.workdir.file("samples", "step_0000001.png")), int) for trainer in (plain, compiled)]
    np.testing.assert_allclose(*grids, atol=2)  # Levels of 255.


def test_a_batch_larger_than_the_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="^shapes has 16 training pictures, .*=17: add pictures, or --set train.batch_size=16.$"):
        tiny.trainer(tmp_path / "run", "train.batch_size=17")


def test_bfloat16_computes_in_bfloat16_and_keeps_weights_and_scores_in_float32(tmp_path):
    trainer = tiny.trainer(tmp_path / "run", "train.precision=mixed_bfloat16", "train.steps=2")
    before = tiny.state(trainer)
    summary = trainer.run()
    assert trainer.model.mask_network.compute_dtype == "bfloat16"
    after = tiny.state(trainer)
    assert {value.dtype for value in after.values()} == {np.dtype(np.float32), np.dtype(np.int64)}
    assert all(np.isfinite(value).all() for value in after.values())
    for name in ("mask_network", "encoder", "discriminator", "generator_0", "generator_1"):
        assert any(not np.array_equal(before[key], after[key]) for key in before if key.startswith(f"{name}/") and
                   "optimizer" not in key)
    assert sum(summary["last"]["val/region_sizes"]) == pytest.approx(1, abs=1e-2)


# -------------------------------------------------------------------------------------- the loop around a step that is fake

@pytest.fixture
def fake(tmp_path):
    """Makes trainers of one folder whose step is a `tiny.FakeStep`."""
    def make(*settings, name="run", **options):
        trainer = tiny.trainer(tmp_path / name, *settings)
        tiny.FakeStep(trainer, **options)
        return trainer
    return make


def without_stopping(fake, *settings):
    trainer = fake(*settings, name="without_stopping")
    return trainer, trainer.run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_at_once_and_the_same_command_continues(fake, number):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    trainer = fake(before=send(number, at=4))
    with pytest.raises(Interrupted, match="^Stopped and saved at step 5: the same command .without --restart. continues.$") as caught:
        trainer.run()
    assert caught.value.signal == number
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1] == 5
    assert [row["step"] for row in trainer.workdir.metrics()] == [3]
    assert 5 in [step for step, _ in scalars(trainer.workdir.file("tensorboard"))["generator/total"]]
    assert not os.path.exists(trainer.workdir.file("summary.json"))

    other = fake()
    summary = other.run()
    straight, expected = without_stopping(fake)
    assert {**summary, **CLOCK} == {**expected, **CLOCK}
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())


@pytest.mark.parametrize("moment", ["_fetch", "_evaluate", "_write_samples"])
def test_a_signal_between_two_steps_saves_too(fake, monkeypatch, moment):
    """Step 3 is evaluated and drawn but not saved: what the message says must hold all the same."""
    trainer = fake("train.steps=20", "train.checkpoint_every=20", "train.eval_every=3", "train.sample_every=3")
    method = getattr(trainer, moment)

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return method(*arguments)
    monkeypatch.setattr(trainer, moment, interrupted)
    with pytest.raises(Interrupted) as caught:
        trainer.run()
    (number,) = checkpoint_numbers(trainer.workdir.file("checkpoints"))
    assert str(caught.value) == f"Stopped and saved at step {number}: the same command (without --restart) continues."
    assert number <= 4


def test_a_signal_in_the_last_step_lets_the_run_finish(fake):
    assert fake(before=send(signal.SIGTERM, at=5)).run()["steps"] == 6


class Killed(BaseException):
    """Stands for a kill -9: nobody catches it."""


@pytest.mark.parametrize("place", ["append_metrics", "best", "_write_samples", "checkpoints", "after checkpoints",
                                   "write_summary"])
def test_killed_anywhere_the_same_command_ends_alike(fake, monkeypatch, place):
    trainer = fake("train.eval_every=2", "train.sample_every=2")
    owner, method = {
        "append_metrics": (trainer.workdir, "append_metrics"), "best": (trainer.best, "save"),
        "_write_samples": (trainer, "_write_samples"), "checkpoints": (trainer.checkpoints, "save"),
        "after checkpoints": (trainer.checkpoints, "save"), "write_summary": (trainer.workdir, "write_summary")}[place]
    works, calls = getattr(owner, method), []

    def killed(*arguments):
        calls.append(arguments)
        if place.startswith("after"):
            works(*arguments)
        if len(calls) == (1 if place == "write_summary" else 2):
            raise Killed
        if not place.startswith("after"):
            works(*arguments)
    monkeypatch.setattr(owner, method, killed)
    monkeypatch.setattr(trainer.best.manager, "_max_to_keep", 1)
    scripted = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # So that every evaluation is the best.
    script_scores(monkeypatch, scripted)
    with pytest.raises(Killed):
        trainer.run()

    step = checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1]
    script_scores(monkeypatch, iter([0.1, 0.2, 0.3][step // 2:]))
    other = fake("train.eval_every=2", "train.sample_every=2")
    summary = other.run()
    script_scores(monkeypatch, iter([0.1, 0.2, 0.3]))
    straight, expected = without_stopping(fake, "train.eval_every=2", "train.sample_every=2")
    assert {**summary, **CLOCK} == {**expected, **CLOCK}
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())
    assert best_weights(other) == best_weights(straight)


def script_scores(monkeypatch, ious):
    """Lets each evaluation find the next of `ious`."""
    def scores(*_):
        iou = next(ious)
        return {"region_sizes": [0.6, 0.4], "order": [0, 1], "ordered_by": "masks", "accuracy": 0.5, "iou": iou,
                "accuracy_per_image": 0.5, "iou_per_image": iou}
    monkeypatch.setattr(training, "evaluate", scores)


def best_weights(trainer):
    """The first kernel in best/."""
    network = trainer._new_average()
    assert Checkpoints(trainer.workdir.file("best"), 1, mask_network=network).restore_newest()
    return network.variables[0].numpy().tolist()


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
            "val/region_sizes", "val/border_shares", "val/order", "val/ordered_by"}
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


# ------------------------------------------------------------------------------------------------------------- collapse

ALWAYS = ("collapse.smallest_region=0.6", "train.eval_every=2", "train.mask_average=0.9")


def test_a_collapse_begins_anew_as_often_as_allowed_and_then_trains_to_the_end(fake, caplog):
    trainer = fake(*ALWAYS, "collapse.restarts=2", "train.steps=4")
    weights, begin = [], trainer._begin_anew

    def begin_anew():
        begin()
        weights.append(tiny.state(trainer))
    trainer._begin_anew = begin_anew
    summary = trainer.run()
    assert [(row["restarts"], row["step"], row["seed"], row["collapsed"]) for row in trainer.workdir.metrics()] == [
        (0, 2, 0, True), (1, 2, 1_000_003, True), (2, 2, 2_000_006, True), (2, 4, 2_000_006, True)]
    assert (summary["restarts"], summary["steps"], summary["seed"]) == (2, 4, 2_000_006)
    assert checkpoint_numbers(trainer.workdir.file("checkpoints"))[-1] == 2 * 10**8 + 4
    warnings = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert sum(" Beginning anew with seed " in text for text in warnings) == 2
    assert sum("not begun anew: that was done 2 times already" in text for text in warnings) == 2

    for restarts, after in enumerate(weights, start=1):
        fresh = fake("train.mask_average=0.9", f"seed={trainer.seed(restarts)}", name=f"fresh{restarts}")
        tiny.assert_same_state(after, tiny.state(fresh))


def test_no_run_begins_anew_after_the_last_step_for_it(fake, caplog):
    summary = fake(*ALWAYS, "collapse.last_step=1").run()
    assert summary["restarts"] == 0 and summary["steps"] == 6
    assert "Collapsed at step 2, and not begun anew: later than step 1." in caplog.text


def test_zero_never_restarts(fake):
    trainer = fake("collapse.smallest_region=0")
    trainer.step_function.metrics = {"region_sizes": np.array([1.0, 0.0], np.float32)}
    assert trainer.run()["restarts"] == 0
    assert not any(row["collapsed"] for row in trainer.workdir.metrics())


def test_a_region_small_in_training_alone_or_validation_alone_is_no_collapse(fake, monkeypatch):
    trainer = fake("collapse.smallest_region=0.3")  # Training has 0.25, validation 0.4.
    script_scores(monkeypatch, iter([0.1, 0.1]))
    assert trainer.run()["restarts"] == 0
    other = fake("collapse.smallest_region=0.45", name="other")  # Training has 0.5, validation 0.4.
    other.step_function.metrics = {"region_sizes": np.array([0.5, 0.5], np.float32)}
    script_scores(monkeypatch, iter([0.1, 0.1]))
    assert other.run()["restarts"] == 0


def test_a_run_killed_after_a_restart_continues_the_new_start(fake):
    settings = ALWAYS + ("collapse.restarts=1",)
    trainer = fake(*settings)
    count = []

    def before(step):
        count.append(step)
        if len(count) == 2 + 3:  # The third iteration after the restart.
            raise Killed
    trainer.step_function.before = before
    with pytest.raises(Killed):
        trainer.run()
    assert checkpoint_numbers(trainer.workdir.file("checkpoints")) == [10**8, 10**8 + 2]
    other = fake(*settings)
    other.run()
    straight, _ = without_stopping(fake, *settings)
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert tiny.untimed(other.workdir.metrics()) == tiny.untimed(straight.workdir.metrics())


# ----------------------------------------------------------------------------------------------------------- divergence

@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_name_and_step(fake, value):
    def before(step):
        if step == 4:
            trainer.step_function.metrics = {"generator/information": np.float32(value)}
    trainer = fake(before=before)
    with pytest.raises(Diverged) as caught:
        trainer.run()
    assert str(caught.value).startswith(f"generator/information became {value} at step 5; the last good checkpoint is kept "
                                        f"in {trainer.workdir.file('checkpoints')}.")
    assert checkpoint_numbers(trainer.workdir.file("checkpoints")) == [2, 4]
    assert is_readable(trainer.workdir.file("checkpoints", "ckpt-4"))
    assert not os.path.exists(trainer.workdir.file("summary.json"))


def test_the_first_of_several_bad_steps_is_named(fake):
    def before(step):
        if step >= 2:
            trainer.step_function.metrics = {"region_sizes": np.array([np.nan, 0.5], np.float32)}
    trainer = fake("train.log_every=6", "train.eval_every=6", "train.checkpoint_every=6", "train.sample_every=6",
                   before=before)
    with pytest.raises(Diverged, match="^region_sizes became .* at step 3;"):
        trainer.run()
    assert not os.path.exists(trainer.workdir.file("checkpoints"))


def test_a_real_loss_that_becomes_nan_is_noticed(tmp_path, monkeypatch):
    from redo_tf import losses
    monkeypatch.setattr(losses, "information_conservation",
                        lambda estimates, latents: tf.reduce_mean(estimates - latents, axis=[1, 2]) * np.nan)
    trainer = tiny.trainer(tmp_path / "run", "train.steps=1")
    with pytest.raises(Diverged, match="^generator/(total|information) became nan at step 1;"):
        trainer.run()


# ------------------------------------------------------------------------------------------------------ free fields

def test_more_steps_go_on_from_the_end(fake):
    fake("train.steps=4", "train.eval_every=2").run()
    other = fake("train.steps=6", "train.eval_every=2")
    other.run()
    straight, _ = without_stopping(fake, "train.eval_every=2")
    tiny.assert_same_state(tiny.state(other), tiny.state(straight))
    assert [row["step"] for row in other.workdir.metrics()] == [2, 4, 6]


def test_fewer_steps_than_were_done_are_told_where_nothing_was_evaluated(fake):
    with pytest.raises(Interrupted):
        fake(before=send(signal.SIGTERM, at=1)).run()
    with pytest.raises(UserError, match="^The run stands at step 2, past train.steps=2, and was never evaluated: raise"):
        fake("train.steps=2").run()
    assert fake().run()["steps"] == 6
