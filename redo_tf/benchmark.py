"""Times training and inference of a configuration on this machine. Needs no data: pictures are random.

  python -m redo_tf.benchmark --config=lfw --set train.batch_size=8
  python -m redo_tf.benchmark --config=lfw_cpu --only=iteration,input --precision=float32

Prints a table and one line of JSON. Times are medians over --steps, after a warm-up. GFLOP are counted from the compiled
graph: a product and a sum of its convolutions and matrix products are two. Efficiency is the rate that is reached, as a
share of a large convolution's (forward and backward) in the same process, precision and number of threads, on as many
replicas and in as many shards.

"As published" counts what the same layers take where each is computed as the paper describes it. This package merges 3×3
convolutions with the pooling after or the upsampling before them, which needs fewer products for the same numbers; an
implementation that does not can be compared by this figure. It may be larger than 1.
"""
from __future__ import annotations

import json
import platform
import resource
import sys
import time
from typing import Any, Callable, Dict, List

import numpy as np
import tensorflow as tf
from absl import flags, logging

import redo_tf
from redo_tf import cli, flops
from redo_tf.build import build_mask_network, build_model
from redo_tf.config import Config, flatten, override, validate
from redo_tf.data import training_batches
from redo_tf.errors import UserError
from redo_tf.optimizers import build_optimizers
from redo_tf.pixels import to_model_range
from redo_tf.precision import layers_in
from redo_tf.recipe_flags import config_from_flags
from redo_tf.step import TrainingStep
from redo_tf.strategy import check_replicas, default_strategy, on_cpu, shards

UPDATES = {"generator": ("generator",), "discriminator": ("discriminator",), "iteration": ("generator", "discriminator")}
PARTS = (*UPDATES, "input", "inference")

FLAGS = flags.FLAGS
flags.DEFINE_list("only", [], f"What to time, of {', '.join(PARTS)}. Default: everything.")
flags.DEFINE_integer("steps", 10, "Repetitions that are timed.", lower_bound=1)
flags.DEFINE_integer("warmup", 3, "Repetitions before those.", lower_bound=1)
flags.DEFINE_enum("precision", None, ["float32", "mixed_bfloat16"], "Instead of the recipe's train.precision.")
flags.DEFINE_integer("image_size", None, "Instead of the recipe's data.image_size.")
flags.DEFINE_integer("replicas", 1, "The CPU is divided into so many devices, which share each batch.", lower_bound=1)


def timed(run: Callable[[], Any], steps: int, warmup: int) -> float:
    """Median seconds of `run`, which returns only when its work is done."""
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def convolution_rate(config: Config, strategy: tf.distribute.Strategy, steps: int, warmup: int) -> float:
    """GFLOP/s of a large convolution with both its gradients: 3×3, 128 channels, 64×64, 8 pictures, or 256 on a GPU.

    On each replica as many of them side by side as the iteration has shards there, so that they can use as many cores.
    """
    pictures = 256 if tf.config.list_logical_devices("GPU") else 8
    dtype = tf.bfloat16 if config.train.precision == "mixed_bfloat16" else tf.float32

    def of_shard(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, 1, "SAME")
        # One number of each result, so that all are computed and next to nothing is fetched.
        return [tf.cast(tensor[0, 0, 0, 0], tf.float32) for tensor in (y, *tape.gradient(y, [x, kernel], tf.ones_like(y)))]

    @tf.function
    def inputs():
        return strategy.run(lambda: [
            tf.cast(tf.random.stateless_normal(shape, [0, 0]), dtype)
            for shape in ([shards(config, strategy), pictures, 64, 64, 128], [3, 3, 128, 128])])

    @tf.function
    def forward_and_backward(x, kernel):
        return strategy.run(lambda x, kernel: [of_shard(part, kernel) for part in tf.unstack(x)], args=(x, kernel))

    given = inputs()
    gflop = flops.count(forward_and_backward.get_concrete_function(*given)).computed / 1e9
    return gflop / timed(lambda: [value.numpy() for result in tf.nest.flatten(forward_and_backward(*given))
                                  for value in strategy.experimental_local_results(result)], steps, warmup)


class Benchmark:
    """Times parts of one configuration.

    Args:
      config: validated.
      steps, warmup: repetitions of each part: timed, and before.
      strategy: that training runs under.
    """

    def __init__(self, config: Config, steps: int, warmup: int, strategy: tf.distribute.Strategy):
        self.config, self.steps, self.warmup, self.strategy = config, steps, warmup, strategy
        logging.info("Timing a large convolution.")
        self.rate = convolution_rate(config, strategy, steps, warmup)

    def run(self, parts: List[str]) -> Dict[str, Any]:
        """Results by part, as in the command's JSON."""
        results = self.updates([part for part in parts if part in UPDATES])
        if "input" in parts:
            results["input"] = self.input()
        if "inference" in parts:
            results["inference"] = self.inference()
        return results

    def updates(self, names: List[str]) -> Dict[str, Dict[str, float]]:
        """Generator update, discriminator update, and both as training runs them."""
        if not names:
            return {}
        batch_size = self.config.train.batch_size
        tf.keras.utils.set_random_seed(self.config.seed)
        with self.strategy.scope(), layers_in(self.config.train.precision):
            model = build_model(self.config.model, self.config.data.image_size)
            optimizers = build_optimizers(model, self.config.optimizer)
        step = TrainingStep(model, None, optimizers, self.config, self.strategy)
        batch = next(iter(self.strategy.experimental_distribute_dataset(training_batches(
            self._pictures(batch_size), batch_size=batch_size, seed=0))))
        seeds = tf.constant([0, 0], tf.int64)
        region = None if self.config.objective.redraw == "all" else 0
        results = {}
        for name in names:
            # One call for both updates, but where each draws a region of its own.
            calls = ("both",) if name == "iteration" and region is None else UPDATES[name]

            def run():
                for parts in calls:
                    metrics = step.compiled(batch, seeds, region, parts=parts)
                return metrics["generator/total" if name == "generator" else "discriminator/total"].numpy()

            logging.info("Timing the %s%s, which TensorFlow traces first.", name, "" if name == "iteration" else " update")
            counted = [flops.count(step.compiled.get_concrete_function(batch, seeds, region, parts=parts)) for parts in calls]
            results[name] = self._rates(timed(run, self.steps, self.warmup), batch_size, sum(counted, flops.NOTHING))
        return results

    def input(self) -> Dict[str, float]:
        """The input pipeline alone, from prepared pictures to batches; `seconds` is for one batch.

        Training reads two pictures for each of a batch: one to redraw, and a real one for D. Pairs are counted.
        """
        logging.info("Timing the input pipeline.")
        batch_size, rounds = self.config.train.batch_size, 20  # A batch on its own takes too little to be timed.
        batches = iter(training_batches(self._pictures(1000), batch_size=batch_size, seed=0))
        seconds = timed(lambda: [next(batches) for _ in range(rounds)], self.steps, self.warmup) / rounds
        return {"seconds": seconds, "images_per_second": batch_size / seconds}

    def inference(self) -> Dict[str, Dict[str, float]]:
        """The mask network on uint8 pictures, one and 32 at a time."""
        logging.info("Timing inference.")
        with layers_in(self.config.train.precision):
            network = build_mask_network(self.config.model)
        segment = tf.function(lambda images: network(to_model_range(images), training=False))
        results = {}
        for count in (1, 32):
            images = tf.constant(self._pictures(count))
            seconds = timed(lambda: segment(images).numpy(), self.steps, self.warmup)
            counted = flops.count(segment.get_concrete_function(images))
            results[f"batch_{count}"] = self._rates(seconds, count, counted)
        return results

    def _rates(self, seconds: float, images: int, counted: flops.Arithmetic) -> Dict[str, float]:
        gflop, published = (count / 1e9 for count in counted)
        return {"seconds": seconds, "images_per_second": images / seconds, "gflop": gflop,
                "gflop_per_second": gflop / seconds, "efficiency": gflop / seconds / self.rate,
                "gflop_as_published": published, "efficiency_as_published": published / seconds / self.rate}

    def _pictures(self, count: int) -> np.ndarray:
        size = self.config.data.image_size
        return np.random.default_rng(0).integers(0, 256, [count, size, size, 3], dtype=np.uint8)


def peak_memory_mb() -> float:
    """The most memory that this process held so far, in 10⁶ bytes: of the first GPU, or else of the machine."""
    if tf.config.list_logical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def table(results: Dict[str, Any]) -> str:
    """The results, readable."""
    columns = (("seconds", 10, 4), ("images_per_second", 12, 1), ("gflop", 10, 2), ("gflop_per_second", 10, 1),
               ("efficiency", 12, 2), ("efficiency_as_published", 14, 2))
    rows = {part: results[part] for part in PARTS if part in results and part != "inference"}
    rows.update({f"inference, {name.replace('_', ' ')}": row for name, row in results.get("inference", {}).items()})
    lines = [f"{'':22}{'seconds':>10}{'images/s':>12}{'GFLOP':>10}{'GFLOP/s':>10}{'efficiency':>12}{'as published':>14}"]
    for name, row in rows.items():
        lines.append(f"{name:22}" + "".join(f"{row[key]:{width}.{digits}f}" for key, width, digits in columns if key in row))
    lines.append(f"A large convolution, forward and backward: {results['convolution_gflop_per_second']:.0f} GFLOP/s. "
                 f"Peak memory: {results['peak_memory_mb']:.0f} MB.")
    return "\n".join(lines)


def strategy_of(replicas: int) -> tf.distribute.Strategy:
    """Training's own for one replica; otherwise the CPU divided.

    Raises:
      UserError: more than one replica where there is a GPU.
    """
    if replicas == 1:
        return default_strategy()
    if tf.config.list_physical_devices("GPU"):
        raise UserError("--replicas divides a CPU; with GPUs there is a replica for each: leave it out.")
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * replicas)
    return on_cpu(replicas)


def main() -> None:
    unknown = set(FLAGS.only) - set(PARTS)
    if unknown:
        raise UserError(f"--only={','.join(sorted(unknown))} is not a part; there is {', '.join(PARTS)}.")
    config = config_from_flags()
    for name, value in (("train.precision", FLAGS.precision), ("data.image_size", FLAGS.image_size)):
        if value is not None:
            override(config, name, value)
    validate(config)
    strategy = strategy_of(FLAGS.replicas)
    check_replicas(config, strategy)
    benchmark = Benchmark(config, FLAGS.steps, FLAGS.warmup, strategy)
    results = {
        **benchmark.run(FLAGS.only or list(PARTS)),
        "convolution_gflop_per_second": benchmark.rate,
        "peak_memory_mb": peak_memory_mb(),
        "configuration": flatten(config),
        "replicas": benchmark.strategy.num_replicas_in_sync,
        "versions": {"redo_tf": redo_tf.__version__, "tensorflow": tf.__version__, "python": platform.python_version()},
    }
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    cli.run(main)
