"""Masks that succeed and fail: the paper's Figures 4 to 6.

  python -m redo_tf.experiments.masks --workdir=runs/lfw --split=test --output=masks.png --data_dir=…
  python -m redo_tf.experiments.masks --model=lfw --split=val --groups=random,worst_iou --images=4 --data_dir=…

Groups of pictures: best by accuracy, best by IoU, drawn at random, worst by accuracy, worst by IoU; of each the picture,
the true mask, and the inferred one, whose regions are in the labels' order. Both scores are taken with that one order for
all pictures. The pictures' names and scores are printed as one line of JSON.
"""
from __future__ import annotations

import json

from absl import flags

from redo_tf import cli, data
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.pictures import png
from redo_tf.scored_masks import GROUPS, choose, draw, segment_split
from redo_tf.trained_flags import trained_from_flags

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "masks.png", "Picture to write.", allow_override=True)
flags.DEFINE_enum("split", "test", list(data.SPLITS), "Which pictures to choose from.", allow_override=True)
flags.DEFINE_list("groups", list(GROUPS), "What to show, in this order.")
flags.DEFINE_integer("images", 6, "How many pictures of each group.", lower_bound=1, allow_override=True)
flags.DEFINE_integer("seed", 0, "Seed of the random group.", lower_bound=0)


def main() -> None:
    unknown = set(FLAGS.groups) - set(GROUPS)
    if unknown or not FLAGS.groups:
        raise UserError(f"--groups={','.join(FLAGS.groups)} is no list of groups; there is {', '.join(GROUPS)}.")
    masks = segment_split(trained_from_flags(), FLAGS.split, cli.DATA_DIR.value)
    chosen = choose(masks.accuracy, masks.iou, FLAGS.images, FLAGS.seed)
    groups = {GROUPS[name]: chosen[GROUPS[name]] for name in FLAGS.groups}
    write_whole(FLAGS.output, png(draw(masks, groups)))
    print(f"Masks of {FLAGS.split}, {len(masks.ids)} pictures: {FLAGS.output}")
    print(json.dumps({
        title: [{"id": masks.ids[i], "accuracy": masks.accuracy[i], "iou": masks.iou[i]} for i in rows]
        for title, rows in groups.items()}))


if __name__ == "__main__":
    cli.run(main)
