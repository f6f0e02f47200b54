"""Exports a run's best mask network as a SavedModel in TF Serving's layout.

  python -m export.saved_model --workdir=runs/lfw --output=models/lfw

writes models/lfw/1, and 2, 3, … when it is called again; versions that are there stay as they are. It loads without
this project: by TF Serving, TensorFlow in any language, OpenVINO. Any batch and picture size, two signatures:

  serving_default  images uint8 [B, H, W, 3] → masks float32 [B, H, W, n], labels uint8 [B, H, W]
  image_bytes      image_bytes string [B], JPEG or PNG → label_png_bytes, mask_png_bytes string [B], PNG
"""
from __future__ import annotations

import os
import time

import tensorflow as tf
from absl import flags, logging

from export import card, folders, serving, warmup
from redo_tf import cli
from redo_tf.best import load_mask_network
from redo_tf.errors import UserError
from redo_tf.files import write_text
from redo_tf.workdir import Workdir

# Other commands have a flag of this name too, and one process may import them all.
OUTPUT = flags.DEFINE_string("output", None, "Folder of the model's versions; the next one is written.",
                             allow_override=True)

INPUTS = {
    "serving_default": {"images": "uint8 [B, H, W, 3], RGB, of any size"},
    "image_bytes": {"image_bytes": "string [B], JPEG or PNG files, of a size each; EXIF orientation is ignored"},
}
OUTPUTS = {
    "serving_default": {
        "masks": "float32 [B, H, W, n], probability of each label, sums to 1 over n",
        "labels": "uint8 [B, H, W], the most probable label, 0 is the background"},
    "image_bytes": {
        "label_png_bytes": "string [B], grey PNG of the picture's size, the label of each pixel",
        "mask_png_bytes": "string [B], grey PNG of the picture's size, 255 times the probability of being object"},
}


def export(workdir: Workdir, base: str) -> str:
    """Writes the next version of a SavedModel, whole or not at all.

    Args:
      workdir: the run whose best mask network is exported; float32, whatever it was trained in.
      base: folder of the versions.

    Returns:
      Path of the new version.

    Raises:
      UserError: there is no run, it has not been evaluated yet, or `base` cannot be written to.
    """
    config = workdir.load_config()
    network, row = load_mask_network(workdir)
    segmentation = serving.FastSegmentation(network, config.data.image_size, row["val/order"], config.data.resize)
    holder, signatures = serving.servable(segmentation)
    written = card.build(workdir, row, format="SavedModel", inputs=INPUTS, outputs=OUTPUTS)

    def fill(folder: str) -> None:
        logging.info("Exporting %s as it was at step %d.", workdir.path, row["step"])
        verbosity = logging.get_verbosity()
        logging.set_verbosity(logging.ERROR)  # Saving tells of every tensor that it renames.
        try:
            tf.saved_model.save(holder, folder, signatures=signatures)
        finally:
            logging.set_verbosity(verbosity)
        warmup.write(folder, config.data.image_size)
        write_text(os.path.join(folder, "model_card.json"), card.to_json(written))

    try:
        return folders.write_version(base, fill)
    except tf.errors.OpError as error:
        raise UserError(f"The SavedModel cannot be written to {base} ({error.message.splitlines()[0]}): "
                        "make room there or choose another --output.") from error


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    if not OUTPUT.value:
        raise UserError("Where to? Give the folder of the model's versions as --output=…")
    started = time.time()
    path = export(Workdir(cli.WORKDIR.value), OUTPUT.value)
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
    print(f"SavedModel: {path} ({size / 1e6:.1f} MB, {time.time() - started:.0f} s)")


if __name__ == "__main__":
    cli.run(main)
