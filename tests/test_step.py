"""One training iteration, compared with the equations and with Adam in NumPy.

Adam with β₁ = 0 and fresh moments moves every weight by its whole learning rate, whichever way its gradient points: the
gradient's size would not be tested, and rounding would turn the smallest around. So second moments start at 1 here,
where the step is smooth in the gradient.
"""
from __future__ import annotations

import dataclasses
from typing import Dict, List, Optional

import numpy as np
import pytest
import tensorflow as tf

from redo_tf import config as configuration
from redo_tf.build import build_mask_network, build_model
from redo_tf.config import Config
from redo_tf.layers.spectral_normalization import power_iteration
from redo_tf.models import Discriminator, Encoder, MaskNetwork, Redo
from redo_tf.precision import fastest_on_cpu
from redo_tf.step import (
    DelayedStart, TrainingStep, build_optimizers, discriminator_loss, generator_loss, l2_decayed, make_fakes, networks)

BATCH, SEED = 4, 5
RATES = {"learning_rate": 0.02, "encoder_learning_rate": 0.03, "discriminator_learning_rate": 0.05,
         "mask_learning_rate": 0.01}


def tiny(**overrides) -> Config:
    """32×32, two to sixteen channels; learning rates large and all different, so that steps stand out of rounding."""
    config = Config()
    config.data.image_size, config.train.batch_size, config.train.mask_average = 32, BATCH, 0.99
    config.model.latent_size = 3
    config.model.mask_network.channels, config.model.mask_network.residual_blocks = 2, 1
    config.model.generator.channels = 2
    config.model.discriminator.widths = config.model.encoder.widths = (4, 4, 8, 8)
    config.optimizer = dataclasses.replace(config.optimizer, mask_weight_decay=0.1, **RATES)
    for name, value in overrides.items():
        configuration.override(config, name.replace("__", "."), value)
    return configuration.validate(config)


@dataclasses.dataclass
class Run:
    """Everything that one iteration needs."""
    config: Config
    strategy: tf.distribute.Strategy
    model: Redo
    average: tf.keras.Model
    optimizers: Dict[str, tf.keras.optimizers.legacy.Optimizer]
    step: TrainingStep
    initial: List[np.ndarray]

    def reset(self) -> Run:
        """Back to the start. First moments are forgotten at once, as β₁ = 0."""
        for variable, value in zip(self.model.variables, self.initial):
            variable.assign(value)
        self.average.set_weights(self.model.mask_network.get_weights())
        for name, network in networks(self.model).items():
            self.optimizers[name].iterations.assign(0)
            for variable in network.trainable_variables:
                self.optimizers[name].get_slot(variable, "v").assign(tf.ones_like(variable))
        return self

    def __call__(self, step: int = 0, seed: int = SEED) -> Dict[str, np.ndarray]:
        metrics = self.step({name: self.share(part) for name, part in pictures(step).items()}, seed, step)
        return {name: value.numpy() for name, value in metrics.items()}

    def share(self, whole: np.ndarray):
        """Each replica's rows of a batch."""
        parts = np.split(whole, self.strategy.num_replicas_in_sync)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group]))

    def weights(self) -> Dict[str, List[np.ndarray]]:
        return {name: [variable.numpy() for variable in network.trainable_variables]
                for name, network in networks(self.model).items()}

    def constants(self) -> List[np.ndarray]:
        """Every u."""
        return [variable.numpy() for network in networks(self.model).values()
                for variable in network.non_trainable_variables]


def build(strategy: Optional[tf.distribute.Strategy] = None, like: Optional[Run] = None, **overrides) -> Run:
    """A run at its start, with the initial weights of another if told."""
    config, strategy = tiny(**overrides), strategy or tf.distribute.MirroredStrategy(["CPU:0"])
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    with strategy.scope():
        model = build_model(config.model, 32)
        average = build_mask_network(config.model)
        average(tf.zeros([1, 32, 32, 3]))
        optimizers = build_optimizers(model, config.optimizer)
    step = TrainingStep(model, average if config.train.mask_average else None, optimizers, config, strategy)
    return Run(config, strategy, model, average, optimizers, step, like.initial if like else initial(model)).reset()


def initial(model: Redo) -> List[np.ndarray]:
    """The model's own with biases and attention switched on; kernels with different singular values, so that u moves;
    scores and estimates near 1 (sums over sixteen places are not), so that both sides of the hinge are met."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if "kernel" in variable.name:
            variable.assign(variable * rng.normal(1.0, 0.5, variable.shape))
        if any(word in variable.name for word in ("bias", "gamma", "offset")):
            variable.assign(0.3 * rng.normal(size=variable.shape))
    for kernel in (model.discriminator.score.kernel, model.encoder.latents.kernel):
        kernel.assign(kernel / 16)
    return [variable.numpy() for variable in model.variables]


@pytest.fixture(scope="module")
def compiled() -> Run:
    """One replica, every region redrawn, published mean; traced once for all tests."""
    tf.keras.utils.set_random_seed(0)
    return build()


@pytest.fixture
def run(compiled) -> Run:
    return compiled.reset()


@pytest.fixture
def model(run) -> Redo:
    return run.model


def pictures(step: int = 0) -> Dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {name: rng.integers(0, 256, [BATCH, 32, 32, 3], dtype=np.uint8) for name in ("images", "real")}


def in_model_range(name: str, step: int = 0) -> tf.Tensor:
    return tf.constant(pictures(step)[name] / 127.5 - 1, tf.float32)


def noise(step: int = 0, seed: int = SEED) -> tf.Tensor:
    return tf.random.stateless_normal([BATCH, 2, 3], [seed, step])


def moved(before: List[np.ndarray], after: List[np.ndarray]) -> bool:
    return any(not np.array_equal(old, new) for old, new in zip(before, after))


# ------------------------------------------------------------------------------------- the equations, written again


def redrawn(model: Redo, images, latents, regions, seen=None):
    """I'_i = M_i ⊙ G_i(M_i, z_i) + Σ_{j≠i} M_j ⊙ I for each region asked for, and Σ_k M_k ⊙ G_k."""
    masks = model.mask_network(images if seen is None else seen)
    fakes, whole = [], 0.0
    for i in regions:
        paint = model.region_generators[i]((masks[..., i:i + 1], latents[:, i]), training=True)
        others = sum(masks[..., j:j + 1] * images for j in range(masks.shape[-1]) if j != i)
        fakes.append(paint + others)
        whole += paint
    return fakes, whole, masks


def expected_generator_loss(model: Redo, images, latents, kind="mean", beta=4.0, lambda_z=5.0, region=None, seen=None):
    regions = range(2) if region is None else [region]
    fakes, whole, masks = redrawn(model, images, latents, regions, seen)
    scores = tf.stack([model.discriminator(fake) for fake in fakes])
    if kind == "mean":
        adversarial = -tf.reduce_mean(scores)
    else:
        adversarial = tf.reduce_mean(tf.math.log(tf.reduce_mean(tf.exp(-beta * scores), axis=0)) / beta)
    if region is None:
        information = tf.reduce_mean((model.encoder(whole) - latents)**2)
    else:
        information = tf.reduce_mean((model.encoder(fakes[0])[:, region] - latents[:, region])**2)
    return {"total": adversarial + lambda_z * information, "adversarial": adversarial, "information": information,
            "region_sizes": tf.reduce_mean(masks, axis=[0, 1, 2])}


def expected_discriminator_loss(model: Redo, real, fakes):
    on_real = tf.reduce_mean(tf.maximum(0.0, 1 - model.discriminator(real)))
    on_fakes = tf.reduce_mean([tf.maximum(0.0, 1 + model.discriminator(fake)) for fake in fakes])
    return {"total": on_real + on_fakes, "real": on_real, "fake": on_fakes}


class NumpyAdam:
    """β = (0, 0.9), ε = 1e-8; v starts at 1."""

    def __init__(self):
        self.v, self.count = {}, 0

    def apply(self, name, network, gradients, rate):
        t = self.count + 1
        for i, (weight, gradient) in enumerate(zip(network.trainable_variables, gradients)):
            gradient = gradient.numpy().astype(np.float64)
            v = self.v[name, i] = 0.9 * self.v.get((name, i), 1.0) + 0.1 * gradient**2
            weight.assign(weight - rate * np.sqrt(1 - 0.9**t) * gradient / (np.sqrt(v) + 1e-8))


def expected_iteration(model: Redo, adam: NumpyAdam, step: int):
    """A whole iteration, eagerly: power iteration, generator update, discriminator update."""
    images, real, latents = in_model_range("images", step), in_model_range("real", step), noise(step)
    power_iteration(model)
    with tf.GradientTape(persistent=True) as tape:
        loss = expected_generator_loss(model, images, latents)
    metrics = {f"generator/{name}": value for name, value in loss.items()}
    metrics["region_sizes"] = metrics.pop("generator/region_sizes")
    trained = {name: network for name, network in networks(model).items() if name != "discriminator"}
    gradients = {name: tape.gradient(loss["total"], network.trainable_variables) for name, network in trained.items()}
    metrics["generator/gradient_norm"] = np.sqrt(sum(np.sum(g.numpy()**2) for part in gradients.values() for g in part))
    gradients["mask_network"] = [g + 0.1 * w for g, w in zip(
        gradients["mask_network"], model.mask_network.trainable_variables)]
    for name, network in trained.items():
        rate = RATES.get({"mask_network": "mask_learning_rate", "encoder": "encoder_learning_rate"}.get(
            name, "learning_rate"))
        adam.apply(name, network, gradients[name], rate)

    fakes = [tf.constant(fake) for fake in redrawn(model, images, latents, range(2))[0]]
    with tf.GradientTape() as tape:
        loss = expected_discriminator_loss(model, real, fakes)
    metrics.update({f"discriminator/{name}": value for name, value in loss.items()})
    gradient = tape.gradient(loss["total"], model.discriminator.trainable_variables)
    metrics["discriminator/gradient_norm"] = np.sqrt(sum(np.sum(g.numpy()**2) for g in gradient))
    adam.apply("discriminator", model.discriminator, gradient, RATES["discriminator_learning_rate"])
    adam.count += 1
    return metrics


# ------------------------------------------------------------------------------------------------- loss functions


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


def test_the_discriminators_loss_has_no_gradient_for_the_other_networks(model):
    with tf.GradientTape() as tape:
        fakes = make_fakes(model, in_model_range("images"), noise(), None)
        loss = tf.reduce_sum(discriminator_loss(model, in_model_range("real"), fakes)["total"])
    others = [variable for name, network in networks(model).items() if name != "discriminator"
              for variable in network.trainable_variables]
    assert all(gradient is None for gradient in tape.gradient(loss, others))


# -------------------------------------------------------------------------------------------------- whole iterations


def assert_same_weights(actual, expected, before, share=1e-4):
    """To `share` of the network's largest step, and to three roundings of weights near 1."""
    for name, weights in expected.items():
        largest = max(np.abs(new - old).max() for new, old in zip(weights, before[name]))
        assert largest > 1e-5
        for one, other in zip(actual[name], weights):
            np.testing.assert_allclose(one, other, rtol=0, atol=share * largest + 2e-7, err_msg=name)


def test_two_iterations_are_those_of_the_equations_and_of_adam_in_numpy(run):
    start, adam = run.weights(), NumpyAdam()
    expected = [(expected_iteration(run.model, adam, step), run.weights(), run.constants()) for step in (0, 1)]
    run.reset()
    for step, (metrics, weights, constants) in enumerate(expected):
        actual = run(step)
        assert actual.keys() == metrics.keys()
        for name, value in metrics.items():
            np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        assert_same_weights(run.weights(), weights, start)
        for one, other in zip(run.constants(), constants):
            np.testing.assert_allclose(one, other, atol=1e-5)
        start = weights


def mask_optimizer(**options) -> tf.keras.optimizers.legacy.Optimizer:
    """f's, of networks without variables."""
    stub = Redo(MaskNetwork(), [], Discriminator(32, (2,)), Encoder(32, 1, 1, (2,)), image_size=32, latent_size=1)
    return build_optimizers(stub, dataclasses.replace(Config().optimizer, **options))["mask_network"]


def test_an_l2_decayed_adam_step_by_hand():
    weight, adam = tf.Variable(2.0), mask_optimizer(mask_learning_rate=0.01)
    # Gradient 0.3 + λ·w = 0.3 + 0.1·2 = 0.5. v = 0.1·0.25 = 0.025; 0.01·√(1 − 0.9)·0.5/√0.025 = 0.01.
    adam.apply_gradients(zip(l2_decayed([tf.constant(0.3)], [weight], 0.1), [weight]))
    assert weight.numpy() == pytest.approx(1.99, abs=1e-6)
    # Gradient −0.1 + 0.199 = 0.099. v = 0.9·0.025 + 0.1·0.009801 = 0.0234801, m = 0.099 (β₁ = 0);
    # 0.01·√(1 − 0.81)·0.099/√0.0234801 = 0.01·0.4358899·0.099/0.1532322 = 0.00281621.
    adam.apply_gradients(zip(l2_decayed([tf.constant(-0.1)], [weight], 0.1), [weight]))
    assert weight.numpy() == pytest.approx(1.98718379, abs=1e-6)


def test_the_mask_network_waits_for_its_delay():
    weight, adam = tf.Variable(1.0), mask_optimizer(mask_learning_rate=0.01, mask_delay=2)
    values = []
    for _ in range(3):
        adam.apply_gradients([(tf.constant(0.5), weight)])
        values.append(weight.numpy())
    assert values[:2] == [1.0, 1.0]
    # After three equal gradients v = (1 − 0.9³)·0.25, which the bias correction divides out: a step of the whole rate.
    assert values[2] == pytest.approx(0.99, abs=1e-6)


def test_the_generator_update_moves_all_networks_but_the_discriminator(run):
    before = run.weights()
    images = in_model_range("images")
    run.strategy.run(run.step._generator_update, args=(images, noise(), None, images))
    after = run.weights()
    assert {name for name in after if moved(before[name], after[name])} == {
        "mask_network", "encoder", "generator_0", "generator_1"}


def test_the_discriminator_update_moves_only_the_discriminator(run):
    before = run.weights()
    images, real = in_model_range("images"), in_model_range("real")
    run.strategy.run(run.step._discriminator_update, args=(images, noise(), real, None, images))
    after = run.weights()
    assert {name for name in after if moved(before[name], after[name])} == {"discriminator"}


def test_without_lambda_z_the_encoder_gets_no_gradient_and_stays(run):
    objective = dataclasses.replace(run.config.objective, lambda_z=0.0)
    with tf.GradientTape(persistent=True) as tape:
        without = tf.reduce_mean(generator_loss(run.model, objective, in_model_range("images"), noise(), None)["total"])
        adversarial = expected_generator_loss(run.model, in_model_range("images"), noise())["adversarial"]
    encoder, painter = run.model.encoder.trainable_variables, run.model.region_generators[0].trainable_variables
    assert not any(np.any(gradient) for gradient in tape.gradient(without, encoder))
    for actual, expected in zip(tape.gradient(without, painter), tape.gradient(adversarial, painter)):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_a_step_is_traced_once_whatever_the_seed_the_step_and_the_pictures(run):
    for step, seed in ((0, 1), (1, 1), (2**33, 2), (3, 2**31 - 1)):
        run(step, seed)
    assert run.step.traces() == 1


def test_the_same_seed_and_step_give_the_same_iteration(run):
    first = run(step=3)
    again = run.reset()(step=3)
    for name, value in first.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-5, err_msg=name)
    assert run.reset()(step=3, seed=SEED + 1)["generator/information"] != pytest.approx(
        first["generator/information"], rel=1e-3)


def drawn(run: Run, seed: int, step: int) -> np.ndarray:
    """z of the global batch, as the replicas draw it."""
    draw = lambda: run.step._latents(
        tf.constant([seed, step], tf.int64), tf.zeros([BATCH // run.strategy.num_replicas_in_sync]))
    return np.concatenate(run.strategy.experimental_local_results(run.strategy.run(tf.function(draw))))


def test_noise_is_normal_and_a_function_of_seed_and_step_alone(run):
    np.testing.assert_array_equal(drawn(run, 5, 7), drawn(run, 5, 7))
    many = np.stack([drawn(run, seed, step) for seed in (0, 1, 2) for step in range(15)])
    assert many.shape == (45, BATCH, 2, 3) and len(np.unique(many)) == many.size  # Nothing is drawn twice.
    # 1080 values: the mean is known to 1/√1080 = 0.03, the deviation to 0.03/√2.
    assert abs(many.mean()) < 0.1 and abs(many.std() - 1) < 0.07


@pytest.mark.parametrize("step, decay", [
    (0, 0.1),  # (1 + 0)/(10 + 0)
    (8, 0.5),  # 9/18
    (10_000, 0.99),  # 10,001/10,010 = 0.9991 is more than the configured 0.99
])
def test_the_mask_average_follows_quickly_at_first(run, step, decay):
    rng = np.random.default_rng(0)
    old = [rng.normal(size=weight.shape) for weight in run.average.trainable_variables]
    run.average.set_weights(old)
    run(step)
    for mean, before, weight in zip(
            run.average.trainable_variables, old, run.model.mask_network.trainable_variables):
        np.testing.assert_allclose(mean, decay * before + (1 - decay) * weight.numpy(), atol=1e-6)


def test_delayed_start_is_0_for_so_many_steps_and_then_constant():
    schedule = DelayedStart(0.25, 3)
    assert [float(schedule(tf.constant(step))) for step in (0, 1, 2, 3, 4, 1000)] == [0, 0, 0, 0.25, 0.25, 0.25]
    assert float(DelayedStart(0.25, 0)(tf.constant(0))) == 0.25
    assert float(DelayedStart.from_config(schedule.get_config())(tf.constant(3))) == 0.25


# --------------------------------------------------------------------------------------- two replicas, other recipes


def test_replicas_recolour_their_parts_of_one_batch_and_the_two_updates_differently(run, two_replicas):
    def seen(strategy, seeds, steps=9):
        step = TrainingStep(run.model, None, {}, tiny(objective__recolour_steps=steps), strategy)
        whole = run.share(in_model_range("images").numpy()) if strategy is run.strategy else (
            strategy.experimental_distribute_values_from_function(lambda context: in_model_range("images")[
                context.replica_id_in_sync_group * (BATCH // 2):][:BATCH // 2]))
        found = strategy.run(lambda images: step._seen_by_f(tf.constant(seeds, tf.int64), images), args=(whole,))
        return np.concatenate(strategy.experimental_local_results(found))
    alone = seen(run.strategy, [5, 7])
    np.testing.assert_array_equal(seen(two_replicas, [5, 7]), alone)
    for seeds in ([6, 7], [5, 8], [5 + (1 << 31), 7]):
        assert not np.isclose(seen(run.strategy, seeds), alone).all(axis=(1, 2, 3)).any()
    for seeds, steps in (([5, 7], 0), ([5, 9], 9)):  # Never, and no longer.
        np.testing.assert_array_equal(seen(run.strategy, seeds, steps), in_model_range("images"))


def test_two_replicas_with_half_batches_are_one_with_the_whole(run, two_replicas):
    pair = build(two_replicas, like=run)
    np.testing.assert_array_equal(drawn(pair, 5, 7), drawn(run, 5, 7))
    start = run.weights()
    for step in range(3):
        alone, together = run(step), pair(step)
        for name, value in alone.items():
            np.testing.assert_allclose(together[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        # Only the order of the gradients' sums differs: one rounding of the weights here. Later steps start from that,
        # and ReLUs, hinges and max pools near their corners may pass it on: ten times as much is allowed.
        assert_same_weights(pair.weights(), run.weights(), start, share=1e-4 if step == 0 else 1e-3)
    assert pair.step.traces() == 1
    for variable in [*pair.model.variables, *pair.average.variables]:
        replicas = two_replicas.experimental_local_results(variable)
        assert len(replicas) == 2
        np.testing.assert_array_equal(*replicas)


def test_shards_are_one_with_the_whole_batch(run):
    parted, start = build(like=run, train__shards=2), run.weights()
    whole, shards = run(), parted()
    for name, value in whole.items():
        np.testing.assert_allclose(shards[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert_same_weights(parted.weights(), run.weights(), start)


def test_each_image_has_its_own_latents_and_place_in_shards(run):
    """Sums over the batch would not show losses that change places."""
    run.config.train.shards = 4
    images, latents = in_model_range("images"), noise()

    def loss(images, latents):
        return {"total": generator_loss(run.model, run.config.objective, images, latents, None)["total"]}
    found = run.step._in_shards(loss, images, latents)["total"]
    run.config.train.shards = 1
    np.testing.assert_allclose(found, loss(images, latents)["total"], rtol=1e-4)


def test_one_sampled_region_moves_its_own_generator_alone():
    run = build(objective__redraw="one", train__mask_average=0.0, model__generator__attention=False,
                model__discriminator__attention=False)

    def who_moves(step):
        before = run.weights()
        run(step)
        after = run.weights()
        return {name for name in after if moved(before[name], after[name])}

    layer = run.model.discriminator.trunk.first.conv1
    kernel, u = layer.w.numpy().reshape(-1, 4), layer.u.numpy()[0]
    u = kernel.T @ kernel @ u
    steps = [who_moves(0)]
    np.testing.assert_allclose(layer.u[0], u / np.linalg.norm(u), atol=1e-5)  # One power iteration for both updates.
    steps += [who_moves(step) for step in range(1, 8)]
    chosen = [names - {"mask_network", "encoder", "discriminator"} for names in steps]
    assert all(names >= {"mask_network", "encoder", "discriminator"} for names in steps)
    assert set.union(*chosen) == {"generator_0", "generator_1"} and all(len(names) == 1 for names in chosen)
    run.reset()
    assert [who_moves(step) for step in range(8)] == steps  # A function of seed and step.
    assert run.step.traces() <= 4  # One for each region and update.


def test_mixed_bfloat16_iterations_are_finite_and_near_float32s(run):
    low = build(like=run, train__precision="mixed_bfloat16")
    expected, actual = run(), low()
    # Some thirty layers each round by up to 2⁻⁹, which adds up like a random walk: √30·2⁻⁹ = 0.011; twice that. Without
    # bfloat16 instructions TensorFlow rounds each partial sum too: a kernel's gradient sums 4·32·32 places, √4096·2⁻⁹.
    tolerance = 0.022 if fastest_on_cpu() == "mixed_bfloat16" else 0.125
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=tolerance, atol=tolerance, err_msg=name)
    for step in (1, 2):
        assert all(np.isfinite(value).all() for value in low(step).values())
    assert all(variable.dtype == tf.float32 for variable in low.model.variables)
    assert all(np.isfinite(variable).all() for variable in low.model.variables)
