"""The f that a run begins with, where it is another run's.

f is convolutional, so its weights fit every picture size, but not what they see there: at twice the size a face has twice
as many pixels. So an f for another size first learns, from the training pictures alone, to find what the other f finds.
"""
from __future__ import annotations

import io
import os
from typing import Any, Dict, List, Tuple

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


def check_beginning(config: Config, workdir: Workdir) -> None:
    """Refuses what `first_mask_weights` would, before anything is written or moved.

    Raises:
      UserError: as there.
    """
    _source(config, workdir)
    tf.keras.backend.clear_session()  # Layers are numbered from 0 again, as in a process that did not look.


def first_mask_weights(config: Config, workdir: Workdir, images: np.ndarray) -> List[np.ndarray]:
    """Weights of f for a run with `train.begin_with`; kept in its workdir, so that processes which continue the run, and
    may begin it anew, find the same ones. Region 0 is the one that holds most of the pictures' border, as λ_B wants it.

    Args:
      config: of the run; its precision is the global policy.
      images: that it trains with, uint8 [N, S, S, 3].

    Raises:
      UserError: there is no such run, it is this run itself, it has not been evaluated yet, or its f has another form.
    """
    path = workdir.file("begin.npz")
    if keeps_beginning(workdir):
        with np.load(path) as kept:
            return [kept[name] for name in kept]
    network, row, size = _source(config, workdir)
    logging.info("Beginning with the mask network of %s at step %d.", config.train.begin_with, row["step"])
    if "val/border_shares" in row:
        put_first(network, int(np.argmax(row["val/border_shares"])))
    if size != config.data.image_size:
        student = _copy(network, config)
        teach(student, network, size, images, config.train.begin_steps, config.train.batch_size, config.seed)
        network = student
    weights = network.get_weights()
    content = io.BytesIO()
    np.savez(content, *weights)
    write_whole(path, content.getvalue())
    tf.keras.backend.clear_session()  # Layers are numbered from 0 again, as in a process that found the file.
    return weights


def keeps_beginning(workdir: Workdir) -> bool:
    """Whether the run has its first weights already. Without a checkpoint they may be another configuration's."""
    return workdir.has_checkpoint() and os.path.exists(workdir.file("begin.npz"))


def put_first(network: tf.keras.Model, region: int) -> None:
    """Makes a region of f's the first one; the others keep their order. Sigmoid (n = 2) and softmax."""
    kernel, bias = network.logits.get_weights()
    regions = kernel.shape[-1]
    if regions > 1:
        order = [region, *(k for k in range(regions) if k != region)]
        network.logits.set_weights([kernel[..., order], bias[order]])
    elif region == 1:
        network.logits.set_weights([-kernel, -bias])


def _source(config: Config, workdir: Workdir) -> Tuple[tf.keras.Model, Dict[str, Any], int]:
    """The other run's best f, the evaluation that chose it, and the picture size it was trained at."""
    source = Workdir(config.train.begin_with)
    if os.path.realpath(source.path) == os.path.realpath(workdir.path):
        raise UserError(f"{source.path} cannot begin with itself: choose another --workdir or another train.begin_with.")
    theirs = source.load_config()
    if (theirs.model.regions, theirs.model.mask_network) != (config.model.regions, config.model.mask_network):
        raise UserError(
            f"The mask network of {source.path} has another form (model.regions={theirs.model.regions}, "
            f"{theirs.model.mask_network}) than this run's (model.regions={config.model.regions}, "
            f"{config.model.mask_network}): give both the same model.regions and model.mask_network fields.")
    return (*load_mask_network(source), theirs.data.image_size)


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
