"""The losses of whole networks, compared with the equations."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from equations import expected_discriminator_loss, expected_generator_loss, redrawn
from iterations import BATCH, build, in_model_range, noise
from redo_tf.config import Config
from redo_tf.models import networks
from redo_tf.objective import discriminator_loss, generator_loss, make_fakes


@pytest.mark.parametrize("objective, region", [
    ({}, None), ({"kind": "worst", "beta": 2.0}, None), ({}, 0), ({}, 1), ({"kind": "worst"}, 1),
    ({"lambda_z": 0.5}, None)])
def test_generator_loss_is_that_of_the_equations(model, objective, region):
    config = dataclasses.replace(
        Config().objective, regions=objective.get("kind", "mean"), beta=objective.get("beta", 4.0),
        lambda_z=objective.get("lambda_z", 5.0))
    actual = generator_loss(model, config, in_model_range("images"), noise(), region)
    expected = expected_generator_loss(model, in_model_range("images"), noise(), **objective, region=region)
    for name, value in expected.items():
        np.testing.assert_allclose(np.mean(actual[name], axis=0), value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("region", [None, 1])
def test_f_alone_sees_other_colours(model, region):
    images, seen = in_model_range("images"), -in_model_range("images")
    actual = generator_loss(model, Config().objective, images, noise(), region, seen)
    expected = expected_generator_loss(model, images, noise(), region=region, seen=seen)
    for name, value in expected.items():
        np.testing.assert_allclose(np.mean(actual[name], axis=0), value, rtol=1e-5, err_msg=name)
    fakes = redrawn(model, images, noise(), range(2) if region is None else [region], seen)[0]
    np.testing.assert_allclose(make_fakes(model, images, noise(), region, seen), tf.concat(fakes, axis=0), atol=1e-5)
    assert not np.allclose(fakes[0], make_fakes(model, images, noise(), region)[:BATCH], atol=1e-2)


def test_the_border_is_part_of_the_loss_where_it_has_a_weight(model):
    images = in_model_range("images")
    without, with_border = (
        generator_loss(model, dataclasses.replace(Config().objective, lambda_border=weight), images, noise(), None)
        for weight in (0.0, 3.0))
    masks = model.mask_network(images).numpy()
    border = np.ones([32, 32], bool)
    border[1:-1, 1:-1] = False
    np.testing.assert_allclose(with_border["border"], masks[:, border, 1].mean(1), atol=1e-6)
    np.testing.assert_allclose(with_border["total"], without["total"] + 3 * with_border["border"], rtol=1e-5)
    assert "border" not in without


def test_missing_area_is_part_of_the_loss_where_it_has_a_weight(model):
    images = in_model_range("images")
    without, with_area = (
        generator_loss(model, dataclasses.replace(Config().objective, lambda_area=weight, smallest_area=0.1),
                       images, noise(), None)
        for weight in (0.0, 3.0))
    powers = (model.mask_network(images).numpy() ** 4).mean((1, 2))
    np.testing.assert_allclose(with_area["area"], np.maximum(0, 1 - powers / 0.1).sum(1), atol=1e-5)
    np.testing.assert_allclose(with_area["total"], without["total"] + 3 * with_area["area"], rtol=1e-5)
    assert "area" not in without


def test_each_image_has_its_own_loss(model):
    objective = dataclasses.replace(Config().objective, regions="worst")
    whole = generator_loss(model, objective, in_model_range("images"), noise(), None)
    alone = generator_loss(model, objective, in_model_range("images")[2:3], noise()[2:3], None)
    for name in whole:
        np.testing.assert_allclose(whole[name][2], alone[name][0], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("region", [None, 1])
def test_discriminator_loss_is_that_of_the_equations(model, region):
    images, real = in_model_range("images"), in_model_range("real")
    fakes = redrawn(model, images, noise(), range(2) if region is None else [region])[0]
    made = make_fakes(model, images, noise(), region)
    np.testing.assert_allclose(made, tf.concat(fakes, axis=0), atol=1e-5)
    actual, expected = discriminator_loss(model, real, made), expected_discriminator_loss(model, real, fakes)
    for name, value in expected.items():
        assert actual[name].shape == [BATCH]
        np.testing.assert_allclose(np.mean(actual[name]), value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_batch_normalization_paints_with_the_batchs_statistics_for_both_updates():
    model = build(model__generator__normalization="batch").model
    images = in_model_range("images")
    fakes, whole, _ = redrawn(model, images, noise(), range(2))
    np.testing.assert_allclose(make_fakes(model, images, noise(), None), tf.concat(fakes, axis=0), atol=1e-5)
    loss = generator_loss(model, Config().objective, images, noise(), None)
    np.testing.assert_allclose(
        np.mean(loss["information"]), np.mean((model.encoder(whole) - noise())**2), rtol=1e-5)
    inference = tf.reduce_sum(model.paint(model.mask_network(images), noise()), axis=0)
    assert np.abs(inference - whole).max() > 0.05


def test_without_lambda_z_the_encoder_gets_no_gradient_and_stays(run):
    objective = dataclasses.replace(run.config.objective, lambda_z=0.0)
    with tf.GradientTape(persistent=True) as tape:
        without = tf.reduce_mean(generator_loss(run.model, objective, in_model_range("images"), noise(), None)["total"])
        adversarial = expected_generator_loss(run.model, in_model_range("images"), noise())["adversarial"]
    encoder, painter = run.model.encoder.trainable_variables, run.model.region_generators[0].trainable_variables
    assert not any(np.any(gradient) for gradient in tape.gradient(without, encoder))
    for actual, expected in zip(tape.gradient(without, painter), tape.gradient(adversarial, painter)):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_the_discriminators_loss_has_no_gradient_for_the_other_networks(model):
    with tf.GradientTape() as tape:
        fakes = make_fakes(model, in_model_range("images"), noise(), None)
        loss = tf.reduce_sum(discriminator_loss(model, in_model_range("real"), fakes)["total"])
    others = [variable for name, network in networks(model).items() if name != "discriminator"
              for variable in network.trainable_variables]
    assert all(gradient is None for gradient in tape.gradient(loss, others))
