"""Segments pictures: masks for a file, a folder, a glob or a list.

  python -m redo_tf.segment --model=runs/photos --input=photos --output=masks --overlay
  find photos -type f -newer last | python -m redo_tf.segment --model=exported --input=- --output=masks

--model is a run's folder, a SavedModel, a .tflite file, or lfw, a network for faces that comes with the package. For each
picture NAME.jpg the output folder gets

  NAME_mask.png           palette PNG of the picture's size; its pixels' values are labels, 0 the background
  NAME_overlay.png        with --overlay: the mask's colours over the picture
  NAME_probabilities.png  with --probabilities: grey, 0 to 255 for a probability of 0 to 1 of being object
  index.jsonl             one object a picture: input, mask (below the output folder), width, height, shares (of each
                          label), object_share, model; or input and error

in the tree of the input folder. The same command continues after an interruption: pictures whose results by this model
are whole and stand in index.jsonl are skipped. A picture that cannot be read is reported and skipped, and so is one whose
results would replace another picture's, as of two folders' IMG_1.jpg. Of a folder, masks of its pictures, in masks/ or as
NAME_mask.png, are left out.

Exit code: how many pictures failed and how many folders could not be read, at most 125, hence 0 when all succeeded. A
mistake in the command ends with 2 as well; it is told in a single sentence, and no picture is segmented. So it is when
--input is one file and that fails.
"""
from __future__ import annotations

import os
import sys
import time
import warnings

from absl import flags, logging

from redo_tf import cli, segmenter
from redo_tf.environment import usable_cores
from redo_tf.errors import UserError
from redo_tf.photos.finding import find
from redo_tf.photos.pipeline import exit_code, segment

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "model", None, "A run's folder, a SavedModel, a .tflite file, or lfw, which comes with the package.", allow_override=True)
flags.DEFINE_string(
    "input", None, "A picture, a folder (with all folders below), a glob, or - for paths on stdin, one a line.")
flags.DEFINE_string("output", None, "Folder of the results.", allow_override=True)
flags.DEFINE_bool("overlay", False, "Also draw the masks over the pictures.")
flags.DEFINE_bool("probabilities", False, "Also write the probability of being object.")
flags.DEFINE_bool(
    "overwrite", False, "Segment anew what is done already, and replace the results of pictures that are no longer there.")
flags.DEFINE_integer(
    "batch_size", 16, "Pictures of one size that the network sees at a time.", lower_bound=1, allow_override=True)
flags.DEFINE_integer("workers", usable_cores(), "Threads that decode and write pictures.", lower_bound=1)


def main() -> None:
    for name in ("model", "input", "output"):
        if not FLAGS[name].value:
            raise UserError(f"--{name}=… is missing (--help lists the flags.)")
    warnings.filterwarnings("ignore", module="PIL")  # Of odd metadata: nothing that a user could act on.
    unread = []

    def on_error(folder: str, error: OSError) -> None:
        logging.warning("%s cannot be read (%s): what is below it is left out.", folder, error.strerror)
        unread.append(folder)

    pictures = find(FLAGS.input, sys.stdin.buffer, on_error)
    model = segmenter.load(FLAGS.model)
    kinds = ["mask"] + [kind for kind in ("overlay", "probabilities") if FLAGS[kind].value]
    start = time.monotonic()
    outcome = segment(model, pictures, FLAGS.output, kinds, FLAGS.batch_size, FLAGS.workers, FLAGS.overwrite)
    seconds = time.monotonic() - start
    if outcome.failed and len(pictures) == 1 and os.path.lexists(FLAGS.input) and not os.path.isdir(FLAGS.input):
        sys.exit(2)  # Why was told.
    index = os.path.join(FLAGS.output, "index.jsonl")
    rate = outcome.segmented / seconds
    print(f"Segmented {outcome.segmented} picture{'' if outcome.segmented == 1 else 's'} in {seconds:.1f} s "
          f"({rate:.1f} a second): {index}")
    if outcome.failed:
        print(f"{outcome.failed} of {len(pictures)} pictures failed; {index} says why.", file=sys.stderr)
    if unread:
        print(f"Folders that could not be read: {len(unread)}.", file=sys.stderr)
    if outcome.failed or unread:
        sys.exit(exit_code(outcome, len(unread)))


if __name__ == "__main__":
    cli.run(main)
