"""Masks that succeed and fail: the paper's Figures 4 to 6.

  python -m redo_tf.experiments.masks --workdir=runs/lfw --split=test --output=masks.png --data_dir=…

Five groups of pictures: best by accuracy, best by IoU, drawn at random, worst by accuracy, worst by IoU; of each the
picture, the true mask, and the inferred one, whose regions are in the labels' order. Both scores are taken with that
one order for all pictures. The pictures' names and scores are printed as one line of JSON.
"""
from __future__ import annotations

import json

from absl import flags

from redo_tf import cli, data
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.pictures import png
from redo_tf.scored_masks import choose, draw, segment_split
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "masks.png", "Picture to write.", allow_override=True)
flags.DEFINE_enum("split", "test", list(data.SPLITS), "Which pictures to choose from.", allow_override=True)
flags.DEFINE_integer("images", 6, "How many pictures of each group.", lower_bound=1, allow_override=True)
flags.DEFINE_integer("seed", 0, "Seed of the random group.", lower_bound=0)


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    masks = segment_split(Workdir(cli.WORKDIR.value), FLAGS.split, cli.DATA_DIR.value, cli.MASK_DIR.value)
    groups = choose(masks.accuracy, masks.iou, FLAGS.images, FLAGS.seed)
    write_whole(FLAGS.output, png(draw(masks, groups)))
    print(f"Masks of {FLAGS.split}, {len(masks.ids)} pictures: {FLAGS.output}")
    print(json.dumps({
        title: [{"id": masks.ids[i], "accuracy": masks.accuracy[i], "iou": masks.iou[i]} for i in chosen]
        for title, chosen in groups.items()}))


if __name__ == "__main__":
    cli.run(main)
