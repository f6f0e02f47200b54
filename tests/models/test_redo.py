from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from redo_tf.models import Discriminator, Encoder, MaskNetwork, Redo, RegionGenerator, compose

pytestmark = pytest.mark.usefixtures("seeded")


def build(regions=3) -> Redo:
    model = Redo(
        MaskNetwork(regions, channels=2, residual_blocks=0), [RegionGenerator(32, 1) for _ in range(regions)],
        Discriminator(32, (2,)), Encoder(32, regions, 4, (2,)), image_size=32, latent_size=4)
    model.build()
    return model


def picture_masks_paint(regions=3):
    """Masks with exact zeros that sum to 1; paint already inside its mask."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, [2, 4, 4, 3]).astype(np.float32)
    masks = rng.integers(0, 3, [2, 4, 4, regions]).astype(np.float32)
    masks[..., 0] += masks.sum(-1) == 0
    masks /= masks.sum(-1, keepdims=True)
    paint = masks.transpose(3, 0, 1, 2)[..., None] * rng.uniform(-1, 1, [regions, 2, 4, 4, 3]).astype(np.float32)
    return images, masks, paint


def test_a_redrawn_picture_keeps_every_pixel_outside_its_region_bit_for_bit():
    images, masks, paint = picture_masks_paint()
    for k, redrawn in enumerate(compose(images, masks, paint).numpy()):
        outside = masks[..., k] == 0
        assert outside.any() and not outside.all()
        np.testing.assert_array_equal(redrawn[outside], images[outside])
        assert (redrawn[~outside] != images[~outside]).any(-1).all()


def test_a_redrawn_pixel_by_hand():
    # M = (½, ¼, ¼), I = 0.8, V = (−0.6, 1, 0): ½·(−0.6) + ½·0.8 = 0.1; ¼·1 + ¾·0.8 = 0.85; ¼·0 + ¾·0.8 = 0.6.
    images = np.full([1, 1, 1, 1], 0.8, np.float32)
    masks = np.array([0.5, 0.25, 0.25], np.float32).reshape(1, 1, 1, 3)
    paint = np.array([-0.3, 0.25, 0.0], np.float32).reshape(3, 1, 1, 1, 1)
    np.testing.assert_allclose(compose(images, masks, paint).numpy().ravel(), [0.1, 0.85, 0.6], rtol=1e-6)


@pytest.mark.parametrize("regions", [2, 3])
def test_the_redrawn_pictures_sum_to_the_whole_repaint_and_n_minus_1_pictures(regions):
    images, masks, paint = picture_masks_paint(regions)
    np.testing.assert_allclose(
        np.sum(compose(images, masks, paint), axis=0), paint.sum(0) + (regions - 1) * images, atol=1e-6)


def test_each_region_is_painted_by_its_own_generator_from_its_own_mask_and_z():
    model = build()
    rng = np.random.default_rng(0)
    masks = tf.nn.softmax(rng.normal(size=[2, 32, 32, 3]).astype(np.float32))
    latents = tf.constant(rng.normal(size=[2, 3, 4]), tf.float32)
    painted = model.paint(masks, latents)
    assert painted.shape == [3, 2, 32, 32, 3]
    for k in range(3):
        own = model.region_generators[k]((masks[..., k:k + 1], latents[:, k]))
        np.testing.assert_array_equal(painted[k], own)
        np.testing.assert_array_equal(model.paint_region(k, masks, latents), own)
    assert len({np.asarray(part).tobytes() for part in painted}) == 3


def test_networks_are_built_on_the_cpu_but_lie_where_the_strategy_computes():
    with tf.distribute.MirroredStrategy(["CPU:1"]).scope():
        model = build()
    assert {tf.DeviceSpec.from_string(variable.device).device_index for variable in model.variables} == {1}


def test_build_creates_every_variable():
    model = build()
    before = len(model.variables)
    images = tf.zeros([1, 32, 32, 3])
    masks = model.mask_network(images, training=True)
    painted = model.paint(masks, tf.zeros([1, 3, 4]), training=True)
    model.encoder(tf.reduce_sum(painted, axis=0))
    model.discriminator(compose(images, masks, painted)[0])
    assert len(model.variables) == before > 100
