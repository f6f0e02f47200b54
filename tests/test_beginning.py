"""Runs that begin with the mask network of another."""
from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import tiny
from redo_tf import beginning
from redo_tf.best import load_mask_network
from redo_tf.build import build_mask_network
from redo_tf.checkpoints import Checkpoints
from redo_tf.data import training_batches
from redo_tf.errors import UserError
from redo_tf.models import MaskNetwork
from redo_tf.pixels import to_model_range
from redo_tf.workdir import Workdir


@pytest.fixture(autouse=True)
def small_things(monkeypatch):
    tiny.use_pictures(monkeypatch)
    tiny.use_toy_networks(monkeypatch)


@pytest.fixture
def source(tmp_path):
    """The folder of a finished run at 32×32."""
    tiny.trainer(tmp_path / "source").run()
    return tmp_path / "source"


def large_pictures():
    return tf.cast(tf.image.resize(tiny.pictures("train").images, [64, 64]), tf.uint8).numpy()


def begin(source, workdir, images, *settings):
    config = tiny.config(f"train.begin_with={source}", *settings)
    return beginning.first_mask_weights(config, Workdir(os.fspath(workdir)), images)


def test_at_the_same_size_the_weights_are_the_best_ones_and_are_kept(tmp_path, source):
    first = begin(source, tmp_path / "run", tiny.pictures("train").images)
    network, row = load_mask_network(Workdir(os.fspath(source)))
    beginning.put_first(network, int(np.argmax(row["val/border_shares"])))
    best = network.get_weights()
    assert len(first) == len(best) and all(np.array_equal(*pair) for pair in zip(first, best))
    (tmp_path / "run/checkpoints").mkdir()
    (tmp_path / "run/checkpoints/ckpt-1.index").touch()
    shutil.rmtree(source)
    again = begin(source, tmp_path / "run", tiny.pictures("train").images)
    assert len(again) == len(first) and all(np.array_equal(*pair) for pair in zip(again, first))


def test_at_another_size_f_is_taught_and_a_seed_fixes_the_result(tmp_path, source):
    settings = ("data.image_size=64", "train.begin_steps=4")
    one, same, other = (begin(source, tmp_path / name, large_pictures(), *settings, f"seed={seed}")
                        for name, seed in (("one", 1), ("same", 1), ("other", 2)))
    best = load_mask_network(Workdir(os.fspath(source)))[0].get_weights()
    assert np.array_equal(one[0], same[0])
    assert not np.array_equal(one[0], other[0]) and not np.array_equal(one[0], best[0])


def test_what_is_kept_counts_once_there_is_a_checkpoint(tmp_path, source):
    settings = ("data.image_size=64", "train.begin_steps=4")
    first = begin(source, tmp_path / "run", large_pictures(), *settings)
    other = begin(source, tmp_path / "run", large_pictures(), *settings, "seed=1")  # As after a mistaken first command.
    assert not np.array_equal(first[0], other[0])


def test_a_taught_network_finds_what_its_teacher_finds(monkeypatch):
    """The teacher sees 32×32; the same weights see other things at 64×64."""
    tf.keras.utils.set_random_seed(0)
    model = tiny.config("model.mask_network.channels=4").model
    teacher, student = build_mask_network(model), build_mask_network(model)
    images = large_pictures()
    small = tf.image.resize(to_model_range(images), [32, 32], antialias=True)
    wanted = tf.image.resize(teacher(small), [64, 64])
    student.set_weights(teacher.get_weights())
    distance = lambda masks: float(tf.reduce_mean(tf.abs(masks - wanted)))
    untaught, constant = distance(student(to_model_range(images))), distance(tf.reduce_mean(wanted, axis=[0, 1, 2]))
    monkeypatch.setattr(beginning, "LEARNING_RATE", 5 * beginning.LEARNING_RATE)  # A test's patience.
    beginning.teach(student, [(teacher, 32)], images, steps=100, batch_size=8, seed=0)
    # Nearer than the teacher's weights themselves, and than a network that has learned how large the regions are and no more.
    assert distance(student(to_model_range(images))) < min(untaught, constant)


def test_of_several_runs_f_learns_the_mean_whatever_the_order_of_their_regions(tmp_path, source, monkeypatch):
    """The second run is the first one at another step with its regions exchanged, the third is the first one itself."""
    first, row = load_mask_network(Workdir(os.fspath(source)))
    beginning.put_first(first, int(np.argmax(row["val/border_shares"])))
    second = tiny.build_toy_mask_network(tiny.config().model)
    kernel, bias = first.get_weights()
    second.set_weights([kernel + 0.1 * np.sin(np.arange(kernel.size)).reshape(kernel.shape), bias])
    images = tiny.pictures("train").images
    pictures = to_model_range(images)
    wanted = (2 * first(pictures) + second(pictures)) / 3
    shutil.copytree(source, tmp_path / "second")
    beginning.put_first(second, 1)
    Checkpoints(str(tmp_path / "second/best"), 1, mask_network=second).save(row["restarts"] * 10**8 + row["step"])
    taught = {}
    monkeypatch.setattr(beginning, "teach", lambda student, teachers, *rest: taught.update(teachers=teachers, rest=rest))
    begin(f"{source}, {tmp_path / 'second'},{source},", tmp_path / "run", images, "data.flip=True", "train.begin_steps=7")
    assert [size for _, size in taught["teachers"]] == [32, 32, 32]
    np.testing.assert_allclose(sum(f(pictures) for f, _ in taught["teachers"]) / 3, wanted, atol=1e-6)
    assert taught["rest"][1:] == (7, 4, 0, True)  # Steps, batch, seed, whether pictures are mirrored.


def test_the_mean_of_the_teachers_is_learned():
    """Two teachers that contradict each other everywhere: whoever finds one half has nothing to learn from both."""
    student, *teachers = (tiny.build_toy_mask_network(tiny.config().model) for _ in range(3))
    for network, logit in zip((student, *teachers), (0, 100, -100)):
        network.set_weights([np.zeros([3, 3, 3, 2]), np.array([logit, -logit])])
    images = tiny.pictures("train").images
    beginning.teach(student, [(network, 32) for network in teachers], images, steps=2, batch_size=8, seed=0)
    assert not any(weights.any() for weights in student.get_weights())
    beginning.teach(student, [(teachers[1], 32)], images, steps=1, batch_size=8, seed=0)
    assert student.get_weights()[1][0] < 0 < student.get_weights()[1][1]  # One alone is followed.


@pytest.mark.parametrize("flip", [False, True])
def test_pictures_are_mirrored_as_in_training(monkeypatch, flip):
    student, teacher = (tiny.build_toy_mask_network(tiny.config().model) for _ in range(2))
    given = []

    def batches(images, **options):
        given.append(options)
        return training_batches(images, **options)
    monkeypatch.setattr(beginning, "training_batches", batches)
    beginning.teach(student, [(teacher, 32)], tiny.pictures("train").images, steps=1, batch_size=8, seed=3, flip=flip)
    assert given == [{"batch_size": 8, "seed": 3, "flip": flip}]


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 1, 0]])
def test_regions_agree_where_they_lie(order):
    wanted = np.zeros([2, 4, 4, 3], np.float32)
    wanted[:, :2, :, 0] = wanted[:, 2:, :1, 1] = wanted[:, 2:, 1:, 2] = 1
    found = np.empty_like(wanted)
    found[..., order] = wanted
    assert beginning.agreeing_order(wanted, 0.2 + 0.4 * found) == order


@pytest.mark.parametrize("name, settings, message", [
    ("source", ("model.regions=3",), r"^The mask network of .*/source has another form \(model.regions=2, .*model.regions=3, "),
    ("source", ("model.mask_network.channels=4",), "^The mask network of .* has another form .*channels=4"),
    ("nothing", (), "nothing holds no run"),
    ("source,{folder}/nothing", (), "nothing holds no run"),
])
def test_a_mask_network_that_cannot_be_begun_with_is_refused(tmp_path, source, name, settings, message):
    with pytest.raises(UserError, match=message):
        begin(tmp_path / name.format(folder=tmp_path), tmp_path / "run", tiny.pictures("train").images, *settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("regions, first, order", [(2, 0, [0, 1]), (2, 1, [1, 0]), (3, 2, [2, 0, 1])])
def test_a_region_is_put_first(regions, first, order):
    """Sigmoid for two regions, softmax for three."""
    network = MaskNetwork(regions, channels=2, residual_blocks=1)
    images = tf.random.stateless_uniform([2, 32, 32, 3], [0, 0], -1, 1)
    network(images)
    network.logits.set_weights([network.logits.get_weights()[0], 0.3 * np.arange(1, network.logits.filters + 1)])
    before = network(images).numpy()
    beginning.put_first(network, first)
    np.testing.assert_allclose(network(images), before[..., order], atol=1e-6)


def test_region_0_is_the_one_at_the_border(tmp_path, source):
    """Where the evaluation says that it is region 1, what is begun with has the regions exchanged."""
    metrics = source / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    best = load_mask_network(Workdir(os.fspath(source)))[0].get_weights()
    for shares, order in (([0.9, 0.1], [0, 1]), ([0.2, 0.8], [1, 0])):
        metrics.write_text("".join(json.dumps({**row, "val/border_shares": shares}) + "\n" for row in rows))
        kernel, bias = begin(source, tmp_path / f"run{shares[0]}", tiny.pictures("train").images)
        np.testing.assert_array_equal(kernel, best[0][..., order])
        np.testing.assert_array_equal(bias, best[1][order])


def test_a_run_that_begins_with_itself_is_refused(tmp_path, source):
    with pytest.raises(UserError, match="/source cannot begin with itself: choose another --workdir"):
        beginning.check_beginning(tiny.config(f"train.begin_with={source}"), Workdir(f"{tmp_path}/./source"))
