"""One training iteration: the generator update and the discriminator update, compiled, under a strategy."""
from __future__ import annotations

from typing import Callable, Dict, Optional

import numpy as np
import tensorflow as tf

from redo_tf.config import Config
from redo_tf.layers.kernel_cache import kernels_kept
from redo_tf.layers.spectral_normalization import power_iteration
from redo_tf.models import Redo, networks
from redo_tf.objective import Metrics, discriminator_loss, generator_loss, make_fakes
from redo_tf.optimizers import l2_decayed
from redo_tf.pixels import to_model_range
from redo_tf.recolouring import recolour, recolouring
from redo_tf.strategy import shards


class TrainingStep:
    """Runs iterations. Everything random is a function of (seed, step); the caller keeps both.

    Args:
      model: built, in the scope of `strategy`.
      average: mask network whose weights follow f's as a running average, or None.
      optimizers: from `build_optimizers`.
      config: resolved configuration.
      strategy: the losses and gradients are means over the *global* batch, so that any number of replicas gives the
        same update.
    """

    def __init__(self, model: Redo, average: Optional[tf.keras.Model],
                 optimizers: Dict[str, tf.keras.optimizers.legacy.Optimizer], config: Config,
                 strategy: tf.distribute.Strategy):
        self.model, self.average, self.optimizers, self.config = model, average, optimizers, config
        self.strategy = strategy
        # Traced once, or with one sampled region twice for each region.
        self.compiled = tf.function(self._iteration, jit_compile=config.train.xla or None)
        self._next = (), None  # What the next iteration's seeds should be, and they themselves.
        self._one_step = tf.constant([0, 1], tf.int64)

    def __call__(self, batch: Dict[str, tf.Tensor], seed: int, step: int) -> Metrics:
        """One iteration.

        Args:
          batch: `images` and `real`, uint8 [B, S, S, 3], distributed over the replicas.
          seed: of the run; step: its iteration, from 0.

        Returns:
          Scalars (means over the global batch) and `region_sizes` [n], not yet fetched from the device.
        """
        seeds = self._seeds(seed, step)
        if self.config.objective.redraw == "all":
            return self.compiled(batch, seeds, None, parts="both")
        drawn = np.random.Generator(np.random.Philox(key=[seed, step])).integers(self.model.regions, size=2).tolist()
        metrics = self.compiled(batch, seeds, drawn[0], parts="generator")
        metrics.update(self.compiled(batch, seeds, drawn[1], parts="discriminator"))
        return metrics

    @property
    def traces(self) -> int:
        """How many iterations had to be traced so far."""
        return self.compiled.experimental_get_tracing_count()

    def _seeds(self, seed: int, step: int) -> tf.Tensor:
        """int64 [seed, step].

        What XLA compiled reads them on the device. To copy them there each time would wait for the iteration before to end,
        and leave the device idle until it is told of the next one; so it counts by itself. Otherwise they are read on the host.
        """
        expected, seeds = self._next
        if expected != (seed, step):
            seeds = tf.constant([seed, step], tf.int64)
        if self.config.train.xla:
            self._next = (seed, step + 1), seeds + self._one_step
        return seeds

    def _iteration(self, batch, seeds, region: Optional[int], parts: str) -> Metrics:
        """The `generator` update, the `discriminator` update or `both`; of one region, or of all where it is None."""
        if parts != "discriminator":
            power_iteration(self.model)
        metrics = self.strategy.run(self._replica_iteration, args=(batch, seeds, region, parts))
        metrics = {name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                   for name, value in metrics.items()}
        if self.average is not None and parts != "discriminator":
            self._update_average(seeds[1])
        return metrics

    def _replica_iteration(self, batch, seeds, region: Optional[int], parts: str) -> Metrics:
        images, real = to_model_range(batch["images"]), to_model_range(batch["real"])
        latents, seen = self._latents(seeds, images), self._seen_by_f(seeds, images)
        metrics = {}
        if parts != "discriminator":
            metrics.update(self._generator_update(images, latents, region, seen))
        if parts == "both":
            metrics.update(self._discriminator_update(images, latents, real, region, seen))
        elif parts == "discriminator":  # Algorithm 1: another real batch, region and z than the generator's.
            seeds += [1 << 31, 0]
            latents, seen = self._latents(seeds, real), self._seen_by_f(seeds, real)
            metrics.update(self._discriminator_update(real, latents, real, region, seen))
        return metrics

    def _latents(self, seeds: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """z [B, n, d] for this replica's images."""
        return _local(tf.random.stateless_normal(
            [self.config.train.batch_size, self.model.regions, self.model.latent_size], seeds), images)

    def _seen_by_f(self, seeds: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """This replica's images, in the first `recolour_steps` steps in other colours."""
        steps = self.config.objective.recolour_steps
        if not steps:
            return images
        changes = _local(recolouring(self.config.train.batch_size, seeds + [1 << 32, 0]), images)
        return tf.where(seeds[1] < steps, recolour(images, changes), images)

    def _generator_update(self, images, latents, region, seen) -> Metrics:
        def loss_of(images, latents, seen):
            return generator_loss(self.model, self.config.objective, images, latents, region, seen)

        trained = {name: network for name, network in networks(self.model).items() if name != "discriminator"
                   and (region is None or not name.startswith("generator_") or name == f"generator_{region}")}
        metrics = self._update("generator", trained, loss_of, images, latents, seen)
        metrics["region_sizes"] = metrics.pop("generator/region_sizes")
        return metrics

    def _discriminator_update(self, images, latents, real, region, seen) -> Metrics:
        def loss_of(images, latents, seen, real):
            return discriminator_loss(self.model, real, make_fakes(self.model, images, latents, region, seen))

        trained = {"discriminator": self.model.discriminator}
        return self._update("discriminator", trained, loss_of, images, latents, seen, real)

    def _update(self, name: str, trained: Dict[str, tf.keras.Model], loss_of: Callable[..., Metrics],
                *batch: tf.Tensor) -> Metrics:
        """Moves the trained networks against the gradient of `total`; the parts of the loss, and the gradient's norm, as
        NAME/…"""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for network in trained.values():
                tape.watch(network.trainable_variables)
            loss = self._in_shards(loss_of, *batch)
            total = self._global_mean(loss["total"])
        norm = self._apply(trained, tape, total)
        return {**{f"{name}/{part}": self._global_mean(values) for part, values in loss.items()},
                f"{name}/gradient_norm": norm}

    def _in_shards(self, loss_of: Callable[..., Metrics], *batch: tf.Tensor) -> Metrics:
        """The loss of each image of the batch. Shards do not depend on each other: TensorFlow computes them side by side."""
        count = shards(self.config, self.strategy)
        with kernels_kept():
            parts = [loss_of(*part) for part in zip(*(tf.split(values, count) for values in batch))]
        return {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}

    def _global_mean(self, values: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch; the sum over replicas is that mean."""
        return tf.reduce_sum(values, axis=0) / self.config.train.batch_size

    def _apply(self, trained: Dict[str, tf.keras.Model], tape: tf.GradientTape, loss: tf.Tensor) -> tf.Tensor:
        """Reduces the gradients over the replicas and lets each network's optimiser apply them; their global norm,
        as this replica's share."""
        variables = {name: network.trainable_variables for name, network in trained.items()}
        gradients = tape.gradient(loss, variables)
        replicas = self.strategy.num_replicas_in_sync
        if replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = tf.linalg.global_norm(tf.nest.flatten(gradients)) / replicas
        if "mask_network" in gradients:
            gradients["mask_network"] = l2_decayed(
                gradients["mask_network"], variables["mask_network"], self.config.optimizer.mask_weight_decay)
        for name, gradient in gradients.items():
            self.optimizers[name].apply_gradients(
                zip(gradient, variables[name]), experimental_aggregate_gradients=False)
        return norm

    def _update_average(self, step: tf.Tensor) -> None:
        """w̄ ← w̄ + (1 − a)(w − w̄), with a = min(decay, (1 + t)/(10 + t)) so that the start is forgotten quickly."""
        step = tf.cast(step, tf.float32)
        rate = 1 - tf.minimum(self.config.train.mask_average, (1 + step) / (10 + step))
        for mean, value in zip(self.average.trainable_variables, self.model.mask_network.trainable_variables):
            mean.assign_add(rate * (value - mean))


def _local(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Of the global batch's rows those that belong to this replica's images."""
    count = tf.shape(images)[0]
    return rows[tf.distribute.get_replica_context().replica_id_in_sync_group * count:][:count]
