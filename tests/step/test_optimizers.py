"""The networks' optimisers, with numbers computed by hand."""
from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf

from redo_tf.config import Config
from redo_tf.models import Discriminator, Encoder, MaskNetwork, Redo
from redo_tf.optimizers import DelayedStart, build_optimizers, l2_decayed


def mask_optimizer(**options) -> tf.keras.optimizers.legacy.Optimizer:
    """f's, of networks without variables."""
    stub = Redo(MaskNetwork(), [], Discriminator(32, (2,)), Encoder(32, 1, 1, (2,)), image_size=32, latent_size=1)
    return build_optimizers(stub, dataclasses.replace(Config().optimizer, **options))["mask_network"]


def test_an_l2_decayed_adam_step_by_hand():
    weight, adam = tf.Variable(2.0), mask_optimizer(mask_learning_rate=0.01)
    # Gradient 0.3 + λ·w = 0.3 + 0.1·2 = 0.5. v = 0.1·0.25 = 0.025; 0.01·√(1 − 0.9)·0.5/√0.025 = 0.01.
    adam.apply_gradients(zip(l2_decayed([tf.constant(0.3)], [weight], 0.1), [weight]))
    assert weight.numpy() == pytest.approx(1.99, abs=1e-6)
    # Gradient −0.1 + 0.199 = 0.099. v = 0.9·0.025 + 0.1·0.009801 = 0.0234801, m = 0.099 (β₁ = 0);
    # 0.01·√(1 − 0.81)·0.099/√0.0234801 = 0.01·0.4358899·0.099/0.1532322 = 0.00281621.
    adam.apply_gradients(zip(l2_decayed([tf.constant(-0.1)], [weight], 0.1), [weight]))
    assert weight.numpy() == pytest.approx(1.98718379, abs=1e-6)


def test_epsilon_is_pytorchs_and_counts_where_gradients_are_tiny():
    """At √v = ε the step is half of what it would be without ε; Keras' own ε of 1e-7 would leave an eleventh."""
    weight, adam = tf.Variable(0.0), mask_optimizer(mask_learning_rate=1.0)
    # v = 0.1·g², so that √v = 1e-8 for g = 1e-8/√0.1; m = g. √(1 − 0.9)·g/(√v + ε) = 1e-8/2e-8.
    adam.apply_gradients([(tf.constant(1e-8 / 0.1**0.5), weight)])
    assert weight.numpy() == pytest.approx(-0.5, rel=1e-5)


def test_the_mask_network_waits_for_its_delay():
    weight, adam = tf.Variable(1.0), mask_optimizer(mask_learning_rate=0.01, mask_delay=2)
    values = []
    for _ in range(3):
        adam.apply_gradients([(tf.constant(0.5), weight)])
        values.append(weight.numpy())
    assert values[:2] == [1.0, 1.0]
    # After three equal gradients v = (1 − 0.9³)·0.25, which the bias correction divides out: a step of the whole rate.
    assert values[2] == pytest.approx(0.99, abs=1e-6)


def test_delayed_start_is_0_for_so_many_steps_and_then_constant():
    schedule = DelayedStart(0.25, 3)
    assert [float(schedule(tf.constant(step))) for step in (0, 1, 2, 3, 4, 1000)] == [0, 0, 0, 0.25, 0.25, 0.25]
    assert float(DelayedStart(0.25, 0)(tf.constant(0))) == 0.25
    assert float(DelayedStart.from_config(schedule.get_config())(tf.constant(3))) == 0.25
