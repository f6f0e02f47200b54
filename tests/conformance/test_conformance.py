"""Every public layer and model, run through the same checks. A new one is entered in REGISTRY."""
from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

import numpy as np
import pytest
import tensorflow as tf

from redo_tf import layers, models

pytestmark = pytest.mark.usefixtures("seeded")

SIDE, WIDTHS, Z = 32, (4, 4, 8, 8), 3  # of the models' pictures; of D and δ; components of z


def default_call(module, inputs):
    return module(inputs if len(inputs) > 1 else inputs[0])


class Subject(NamedTuple):
    """What the checks need to know.

    shapes: of the inputs, without the batch. idle: variables that rightly get no gradient, with the reason beside them.
    """
    make: Callable[[], tf.Module]
    shapes: Sequence[Sequence[int]]
    call: Callable = default_call
    idle: Callable[[tf.Module], Sequence[tf.Variable]] = lambda module: []


def convolution(layer_class=tf.keras.layers.Conv2D, **options):
    return layers.SpectralNormalization(layer_class(5, **options))


# The instance norm that follows takes every constant of a channel out again; the released code has these biases too.
def idle_in_generator(generator):
    blocks = generator.blocks[-1:] if generator.attention else generator.blocks  # Attention sees constants.
    return [layer.layer.bias for block in blocks for layer in (block.conv2, block.shortcut)]


def idle_in_mask_network(network):
    return [block.conv2.bias for block in network.blocks]


def make_redo():
    redo = models.Redo(
        models.MaskNetwork(channels=2, residual_blocks=0),
        [models.RegionGenerator(SIDE, 2, attention=False) for _ in range(2)],
        models.Discriminator(SIDE, WIDTHS, attention=False), models.Encoder(SIDE, 2, Z, WIDTHS), SIDE, Z)
    redo.build()
    return redo


def call_redo(redo, inputs):
    images, latents = inputs
    masks = redo.mask_network(images)
    painted = redo.paint(masks, latents)
    fakes = models.compose(images, masks, painted)
    return masks, redo.discriminator(fakes[0]), redo.discriminator(fakes[1]), redo.encoder(tf.reduce_sum(painted, 0))


def idle_in_redo(redo):
    return [bias for generator in redo.region_generators for bias in idle_in_generator(generator)]


MAPS, PICTURES = [8, 6, 4], [SIDE, SIDE, 3]
REGISTRY = {
    "ConditionalBatchNormalization": Subject(layers.ConditionalBatchNormalization, [MAPS, [Z]]),
    "ConditionalInstanceNormalization": Subject(layers.ConditionalInstanceNormalization, [MAPS, [Z]]),
    "DownBlock": Subject(lambda: layers.DownBlock(5), [MAPS]),
    "DownBlock, the last": Subject(lambda: layers.DownBlock(5, pool=False), [MAPS]),
    "InstanceNormalization": Subject(layers.InstanceNormalization, [MAPS]),
    "NarrowConv2D": Subject(lambda: layers.NarrowConv2D(2, 5), [MAPS]),
    "PooledConv2D": Subject(lambda: layers.PooledConv2D(5), [MAPS]),
    "PyramidPooling": Subject(layers.PyramidPooling, [MAPS]),
    "ResidualBlock": Subject(layers.ResidualBlock, [MAPS], idle=lambda block: [block.conv2.bias]),
    "SelfAttention": Subject(layers.SelfAttention, [[8, 6, 16]]),
    "SpectralNormalization": Subject(lambda: convolution(kernel_size=3, padding="same"), [MAPS]),
    "SpectralNormalization, pooled": Subject(lambda: convolution(layers.PooledConv2D), [MAPS]),
    "UpBlock": Subject(lambda: layers.UpBlock(5), [MAPS, [8, 6, 1], [Z]]),
    "UpBlock, batch": Subject(lambda: layers.UpBlock(5, normalization="batch"), [MAPS, [8, 6, 1], [Z]]),
    "UpsampledConv2D": Subject(lambda: layers.UpsampledConv2D(5), [MAPS]),
    "Discriminator": Subject(lambda: models.Discriminator(SIDE, WIDTHS), [PICTURES]),
    "Encoder": Subject(lambda: models.Encoder(SIDE, 2, Z, WIDTHS), [PICTURES]),
    "MaskNetwork": Subject(lambda: models.MaskNetwork(channels=2), [PICTURES], idle=idle_in_mask_network),
    "MaskNetwork, three regions": Subject(
        lambda: models.MaskNetwork(3, channels=2, residual_blocks=1, pooling_windows="adaptive"), [PICTURES],
        idle=idle_in_mask_network),
    "Redo": Subject(make_redo, [PICTURES, [2, Z]], call_redo, idle_in_redo),
    "RegionGenerator": Subject(
        lambda: models.RegionGenerator(SIDE, 2), [[SIDE, SIDE, 1], [Z]], idle=idle_in_generator),
}
NEITHER = {"Orthogonal": "an initializer", "compose": "a function", "networks": "a function"}


def test_every_public_layer_and_model_is_here():
    assert {*layers.__all__, *models.__all__} == {name.split(",")[0] for name in REGISTRY} | NEITHER.keys()


@pytest.fixture(params=REGISTRY)
def subject(request) -> Subject:
    return REGISTRY[request.param]


def inputs(subject: Subject, batch: int):
    rng = np.random.default_rng(0)
    return [tf.constant(rng.uniform(-1, 1, [batch, *shape]), tf.float32) for shape in subject.shapes]


def build(subject: Subject) -> tf.Module:
    """Built and moved away from its initial weights, where attention is off and norms do nothing."""
    module = subject.make()
    subject.call(module, inputs(subject, 2))
    rng = np.random.default_rng(1)
    for variable in module.variables:
        variable.assign(variable + rng.uniform(-0.2, 0.2, variable.shape))  # Moving variances of 1 stay positive.
    return module


def assert_near(actual, expected, share: float):
    """Each result to a share of its largest value."""
    for one, other in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        one, other = tf.cast(one, tf.float32).numpy(), tf.cast(other, tf.float32).numpy()
        np.testing.assert_allclose(one, other, rtol=0, atol=share * np.abs(other).max())


def test_one_trace_serves_every_batch_size(subject):
    module = build(subject)
    traced = tf.function(lambda *arguments: subject.call(module, arguments), input_signature=[
        tf.TensorSpec([None, *shape]) for shape in subject.shapes])
    for batch in (2, 3, 1):
        assert_near(traced(*inputs(subject, batch)), subject.call(module, inputs(subject, batch)), 1e-5)
    assert traced.experimental_get_tracing_count() == 1


def test_restored_checkpoint_gives_the_same_output_bit_for_bit(subject, tmp_path):
    module, other = build(subject), build(subject)
    expected = tf.nest.flatten(subject.call(module, inputs(subject, 2)))
    for variable in other.variables:
        variable.assign(variable * 1.5 + 0.1)
    before = tf.nest.flatten(subject.call(other, inputs(subject, 2)))
    assert not any(np.array_equal(one, two) for one, two in zip(before, expected))
    path = tf.train.Checkpoint(module=module).save(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(module=other).restore(path).assert_consumed()
    for one, two in zip(tf.nest.flatten(subject.call(other, inputs(subject, 2))), expected):
        np.testing.assert_array_equal(one, two)


def test_two_replicas_give_what_one_gives(subject, two_replicas):
    alone = build(subject)
    with two_replicas.scope():
        module = build(subject)
    for variable, value in zip(module.variables, alone.variables):
        variable.assign(value)
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tuple(tf.split(part, 2)[context.replica_id_in_sync_group] for part in inputs(subject, 4)))
    outputs = two_replicas.run(tf.function(lambda parts: subject.call(module, list(parts))), args=(halves,))
    joined = tf.nest.map_structure(
        lambda part: tf.concat(two_replicas.experimental_local_results(part), axis=0), outputs)
    assert_near(joined, subject.call(alone, inputs(subject, 4)), 1e-5)


def test_mixed_bfloat16_keeps_float32_variables_and_comes_near_float32s_results(subject):
    exact = build(subject)
    expected = subject.call(exact, inputs(subject, 2))
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    module = build(subject)
    for variable, value in zip(module.variables, exact.variables):
        variable.assign(value)
    actual = subject.call(module, inputs(subject, 2))
    # A rounding is 2⁻⁹ at most. A layer has a few of them, a model some thirty layers, whose errors partly cancel.
    is_model = isinstance(module, (tf.keras.Model, models.Redo))
    assert_near(actual, expected, 2**-4 if is_model else 2**-6)
    assert {variable.dtype for variable in module.variables} == {tf.float32}
    if is_model:  # What losses and users see.
        assert {part.dtype for part in tf.nest.flatten(actual)} == {tf.float32}


def test_gradients_reach_every_trainable_variable_but_the_idle(subject):
    module = build(subject)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(subject.call(module, inputs(subject, 2)))
        rng = np.random.default_rng(2)
        loss = tf.add_n([tf.reduce_mean(rng.normal(size=part.shape) * part) / tf.reduce_max(tf.abs(part))
                         for part in outputs])
    variables = module.trainable_variables
    gradients = zip(variables, tape.gradient(loss, variables))
    sizes = {variable.name: np.abs(gradient).max() for variable, gradient in gradients}
    assert len(sizes) == len(variables)  # Each has a name of its own.
    largest = {}  # of each network
    for name, size in sizes.items():
        network = name.split("/")[0]
        largest[network] = max(largest.get(network, 0.0), size)
    assert {name for name, size in sizes.items() if size < 1e-5 * largest[name.split("/")[0]]} == {
        variable.name for variable in subject.idle(module)}  # Float32 leaves them about 1e-7.
