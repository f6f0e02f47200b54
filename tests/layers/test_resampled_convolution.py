from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import average_pool, convolution, upsample, value
from redo_tf.layers import PooledConv2D, UpsampledConv2D
from redo_tf.layers.kernel_cache import kernels_kept
from redo_tf.layers.resampled_convolution import box_filtered, upsample_nearest
from redo_tf.layers.scopes import SUMS

# In float64, so that only the identity can fail and not the order of the additions: sums of at most 9·7 products.
TOLERANCE = 1e-12
CASES = pytest.mark.parametrize("height, width, channels, filters", [
    (4, 4, 1, 1), (4, 6, 3, 4), (10, 2, 4, 3), (2, 8, 5, 7)])


def plain_convolution(x, kernel, bias):
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)


def pooled_reference(x, kernel, bias):
    return tf.nn.avg_pool2d(plain_convolution(x, kernel, bias), 2, 2, "VALID")


def upsampled_reference(x, kernel, bias):
    return plain_convolution(tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2), kernel, bias)


def layer_and_input(layer_class, height, width, channels, filters):
    layer = layer_class(filters, dtype="float64")
    x = tf.constant(np.random.default_rng(0).normal(size=[2, height, width, channels]))
    layer.build(x.shape)
    layer.bias.assign(np.random.default_rng(1).normal(size=[filters]))
    return layer, x


@CASES
def test_pooled_conv_is_the_average_of_four_neighbours_of_a_convolution(height, width, channels, filters):
    layer, x = layer_and_input(PooledConv2D, height, width, channels, filters)
    expected = average_pool(convolution(x.numpy(), value(layer.kernel), value(layer.bias)))
    np.testing.assert_allclose(layer(x), expected, atol=TOLERANCE)


@CASES
def test_upsampled_conv_is_the_convolution_of_repeated_pixels(height, width, channels, filters):
    layer, x = layer_and_input(UpsampledConv2D, height, width, channels, filters)
    expected = convolution(upsample(x.numpy()), value(layer.kernel), value(layer.bias))
    np.testing.assert_allclose(layer(x), expected, atol=TOLERANCE)


@CASES
@pytest.mark.parametrize("layer_class, reference", [
    (PooledConv2D, pooled_reference), (UpsampledConv2D, upsampled_reference)])
def test_gradients_are_those_of_the_two_steps(layer_class, reference, height, width, channels, filters):
    layer, x = layer_and_input(layer_class, height, width, channels, filters)

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function()
            weights = tf.constant(np.random.default_rng(2).normal(size=outputs.shape))
            loss = tf.reduce_sum(weights * outputs)
        return tape.gradient(loss, [x, layer.kernel, layer.bias])

    expected = gradients(lambda: reference(x, layer.kernel, layer.bias))
    for actual, wanted in zip(gradients(lambda: layer(x)), expected):
        np.testing.assert_allclose(actual, wanted, atol=TOLERANCE)


def test_box_filter_sums_the_four_shifts_of_a_kernel():
    kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
    by_hand = [[1, 3, 5, 3],
               [5, 12, 16, 9],
               [11, 24, 28, 15],
               [7, 15, 17, 9]]
    np.testing.assert_array_equal(box_filtered(kernel)[:, :, 0, 0], by_hand)


def test_nearest_upsampling_repeats_every_pixel():
    x = np.arange(12.0).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(upsample_nearest(tf.constant(x)), upsample(x))


def test_gradient_of_nearest_upsampling_is_the_sum_over_the_four_pixels():
    x, upstream = tf.zeros([1, 2, 3, 2]), np.random.default_rng(0).normal(size=[1, 4, 6, 2]).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = upsample_nearest(x)
    np.testing.assert_allclose(tape.gradient(outputs, x, upstream), 4 * average_pool(upstream), atol=1e-6)


@pytest.mark.parametrize("layer_class", [PooledConv2D, UpsampledConv2D])
def test_kernels_are_merged_once_for_all_parts_of_a_batch_and_have_the_gradient_of_all(layer_class):
    layer, x = layer_and_input(layer_class, 4, 6, 3, 4)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape, kernels_kept():
            loss = sum(tf.reduce_sum(layer(part) ** 2) for part in tf.split(x, 2))
        return tape.gradient(loss, layer.kernel)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    np.testing.assert_allclose(gradients(), tape.gradient(loss, layer.kernel), atol=TOLERANCE)
    products = [operation for operation in gradients.get_concrete_function().graph.get_operations()
                if operation.type == "MatMul" and SUMS in operation.name]
    assert len(products) == 2  # Forward and its gradient.


@pytest.mark.parametrize("layer_class", [PooledConv2D, UpsampledConv2D])
def test_what_is_kept_of_one_kernel_is_not_used_for_another(layer_class):
    layer, x = layer_and_input(layer_class, 4, 6, 3, 4)
    kernel = tf.convert_to_tensor(layer.kernel)
    with kernels_kept():
        first = layer.convolution_op(x, kernel)
        np.testing.assert_allclose(layer.convolution_op(x, 2 * kernel), 2 * first, atol=TOLERANCE)


@pytest.mark.parametrize("layer_class, size", [(PooledConv2D, (3, 2)), (UpsampledConv2D, (12, 8))])
def test_size_is_known_when_the_batch_is_not(layer_class, size):
    layer = layer_class(5)
    trace = tf.function(layer, input_signature=[tf.TensorSpec([None, 6, 4, 3])]).get_concrete_function()
    assert trace.output_shapes.as_list() == [None, *size, 5]
    assert layer.compute_output_shape([None, None, 4, 3]).as_list() == [None, None, size[1], 5]
