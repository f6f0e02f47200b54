"""The f that a run begins with, where it is another run's.

f is convolutional, so its weights fit every picture size, but not what they see there: at twice the size a face has twice
as many pixels. So an f for another size first learns, from the training pictures alone, to find what the other f finds.
"""
from __future__ import annotations

import io
import os
from typing import List

import numpy as np
import tensorflow as tf
from absl import logging

from redo_tf.build import build_mask_network
from redo_tf.config import Config
from redo_tf.data.pipeline import training_batches
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.progress import bar
from redo_tf.segmenter import load_mask_network
from redo_tf.step import to_model_range
from redo_tf.workdir import Workdir

LEARNING_RATE = 1e-3  # Of Adam at the first step; it falls to 0 along a cosine.


def first_mask_weights(config: Config, workdir: Workdir, images: np.ndarray) -> List[np.ndarray]:
    """Weights of f for a run with `train.begin_with`; kept in its workdir, so that processes which continue the run, and
    may begin it anew, find the same ones.

    Args:
      config: of the run; its precision is the global policy.
      images: that it trains with, uint8 [N, S, S, 3].

    Raises:
      UserError: there is no such run, it has not been evaluated yet, or its f has another form.
    """
    path = workdir.file("begin.npz")
    if workdir.has_checkpoint() and os.path.exists(path):  # Without a checkpoint they may be another configuration's.
        with np.load(path) as kept:
            return [kept[name] for name in kept]
    source = Workdir(config.train.begin_with)
    theirs, ours = source.load_config(), config
    if (theirs.model.regions, theirs.model.mask_network) != (ours.model.regions, ours.model.mask_network):
        raise UserError(
            f"The mask network of {source.path} has another form (model.regions={theirs.model.regions}, "
            f"{theirs.model.mask_network}) than this run's (model.regions={ours.model.regions}, {ours.model.mask_network}): "
            "give both the same model.regions and model.mask_network fields.")
    network, row = load_mask_network(source)
    logging.info("Beginning with the mask network of %s at step %d.", source.path, row["step"])
    if theirs.data.image_size != ours.data.image_size:
        student = _copy(network, ours)
        teach(student, network, theirs.data.image_size, images, config.train.begin_steps, config.train.batch_size, config.seed)
        network = student
    weights = network.get_weights()
    content = io.BytesIO()
    np.savez(content, *weights)
    write_whole(path, content.getvalue())
    tf.keras.backend.clear_session()  # Layers are numbered from 0 again, as in a process that found the file.
    return weights


def _copy(network: tf.keras.Model, config: Config) -> tf.keras.Model:
    copy = build_mask_network(config.model)
    copy(tf.zeros([1, config.data.image_size, config.data.image_size, 3]))
    copy.set_weights(network.get_weights())
    return copy


def teach(student: tf.keras.Model, teacher: tf.keras.Model, teachers_size: int, images: np.ndarray, steps: int,
          batch_size: int, seed: int) -> None:
    """Trains the student until its masks are the teacher's, which sees the same pictures at its own size.

    Args:
      student, teacher: f: I [B, S, S, 3] in −1…1 → M [B, S, S, n].
      teachers_size: S at which the teacher was trained; its masks are resized to the student's.
      images: uint8 [N, S, S, 3] at the student's size.
      steps: iterations of Adam on the cross-entropy −Σ_k T_k log M_k, mean over pixels, T the teacher's masks.
      batch_size: B; seed: of the batches' order.
    """
    size = images.shape[1]
    optimizer = tf.keras.optimizers.legacy.Adam(tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))

    @tf.function
    def update(batch):
        pictures = to_model_range(batch)
        wanted = tf.image.resize(teacher(tf.image.resize(pictures, [teachers_size] * 2, antialias=True)), [size] * 2,
                                 antialias=True)
        with tf.GradientTape() as tape:
            masks = student(pictures, training=True)
            loss = -tf.reduce_mean(tf.reduce_sum(wanted * tf.math.log(masks + 1e-7), axis=-1))
        variables = student.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    batches = iter(training_batches(images, batch_size=batch_size, seed=seed))
    with bar(steps, "first masks") as progress:
        for _ in range(steps):
            update(next(batches)["images"])
            progress.update()
