"""The mask network alone, trained with true masks, and the scores of its best weights."""
from __future__ import annotations

import dataclasses
from typing import Any, Dict

import numpy as np
import tensorflow as tf

from redo_tf import data
from redo_tf.build import build_mask_network
from redo_tf.config import Config
from redo_tf.errors import Diverged
from redo_tf.evaluation import compile_segmenter, score
from redo_tf.labels import UNLABELLED
from redo_tf.optimizers import l2_decayed
from redo_tf.pixels import to_model_range
from redo_tf.precision import layers_in
from redo_tf.progress import bar
from redo_tf.supervision.pictures import batches


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is trained, beside the recipe."""
    learning_rate: float = 1e-3
    max_steps: int = 3000
    evaluate_every: int = 50
    patience: int = 10


def cross_entropy(masks: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean −log of the true region's share, over the pixels that have a label.

    Args:
      masks: float32 [B, S, S, n], sums to 1 over n.
      labels: uint8 [B, S, S], 0…n−1, or 255 for no label.
    """
    known = tf.cast(labels != UNLABELLED, tf.float32)
    true = tf.reduce_sum(masks * tf.one_hot(labels, masks.shape[-1]), axis=-1)
    return tf.reduce_sum(-tf.math.log(true + 1e-7) * known) / tf.maximum(tf.reduce_sum(known), 1)


def train(config: Config, settings: Settings, training: data.Split, stopping: data.Split, scoring: data.Split,
          seed: int) -> Dict[str, Any]:
    """Trains one mask network from scratch and scores it.

    Args:
      config: the recipe; its data, mask network, batch size, precision and weight decay are used. Adam's constants are
        Keras's own.
      settings: of the training.
      training, stopping, scoring: pictures with masks.
      seed: of the weights and of the batches.

    Returns:
      `labels`, N; `seed`; `steps` that were made; `best_step`, and the scores of the weights at that step on `stopping`
      and on `scoring`.

    Raises:
      Diverged: the loss became NaN or infinite.
    """
    tf.keras.backend.clear_session()  # Results do not depend on how many networks this process made before.
    tf.keras.utils.set_random_seed(seed)
    with layers_in(config.train.precision):
        network = build_mask_network(config.model)
    segment = compile_segmenter(network, config.data.image_size)
    optimizer = tf.keras.optimizers.legacy.Adam(settings.learning_rate)

    @tf.function
    def update(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(network(to_model_range(images), training=True), labels)
        variables = network.trainable_variables
        gradients = l2_decayed(tape.gradient(loss, variables), variables, config.optimizer.mask_weight_decay)
        optimizer.apply_gradients(zip(gradients, variables))
        return loss

    best, best_weights, since, step = None, None, 0, 0
    source = batches(training, config.train.batch_size, seed, config.data.flip)
    with bar(settings.max_steps, f"{len(training.ids)} masks, seed {seed}") as progress:
        while step < settings.max_steps and since < settings.patience:
            loss = update(*next(source))
            step += 1
            progress.update()
            if step % settings.evaluate_every and step < settings.max_steps:
                continue
            if not np.isfinite(loss):
                raise Diverged(f"The cross-entropy became {float(loss)} at step {step}, with {len(training.ids)} masks "
                               f"and seed {seed}: try a lower --learning_rate.")
            scores, since = score(segment, stopping, config.model.regions), since + 1
            if best is None or scores["iou"] > best["stopping"]["iou"]:
                best, best_weights, since = {"best_step": step, "stopping": scores}, network.get_weights(), 0
            progress.set_postfix(loss=f"{float(loss):.3f}", IoU=f"{scores['iou']:.3f}")
    network.set_weights(best_weights)
    return {"labels": len(training.ids), "seed": seed, "steps": step, **best,
            "scoring": score(segment, scoring, config.model.regions)}
