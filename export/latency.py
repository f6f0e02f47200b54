"""How long a model takes for one picture, on a number of cores; `export.verify` starts it for each number.

  python -m export.latency --path=lfw.tflite --cores=1

Prints one line of JSON: milliseconds, and the GFLOP/s that a large convolution reaches. The two run in turn, some
repetitions at a time, so that whatever else the machine does slows both.

A .tflite file's interpreter has one thread for each core. A SavedModel computes a picture in strips side by side: where there
is no core for more, each strip has one thread, with none to share its operations; and the large convolution runs once for each
strip, too.
"""
from __future__ import annotations

import importlib
import json
import os
import time
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import tensorflow as tf
from absl import flags

from export.serving import STRIPS
from redo_tf import cli, segmenter
from redo_tf.errors import UserError

# Packages that run .tflite files, and where their interpreters are.
RUNTIMES = {"tensorflow": "tensorflow.lite.python.interpreter", "ai-edge-litert": "ai_edge_litert.interpreter",
            "tflite-runtime": "tflite_runtime.interpreter"}
SECONDS, TURNS = 3.0, 5  # at least
REPETITIONS, UNCOUNTED = 25, 5  # in a turn, and before it: what ran last has left its data and threads on other cores.
SIZE, CHANNELS = 64, 128  # of the large convolution: 3×3, 1.2 GFLOP

PATH = flags.DEFINE_string("path", None, "The model.", allow_override=True)
CORES = flags.DEFINE_integer("cores", 1, "How many cores and threads to use.", lower_bound=1, allow_override=True)
RUNTIME = flags.DEFINE_enum("runtime", "tensorflow", list(RUNTIMES), "The package that runs a .tflite file.",
                            allow_override=True)


def interpreter(runtime: str) -> Callable[..., Any]:
    """The class that runs .tflite files.

    Raises:
      UserError: the package is not installed.
    """
    try:
        return importlib.import_module(RUNTIMES[runtime]).Interpreter
    except ImportError as error:
        raise UserError(f"--runtime={runtime} cannot be imported ({error}): pip install {runtime}.") from error


def threads(cores: int) -> Tuple[int, int]:
    """TensorFlow's threads between operations, one for each strip of a picture, and within operations, for all of them."""
    return min(STRIPS, cores), (1 if cores <= STRIPS else cores)


def measure(path: str, runtime: str, cores: int) -> Dict[str, float]:
    """Minimum and median milliseconds of one picture of the training's size, and the large convolution's GFLOP/s."""
    model = segmenter.load(path, interpreter(runtime), cores)
    size = model.card["image_size"]
    picture = np.random.default_rng(0).integers(0, 256, [1, size, size, 3], np.uint8)
    count = 1 if path.endswith(".tflite") else threads(cores)[0]
    convolve = _tflite_convolution(runtime, cores) if path.endswith(".tflite") else _convolutions(count)
    of_model, of_convolution = [], []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(of_model) < TURNS * REPETITIONS:
        of_model += _seconds(lambda: model.masks(picture))
        of_convolution += _seconds(convolve)
    return {"cores": cores, "minimum_ms": 1e3 * min(of_model), "median_ms": 1e3 * float(np.median(of_model)),
            "convolution_gflops": 2e-9 * 9 * CHANNELS**2 * SIZE**2 * count / min(of_convolution)}


def _seconds(run: Callable[[], Any]) -> List[float]:
    """Of each repetition in one turn."""
    for _ in range(UNCOUNTED):
        run()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def _convolutions(count: int) -> Callable[[], Any]:
    """So many of the large convolution in TensorFlow, in one graph."""
    kernel = tf.random.normal([3, 3, CHANNELS, CHANNELS])
    maps = [tf.random.normal([1, SIZE, SIZE, CHANNELS]) for _ in range(count)]
    convolve = tf.function(lambda: [tf.nn.conv2d(x, kernel, 1, "SAME") for x in maps])
    return lambda: [result.numpy() for result in convolve()]


def _tflite_convolution(runtime: str, cores: int) -> Callable[[], Any]:
    """The large convolution in float32, as a .tflite file."""
    kernel = tf.random.normal([3, 3, CHANNELS, CHANNELS])
    convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"),
                           input_signature=[tf.TensorSpec([1, SIZE, SIZE, CHANNELS])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convolve.get_concrete_function()], convolve)
    runner = interpreter(runtime)(model_content=converter.convert(), num_threads=cores)
    runner.allocate_tensors()
    return runner.invoke


def main() -> None:
    if not PATH.value:
        raise UserError("Which model? Give it as --path=…")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES.value])
    between, within = threads(CORES.value)
    tf.config.threading.set_inter_op_parallelism_threads(between)
    tf.config.threading.set_intra_op_parallelism_threads(within)
    print(json.dumps(measure(PATH.value, RUNTIME.value, CORES.value)))


if __name__ == "__main__":
    cli.run(main)
