"""Seeds, pictures and noise of the two updates."""
from __future__ import annotations

import itertools
from typing import Dict, Sequence

import numpy as np
import pytest
import tensorflow as tf

from iterations import Run, pictures, small_config
from redo_tf.pixels import to_model_range
from redo_tf.step import TrainingStep

GENERATOR = ("images", "latents", "region", "seen")
DISCRIMINATOR = ("images", "latents", "real", "region", "seen")


def arguments(run: Run, monkeypatch, seeds: Sequence[int], **overrides) -> Dict[str, Dict[str, np.ndarray]]:
    """What one iteration hands to each of its updates."""
    step = TrainingStep(run.model, None, {}, small_config(**overrides), run.strategy)
    found = {}

    def record(name, names):
        def update(*values):
            found[name] = {key: np.asarray(value) for key, value in zip(names, values)}
            return {}

        return update

    monkeypatch.setattr(step, "_generator_update", record("generator", GENERATOR))
    monkeypatch.setattr(step, "_discriminator_update", record("discriminator", DISCRIMINATOR))
    batch = {name: tf.constant(value) for name, value in pictures().items()}
    one = [(0, "generator"), (1, "discriminator")]
    for region, parts in one if step.config.objective.redraw == "one" else [(None, "both")]:
        step._replica_iteration(batch, tf.constant(seeds, tf.int64), region, parts)
    return found


def test_the_released_code_uses_one_batch_and_one_noise_for_both_updates(run, monkeypatch):
    found = arguments(run, monkeypatch, [5, 7])
    generator, discriminator = found["generator"], found["discriminator"]
    np.testing.assert_array_equal(generator["images"], to_model_range(pictures()["images"]))
    np.testing.assert_array_equal(discriminator["images"], generator["images"])
    np.testing.assert_array_equal(discriminator["latents"], generator["latents"])
    np.testing.assert_array_equal(discriminator["real"], to_model_range(pictures()["real"]))


def test_algorithm_1_gives_the_discriminator_another_batch_and_other_noise(run, monkeypatch):
    found = arguments(run, monkeypatch, [5, 7], objective__redraw="one")
    generator, discriminator = found["generator"], found["discriminator"]
    np.testing.assert_array_equal(generator["images"], to_model_range(pictures()["images"]))
    for name in ("images", "real"):
        np.testing.assert_array_equal(discriminator[name], to_model_range(pictures()["real"]))
    assert not np.isclose(discriminator["latents"], generator["latents"]).any()
    assert (generator["region"], discriminator["region"]) == (0, 1)


@pytest.mark.parametrize("redraw", ["all", "one"])
def test_f_alone_sees_other_colours_and_only_at_first(run, monkeypatch, redraw):
    for step, recoloured in ((8, True), (9, False)):
        found = arguments(run, monkeypatch, [5, step], objective__recolour_steps=9, objective__redraw=redraw)
        for update in found.values():
            assert np.array_equal(update["seen"], update["images"]) != recoloured
            assert any(np.array_equal(update["images"], to_model_range(whole)) for whole in pictures().values())


def test_each_update_of_each_seed_draws_its_own_region(run, monkeypatch):
    """n = 2, 400 iterations: a fair coin's share of 200 is known to ±10, two coins' agreement as well; five times that."""
    step = TrainingStep(run.model, None, {}, small_config(objective__redraw="one"), run.strategy)
    drawn = {(seed, parts): [] for seed in (3, 4) for parts in ("generator", "discriminator")}

    def record(batch, seeds, region, parts):
        drawn[seeds[0].numpy().item(), parts].append(region)
        return {}

    monkeypatch.setattr(step, "compiled", record)
    for iteration in range(400):
        for seed in (3, 4):
            step({}, seed, iteration)
    coins = [np.array(regions) for regions in drawn.values()]
    shares = [coin.mean() for coin in coins] + [(one == other).mean() for one, other in itertools.combinations(coins, 2)]
    assert np.abs(np.array(shares) - 0.5).max() < 0.125


def test_colours_do_not_follow_from_the_noise(run, monkeypatch):
    """Both are functions of the same seeds, and would be the same draw but for a constant."""
    found = {}

    def record(name, function):
        def recorded(shape, seeds):
            found[name] = seeds.numpy().tolist()
            return function(shape, seeds)
        return recorded

    monkeypatch.setattr(tf.random, "stateless_normal", record("noise", tf.random.stateless_normal))
    monkeypatch.setattr(tf.random, "stateless_uniform", record("colours", tf.random.stateless_uniform))
    arguments(run, monkeypatch, [5, 7], objective__recolour_steps=9)
    assert found["noise"] != found["colours"]


@pytest.mark.parametrize("xla", [False, True])
def test_each_iteration_has_its_own_seeds_wherever_a_run_goes_on(run, monkeypatch, xla):
    step = TrainingStep(run.model, None, {}, small_config(train__xla=xla), run.strategy)
    found = []
    monkeypatch.setattr(step, "compiled", lambda batch, seeds, *args, **kwargs: found.append(seeds.numpy().tolist()))
    expected = [[3, 5], [3, 6], [3, 7], [3, 2], [4, 3], [4, 4], [3, 5]]
    for seeds in expected:
        step({}, *seeds)
    assert found == expected
