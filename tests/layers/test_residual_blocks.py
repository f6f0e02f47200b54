from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from reference import down_block, residual_block, up_block
from redo_tf.layers import ConditionalBatchNormalization, DownBlock, ResidualBlock, UpBlock

pytestmark = pytest.mark.usefixtures("seeded")

# Two convolutions of up to 45 float32 products, and normalisations between them: about 50 · 6e-8 · 10.
TOLERANCE = 3e-5


def maps(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomized(layer):
    """Weights all different from their initial values: scales and biases matter too."""
    rng = np.random.default_rng(5)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def test_residual_block_is_conv_norm_relu_conv_add_norm_relu():
    block, x = ResidualBlock(), maps(2, 6, 4, 5)
    block(x)
    np.testing.assert_allclose(randomized(block)(x), residual_block(block, x.astype(np.float64)), atol=TOLERANCE)


@pytest.mark.parametrize("options", [
    {}, {"leading_relu": False}, {"pool": False}, {"leading_relu": False, "pool": False}])
@pytest.mark.parametrize("width", [5, 3], ids=["other_width", "same_width"])
def test_down_block_is_that_of_the_definition(width, options):
    block, x = DownBlock(width, **options), maps(2, 6, 4, 3)
    block(x)
    np.testing.assert_allclose(
        randomized(block)(x), down_block(block, x.astype(np.float64), **options), atol=TOLERANCE)


def test_last_down_block_of_the_same_width_has_no_shortcut_weights():
    pooled, unpooled = DownBlock(3), DownBlock(3, pool=False)
    x = maps(2, 6, 4, 3)
    pooled(x), unpooled(x)
    # 3×3 convolutions: 2 · (9·3·3 + 3); the 1×1 shortcut 3·3 + 3 more.
    assert sum(w.shape.num_elements() for w in unpooled.trainable_weights) == 168
    assert sum(w.shape.num_elements() for w in pooled.trainable_weights) == 180


def test_relus_are_fused_into_the_convolutions_before_them():
    """As a ReLU after a sum that is used elsewhere, too, kept TensorFlow from it, in the whole graph and silently."""
    blocks = [DownBlock(4), DownBlock(6), DownBlock(6, pool=False)]
    x = maps(2, 16, 16, 4)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            h = tf.constant(x)
            for block in blocks:
                h = block(h)
            loss = tf.reduce_sum(h)
        return tape.gradient(loss, [weight for block in blocks for weight in block.trainable_weights])

    context.context().enable_graph_collection()
    try:
        with tf.device("CPU:0"):
            gradient()
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_graph_collection()
    fused = [node for graph in graphs for node in graph.post_optimization_graph.node
             if node.op == "_FusedConv2D" and node.attr["fused_ops"].list.s[-1] == b"Relu"]
    assert len(fused) == 3  # One in each block, between its convolutions; the other ReLU's input is the shortcut's, too.


def test_up_block_is_that_of_the_definition():
    block = UpBlock(3)
    inputs = maps(2, 4, 3, 5), np.abs(maps(2, 4, 3, 1, seed=1)), maps(2, 2, seed=2)
    block(inputs)
    np.testing.assert_allclose(
        randomized(block)(inputs), up_block(block, *(part.astype(np.float64) for part in inputs)), atol=TOLERANCE)


def test_up_block_takes_the_normalization_that_it_is_told():
    block = UpBlock(3, normalization="batch")
    block((maps(2, 4, 3, 5), maps(2, 4, 3, 1), maps(2, 2)))
    assert isinstance(block.norm1, ConditionalBatchNormalization)
    assert isinstance(block.norm2, ConditionalBatchNormalization)
