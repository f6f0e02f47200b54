from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reference import convolution
from redo_tf.layers.small_maps import Conv3x3, convolve, convolve_transposed

# The batch's places beside the filters: so few that all is by matrices, the kernel's gradient alone, nothing.
ALL, KERNEL_GRADIENT, NOTHING = (2, 3, 5, 3, 96), (2, 3, 5, 3, 16), (2, 3, 5, 3, 8)
SHAPES = pytest.mark.parametrize("shape", [ALL, KERNEL_GRADIENT, NOTHING], ids=["all", "kernel_gradient", "nothing"])
KERNELS = pytest.mark.parametrize("size, stride", [(3, 1), (4, 2), (3, 2), (5, 1)])


def inputs(shape, size, stride):
    """x, larger by the stride so that the results have `shape`, kernel and the results' gradient, in float64."""
    batch, height, width, channels, filters = shape
    rng = np.random.default_rng(0)
    shapes = ([batch, stride * height, stride * width, channels], [size, size, channels, filters],
              [batch, height, width, filters])
    return [tf.constant(rng.normal(size=each)) for each in shapes]


def kinds(function, *arguments) -> set:
    return {operation.type for operation in tf.function(function).get_concrete_function(*arguments).graph.get_operations()}


@SHAPES
@pytest.mark.parametrize("size, stride", [(3, 1), (4, 2)])
def test_convolution_is_the_sum_over_the_kernels_places(shape, size, stride):
    x, kernel, _ = inputs(shape, size, stride)
    expected = convolution(x.numpy(), kernel.numpy(), stride=stride, pad=1)
    np.testing.assert_allclose(convolve(x, kernel, stride), expected, atol=1e-12)  # float64


def results(function, a, b, upstream):
    """`function(a, b)` and its gradients for a and b."""
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        outputs = function(a, b)
    return outputs, *tape.gradient(outputs, [a, b], upstream)


@SHAPES
@KERNELS
def test_results_and_gradients_are_those_of_tensorflows_convolution(shape, size, stride):
    x, kernel, upstream = inputs(shape, size, stride)
    for actual, expected in zip(
            results(lambda x, kernel: convolve(x, kernel, stride), x, kernel, upstream),
            results(lambda x, kernel: tf.nn.conv2d(x, kernel, stride, "SAME"), x, kernel, upstream)):
        np.testing.assert_allclose(actual, expected, atol=1e-11)  # float64, sums of up to 400 products


@SHAPES
@KERNELS
def test_transposed_convolution_and_its_gradients_are_tensorflows(shape, size, stride):
    upstream, kernel, x = inputs(shape, size, stride)  # The smaller maps are what goes in.
    transposed = lambda x, kernel: tf.nn.conv2d_transpose(x, kernel, upstream.shape, stride, "SAME")
    for actual, expected in zip(
            results(lambda x, kernel: convolve_transposed(x, kernel, stride), x, kernel, upstream),
            results(transposed, x, kernel, upstream)):
        np.testing.assert_allclose(actual, expected, atol=1e-11)  # float64, sums of up to 96 · 25 products


ARITHMETIC = {"MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}
BY_MATRICES, BY_CONVOLUTIONS = {"MatMul", "BatchMatMulV2"}, {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}
MIXED = {"MatMul", "Conv2D", "Conv2DBackpropInput"}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size, stride", [(3, 1), (4, 2)])
@pytest.mark.parametrize("shape, dtype, expected", [
    (ALL, tf.float32, BY_MATRICES), (KERNEL_GRADIENT, tf.float32, MIXED), (NOTHING, tf.float32, BY_CONVOLUTIONS),
    (NOTHING, tf.bfloat16, MIXED),  # For whose kernels' gradients TensorFlow takes longer.
    ((2, 3, 5, 3, 3), tf.bfloat16, BY_CONVOLUTIONS),
    ((1, 10, 10, 3, 256), tf.float32, MIXED)])  # Sums over the patches of larger maps would be dear.
def test_matrices_stand_in_where_places_are_few(shape, dtype, expected, size, stride, transposed):
    x, kernel, upstream = (tf.cast(values, dtype) for values in inputs(shape, size, stride))
    if transposed:
        function, x, upstream = (lambda x, kernel: convolve_transposed(x, kernel, stride)), upstream, x
    else:
        function = lambda x, kernel: convolve(x, kernel, stride)
    assert kinds(lambda *arguments: results(function, *arguments), x, kernel, upstream) & ARITHMETIC == expected


def test_sizes_that_are_not_known_are_left_to_tensorflow():
    x, kernel, _ = inputs(ALL, 3, 1)
    unknown = tf.function(convolve, input_signature=[tf.TensorSpec([None, 3, 5, 3], tf.float64),
                                                     tf.TensorSpec(kernel.shape, tf.float64)])
    assert "MatMul" not in {operation.type for operation in unknown.get_concrete_function().graph.get_operations()}
    np.testing.assert_allclose(unknown(x, kernel), convolve(x, kernel), atol=1e-12)


@pytest.mark.parametrize("known", [[None, 3, 5, 96], [2, None, None, 96]])
def test_sizes_that_are_not_known_are_left_to_tensorflows_transposed_convolution(known):
    _, kernel, x = inputs(ALL, 4, 2)
    unknown = tf.function(lambda x, kernel: convolve_transposed(x, kernel, 2), input_signature=[
        tf.TensorSpec(known, tf.float64), tf.TensorSpec(kernel.shape, tf.float64)]).get_concrete_function()
    assert "MatMul" not in {operation.type for operation in unknown.graph.get_operations()}
    assert unknown.output_shapes.as_list() == [known[0], *(size and 2 * size for size in known[1:3]), 3]
    np.testing.assert_allclose(unknown(x, kernel), convolve_transposed(x, kernel, 2), atol=1e-12)


def test_bfloat16_sums_in_float32():
    """One product of each sum is 256, the others are 1: where bfloat16 with its 8 bits sums, they are lost."""
    x = tf.concat([tf.fill([1, 1, 1, 1], 256.0), tf.ones([1, 1, 1, 127])], axis=-1)
    kernel = tf.ones([3, 3, 128, 8])
    outputs = convolve(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16))
    assert outputs.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), np.full([1, 1, 1, 8], 383), rtol=2**-8)


def test_layer_is_keras_own_convolution():
    layer, x = Conv3x3(8, dtype="float64"), inputs(ALL, 3, 1)[0]
    layer.build(x.shape)
    plain = tf.keras.layers.Conv2D(8, 3, padding="same", dtype="float64")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    assert [weight.shape for weight in layer.weights] == [(3, 3, 3, 8), (8,)]
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-12)


def test_under_mixed_precision_the_layer_goes_by_the_kernels_compute_dtype():
    """30 / 8 rows a filter: in bfloat16 the kernel's gradient is by matrices, in float32, the variable's dtype, it is not."""
    layer, x = Conv3x3(8, dtype="mixed_bfloat16"), tf.cast(inputs(NOTHING, 3, 1)[0], tf.bfloat16)
    layer(x)

    def gradient(x):
        with tf.GradientTape() as tape:
            outputs = layer(x)
        return tape.gradient(outputs, layer.kernel)

    assert kinds(gradient, x) & ARITHMETIC == MIXED
