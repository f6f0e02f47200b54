"""Scores a run's mask network, or an exported model, on a split: accuracy and IoU of the object, by both protocols.

  python -m redo_tf.evaluate --workdir=runs/lfw --split=val --data_dir=…
  python -m redo_tf.evaluate --model=models/lfw --split=test --data_dir=…      # a SavedModel, a .tflite file or a run

Prints a table, then the same numbers as one line of JSON. Those of a --workdir are also written to
WORKDIR/evaluation_SPLIT.json, and computed in the precision of its training; a --model computes as it does in use.
"""
from __future__ import annotations

import json
from typing import Any, Dict, Optional

from absl import flags

from redo_tf import cli, data
from redo_tf.evaluation import BATCH, evaluate
from redo_tf.files import write_json
from redo_tf.trained import Trained
from redo_tf.trained_flags import trained_from_flags
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
# Other commands have flags of these names too, and one process may import them all.
flags.DEFINE_enum("split", "val", list(data.SPLITS), "Which pictures to score.", allow_override=True)
flags.DEFINE_integer("batch_size", BATCH, "Pictures at a time.", lower_bound=1, allow_override=True)


def evaluate_split(network: Trained, split: str, data_dir: Optional[str], batch_size: int = BATCH) -> Dict[str, Any]:
    """Scores of a mask network on a split; see `evaluation.evaluate`, but shares of regions are in the labels' order.

    `labelled` of the `pictures` have masks, on which the scores rest. With those of a run are `step` and `restarts` of the
    evaluation in training that chose the network.

    Raises:
      UserError: no data, or a split without masks.
    """
    pictures = network.load(split, data_dir)
    results = evaluate(network.segment, pictures, network.regions, batch_size)
    in_order = {name: [results[name][region] for region in results["order"]]
                for name in ("region_sizes", "label_shares", "border_shares")}
    return {"dataset": network.pictures.dataset, "split": split, "pictures": len(pictures.images),
            "labelled": len(pictures.labelled_rows()), **results, **in_order,
            **{name: network.evaluation[name] for name in ("step", "restarts") if name in network.evaluation}}


def table(results: Dict[str, Any]) -> str:
    """The scores, readable."""
    sizes = ", ".join(f"{size:.3f}" for size in results["region_sizes"])
    some = f" ({results['labelled']} with masks)" if results["labelled"] < results["pictures"] else ""
    return "\n".join([
        f"{results['dataset']} {results['split']}, {results['pictures']} pictures{some}, "
        f"mean region sizes {sizes}, the background's first",
        f"{'':34}{'accuracy':>10}{'IoU':>10}",
        f"{'one assignment for the whole set':34}{results['accuracy']:10.4f}{results['iou']:10.4f}",
        f"{'best assignment for each picture':34}{results['accuracy_per_image']:10.4f}{results['iou_per_image']:10.4f}"])


def main() -> None:
    network = trained_from_flags()
    results = evaluate_split(network, FLAGS.split, cli.DATA_DIR.value, FLAGS.batch_size)
    if cli.WORKDIR.value:  # First, as whoever reads what is printed may go away.
        write_json(Workdir(cli.WORKDIR.value).file(f"evaluation_{FLAGS.split}.json"), results)
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    cli.run(main)
