from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import value, window_means
from redo_tf.layers import PyramidPooling
from redo_tf.layers.pyramid_pooling import bilinear_matrix, pooling_matrix


def pooled_by_loop(x, bins, windows):
    """[B, H, W, C] → [B, b, b, C], one bin at a time."""
    _, height, width, _ = x.shape
    if windows == "equal":
        return window_means(x, height // bins, width // bins)

    def borders(size, i):
        return slice(int(np.floor(i * size / bins)), int(np.ceil((i + 1) * size / bins)))

    rows = [[x[:, borders(height, i), borders(width, j)].mean((1, 2)) for j in range(bins)] for i in range(bins)]
    return np.array(rows).transpose(2, 0, 1, 3)


@pytest.mark.parametrize("windows", ["equal", "adaptive"])
@pytest.mark.parametrize("height, width", [(32, 32), (16, 16), (8, 8), (7, 15), (11, 35)])
def test_layer_is_pool_project_resize_by_a_loop(windows, height, width):
    x = np.random.default_rng(0).normal(size=[2, height, width, 3]).astype(np.float32)
    layer = PyramidPooling(windows=windows)
    layer(x)  # Creates the projections.
    for projection, bias in zip(layer.projections, (0.1, 0.2, 0.3, 0.4)):
        projection.bias.assign([bias])
    actual = layer(x)
    np.testing.assert_array_equal(actual[..., :3], x)
    for i, bins in enumerate((1, 2, 3, 6)):
        projected = pooled_by_loop(x, bins, windows) @ value(layer.projections[i].kernel)[0, 0] + 0.1 * (i + 1)
        expected = tf.image.resize(projected, [height, width], "bilinear")
        np.testing.assert_allclose(actual[..., 3 + i:4 + i], expected, atol=2e-6)


def test_equal_windows_of_32_drop_the_last_two_columns_for_3_and_6_bins():
    used = {bins: np.flatnonzero(pooling_matrix(32, bins, "equal").numpy().any(0)).tolist() for bins in (1, 2, 3, 6)}
    assert used == {1: list(range(32)), 2: list(range(32)), 3: list(range(30)), 6: list(range(30))}


def test_equal_windows_are_as_many_as_there_are():
    """At 64×64, maps of 16, the six bins of the paper are eight of two values; at 32×32, maps of 8, eight of one."""
    made = {size: [pooling_matrix(size, bins, "equal").shape[0] for bins in (1, 2, 3, 6)] for size in (8, 11, 16, 32)}
    assert made == {8: [1, 2, 4, 8], 11: [1, 2, 3, 11], 16: [1, 2, 3, 8], 32: [1, 2, 3, 6]}
    np.testing.assert_array_equal(pooling_matrix(8, 6, "equal"), np.eye(8))


@pytest.mark.parametrize("size", [8, 11, 16, 32, 35])
@pytest.mark.parametrize("windows", ["equal", "adaptive"])
def test_context_stays_where_it_was(windows, size):
    """A ramp that is pooled and resampled is the same ramp, but for what windows round off: half of one at each end, and
    the columns that equal windows drop."""
    for bins in (3, 6):
        pooled = value(pooling_matrix(size, bins, windows)) @ np.arange(size)
        resampled = value(bilinear_matrix(len(pooled), size)) @ pooled
        assert np.abs(resampled - np.arange(size)).max() <= size / len(pooled) / 2 + size % (size // bins)


def test_adaptive_windows_of_32_for_3_bins_are_0_to_11_10_to_22_and_21_to_32():
    expected = np.zeros([3, 32])
    expected[0, 0:11], expected[1, 10:22], expected[2, 21:32] = 1 / 11, 1 / 12, 1 / 11
    np.testing.assert_allclose(pooling_matrix(32, 3, "adaptive"), expected, rtol=1e-6)


@pytest.mark.parametrize("windows", ["equal", "adaptive"])
@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_every_bin_is_an_average(bins, windows):
    np.testing.assert_allclose(value(pooling_matrix(16, bins, windows)).sum(1), 1, rtol=1e-6)


def test_bilinear_matrix_from_2_to_4_by_hand():
    # Centres of the four at (i + ½)/2 − ½ = −¼, ¼, ¾, 1¼ of the two.
    np.testing.assert_array_equal(bilinear_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


@pytest.mark.parametrize("bins, size", [(1, 8), (2, 8), (3, 8), (6, 8), (3, 32), (6, 32), (5, 7)])
def test_bilinear_matrix_is_tf_image_resize_with_half_pixel_centres(bins, size):
    line = np.random.default_rng(0).normal(size=[bins])
    expected = tf.image.resize(line.reshape(1, 1, bins, 1), [1, size], "bilinear").numpy().ravel()
    np.testing.assert_allclose(value(bilinear_matrix(bins, size)) @ line, expected, atol=1e-6)


def test_fewer_values_than_bins_and_unknown_windows_are_refused():
    with pytest.raises(ValueError, match="5 values cannot be pooled into 6 bins"):
        pooling_matrix(5, 6, "equal")
    with pytest.raises(ValueError, match="'equal' or 'adaptive', not 'round'"):
        pooling_matrix(8, 2, "round")


@pytest.mark.parametrize("windows", ["equal", "adaptive"])
def test_size_known_only_when_the_graph_runs(windows):
    layer = PyramidPooling(windows=windows)
    x = np.random.default_rng(0).normal(size=[1, 16, 16, 2]).astype(np.float32)
    layer(x)
    anysize = tf.function(layer.call, input_signature=[tf.TensorSpec([None, None, None, 2])])
    for shape in ((16, 16), (8, 21), (11, 35)):
        x = np.random.default_rng(1).normal(size=[2, *shape, 2]).astype(np.float32)
        np.testing.assert_allclose(anysize(x), layer(x), atol=1e-6)
