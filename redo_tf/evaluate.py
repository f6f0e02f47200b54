"""Scores a run's mask network on a split: accuracy and IoU of the object, by both protocols.

  python -m redo_tf.evaluate --workdir=runs/lfw --split=val --data_dir=…

Prints a table, then the same numbers as one line of JSON, which is also written to WORKDIR/evaluation_SPLIT.json.
"""
from __future__ import annotations

import json
from typing import Any, Dict, Optional

import tensorflow as tf
from absl import flags

from redo_tf import cli, data
from redo_tf.data.pipeline import evaluation_batches
from redo_tf.errors import UserError
from redo_tf.evaluation import compile_segmenter, evaluate
from redo_tf.files import write_text
from redo_tf.segmenter import load_mask_network
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_enum("split", "val", ["train", "val", "test"], "Which pictures to score.")
flags.DEFINE_integer("batch_size", 64, "Pictures at a time.", lower_bound=1)


def evaluate_run(workdir: Workdir, split: str, data_dir: Optional[str], batch_size: int = 64) -> Dict[str, Any]:
    """Scores of a run on a split; see `evaluation.evaluate`.

    Raises:
      UserError: no run, no data, or a split without masks.
    """
    config = workdir.load_config()
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    network, _ = load_mask_network(workdir)
    size = config.data.image_size
    pictures = data.load(config.data.dataset, split, data_dir=data_dir, image_size=size, resize=config.data.resize)
    if pictures.masks is None:
        raise UserError(f"No picture of {config.data.dataset}'s {split} split has a mask, so there is nothing to score; "
                        "choose another --split.")
    results = evaluate(
        compile_segmenter(network, size), evaluation_batches(pictures.images, batch_size=batch_size), pictures.masks,
        data.regions(config.data.dataset), config.model.regions)
    return {"dataset": config.data.dataset, "split": split, "pictures": len(pictures.images), **results}


def table(results: Dict[str, Any]) -> str:
    """The scores, readable."""
    sizes = ", ".join(f"{size:.3f}" for size in results["region_sizes"])
    return "\n".join([
        f"{results['dataset']} {results['split']}, {results['pictures']} pictures, mean region sizes {sizes}",
        f"{'':34}{'accuracy':>10}{'IoU':>10}",
        f"{'one assignment for the whole set':34}{results['accuracy']:10.4f}{results['iou']:10.4f}",
        f"{'best assignment for each picture':34}{results['accuracy_per_image']:10.4f}{results['iou_per_image']:10.4f}"])


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    workdir = Workdir(cli.WORKDIR.value)
    results = evaluate_run(workdir, FLAGS.split, cli.DATA_DIR.value, FLAGS.batch_size)
    write_text(workdir.file(f"evaluation_{FLAGS.split}.json"), json.dumps(results, indent=2) + "\n")
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    cli.run(main)
