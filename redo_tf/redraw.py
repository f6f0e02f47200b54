"""Redraws the regions of pictures with new z: the paper's Figure 2.

  python -m redo_tf.redraw --workdir=runs/lfw --output=redraw.png --data_dir=…
  python -m redo_tf.redraw --workdir=runs/lfw --output=redraw.png --gif=redraw.gif --images=4

A row for each picture: the picture, its true mask if there is one, the inferred mask, then for each region, background
first, --columns times the picture with that region redrawn. The same z goes down a column. The GIF has a column for
each region, whose z walks around a circle. Networks are those of the best validation IoU.
"""
from __future__ import annotations

import numpy as np
from absl import flags

from redo_tf import cli, data
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.pictures import blend_masks, colour_labels, png, titled_grids
from redo_tf.progress import bar
from redo_tf.redrawing import Redrawer, draw_latents, gif, walk
from redo_tf.segmentation import label_names
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "redraw.png", "Picture to write.", allow_override=True)
flags.DEFINE_string("gif", None, "Also write an animation here.")
flags.DEFINE_enum("split", "val", list(data.SPLITS), "Which pictures to redraw.", allow_override=True)
flags.DEFINE_integer("images", 8, "How many pictures, from the first of the split.", lower_bound=1, allow_override=True)
flags.DEFINE_integer("columns", 3, "How often each region is redrawn.", lower_bound=1)
flags.DEFINE_integer("z_seed", 0, "Seed of the z.", lower_bound=0)

FRAMES = 48  # of the animation


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    workdir = Workdir(cli.WORKDIR.value, cli.MASK_DIR.value)
    redrawer, config = Redrawer(workdir), workdir.load_config()
    split = data.load_configured(config.data, FLAGS.split, cli.DATA_DIR.value)
    images = np.asarray(split.images[:FLAGS.images])
    masks = redrawer.masks(images)
    left = [("input", [images])]
    if split.masks is not None:
        left.append(("true\nmask", [colour_labels(split.truth(redrawer.regions, slice(FLAGS.images)))]))
    left.append(("inferred\nmask", [blend_masks(masks)]))
    titles = [f"{name}\nredrawn" for name in label_names(redrawer.regions)]

    latents = draw_latents(FLAGS.z_seed, max(2, FLAGS.columns), redrawer.regions, redrawer.latent_size)
    columns = [redrawer.redraw(images, masks, z) for z in latents[:FLAGS.columns]]
    blocks = [(title, [column[label] for column in columns]) for label, title in enumerate(titles)]
    write_whole(FLAGS.output, png(titled_grids(left + blocks)))
    print(f"{len(images)} pictures of {config.data.dataset}'s {FLAGS.split} split redrawn: {FLAGS.output}")

    if FLAGS.gif:
        frames = []
        with bar(FRAMES, "animation", unit="frame") as progress:
            for z in walk(latents[0], latents[1], FRAMES):
                column = redrawer.redraw(images, masks, z)
                frames.append(titled_grids(left + [(title, [drawn]) for title, drawn in zip(titles, column)]))
                progress.update()
        write_whole(FLAGS.gif, gif(frames))
        print(f"Animation: {FLAGS.gif}")


if __name__ == "__main__":
    cli.run(main)
