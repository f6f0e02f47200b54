"""One training iteration of tiny networks, from a known start.

Adam with β₁ = 0 and fresh moments moves every weight by its whole learning rate, whichever way its gradient points: the
gradient's size would not be tested, and rounding would turn the smallest around. So second moments start at 1 here,
where the step is smooth in the gradient.
"""
from __future__ import annotations

import dataclasses
from typing import Dict, List, Optional

import numpy as np
import tensorflow as tf

from redo_tf import config as configuration
from redo_tf.build import build_mask_network, build_model
from redo_tf.config import Config
from redo_tf.models import Redo, networks
from redo_tf.optimizers import build_optimizers
from redo_tf.step import TrainingStep

BATCH, SEED = 4, 5
RATES = {"learning_rate": 0.02, "encoder_learning_rate": 0.03, "discriminator_learning_rate": 0.05,
         "mask_learning_rate": 0.01}


def small_config(**overrides) -> Config:
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
    config, strategy = small_config(**overrides), strategy or tf.distribute.MirroredStrategy(["CPU:0"])
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    with strategy.scope():
        model = build_model(config.model, 32)
        average = build_mask_network(config.model)
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


def pictures(step: int = 0) -> Dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {name: rng.integers(0, 256, [BATCH, 32, 32, 3], dtype=np.uint8) for name in ("images", "real")}


def in_model_range(name: str, step: int = 0) -> tf.Tensor:
    return tf.constant(pictures(step)[name] / 127.5 - 1, tf.float32)


def noise(step: int = 0, seed: int = SEED, regions: int = 2) -> tf.Tensor:
    return tf.random.stateless_normal([BATCH, regions, 3], [seed, step])


def moved(before: List[np.ndarray], after: List[np.ndarray]) -> bool:
    return any(not np.array_equal(old, new) for old, new in zip(before, after))


def drawn(run: Run, seed: int, step: int) -> np.ndarray:
    """z of the global batch, as the replicas draw it."""
    draw = lambda: run.step._latents(
        tf.constant([seed, step], tf.int64), tf.zeros([BATCH // run.strategy.num_replicas_in_sync]))
    return np.concatenate(run.strategy.experimental_local_results(run.strategy.run(tf.function(draw))))


def assert_same_weights(actual, expected, before, share=1e-4):
    """To `share` of the network's largest step, and to three roundings of weights near 1."""
    for name, weights in expected.items():
        largest = max(np.abs(new - old).max() for new, old in zip(weights, before[name]))
        assert largest > 1e-5
        for one, other in zip(actual[name], weights):
            np.testing.assert_allclose(one, other, rtol=0, atol=share * largest + 2e-7, err_msg=name)
