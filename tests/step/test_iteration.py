"""Whole iterations, compared with the equations and with Adam in NumPy; what moves, and what randomness depends on."""
from __future__ import annotations

import numpy as np
import pytest

from equations import NumpyAdam, expected_iteration
from iterations import BATCH, SEED, Run, assert_same_weights, build, drawn, in_model_range, moved, noise


def assert_same_iterations(run: Run, steps: int) -> None:
    """As those of the equations and of Adam in NumPy: metrics, weights, every u."""
    start, adam, kind = run.weights(), NumpyAdam(), run.config.objective.regions
    expected = [(expected_iteration(run.model, adam, step, kind), run.weights(), run.constants()) for step in range(steps)]
    run.reset()
    for step, (metrics, weights, constants) in enumerate(expected):
        actual = run(step)
        assert actual.keys() == metrics.keys()
        for name, value in metrics.items():
            np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        assert_same_weights(run.weights(), weights, start)
        for one, other in zip(run.constants(), constants):
            np.testing.assert_allclose(one, other, atol=1e-5)
        start = weights


@pytest.mark.parametrize("kind", ["mean", "worst"])
def test_an_iteration_with_three_regions_is_that_of_the_equations(seeded, kind, monkeypatch):  # First: see `seeded`.
    run = build(model__regions=3, objective__regions=kind)
    monkeypatch.setattr(run.step, "compiled", run.step._iteration)  # Eagerly: tracing takes four times as long.
    assert_same_iterations(run, steps=1)


def test_two_iterations_are_those_of_the_equations_and_of_adam_in_numpy(run):
    assert_same_iterations(run, steps=2)


def test_the_generator_update_moves_all_networks_but_the_discriminator(run):
    before = run.weights()
    images = in_model_range("images")
    run.strategy.run(run.step._generator_update, args=(images, noise(), None, images))
    after = run.weights()
    assert {name for name in after if moved(before[name], after[name])} == {
        "mask_network", "encoder", "generator_0", "generator_1"}


def test_the_discriminator_update_moves_only_the_discriminator(run):
    before = run.weights()
    images, real = in_model_range("images"), in_model_range("real")
    run.strategy.run(run.step._discriminator_update, args=(images, noise(), real, None, images))
    after = run.weights()
    assert {name for name in after if moved(before[name], after[name])} == {"discriminator"}


def test_a_step_is_traced_once_whatever_the_seed_the_step_and_the_pictures(run):
    for step, seed in ((0, 1), (1, 1), (2**33, 2), (3, 2**31 - 1)):
        run(step, seed)
    assert run.step.compiled.experimental_get_tracing_count() == 1


def test_the_same_seed_and_step_give_the_same_iteration(run):
    first = run(step=3)
    again = run.reset()(step=3)
    for name, value in first.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-5, err_msg=name)
    assert run.reset()(step=3, seed=SEED + 1)["generator/information"] != pytest.approx(
        first["generator/information"], rel=1e-3)


def test_noise_is_normal_and_a_function_of_seed_and_step_alone(run):
    np.testing.assert_array_equal(drawn(run, 5, 7), drawn(run, 5, 7))
    many = np.stack([drawn(run, seed, step) for seed in (0, 1, 2) for step in range(15)])
    assert many.shape == (45, BATCH, 2, 3) and len(np.unique(many)) == many.size  # Nothing is drawn twice.
    # 1080 values: the mean is known to 1/√1080 = 0.03, the deviation to 0.03/√2.
    assert abs(many.mean()) < 0.1 and abs(many.std() - 1) < 0.07


@pytest.mark.parametrize("step, decay", [
    (0, 0.1),  # (1 + 0)/(10 + 0)
    (8, 0.5),  # 9/18
    (10_000, 0.99),  # 10,001/10,010 = 0.9991 is more than the configured 0.99
])
def test_the_mask_average_follows_quickly_at_first(run, step, decay):
    rng = np.random.default_rng(0)
    old = [rng.normal(size=weight.shape) for weight in run.average.trainable_variables]
    run.average.set_weights(old)
    run(step)
    for mean, before, weight in zip(
            run.average.trainable_variables, old, run.model.mask_network.trainable_variables):
        np.testing.assert_allclose(mean, decay * before + (1 - decay) * weight.numpy(), atol=1e-6)


def test_one_sampled_region_moves_its_own_generator_alone():
    run = build(objective__redraw="one", model__generator__attention=False, model__discriminator__attention=False)

    def who_moves(step):
        before = run.weights()
        run(step)
        after = run.weights()
        return {name for name in after if moved(before[name], after[name])}

    old = [0.5 * weight.numpy() for weight in run.average.trainable_variables]
    run.average.set_weights(old)
    layer = run.model.discriminator.trunk.first.conv1
    kernel, u = layer.w.numpy().reshape(-1, 4), layer.u.numpy()[0]
    u = kernel.T @ kernel @ u
    steps = [who_moves(0)]
    np.testing.assert_allclose(layer.u[0], u / np.linalg.norm(u), atol=1e-5)  # One power iteration for both updates.
    # And one step of the average, whose decay is 0.1 at first.
    for mean, before, weight in zip(run.average.trainable_variables, old, run.model.mask_network.trainable_variables):
        np.testing.assert_allclose(mean, 0.1 * before + 0.9 * weight.numpy(), atol=1e-6)
    steps += [who_moves(step) for step in range(1, 8)]
    chosen = [names - {"mask_network", "encoder", "discriminator"} for names in steps]
    assert all(names >= {"mask_network", "encoder", "discriminator"} for names in steps)
    assert set.union(*chosen) == {"generator_0", "generator_1"} and all(len(names) == 1 for names in chosen)
    run.reset()
    assert [who_moves(step) for step in range(8)] == steps  # A function of seed and step.
    assert run.step.compiled.experimental_get_tracing_count() <= 4  # One for each region and update.
