from __future__ import annotations

import numpy as np
import pytest

import reference
from redo_tf.models import RegionGenerator

pytestmark = pytest.mark.usefixtures("seeded")


def inputs(size=32, batch=2, d=3):
    """Masks with places of exactly 0 and of exactly 1; z."""
    rng = np.random.default_rng(0)
    masks = np.clip(rng.uniform(-0.5, 1.5, [batch, size, size, 1]), 0, 1).astype(np.float32)
    return masks, rng.normal(size=[batch, d]).astype(np.float32)


def build(size=32, gamma=0.7, **options) -> RegionGenerator:
    generator = RegionGenerator(size, **{"channels": 2, **options})
    generator(inputs(size))
    if generator.attention:
        generator.attention.gamma.assign(gamma)
    rng = np.random.default_rng(1)
    for weight in generator.trainable_weights:
        if "bias" in weight.name:
            weight.assign(0.5 * rng.normal(size=weight.shape))
    return generator


def test_parameters_by_hand_at_128():
    # ch = 8, d = 32, so γ and β, linear in z, are 2·33 a channel; in each block the mask is one channel more.
    # z → 4×4×128:   33·16·128                                                     =  67,584
    # 128 → 128:     66·256 + 9·129·128 + (9·128·128 + 128) + (128·128 + 128)      = 329,600
    # 128 → 64:      66·192 + 9·129·64 + (9·64·64 + 64) + (128·64 + 64)            = 132,160
    # 64 → 32:       66·96 + 9·65·32 + (9·32·32 + 32) + (64·32 + 32)               =  36,384
    # 32 → 16:       66·48 + 9·33·16 + (9·16·16 + 16) + (32·16 + 16)               =  10,768
    # 16 → 8:        66·24 + 9·17·8 + (9·8·8 + 8) + (16·8 + 8)                     =   3,528
    # attention:     16·2 + 16·2 + 16·8 + 8·16 + 1                                 =     321
    # to RGB:        66·8 + 9·9·3 + 3                                              =     774
    generator = RegionGenerator(128, channels=8)
    generator(inputs(128, batch=1, d=32))
    assert reference.parameters(generator) == 581_119


@pytest.mark.parametrize("attention", [True, False])
def test_picture_is_that_of_the_definition(attention):
    generator = build(attention=attention)
    masks, z = inputs()
    expected = reference.region_generator(generator, masks.astype(np.float64), z.astype(np.float64))
    np.testing.assert_allclose(generator((masks, z)), expected, atol=1e-4)  # about twenty layers in float32


@pytest.mark.parametrize("size", [32, 64, 128])
def test_picture_has_the_masks_size_and_lies_in_minus_1_to_1(size):
    masks, z = inputs(size, batch=1)
    picture = build(size)((masks, z)).numpy()
    assert picture.shape == (1, size, size, 3) and picture.dtype == np.float32
    assert 0.1 < np.abs(picture).max() <= 1


def test_nothing_is_painted_where_the_mask_is_0_and_no_more_than_the_masks_share():
    masks, z = inputs()
    picture = build()((masks, z)).numpy()
    assert not picture[masks[..., 0] == 0].any()
    assert picture[masks[..., 0] > 0].any(-1).all()
    assert (np.abs(picture) <= masks).all()


def test_picture_depends_on_z():
    masks, z = inputs()
    generator = build()
    assert np.abs(generator((masks, z)) - generator((masks, z + 1))).max() > 0.05


def test_paint_inside_depends_on_the_mask_outside():
    generator = build(attention=False, normalization="batch")  # Neither attention nor a norm spreads it in inference,
    masks, z = np.ones([1, 32, 32, 1], np.float32), inputs(batch=1)[1]  # only the mask's averages and the kernels do.
    other = masks.copy()
    other[:, :, 16:] = 0
    difference = np.abs(generator((masks, z)) - generator((other, z)))[:, :, :16]
    assert difference.max() > 0.01


def test_batch_normalization_tells_training_from_inference():
    generator = build(normalization="batch")
    assert np.abs(generator(inputs(), training=True) - generator(inputs(), training=False)).max() > 0.05


def test_instance_normalization_is_the_same_in_training_and_inference():
    generator = build()
    np.testing.assert_array_equal(generator(inputs(), training=True), generator(inputs(), training=False))


def test_sizes_other_than_32_times_a_power_of_2_are_refused():
    with pytest.raises(ValueError, match="The picture size is 48"):
        RegionGenerator(48)
