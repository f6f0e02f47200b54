"""The reshaped mask network against the one that is trained."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export.inference_graph import InferenceGraph, column_taps, reflect, row_sums
from redo_tf.models import MaskNetwork

pytestmark = pytest.mark.usefixtures("seeded")


def network(**settings) -> MaskNetwork:
    """With scales, offsets and biases as training might leave them: of either sign, some 0."""
    built = MaskNetwork(channels=4, **{"residual_blocks": 1, **settings})
    built(tf.zeros([1, 32, 32, 3]))
    rng = np.random.default_rng(0)
    for variable in built.variables:
        if len(variable.shape) == 1:
            variable.assign(rng.normal(size=variable.shape))
    built.stem[1].scale.assign([0.0, -1.0, 1.0, 2.0])
    return built


def images(height=32, width=32) -> np.ndarray:
    return np.random.default_rng(1).random([2, height, width, 3], np.float32)


@pytest.mark.parametrize("order, settings", [
    ([0, 1], {}),
    ([1, 0], {"temperature": 2.0, "residual_blocks": 2}),
    ([2, 0, 1], {"regions": 3, "pooling_windows": "adaptive"}),
    ([0, 4, 2, 1, 3], {"regions": 5, "pooling_windows": None, "residual_blocks": 0}),
])
@pytest.mark.parametrize("height, width, known, strips", [
    (32, 32, True, 1), (32, 32, True, 2), (48, 64, True, 3), (32, 64, True, 1), (24, 36, False, 1)])
def test_masks_are_the_trained_networks(order, settings, height, width, known, strips):
    f = network(**settings)
    x = images(height, width)
    size = [height, width] if known else [None, None]
    graph = tf.function(InferenceGraph(f, order, strips=strips), input_signature=[tf.TensorSpec([None, *size, 3])])
    # Ten layers of sums of some hundred float32 products of the order of 1.
    np.testing.assert_allclose(graph(x), f(2 * x - 1).numpy()[..., order], atol=2e-5)


@pytest.mark.parametrize("rows, strips", [(36, 2), (32, 3), (None, 2)])
def test_strips_that_would_not_meet_are_refused(rows, strips):
    graph = tf.function(InferenceGraph(network(), [0, 1], strips=strips))
    with pytest.raises(ValueError, match=f"{rows} rows cannot be cut into {strips} strips"):
        graph.get_concrete_function(tf.TensorSpec([1, rows, 32, 3]))


def test_a_picture_of_one_colour_and_nearly_so():
    """Where the variance is far below the mean's square, and below ε."""
    f = network()
    for noise in (0.0, 1e-3, 1e-2):
        x = 0.9 + noise * images()
        # Differences of float32 numbers of the order of 1, divided by √ε: 1e-7 / 3e-3 in each layer of both networks.
        np.testing.assert_allclose(InferenceGraph(f, [0, 1])(x), f(2 * x - 1), atol=1e-2)


@pytest.mark.parametrize("axis", [1, 2])
def test_reflected_lines_leave_out_the_edge(axis):
    line = np.arange(5.0)
    x = line.reshape(1, 5, 1, 1) if axis == 1 else line.reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(
        reflect(tf.constant(x), axis).numpy().ravel(), [3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1])


@pytest.mark.parametrize("outputs", [1, 3])
def test_columns_of_taps_summed_along_rows_are_the_convolution(outputs):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=[2, 14, 22, 3]), rng.normal(size=[7, 7, 3, outputs])
    columns = tf.nn.conv2d(x, column_taps(kernel), [1, 2, 1, 1], "VALID")
    sums = row_sums().astype(np.float64)
    blocks = [tf.nn.conv2d(columns[..., k::outputs], sums, [1, 1, 2, 1], "VALID") for k in range(outputs)]
    np.testing.assert_allclose(tf.concat([tf.nn.depth_to_space(block, 2) for block in blocks], axis=-1),
                               tf.nn.conv2d(x, kernel, 1, "VALID"), atol=1e-12)
