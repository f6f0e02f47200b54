"""One training iteration written again: the losses from the equations, Adam in NumPy."""
from __future__ import annotations

import numpy as np
import tensorflow as tf

from iterations import RATES, in_model_range, noise
from redo_tf.layers.spectral_normalization import power_iteration
from redo_tf.models import Redo, networks


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
    regions = range(model.regions) if region is None else [region]
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


def expected_iteration(model: Redo, adam: NumpyAdam, step: int, kind="mean"):
    """A whole iteration, eagerly: power iteration, generator update, discriminator update."""
    images, real = in_model_range("images", step), in_model_range("real", step)
    latents = noise(step, regions=model.regions)
    power_iteration(model)
    with tf.GradientTape(persistent=True) as tape:
        loss = expected_generator_loss(model, images, latents, kind)
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

    fakes = [tf.constant(fake) for fake in redrawn(model, images, latents, range(model.regions))[0]]
    with tf.GradientTape() as tape:
        loss = expected_discriminator_loss(model, real, fakes)
    metrics.update({f"discriminator/{name}": value for name, value in loss.items()})
    gradient = tape.gradient(loss["total"], model.discriminator.trainable_variables)
    metrics["discriminator/gradient_norm"] = np.sqrt(sum(np.sum(g.numpy()**2) for g in gradient))
    adam.apply("discriminator", model.discriminator, gradient, RATES["discriminator_learning_rate"])
    adam.count += 1
    return metrics
