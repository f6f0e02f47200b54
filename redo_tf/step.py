"""One training iteration: the generator update and the discriminator update, compiled, under a strategy."""
from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import tensorflow as tf

from redo_tf import losses
from redo_tf.areas import mean_areas
from redo_tf.config import Config, ObjectiveConfig, OptimizerConfig
from redo_tf.layers.kept import kernels_kept
from redo_tf.layers.spectral_normalization import power_iteration
from redo_tf.models import Redo, compose
from redo_tf.recolouring import recolour, recolouring
from redo_tf.strategy import shards

Metrics = Dict[str, tf.Tensor]


def to_model_range(images: tf.Tensor) -> tf.Tensor:
    """uint8 0…255 → float32 −1…1."""
    return tf.cast(images, tf.float32) / 127.5 - 1


class DelayedStart(tf.keras.optimizers.schedules.LearningRateSchedule):
    """0 for the first `delay` steps, then constant."""

    def __init__(self, learning_rate: float, delay: int):
        self.learning_rate, self.delay = learning_rate, delay

    def __call__(self, step):
        return tf.where(step < self.delay, 0.0, self.learning_rate)

    def get_config(self):
        return {"learning_rate": self.learning_rate, "delay": self.delay}


def build_optimizers(model: Redo, config: OptimizerConfig) -> Dict[str, tf.keras.optimizers.legacy.Optimizer]:
    """One Adam a network, with all its slots; call it in the strategy's scope.

    Each generator has its own, so that with one sampled region the others' moments stay as they are. The `legacy` class
    is the one with a fused kernel: one operation a variable where the newer class runs about ten, which on a CPU takes
    longer than the arithmetic of a small network. It adds ε to √v before bias correction, PyTorch after it: at ε = 1e-8
    the difference does not matter.
    """
    rates = {"mask_network": DelayedStart(config.mask_learning_rate, config.mask_delay),
             "encoder": config.encoder_learning_rate,
             "discriminator": config.discriminator_learning_rate}
    rates.update({f"generator_{k}": config.learning_rate for k in range(model.regions)})
    optimizers = {}
    for name, network in networks(model).items():
        optimizers[name] = tf.keras.optimizers.legacy.Adam(
            rates[name], beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.epsilon)
        optimizers[name]._create_all_weights(network.trainable_variables)  # Otherwise they appear in the first step.
    return optimizers


def networks(model: Redo) -> Dict[str, tf.keras.Model]:
    """Name → network; the names that optimisers, metrics and checkpoints use."""
    named = {"mask_network": model.mask_network, "encoder": model.encoder, "discriminator": model.discriminator}
    named.update({f"generator_{k}": generator for k, generator in enumerate(model.region_generators)})
    return named


def generator_loss(model: Redo, objective: ObjectiveConfig, images: tf.Tensor, latents: tf.Tensor,
                   region: Optional[int], seen: Optional[tf.Tensor] = None) -> Metrics:
    """L_G = L_adv + λ_z L_z + λ_B L_B + λ_A L_A for each image, with its parts.

    Args:
      images: I [B, S, S, 3] in −1…1; seen: the same as f sees them, or None for as they are.
      latents: z [B, n, d].
      region: None redraws every region of every image, and δ reads all z from the wholly repainted Σ_k M_k ⊙ V_k
        (released code). A number redraws that region alone, and δ reads z_i from I'_i (Algorithm 1).

    Returns:
      `total`, `adversarial`, `information`, with λ_B also `border`, with λ_A `area`, each [B], and the masks'
      `region_sizes` [B, n].
    """
    masks = model.mask_network(images if seen is None else seen, training=True)
    if region is None:
        painted = model.paint(masks, latents, training=True)
        fakes = compose(images, masks, painted)
        scores = tf.reshape(model.discriminator(_merge(fakes)), [model.regions, -1])
        information = losses.information_conservation(model.encoder(tf.reduce_sum(painted, axis=0)), latents)
    else:
        fakes = _redraw_one(model, images, masks, latents, region)
        scores = model.discriminator(fakes)[None]
        estimates = model.encoder(fakes)
        information = losses.information_conservation(
            estimates[:, region:region + 1], latents[:, region:region + 1])
    if objective.regions == "worst":
        adversarial = losses.adversarial_worst(scores, objective.beta)
    else:
        adversarial = losses.adversarial_mean(scores)
    loss = {"total": adversarial + objective.lambda_z * information, "adversarial": adversarial, "information": information}
    if objective.lambda_border:
        loss["border"] = losses.objects_at_border(masks)
        loss["total"] += objective.lambda_border * loss["border"]
    if objective.lambda_area:
        loss["area"] = losses.missing_area(masks, objective.smallest_area)
        loss["total"] += objective.lambda_area * loss["area"]
    return {**loss, "region_sizes": mean_areas(masks)}


def make_fakes(model: Redo, images: tf.Tensor, latents: tf.Tensor, region: Optional[int],
               seen: Optional[tf.Tensor] = None) -> tf.Tensor:
    """The fakes that D learns from, without gradient: [n·B, S, S, 3], or [B, S, S, 3] for one region."""
    masks = model.mask_network(images if seen is None else seen, training=True)
    if region is None:
        fakes = _merge(compose(images, masks, model.paint(masks, latents, training=True)))
    else:
        fakes = _redraw_one(model, images, masks, latents, region)
    return tf.stop_gradient(fakes)


def discriminator_loss(model: Redo, real: tf.Tensor, fakes: tf.Tensor) -> Metrics:
    """L_D = E[max(0, 1 − D(I))] + E[max(0, 1 + D(I'))], for each real image.

    Args:
      real: [B, S, S, 3]; fakes: [n·B, S, S, 3] region by region, or [B, S, S, 3]. One pass for both.

    Returns:
      `total`, `real`, `fake`, each [B].
    """
    batch = tf.shape(real)[0]
    scores = model.discriminator(tf.concat([real, fakes], axis=0))
    real_loss = losses.hinge_real(scores[:batch])
    fake_loss = tf.reduce_mean(losses.hinge_fake(tf.reshape(scores[batch:], [-1, batch])), axis=0)
    return {"total": real_loss + fake_loss, "real": real_loss, "fake": fake_loss}


def _redraw_one(model: Redo, images, masks, latents, region: int) -> tf.Tensor:
    painted = model.paint_region(region, masks, latents, training=True)
    return compose(images, masks[..., region:region + 1], painted[None])[0]


def _local(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Of the global batch's rows those that belong to this replica's images."""
    count = tf.shape(images)[0]
    return rows[tf.distribute.get_replica_context().replica_id_in_sync_group * count:][:count]


def _merge(fakes: tf.Tensor) -> tf.Tensor:
    """[n, B, S, S, 3] → [n·B, S, S, 3]."""
    return tf.reshape(fakes, tf.concat([[-1], tf.shape(fakes)[2:]], axis=0))


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
            return self.compiled(batch, seeds, None, None, parts="both")
        drawn = np.random.Generator(np.random.Philox(key=[seed, step])).integers(self.model.regions, size=2).tolist()
        metrics = self.compiled(batch, seeds, drawn[0], None, parts="generator")
        metrics.update(self.compiled(batch, seeds, None, drawn[1], parts="discriminator"))
        return metrics

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

    def traces(self) -> int:
        """How often the step was traced: once, or with one sampled region twice for each region."""
        return self.compiled.experimental_get_tracing_count()

    def _iteration(self, batch, seeds, generator_region, discriminator_region, parts: str) -> Metrics:
        if parts != "discriminator":
            power_iteration(self.model)
        metrics = self.strategy.run(
            self._replica_iteration, args=(batch, seeds, generator_region, discriminator_region, parts))
        metrics = {name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                   for name, value in metrics.items()}
        if self.average is not None and parts != "discriminator":
            self._update_average(seeds[1])
        return metrics

    def _replica_iteration(self, batch, seeds, generator_region, discriminator_region, parts: str) -> Metrics:
        images, real = to_model_range(batch["images"]), to_model_range(batch["real"])
        latents, seen = self._latents(seeds, images), self._seen_by_f(seeds, images)
        metrics = {}
        if parts != "discriminator":
            metrics.update(self._generator_update(images, latents, generator_region, seen))
        if parts == "both":
            metrics.update(self._discriminator_update(images, latents, real, None, seen))
        elif parts == "discriminator":  # Algorithm 1: another real batch, region and z than the generator's.
            seeds += [1 << 31, 0]
            latents, seen = self._latents(seeds, real), self._seen_by_f(seeds, real)
            metrics.update(self._discriminator_update(real, latents, real, discriminator_region, seen))
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
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for network in trained.values():
                tape.watch(network.trainable_variables)
            loss = self._in_shards(loss_of, images, latents, seen)
            total = self._global_mean(loss["total"])
        norm = self._apply(trained, tape, total)
        metrics = {f"generator/{name}": self._global_mean(value) for name, value in loss.items()
                   if name != "region_sizes"}
        return {**metrics, "generator/gradient_norm": norm, "region_sizes": self._global_mean(loss["region_sizes"])}

    def _discriminator_update(self, images, latents, real, region, seen) -> Metrics:
        def loss_of(images, latents, seen, real):
            return discriminator_loss(self.model, real, make_fakes(self.model, images, latents, region, seen))

        trained = {"discriminator": self.model.discriminator}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.model.discriminator.trainable_variables)
            loss = self._in_shards(loss_of, images, latents, seen, real)
            total = self._global_mean(loss["total"])
        norm = self._apply(trained, tape, total)
        metrics = {f"discriminator/{name}": self._global_mean(value) for name, value in loss.items()}
        return {**metrics, "discriminator/gradient_norm": norm}

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


def l2_decayed(gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable],
               weight_decay: float) -> List[tf.Tensor]:
    """g + λ w: L2 inside the gradient, before Adam's scaling, as PyTorch's `weight_decay` does. Keras' own is decoupled,
    which at f's learning rate of 1e-5 is 1e5 times weaker."""
    return [gradient + weight_decay * tf.convert_to_tensor(variable)
            for gradient, variable in zip(gradients, variables)]
