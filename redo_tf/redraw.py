"""Redraws the regions of pictures with new z: the paper's Figure 2.

  python -m redo_tf.redraw --workdir=runs/lfw --output=redraw.png --data_dir=…
  python -m redo_tf.redraw --workdir=runs/lfw --output=redraw.png --gif=redraw.gif --images=4

A row for each picture: the picture, its true mask if there is one, the inferred mask, then for each region, background
first, --columns times the picture with that region redrawn. The same z goes down a column. The GIF has a column for each
region, whose z walks around a circle. Networks are those of the best validation IoU.
"""
from __future__ import annotations

import io
from typing import List, Sequence

import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image

from redo_tf import cli, data
from redo_tf.build import build_region_generators
from redo_tf.checkpoints import Checkpoints
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.models import compose
from redo_tf.pictures import blend_masks, colour_labels, png, titled_grids, to_uint8
from redo_tf.progress import bar
from redo_tf.segmenter import load_mask_network
from redo_tf.step import to_model_range
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "redraw.png", "Picture to write.")
flags.DEFINE_string("gif", None, "Also write an animation here.")
flags.DEFINE_enum("split", "val", list(data.SPLITS), "Which pictures to redraw.")
flags.DEFINE_integer("images", 8, "How many pictures, from the first of the split.", lower_bound=1)
flags.DEFINE_integer("columns", 3, "How often each region is redrawn.", lower_bound=1)
flags.DEFINE_integer("z_seed", 0, "Seed of the z.", lower_bound=0)

BATCH = 8  # Pictures that are redrawn at a time: generators take much more memory than the mask network.
FRAMES, FRAME_MILLISECONDS = 48, 80


class Redrawer:
    """The best mask network and region generators of a run, regions in the labels' order.

    Raises:
      UserError: there is no run, or it has not been evaluated yet.
    """

    def __init__(self, workdir: Workdir):
        config = workdir.load_config()
        tf.keras.mixed_precision.set_global_policy("float32")  # As exported; the variables are float32 in any case.
        self.mask_network, row = load_mask_network(workdir)
        self.generators = build_region_generators(config.model, config.data.image_size)
        self.order, self.latent_size = row["val/order"], config.model.latent_size
        for generator in self.generators:  # Creates its variables.
            generator((tf.zeros([1, config.data.image_size, config.data.image_size, 1]), tf.zeros([1, self.latent_size])))
        # Both from one checkpoint: training that still goes on may have replaced the one that was just read.
        best = Checkpoints(workdir.file("best"), 1, mask_network=self.mask_network, region_generators=self.generators)
        if not best.restore_newest():
            raise UserError(f"{workdir.file('best')} was replaced while it was read: run the same command again.")

    @property
    def regions(self) -> int:
        return len(self.order)

    @tf.function(reduce_retracing=True)
    def masks(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 [B, S, S, 3] → M [B, S, S, n], sums to 1 over n; 0 is the background."""
        return tf.gather(self.mask_network(to_model_range(images), training=False), self.order, axis=-1)

    @tf.function(reduce_retracing=True)
    def redraw(self, images: tf.Tensor, masks: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """Every region redrawn on its own, in all pictures with the same z.

        Args:
          images: uint8 [B, S, S, 3].
          masks: of `masks`, [B, S, S, n].
          latents: z [n, d].

        Returns:
          I'_k [n, B, S, S, 3] in −1…1.
        """
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

    For independent normal ends every z(t) is normal with the same variance, as the generators were trained for; a straight
    line would pass through shorter vectors.
    """
    angles = (2 * np.pi * np.arange(frames) / frames).reshape([-1] + [1] * start.ndim)
    return (np.cos(angles) * start + np.sin(angles) * other).astype(np.float32)


def label_names(regions: int) -> List[str]:
    return ["background", *(["object"] if regions == 2 else [f"object {k}" for k in range(1, regions)])]


def in_batches(redrawer: Redrawer, images: np.ndarray, masks: np.ndarray, latents: np.ndarray) -> np.ndarray:
    """As `Redrawer.redraw`, for any number of pictures: uint8 [n, N, S, S, 3]."""
    return np.concatenate([
        to_uint8(redrawer.redraw(images[i:i + BATCH], masks[i:i + BATCH], latents).numpy())
        for i in range(0, len(images), BATCH)], axis=1)


def gif(frames: Sequence[np.ndarray]) -> bytes:
    """uint8 [H, W, 3] each → an endless animation. All frames share one palette, so that what stands still does."""
    some = np.concatenate(frames[::max(1, len(frames) // 6)])
    palette = Image.fromarray(some).quantize(256)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=FRAME_MILLISECONDS, loop=0)
    return buffer.getvalue()


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    workdir = Workdir(cli.WORKDIR.value)
    redrawer, config = Redrawer(workdir), workdir.load_config()
    config.data.mask_dir = cli.MASK_DIR.value or config.data.mask_dir
    split = data.load_configured(config.data, FLAGS.split, cli.DATA_DIR.value)
    images = np.asarray(split.images[:FLAGS.images])
    masks = np.concatenate([redrawer.masks(images[i:i + BATCH]).numpy() for i in range(0, len(images), BATCH)])
    left = [("input", [images])]
    if split.masks is not None:
        left.append(("true\nmask", [colour_labels(np.asarray(split.masks[:FLAGS.images]))]))
    left.append(("inferred\nmask", [blend_masks(masks)]))
    titles = [f"{name}\nredrawn" for name in label_names(redrawer.regions)]

    latents = draw_latents(FLAGS.z_seed, max(2, FLAGS.columns), redrawer.regions, redrawer.latent_size)
    columns = [in_batches(redrawer, images, masks, z) for z in latents[:FLAGS.columns]]
    blocks = [(title, [column[label] for column in columns]) for label, title in enumerate(titles)]
    write_whole(FLAGS.output, png(titled_grids(left + blocks)))
    print(f"{len(images)} pictures of {config.data.dataset}'s {FLAGS.split} split redrawn: {FLAGS.output}")

    if FLAGS.gif:
        frames = []
        with bar(FRAMES, "animation", unit="frame") as progress:
            for z in walk(latents[0], latents[1], FRAMES):
                column = in_batches(redrawer, images, masks, z)
                frames.append(titled_grids(left + [(title, [drawn]) for title, drawn in zip(titles, column)]))
                progress.update()
        write_whole(FLAGS.gif, gif(frames))
        print(f"Animation: {FLAGS.gif}")


if __name__ == "__main__":
    cli.run(main)
