"""Scores a run's mask network, or an exported model, on a split: accuracy and IoU of the object, by both protocols.

  python -m redo_tf.evaluate --workdir=runs/lfw --split=val --data_dir=…
  python -m redo_tf.evaluate --model=models/lfw --split=test --data_dir=…      # a SavedModel, a .tflite file or a run

Prints a table, then the same numbers as one line of JSON. Those of a --workdir are also written to
WORKDIR/evaluation_SPLIT.json, and computed in the precision of its training; a --model computes as it does in use.
"""
from __future__ import annotations

import json
from typing import Any, Dict, Optional

import tensorflow as tf
from absl import flags

from redo_tf import cli, data, segmenter
from redo_tf.areas import mean_areas, most_probable
from redo_tf.config import DataConfig
from redo_tf.data.pipeline import evaluation_batches
from redo_tf.errors import UserError
from redo_tf.evaluation import BATCH, SegmentFunction, compile_segmenter, evaluate
from redo_tf.files import write_text
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
# Other commands have flags of these names too, and one process may import them all.
flags.DEFINE_enum("split", "val", ["train", "val", "test"], "Which pictures to score.", allow_override=True)
flags.DEFINE_integer("batch_size", BATCH, "Pictures at a time.", lower_bound=1, allow_override=True)
MODEL = flags.DEFINE_string("model", None, "A SavedModel, a .tflite file or a run, instead of --workdir.",
                            allow_override=True)
DATASET = flags.DEFINE_string("dataset", None, "Data set, with --model. Default: the one it was trained on.",
                              allow_override=True)


def evaluate_run(workdir: Workdir, split: str, data_dir: Optional[str], batch_size: int = BATCH,
                 mask_dir: Optional[str] = None) -> Dict[str, Any]:
    """Scores of a run on a split; see `evaluation.evaluate`, but shares of regions are in the labels' order.

    `step` and `restarts` are those of the evaluation in training that chose the mask network. `mask_dir` takes the place of
    the run's own.

    Raises:
      UserError: no run, no data, or a split without masks.
    """
    config = workdir.load_config(mask_dir)
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    network, row = segmenter.load_mask_network(workdir)
    segment = compile_segmenter(network, config.data.image_size)
    results = _evaluate(segment, config.data, config.model.regions, split, data_dir, batch_size)
    return {**results, "step": row["step"], "restarts": row["restarts"]}


def evaluate_model(path: str, dataset: Optional[str], split: str, data_dir: Optional[str], batch_size: int = BATCH,
                   mask_dir: Optional[str] = None) -> Dict[str, Any]:
    """Scores of whatever `segmenter.load` loads; on the data set of its training when `dataset` is None.

    Raises:
      UserError: no model, no data, or a split without masks.
    """
    model = segmenter.load(path)
    card = model.card
    if not (dataset or card.get("dataset")):
        raise UserError(f"The card of {path} does not say on which data set it was trained: name one with --dataset=….")
    pictures = DataConfig(dataset=dataset or card["dataset"], image_size=card["image_size"],
                          resize=card.get("resize", "antialias"), stored_side=card.get("stored_side", 0), mask_dir=mask_dir)

    def segment(images):
        masks = model.masks(images.numpy())
        return most_probable(tf.constant(masks)), mean_areas(masks)

    return _evaluate(segment, pictures, model.regions, split, data_dir, batch_size)


def _evaluate(segment: SegmentFunction, config: DataConfig, regions: int, split: str, data_dir: Optional[str],
              batch_size: int) -> Dict[str, Any]:
    pictures = data.load_configured(config, split, data_dir)
    if pictures.masks is None:
        raise UserError(f"No picture of {config.dataset}'s {split} split has a mask, so there is nothing to score; "
                        "choose another --split, or name the masks of a folder with --mask_dir=….")
    results = evaluate(segment, evaluation_batches(pictures.images, batch_size=batch_size), pictures.masks,
                       data.regions(config.dataset), regions)
    in_order = {name: [results[name][region] for region in results["order"]]
                for name in ("region_sizes", "label_shares", "border_shares")}
    return {"dataset": config.dataset, "split": split, "pictures": len(pictures.images), **results, **in_order}


def table(results: Dict[str, Any]) -> str:
    """The scores, readable."""
    sizes = ", ".join(f"{size:.3f}" for size in results["region_sizes"])
    return "\n".join([
        f"{results['dataset']} {results['split']}, {results['pictures']} pictures, "
        f"mean region sizes {sizes}, the background's first",
        f"{'':34}{'accuracy':>10}{'IoU':>10}",
        f"{'one assignment for the whole set':34}{results['accuracy']:10.4f}{results['iou']:10.4f}",
        f"{'best assignment for each picture':34}{results['accuracy_per_image']:10.4f}{results['iou_per_image']:10.4f}"])


def main() -> None:
    if bool(cli.WORKDIR.value) == bool(MODEL.value):
        raise UserError("Which model? Give a run's folder as --workdir=… or an exported model as --model=…, one of the "
                        "two.")
    if MODEL.value:
        results = evaluate_model(
            MODEL.value, DATASET.value, FLAGS.split, cli.DATA_DIR.value, FLAGS.batch_size, cli.MASK_DIR.value)
    elif DATASET.value:
        raise UserError("A run is scored on its own data set: leave out --dataset, or give the run as --model=….")
    else:
        results = evaluate_run(Workdir(cli.WORKDIR.value), FLAGS.split, cli.DATA_DIR.value, FLAGS.batch_size, cli.MASK_DIR.value)
    print(table(results))
    print(json.dumps(results))
    if not MODEL.value:
        write_text(Workdir(cli.WORKDIR.value).file(f"evaluation_{FLAGS.split}.json"), json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    cli.run(main)
