"""Pictures with one region at a time redrawn by a trained run, and z to redraw them with."""
from __future__ import annotations

import io
from typing import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from redo_tf.best import best_checkpoint, load_mask_network
from redo_tf.build import build_region_generators
from redo_tf.checkpoints import restarts_and_step
from redo_tf.errors import UserError
from redo_tf.models import compose
from redo_tf.pixels import to_model_range, to_uint8
from redo_tf.precision import layers_in
from redo_tf.workdir import Workdir

BATCH = 8  # Pictures that are redrawn at a time: generators take much more memory than the mask network.
FRAME_MILLISECONDS = 80


class Redrawer:
    """The best mask network and region generators of a run, regions in the labels' order.

    Raises:
      UserError: there is no run, or it has not been evaluated yet; or training replaced its best checkpoint meanwhile.
    """

    def __init__(self, workdir: Workdir):
        config = workdir.load_config()
        self.mask_network, row = load_mask_network(workdir)
        size = config.data.image_size
        self.order, self.latent_size = row["val/order"], config.model.latent_size
        with layers_in("float32"):
            self.generators = build_region_generators(config.model, size)
            for generator in self.generators:  # Creates its variables.
                generator((tf.zeros([1, size, size, 1]), tf.zeros([1, self.latent_size])))
        # Of the same evaluation as f and the order: training that still goes on may have replaced the one that was just read.
        both = best_checkpoint(workdir, mask_network=self.mask_network, region_generators=self.generators)
        prefix = both.restore_newest()
        if not prefix or restarts_and_step(prefix) != (row["restarts"], row["step"]):
            raise UserError(f"{workdir.file('best')} was replaced while it was read: run the same command again.")
        images = tf.TensorSpec([None, size, size, 3], tf.uint8)
        masks = tf.TensorSpec([None, size, size, self.regions], tf.float32)
        latents = tf.TensorSpec([self.regions, self.latent_size], tf.float32)
        self._masks_of_batch = tf.function(self._masks, input_signature=[images])
        self._redraw_batch = tf.function(self._redraw, input_signature=[images, masks, latents])

    @property
    def regions(self) -> int:
        return len(self.order)

    def masks(self, images: np.ndarray) -> np.ndarray:
        """uint8 [N, S, S, 3] → M [N, S, S, n], sums to 1 over n; 0 is the background."""
        return np.concatenate([self._masks_of_batch(images[i:i + BATCH]).numpy() for i in range(0, len(images), BATCH)])

    def redraw(self, images: np.ndarray, masks: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Every region redrawn on its own, in all pictures with the same z.

        Args:
          images: uint8 [N, S, S, 3].
          masks: of `masks`, [N, S, S, n].
          latents: z [n, d].

        Returns:
          I'_k as uint8 [n, N, S, S, 3].
        """
        return np.concatenate([
            to_uint8(self._redraw_batch(images[i:i + BATCH], masks[i:i + BATCH], latents).numpy())
            for i in range(0, len(images), BATCH)], axis=1)

    def _masks(self, images: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.mask_network(to_model_range(images), training=False), self.order, axis=-1)

    def _redraw(self, images: tf.Tensor, masks: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        painted = []
        for label, region in enumerate(self.order):
            z = tf.repeat(latents[label:label + 1], tf.shape(images)[0], axis=0)
            painted.append(self.generators[region]((masks[..., label:label + 1], z), training=False))
        return compose(to_model_range(images), masks, tf.stack(painted))


def draw_latents(seed: int, columns: int, regions: int, latent_size: int) -> np.ndarray:
    """z float32 [columns, n, d]; more columns leave the first ones as they are."""
    return np.random.default_rng(seed).standard_normal([columns, regions, latent_size]).astype(np.float32)


def walk(start: np.ndarray, other: np.ndarray, frames: int) -> np.ndarray:
    """z(t) = cos(t)·start + sin(t)·other once around: [frames, …], from `start` on.

    For independent normal ends every z(t) is normal with the same variance, as the generators were trained for; a
    straight line would pass through shorter vectors.
    """
    angles = (2 * np.pi * np.arange(frames) / frames).reshape([-1] + [1] * start.ndim)
    return (np.cos(angles) * start + np.sin(angles) * other).astype(np.float32)


def gif(frames: Sequence[np.ndarray]) -> bytes:
    """uint8 [H, W, 3] each → an endless animation. All frames share one palette, so that what stands still does."""
    palette = Image.fromarray(np.ascontiguousarray(np.concatenate(frames)[::3, ::3])).quantize(256)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()
