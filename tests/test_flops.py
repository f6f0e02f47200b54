from __future__ import annotations

import pytest
import tensorflow as tf

from redo_tf import flops
from redo_tf.layers import NarrowConv2D, PooledConv2D, UpsampledConv2D
from redo_tf.models import MaskNetwork


def counted(function, *shapes) -> int:
    """What it computes, and has to be the same as published: nothing here is merged."""
    arithmetic = flops.count(tf.function(function).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes)))
    assert arithmetic.published == arithmetic.computed
    return arithmetic.computed


def gradient_of(function):
    def gradients(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(*inputs)
        return tape.gradient(outputs, inputs)
    return gradients


def test_convolution_by_hand():
    # 2 pictures, 4×5 results of 7 channels, each 3·3·6 products; a product and a sum are two.
    expected = 2 * 2 * 4 * 5 * 7 * 3 * 3 * 6
    convolution = lambda x, kernel: tf.nn.conv2d(x, kernel, 2, "SAME")
    assert counted(convolution, [2, 8, 10, 6], [3, 3, 6, 7]) == expected
    # Either gradient needs the same products once more, the result itself is not needed.
    assert counted(gradient_of(convolution), [2, 8, 10, 6], [3, 3, 6, 7]) == 2 * expected


def test_transposed_convolution_by_hand():
    transposed = lambda x, kernel: tf.nn.conv2d_transpose(x, kernel, [2, 8, 8, 3], 2)
    assert counted(transposed, [2, 4, 4, 5], [3, 3, 3, 5]) == 2 * (2 * 4 * 4 * 5) * (3 * 3 * 3)


@pytest.mark.parametrize("layer, side", [(PooledConv2D(7), 8), (UpsampledConv2D(7), 4)])
def test_merged_layers_also_as_published(layer, side):
    """Both have 2·8·8 pixels at the larger size and 2·4·4 at the smaller; 5 channels to 7. Forward and both gradients."""
    x = tf.zeros([2, side, side, 5])
    layer(x)
    training = tf.function(gradient_of(lambda x, kernel: layer.convolution_op(x, kernel) ** 2))
    found = flops.count(training.get_concrete_function(x, layer.kernel))
    assert found.computed == 3 * 2 * (2 * 4 * 4) * (4 * 4 * 5 * 7)
    assert found.published == 3 * 2 * (2 * 8 * 8) * (3 * 3 * 5 * 7)


@pytest.mark.parametrize("layer, side, channels", [(PooledConv2D(64), 8, 5), (UpsampledConv2D(5), 4, 64)])
def test_merged_layers_by_matrices_also_as_published(layer, side, channels):
    """As above with so many channels at the smaller size that products of matrices stand in; sums of patches do not count."""
    x = tf.zeros([2, side, side, channels])
    layer(x)
    training = tf.function(gradient_of(lambda x, kernel: layer.convolution_op(x, kernel) ** 2))
    function = training.get_concrete_function(x, layer.kernel)
    assert not any("Conv2D" in operation.type for operation in function.graph.get_operations())
    assert flops.count(function) == (3 * 2 * (2 * 4 * 4) * (4 * 4 * 5 * 64), 3 * 2 * (2 * 8 * 8) * (3 * 3 * 5 * 64))


def test_narrow_convolution_as_one_convolution():
    """The sums over the kernel's rows do not count."""
    layer, x = NarrowConv2D(2, 5), tf.zeros([3, 8, 10, 6])
    layer(x)
    pixels, products = 3 * 8 * 10, 5 * 5 * 6 * 2
    forward = tf.function(layer.convolution_op).get_concrete_function(x, layer.kernel)
    training = tf.function(gradient_of(lambda x, kernel: layer.convolution_op(x, kernel) ** 2))
    assert flops.count(forward) == (2 * pixels * products,) * 2
    assert flops.count(training.get_concrete_function(x, layer.kernel)) == (3 * 2 * pixels * products,) * 2


@pytest.mark.parametrize("transpose_a, transpose_b", [(False, False), (True, False), (False, True), (True, True)])
def test_matrix_products_by_hand(transpose_a, transpose_b):
    a, b = [5, 3] if transpose_a else [3, 5], [7, 5] if transpose_b else [5, 7]
    product = lambda a, b: tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    assert counted(product, a, b) == 2 * 3 * 5 * 7
    assert counted(product, [4, *a], [4, *b]) == 4 * 2 * 3 * 5 * 7


def test_functions_within_functions_and_the_dearer_branch():
    small, large = 2 * 2 * 3 * 4, 2 * 2 * 3 * 4 + 2 * 2 * 4 * 4
    inner = tf.function(lambda a, b: a @ b)

    def branches(a, b, c, which):
        return tf.cond(which, lambda: inner(a, b), lambda: (a @ b) @ c)

    specs = [tf.TensorSpec(shape) for shape in ([2, 3], [3, 4], [4, 4])]
    assert counted(inner, [2, 3], [3, 4]) == small
    assert flops.count(tf.function(branches).get_concrete_function(*specs, tf.TensorSpec([], tf.bool))).computed == large


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="not known when the function is traced"):
        counted(lambda a, b: a @ b, [None, 3], [3, 4])
    loop = lambda a, n: tf.while_loop(lambda i, _: i < tf.cast(n, tf.int32), lambda i, x: (i + 1, x @ a), (0, a))
    with pytest.raises(ValueError, match="unknown number of times"):
        counted(loop, [3, 3], [])


def test_the_published_mask_network_by_hand():
    """Table 4 at 128×128, ch = 16, n = 2; nearest upsampling and its 3×3 convolution are one 4×4 with stride 2."""
    network = MaskNetwork()
    plain = [
        (128, 7, 3, 16), (64, 3, 16, 32), (32, 3, 32, 64), *[(32, 3, 64, 64)] * 6,  # side of the result, kernel, in, out
        (32, 1, 64, 4), (128, 7, 17, 1)]  # The last but one: pyramid pooling's four projections.
    merged = [(32, 4, 68, 34), (64, 4, 34, 17)]  # Transposed: 4·4 products for each pixel that goes in.
    published = [(64, 3, 68, 34), (128, 3, 34, 17)]
    found = flops.count(tf.function(network.call).get_concrete_function(tf.zeros([1, 128, 128, 3])))
    for convolutions, counted_flops in ((merged, found.computed), (published, found.published)):
        expected = sum(2 * side**2 * kernel**2 * before * after for side, kernel, before, after in plain + convolutions)
        assert counted_flops == expected
