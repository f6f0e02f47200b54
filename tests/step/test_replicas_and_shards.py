"""The same iteration by two replicas, in shards, and in bfloat16."""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from iterations import BATCH, assert_same_weights, build, drawn, in_model_range, noise, small_config
from redo_tf.objective import generator_loss
from redo_tf.precision import fastest_on_cpu
from redo_tf.step import TrainingStep


def test_replicas_recolour_their_parts_of_one_batch_and_the_two_updates_differently(run, two_replicas):
    def seen(strategy, seeds, steps=9):
        step = TrainingStep(run.model, None, {}, small_config(objective__recolour_steps=steps), strategy)
        whole = run.share(in_model_range("images").numpy()) if strategy is run.strategy else (
            strategy.experimental_distribute_values_from_function(lambda context: in_model_range("images")[
                context.replica_id_in_sync_group * (BATCH // 2):][:BATCH // 2]))
        found = strategy.run(lambda images: step._seen_by_f(tf.constant(seeds, tf.int64), images), args=(whole,))
        return np.concatenate(strategy.experimental_local_results(found))
    alone = seen(run.strategy, [5, 7])
    np.testing.assert_array_equal(seen(two_replicas, [5, 7]), alone)
    for seeds in ([6, 7], [5, 8], [5 + (1 << 31), 7]):
        assert not np.isclose(seen(run.strategy, seeds), alone).all(axis=(1, 2, 3)).any()
    for seeds, steps in (([5, 7], 0), ([5, 9], 9)):  # Never, and no longer.
        np.testing.assert_array_equal(seen(run.strategy, seeds, steps), in_model_range("images"))


def test_two_replicas_with_half_batches_are_one_with_the_whole(run, two_replicas):
    pair = build(two_replicas, like=run)
    np.testing.assert_array_equal(drawn(pair, 5, 7), drawn(run, 5, 7))
    start = run.weights()
    for step in range(3):
        alone, together = run(step), pair(step)
        for name, value in alone.items():
            np.testing.assert_allclose(together[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        # Only the order of the gradients' sums differs: one rounding of the weights here. Later steps start from that,
        # and ReLUs, hinges and max pools near their corners may pass it on: ten times as much is allowed.
        assert_same_weights(pair.weights(), run.weights(), start, share=1e-4 if step == 0 else 1e-3)
    assert pair.step.compiled.experimental_get_tracing_count() == 1
    for variable in [*pair.model.variables, *pair.average.variables]:
        replicas = two_replicas.experimental_local_results(variable)
        assert len(replicas) == 2
        np.testing.assert_array_equal(*replicas)


def test_shards_are_one_with_the_whole_batch(run):
    parted, start = build(like=run, train__shards=2), run.weights()
    whole, shards = run(), parted()
    for name, value in whole.items():
        np.testing.assert_allclose(shards[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert_same_weights(parted.weights(), run.weights(), start)


def test_each_image_has_its_own_latents_and_place_in_shards(run, monkeypatch):
    """Sums over the batch would not show losses that change places."""
    monkeypatch.setattr(run.config.train, "shards", 4)
    images, latents = in_model_range("images"), noise()

    def loss(images, latents):
        return {"total": generator_loss(run.model, run.config.objective, images, latents, None)["total"]}
    found = run.step._in_shards(loss, images, latents)["total"]
    np.testing.assert_allclose(found, loss(images, latents)["total"], rtol=1e-4)


def test_mixed_bfloat16_iterations_are_finite_and_near_float32s(run):
    low = build(like=run, train__precision="mixed_bfloat16")
    expected, actual = run(), low()
    # Some thirty layers each round by up to 2⁻⁹, which adds up like a random walk: √30·2⁻⁹ = 0.011; twice that. Without
    # bfloat16 instructions TensorFlow rounds each partial sum too: a kernel's gradient sums 4·32·32 places, √4096·2⁻⁹.
    tolerance = 0.022 if fastest_on_cpu() == "mixed_bfloat16" else 0.125
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=tolerance, atol=tolerance, err_msg=name)
    for step in (1, 2):
        assert all(np.isfinite(value).all() for value in low(step).values())
    assert all(variable.dtype == tf.float32 for variable in low.model.variables)
    assert all(np.isfinite(variable).all() for variable in low.model.variables)
