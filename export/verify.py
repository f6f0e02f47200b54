"""Compares an exported model with the run that it comes from, and times it.

  python -m export.verify models/lfw --workdir=runs/lfw --data_dir=…
  python -m export.verify lfw_int8.tflite --workdir=runs/lfw --data_dir=… --runtime=ai-edge-litert

On the data set's validation pictures: the largest difference of a probability, the share of pixels with the same label,
and where there are masks the accuracy and IoU of both, labels as they are. Then the time for one picture on 1, 2, 4, …
cores beside the convolution floor: the arithmetic of the network's layers as published at the rate that a large float32
convolution reaches in the same runtime (for a SavedModel, whose pictures are two strips, of two convolutions side by
side), and the same for the arithmetic that is left where upsampling and convolution are merged. Prints a table and the
same as one line of JSON; exit code 2 where labels differ on 1 % of the pixels.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow as tf
from absl import flags, logging

from export.latency import RUNTIMES, interpreter
from redo_tf import cli, data, flops, metrics, segmenter
from redo_tf.build import build_mask_network
from redo_tf.config import Config
from redo_tf.data.split import evenly_spread
from redo_tf.environment import usable_cores
from redo_tf.errors import UserError
from redo_tf.progress import bar
from redo_tf.scored_masks import score_pictures
from redo_tf.segmenter import Segmenter
from redo_tf.workdir import Workdir

# Other commands have flags of these names too, and one process may import them all.
MODEL = flags.DEFINE_string("model", None, "A SavedModel or a .tflite file; may stand first, without --model=.",
                            allow_override=True)
RUNTIME = flags.DEFINE_enum("runtime", "tensorflow", list(RUNTIMES), "The package that runs a .tflite file.",
                            allow_override=True)
PICTURES = flags.DEFINE_integer("pictures", 500, "Compare so many, evenly spread.", lower_bound=1, allow_override=True)

FIRST_WORD = "model"  # The flag that may be left unnamed.
BATCH = 50
EQUAL_LABELS = 0.99  # at least


def mean_scores(counts: np.ndarray) -> Dict[str, float]:
    """`accuracy` and `iou` where region k is taken for label k, means over the pictures that have a label.

    Not `metrics.scores`, which would not tell a model whose background and object are exchanged.

    Args:
      counts: confusion counts [N, K, n].

    Returns:
      Nothing where no picture has a label.
    """
    labelled = counts[counts.sum((1, 2)) > 0]
    if not len(labelled):
        return {}
    return {name: float(scores.mean()) for name, scores in score_pictures(labelled).items()}


def compare(exported: Segmenter, run: Segmenter, images: np.ndarray, masks: Optional[np.ndarray],
            classes: int) -> Dict[str, Any]:
    """Both models on the same pictures.

    Args:
      exported, run: of the same network.
      images: uint8 [N, S, S, 3].
      masks: true labels uint8 [N, S, S], or None.
      classes: number of labels.

    Returns:
      `maximum_error`, `mean_error` of probabilities, `equal_labels`, and where a picture has a label `accuracy`, `iou`,
      `run_accuracy`, `run_iou`, from `mean_scores`.
    """
    errors, equal, labels, expected_labels = [], [], [], []
    with bar(len(images), "Comparing", unit="picture", brief=True) as progress:
        for first in range(0, len(images), BATCH):
            batch = images[first:first + BATCH]
            found, expected = exported.masks(batch), run.masks(batch)
            errors.append(np.abs(found - expected))
            labels.append(found.argmax(-1))
            expected_labels.append(expected.argmax(-1))
            equal.append(labels[-1] == expected_labels[-1])
            progress.update(len(batch))
    errors = np.concatenate(errors)
    results = {"pictures": len(images), "maximum_error": float(errors.max()), "mean_error": float(errors.mean()),
               "equal_labels": float(np.concatenate(equal).mean())}
    if masks is not None:
        for prefix, regions in (("", labels), ("run_", expected_labels)):
            scores = mean_scores(metrics.confusion(masks, np.concatenate(regions), classes, run.regions))
            results.update({prefix + name: score for name, score in scores.items()})
    return results


def arithmetic(config: Config) -> flops.Arithmetic:
    """What the mask network's convolutions and matrix products take for one picture of the training's size."""
    network = build_mask_network(config.model)
    size = config.data.image_size
    return flops.count(tf.function(network).get_concrete_function(tf.TensorSpec([1, size, size, 3])))


def latencies(path: str, runtime: str, counted: flops.Arithmetic) -> List[Dict[str, float]]:
    """For 1, 2, 4, … cores, each in a process of its own: what `latency.measure` returns, `floor_ms` and `ratio` to it,
    and for the merged arithmetic `merged_floor_ms` and `merged_ratio`.

    Args:
      path: of the model.
      runtime: see `latency.RUNTIMES`.
      counted: from `arithmetic`.

    Raises:
      UserError: the model does not run there.
    """
    rows = []
    for cores in [2**i for i in range(usable_cores().bit_length())]:
        logging.info("Timing %s on %d core%s.", path, cores, "s" if cores > 1 else "")
        done = subprocess.run(
            [sys.executable, "-m", "export.latency", f"--path={path}", f"--runtime={runtime}", f"--cores={cores}"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{path} could not be timed on {cores} cores: {done.stderr.strip()[-300:]}")
        row = json.loads(done.stdout.splitlines()[-1])
        for prefix, operations in (("", counted.published), ("merged_", counted.computed)):
            row[f"{prefix}floor_ms"] = 1e-6 * operations / row["convolution_gflops"]
            row[f"{prefix}ratio"] = row["minimum_ms"] / row[f"{prefix}floor_ms"]
        rows.append(row)
    return rows


def verify(path: str, workdir: Workdir, data_dir: Optional[str], runtime: str, pictures: int) -> Dict[str, Any]:
    """All of it: the fields of `compare`, and `latency`, a list of what `latencies` returns.

    Raises:
      UserError: the model cannot be loaded or timed, or is not of this run; or there is no run, or no data.
    """
    config = workdir.load_config()
    exported, run = segmenter.load(path, interpreter(runtime)), segmenter.load(workdir.path)
    if exported.regions != run.regions or exported.card["image_size"] != run.card["image_size"]:
        raise UserError(f"{path} is not of the run {workdir.path}: regions or sizes differ; check --workdir.")
    split = data.load_configured(config.data, "val", data_dir)
    chosen = evenly_spread(len(split.images), pictures)
    results = compare(exported, run, np.asarray(split.images[chosen]), split.truth(run.regions, chosen),
                      split.scored_classes(run.regions))
    kind = {name: exported.card.get(name) for name in ("format", "quantize")}
    return {"model": path, **kind, "runtime": runtime, **results,
            "latency": latencies(exported.path, runtime, arithmetic(config))}


def table(results: Dict[str, Any]) -> str:
    """The comparison, readable."""
    lines = [f"{results['model']}, {results['pictures']} validation pictures",
             f"largest error of a probability {results['maximum_error']:.1e}, mean {results['mean_error']:.1e}",
             f"equal labels {100 * results['equal_labels']:.3f} %"]
    if "iou" in results:
        lines.append(f"accuracy {results['accuracy']:.4f}, of the run {results['run_accuracy']:.4f}; "
                     f"IoU {results['iou']:.4f}, of the run {results['run_iou']:.4f}")
    lines.append(f"{'cores':>5}{'minimum ms':>12}{'median ms':>12}{'convolution floor ms':>22}{'minimum / floor':>17}"
                 f"{'of merged layers':>18}")
    for row in results["latency"]:
        lines.append(f"{row['cores']:5}{row['minimum_ms']:12.2f}{row['median_ms']:12.2f}{row['floor_ms']:22.2f}"
                     f"{row['ratio']:17.2f}{row['merged_ratio']:18.2f}")
    return "\n".join(lines)


def main() -> None:
    if not MODEL.value:
        raise UserError("Which model? Name a SavedModel or a .tflite file: python -m export.verify PATH --workdir=…")
    if not cli.WORKDIR.value:
        raise UserError("Which run is it of? Give its folder as --workdir=…")
    workdir = Workdir(cli.WORKDIR.value, cli.MASK_DIR.value)
    results = verify(MODEL.value, workdir, cli.DATA_DIR.value, RUNTIME.value, PICTURES.value)
    print(table(results))
    print(json.dumps(results))
    if results["equal_labels"] < EQUAL_LABELS:
        raise UserError(f"{MODEL.value} gives {100 - 100 * results['equal_labels']:.1f} % of the pixels other labels "
                        f"than {cli.WORKDIR.value}: it is of another run or step, or --quantize costs too much; "
                        "export it again.")


if __name__ == "__main__":
    cli.run(main, FIRST_WORD)
