"""The f that a run begins with, where it is another run's, or what several runs have found.

f is convolutional, so its weights fit every picture size, but not what they see there: at twice the size a face has twice
as many pixels. So an f for another size first learns, from the training pictures alone, to find what the other f finds. Of
several runs it learns the mean of their masks, which has less of what one alone gets wrong.
"""
from __future__ import annotations

import io
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import tensorflow as tf
from absl import logging
from scipy.optimize import linear_sum_assignment

from redo_tf import run_folders
from redo_tf.best import load_mask_network
from redo_tf.build import build_mask_network
from redo_tf.config import Config
from redo_tf.data.pipeline import training_batches
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.pixels import to_model_range
from redo_tf.precision import layers_in
from redo_tf.progress import bar
from redo_tf.workdir import Workdir

COMPARED = 64  # Pictures by which the regions of several runs are matched.
LEARNING_RATE = 1e-3  # Of Adam at the first step; it falls to 0 along a cosine.


def check_beginning(config: Config, workdir: Workdir) -> None:
    """Refuses what `first_mask_weights` would, before anything is written or moved.

    Raises:
      UserError: as there.
    """
    _sources(config, workdir)
    tf.keras.backend.clear_session()  # Layers are numbered from 0 again, as in a process that did not look.


def first_mask_weights(config: Config, workdir: Workdir, images: np.ndarray) -> List[np.ndarray]:
    """Weights of f for a run with `train.begin_with`; kept in its workdir, so that processes which continue the run, and
    may begin it anew, find the same ones. Region 0 is the one that holds most of the pictures' border, as λ_B wants it; of
    several runs the first one says which that is.

    Args:
      config: of the run.
      images: that it trains with, uint8 [N, S, S, 3].

    Raises:
      UserError: there is no such run, it is this run itself, it has not been evaluated yet, or its f has another form.
    """
    path = workdir.file("begin.npz")
    if keeps_beginning(workdir):
        with np.load(path) as kept:
            return [kept[name] for name in kept]
    sources = _sources(config, workdir)
    logging.info("Beginning with the masks of %s.", ", ".join(
        f"{folder} at step {row['step']}" for folder, (_, _, row) in zip(run_folders.split(config.train.begin_with), sources)))
    network, size, row = sources[0]
    if "val/border_shares" in row:
        put_first(network, int(np.argmax(row["val/border_shares"])))
    if len(sources) > 1 or size != config.data.image_size:
        teachers = [(source, at) for source, at, _ in sources]
        if len(teachers) > 1:
            _match_regions(teachers, images[:COMPARED])
        with layers_in(config.train.precision):
            student = build_mask_network(config.model)
        student.set_weights(network.get_weights())
        teach(student, teachers, images, config.train.begin_steps, config.train.batch_size, config.seed, config.data.flip)
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
    """Makes a region of f's the first one; the others keep their order."""
    put_in_order(network, [region, *(k for k in range(max(2, network.logits.filters)) if k != region)])


def put_in_order(network: tf.keras.Model, order: Sequence[int]) -> None:
    """Gives f's regions another order: region k will be what region order[k] is. Sigmoid (n = 2) and softmax."""
    kernel, bias = network.logits.get_weights()
    if kernel.shape[-1] > 1:
        network.logits.set_weights([kernel[..., list(order)], bias[list(order)]])
    elif order[0] == 1:
        network.logits.set_weights([-kernel, -bias])


def _match_regions(teachers: Sequence[Tuple[tf.keras.Model, int]], images: np.ndarray) -> None:
    """Puts every f's regions in the order of the first one's; `teachers` as for `teach`, a few images uint8 [B, S, S, 3]."""
    first, *others = teachers
    pictures = to_model_range(tf.constant(images))
    wanted = _at_size(*first, pictures)
    for network, size in others:
        put_in_order(network, agreeing_order(wanted, _at_size(network, size, pictures)))


def agreeing_order(wanted: tf.Tensor, found: tf.Tensor) -> List[int]:
    """The order of one f's regions that has them lie where another's do.

    Args:
      wanted, found: masks [B, S, S, n] of the same pictures.

    Returns:
      For each region of `wanted` that of `found`, so that ∑ wanted·found is largest.
    """
    return linear_sum_assignment(np.einsum("bhwk,bhwl->kl", wanted, found), maximize=True)[1].tolist()


def _at_size(network: tf.keras.Model, size: int, pictures: tf.Tensor) -> tf.Tensor:
    """f's masks [B, S, S, n] of pictures [B, S, S, 3] in −1…1 that are shown to it at its own size."""
    resized = lambda values, side: tf.image.resize(values, [side, side], antialias=True)
    return resized(network(resized(pictures, size)), pictures.shape[1])


def _sources(config: Config, workdir: Workdir) -> List[Tuple[tf.keras.Model, int, Dict[str, Any]]]:
    """Of each run to begin with the best f, the picture size it was trained at, and the evaluation that chose it."""
    return [_source(folder, config, workdir) for folder in run_folders.split(config.train.begin_with)]


def _source(folder: str, config: Config, workdir: Workdir) -> Tuple[tf.keras.Model, int, Dict[str, Any]]:
    source = Workdir(folder)
    if os.path.realpath(source.path) == os.path.realpath(workdir.path):
        raise UserError(f"{source.path} cannot begin with itself: choose another --workdir or another train.begin_with.")
    theirs = source.load_config()
    if (theirs.model.regions, theirs.model.mask_network) != (config.model.regions, config.model.mask_network):
        raise UserError(
            f"The mask network of {source.path} has another form (model.regions={theirs.model.regions}, "
            f"{theirs.model.mask_network}) than this run's (model.regions={config.model.regions}, "
            f"{config.model.mask_network}): give both the same model.regions and model.mask_network fields.")
    network, row = load_mask_network(source, config.train.precision)
    return network, theirs.data.image_size, row


def teach(student: tf.keras.Model, teachers: Sequence[Tuple[tf.keras.Model, int]], images: np.ndarray, steps: int,
          batch_size: int, seed: int, flip: bool = False) -> None:
    """Trains the student until its masks are the mean of the teachers', who see the same pictures at their own sizes.

    Args:
      student: f: I [B, S, S, 3] in −1…1 → M [B, S, S, n].
      teachers: such networks, each with the S at which it was trained; their masks are resized to the student's.
      images: uint8 [N, S, S, 3] at the student's size.
      steps: iterations of Adam on the cross-entropy −Σ_k T_k log M_k, mean over pixels, T the mean of the teachers' masks.
      batch_size: B; seed: of the batches' order; flip: mirrors pictures at random, for student and teachers alike.
    """
    optimizer = tf.keras.optimizers.legacy.Adam(tf.keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps))

    @tf.function
    def update(batch):
        pictures = to_model_range(batch)
        wanted = tf.add_n([_at_size(network, size, pictures) for network, size in teachers]) / len(teachers)
        with tf.GradientTape() as tape:
            masks = student(pictures, training=True)
            loss = -tf.reduce_mean(tf.reduce_sum(wanted * tf.math.log(masks + 1e-7), axis=-1))
        variables = student.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    batches = iter(training_batches(images, batch_size=batch_size, seed=seed, flip=flip))
    with bar(steps, "first masks") as progress:
        for _ in range(steps):
            update(next(batches)["images"])
            progress.update()
