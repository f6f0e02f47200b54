"""What each update minimises: the networks put together, and their losses for each image."""
from __future__ import annotations

from typing import Dict, Optional

import tensorflow as tf

from redo_tf import losses
from redo_tf.areas import mean_areas
from redo_tf.config import ObjectiveConfig
from redo_tf.models import Redo, compose

Metrics = Dict[str, tf.Tensor]


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


def _merge(fakes: tf.Tensor) -> tf.Tensor:
    """[n, B, S, S, 3] → [n·B, S, S, 3]."""
    return tf.reshape(fakes, tf.concat([[-1], tf.shape(fakes)[2:]], axis=0))
