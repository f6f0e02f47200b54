"""Exports a run's best mask network for TensorFlow Lite and LiteRT, in builtin operations only.

  python -m export.tflite --workdir=runs/lfw --output=lfw.tflite
  python -m export.tflite --workdir=runs/lfw --output=lfw_int8.tflite --quantize=int8 --data_dir=…

writes the model and, as lfw.json, its card. One signature, `serving_default`, at the size S of the training, or with
--dynamic_size at any size whose sides are multiples of 4, at least 24:

  images float32 [1, S, S, 3] in 0…1; for int8 uint8 in 0…255  →  masks float32 [1, S, S, n], label 0 is the background

--quantize: none: float32; float16: the residual blocks' weights in half the size, the same speed; dynamic: weights in 8
bits, maps rounded as they come; int8: convolutions in 8 bits, calibrated on training pictures. The last two are less than a
third of the size. In LiteRT int8 took half the time on an Intel Xeon with AMX, and as long on an AMD EPYC without 8-bit
products; in tflite-runtime 2.14 three times as long, as its XNNPACK takes no 8-bit convolutions.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import warnings
from typing import Dict, Iterator, Optional

import numpy as np
import tensorflow as tf
from absl import flags, logging
from tensorflow.lite.tools import flatbuffer_utils

from export import card
from export.float16 import halve_large_kernels
from export.inference_graph import InferenceGraph, Precision
from export.int8 import Int8, calibrate
from redo_tf import cli, data
from redo_tf.best import load_mask_network
from redo_tf.config import Config
from redo_tf.data.split import evenly_spread
from redo_tf.errors import UserError
from redo_tf.files import write_whole
from redo_tf.models import MaskNetwork
from redo_tf.progress import bar
from redo_tf.segmentation import MULTIPLE, SMALLEST
from redo_tf.workdir import Workdir

ANY_SIZE = f"multiples of {MULTIPLE}, at least {SMALLEST}"

# Other commands have a flag of this name too, and one process may import them all.
OUTPUT = flags.DEFINE_string("output", None, "The file, NAME.tflite; the card is NAME.json beside it.",
                             allow_override=True)
QUANTIZE = flags.DEFINE_enum("quantize", "none", ["none", "float16", "dynamic", "int8"], "How numbers are stored.")
DYNAMIC_SIZE = flags.DEFINE_bool("dynamic_size", False, f"Take pictures of any size, sides {ANY_SIZE}.")

CALIBRATION_PICTURES, CALIBRATION_BATCH = 256, 8


def export(workdir: Workdir, path: str, quantize: str = "none", dynamic_size: bool = False,
           data_dir: Optional[str] = None) -> None:
    """Writes PATH, a .tflite file, and its card beside it, each whole and neither before both are on the disk.

    Args:
      workdir: the run whose best mask network is exported.
      path: ends in .tflite.
      quantize: none | float16 | dynamic | int8.
      dynamic_size: for pictures of any size, sides multiples of 4, at least 24; smaller ones may fail.
      data_dir: where the run's data set lies; for int8.

    Raises:
      UserError: there is no run, it has not been evaluated yet, `path` does not end in .tflite or is a folder, the card
        would replace another file, or the data set for int8 is missing.
    """
    if not path.endswith(".tflite") or os.path.isdir(path):
        raise UserError(f"--output={path} is not the name of a .tflite file: choose one.")
    card_path = os.path.splitext(path)[0] + ".json"
    if os.path.lexists(card_path) and not card.is_card(card_path):
        raise UserError(f"The model's card would overwrite {card_path}, which is none: choose another --output.")
    config = workdir.load_config()
    network, row = load_mask_network(workdir)
    order = row["val/order"]
    precision = _calibrated(config, network, order, data_dir) if quantize == "int8" else None
    logging.info("Exporting %s as it was at step %d.", workdir.path, row["step"])
    size = None if dynamic_size else config.data.image_size
    content = convert(InferenceGraph(network, order, precision), size, quantize)
    side = size or ANY_SIZE
    images = (f"uint8 [1, H, W, 3], RGB, H and W {side}" if quantize == "int8" else
              f"float32 [1, H, W, 3], RGB in 0…1, H and W {side}")
    written = card.build(
        workdir, row, format="TFLite", inputs={"serving_default": {"images": images}},
        outputs={"serving_default": {"masks": "float32 [1, H, W, n], probability of each label, sums to 1 over n"}},
        quantize=quantize, model_bytes=len(content), model_sha256=hashlib.sha256(content).hexdigest())
    # The card first: where there is a model, there is a card.
    _write_together({card_path: card.to_json(written).encode(), path: content})


def convert(graph: InferenceGraph, size: Optional[int], quantize: str = "none") -> bytes:
    """A .tflite file's bytes.

    Args:
      graph: for int8 with that precision.
      size: S, or None for any.
      quantize: none | float16 | dynamic | int8.
    """
    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32, name="images")])
    def serve(images):
        return {"masks": graph(images)}

    holder = tf.Module()
    holder.serve = serve
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], holder)
    if quantize in ("dynamic", "int8"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "int8":
        converter.inference_input_type = tf.uint8
    with _quiet():
        content = _without_inner_names(converter.convert())
    return halve_large_kernels(content) if quantize == "float16" else content


def _without_inner_names(content: bytes) -> bytes:
    """A .tflite file in which only inputs and outputs have names: the others', long chains of operations, take 5 kB."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph in model.subgraphs:
        for index in set(range(len(graph.tensors))) - {*graph.inputs, *graph.outputs}:
            graph.tensors[index].name = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _write_together(contents: Dict[str, bytes]) -> None:
    """Writes files of one folder, in that order. Before all are whole on the disk, none takes its name.

    A process killed between two renamings leaves a new card beside an old model, which the card's SHA-256 then tells.
    """
    folder = os.path.dirname(os.path.abspath(next(iter(contents))))
    os.makedirs(folder, exist_ok=True)
    path = folder
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".exporting-") as unfinished:
            whole = {path: os.path.join(unfinished, os.path.basename(path)) for path in contents}
            for path, content in contents.items():
                write_whole(whole[path], content)
            for path in contents:
                os.replace(whole[path], path)
    except OSError as error:
        error.filename = path  # Not the unfinished one.
        raise


def _calibrated(config: Config, network: MaskNetwork, order, data_dir: Optional[str]) -> Precision:
    """8 bits, in ranges found on training pictures, evenly spread over the set."""
    images = data.load_configured(config.data, "train", data_dir).images
    chosen = evenly_spread(len(images), CALIBRATION_PICTURES)
    with bar(len(chosen), "Calibrating", unit="picture", brief=True) as progress:
        def batches():
            for i in range(0, len(chosen), CALIBRATION_BATCH):
                yield images[chosen[i:i + CALIBRATION_BATCH]].astype(np.float32) / 255
                progress.update(len(chosen[i:i + CALIBRATION_BATCH]))

        return Int8(calibrate(lambda precision: InferenceGraph(network, order, precision), batches()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The converter tells of its inner steps on the process's standard error, past Python."""
    with open(os.devnull, "w") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def main() -> None:
    if not cli.WORKDIR.value:
        raise UserError("Which run? Give its folder as --workdir=…")
    if not OUTPUT.value:
        raise UserError("Where to? Give the model's name as --output=NAME.tflite.")
    started = time.time()
    workdir = Workdir(cli.WORKDIR.value, cli.MASK_DIR.value)
    export(workdir, OUTPUT.value, QUANTIZE.value, DYNAMIC_SIZE.value, cli.DATA_DIR.value)
    print(f"TFLite, {QUANTIZE.value}: {OUTPUT.value} ({os.path.getsize(OUTPUT.value) / 1e6:.2f} MB, "
          f"{time.time() - started:.0f} s)")


if __name__ == "__main__":
    cli.run(main)
