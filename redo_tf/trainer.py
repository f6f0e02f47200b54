"""The training loop: data, networks, start or resume, iterations, evaluation, restart."""
from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from absl import logging

from redo_tf import collapse, data, history, schedule, writers
from redo_tf.beginning import first_mask_weights
from redo_tf.best import best_checkpoint
from redo_tf.build import build_mask_network, build_model
from redo_tf.checkpoints import Checkpoints, number
from redo_tf.config import Config
from redo_tf.data.pipeline import training_batches
from redo_tf.errors import Diverged, Interrupted, UserError
from redo_tf.evaluation import compile_segmenter, evaluate
from redo_tf.models import compose, networks
from redo_tf.optimizers import build_optimizers
from redo_tf.pictures import sample_grid
from redo_tf.pixels import to_model_range
from redo_tf.precision import layers_in
from redo_tf.progress import bar
from redo_tf.signals import StopSignals
from redo_tf.step import TrainingStep
from redo_tf.stopwatch import Stopwatch
from redo_tf.strategy import check_batch, default_strategy, shards
from redo_tf.window import Window
from redo_tf.workdir import Workdir

SAMPLE_ROWS = 8


class Trainer:
    """Trains one configuration in one folder.

    Args:
      config: validated.
      workdir: where the run is written; continued when it is already there.
      splits: `train`, whose masks are not looked at, and `val`.
      strategy: by default every GPU, or else the CPU.
      started: `time.perf_counter()` when the process began, or else now; the first iteration ends the start-up.

    Attributes:
      stopwatch: where the time of this process went.

    Raises:
      UserError: the batch cannot be shared among the replicas, there are too few pictures, or there is no f of this form to
        begin with.
    """

    def __init__(self, config: Config, workdir: Workdir, splits: Mapping[str, data.Split],
                 strategy: Optional[tf.distribute.Strategy] = None, started: Optional[float] = None):
        self.config, self.workdir = config, workdir
        self.started, self.stopwatch = started or time.perf_counter(), Stopwatch()
        self.strategy = strategy or default_strategy()

        # ---------------------------------------------------------------------------------------------- pictures
        size = config.data.image_size
        self.train, self.val = splits["train"], splits["val"]
        check_batch(config, len(self.train.images), self.strategy)
        if config.train.xla and not tf.config.list_logical_devices("GPU"):
            logging.warning("train.xla is for a GPU: on a CPU it compiles for minutes, and iterations take longer; "
                            "--set train.xla=False is faster.")
        parts = shards(config, self.strategy) * self.strategy.num_replicas_in_sync
        if parts < config.train.shards:
            logging.warning("Batches of %d cannot be computed in train.shards=%d equal parts, and are in %d.",
                            config.train.batch_size, config.train.shards, parts)

        # -------------------------------------------------------------------------------------------- networks
        self.first_mask_weights = (
            first_mask_weights(config, workdir, self.train.images) if config.train.begin_with else None)
        with self.strategy.scope():
            self.model = self._fresh_model(restarts=0)
            self.average = self._new_average() if config.train.mask_average else None
            self.optimizers = build_optimizers(self.model, config.optimizer)
            # Part of every checkpoint, so that a resumed run goes on exactly where it was.
            self.counters = {name: tf.Variable(0, dtype=tf.int64, trainable=False) for name in ("step", "restarts")}
            self.counters["seconds"] = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.window = Window()
        self.step_function = TrainingStep(self.model, self.average, self.optimizers, config, self.strategy)
        self.segment = compile_segmenter(self.evaluated, size, config.train.xla)
        self.redraw = tf.function(self._redraw, reduce_retracing=True, jit_compile=config.train.xla or None)
        self.checkpoints = Checkpoints(
            workdir.file("checkpoints"), config.train.checkpoints_kept, model=self.model, average=self.average,
            optimizers=self.optimizers, progress=self.counters, window=self.window)
        self.best = best_checkpoint(
            workdir, mask_network=self.evaluated, region_generators=self.model.region_generators)
        self.writers = writers.Writers(workdir)

    @property
    def evaluated(self) -> tf.keras.Model:
        """The mask network that is scored and kept: the running average where there is one."""
        return self.average or self.model.mask_network

    # ------------------------------------------------------------------------------------------- the whole run

    def run(self) -> Dict[str, Any]:
        """Trains to the end and returns the summary.

        Raises:
          Interrupted: by a signal, after saving.
          Diverged: a loss is NaN or infinite; the last good checkpoint stays.
          UserError: the run's checkpoints are gone or damaged; or an iteration does not fit into the device's memory; or
            the disk is full.
        """
        self._resume()
        if self._count("step") < self.config.train.steps:
            self.workdir.remove_summary()
        try:
            with StopSignals() as signals:
                while not self._train(signals):
                    self._begin_anew()
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(f"Training on batches of {self.config.train.batch_size} does not fit into memory: begin anew "
                            "with a smaller train.batch_size, or with train.precision=mixed_bfloat16.") from error
        finally:
            self.writers.close()
        summary = self._summary()
        self.workdir.write_summary(summary)
        return summary

    def _resume(self) -> None:
        prefix = self.checkpoints.restore_newest()
        if not prefix:
            self.workdir.check_kept()
            if self.checkpoints.prefixes():
                raise self.workdir.lost(self.workdir.metrics())
        step, restarts = self._count("step"), self._count("restarts")
        self.workdir.forget_metrics_after(restarts, step if prefix else -1)
        if prefix:
            self.checkpoints.sweep(prefix)
            logging.info("Continuing from step %d.", step)
        else:
            parameters = sum(int(tf.size(w)) for network in networks(self.model).values() for w in network.trainable_variables)
            logging.info("Training on %d pictures of %s at %d×%d, %s parameters, %d replica(s), %s.",
                         len(self.train.images), self.config.data.dataset, self.config.data.image_size,
                         self.config.data.image_size, f"{parameters:,}", self.strategy.num_replicas_in_sync,
                         self.config.train.precision)
            if self.first_mask_weights:
                self._save()  # They are kept from now on: learning them can take minutes.

    def _begin_anew(self) -> None:
        """Fresh weights under a new seed, in the same variables, so that nothing is traced again."""
        restarts = self._count("restarts") + 1
        fresh = self._fresh_model(restarts)
        for old, new in zip(self._model_variables(self.model), self._model_variables(fresh)):
            old.assign(new)
        for optimizer in self.optimizers.values():
            for variable in optimizer.variables():
                variable.assign(tf.zeros_like(variable))
        if self.average:
            self.average.set_weights(self.model.mask_network.get_weights())
        self.counters["step"].assign(0)
        self.counters["restarts"].assign(restarts)
        self._save()

    # ------------------------------------------------------------------------------------ one run of iterations

    def _train(self, signals: StopSignals) -> bool:
        """Iterates from the current step on; whether it came to the end, or else has collapsed and should begin anew."""
        config = self.config.train
        step, restarts = self._count("step"), self._count("restarts")
        seed = self.seed(restarts)
        batches = iter(self.strategy.experimental_distribute_dataset(training_batches(
            self.train.images, batch_size=config.batch_size, seed=seed, start_step=step, flip=self.config.data.flip,
            parts=self.train.parts, weights=self.config.data.weights)))
        pending: List[Dict[str, tf.Tensor]] = []  # Of the iterations since the last fetch.
        clock = time.perf_counter()
        with bar(config.steps, self.config.data.dataset, initial=step) as shown:
            while step < config.steps:
                traces = self.step_function.traces
                pending.append(self.step_function(next(batches), seed, step))
                traced = self.step_function.traces > traces  # Such an iteration takes much longer: fetched at once, not timed.
                step += 1
                shown.update()
                stop = signals.received  # Read once: a signal during what follows counts after the next iteration.
                due = schedule.due(config, step, stopping=stop is not None)
                if not (traced or due):
                    continue
                means = self._account_for(pending, step, clock, timed=not traced)
                pending = []
                shown.set_postfix(D=f"{means['discriminator/total']:.2f}", G=f"{means['generator/adversarial']:.2f}",
                                  Lz=f"{means['generator/information']:.2f}",
                                  sizes="/".join(f"{size:.2f}" for size in means["region_sizes"]), refresh=False)
                if "evaluate" in due:
                    with self.stopwatch.of("evaluations"):
                        row, best = self._evaluate(step, restarts)
                    if best:
                        due.add("save")  # Or else a run that is killed goes on from before the evaluation that best/ is of.
                    shown.write(writers.line(row), file=shown.fp)
                    if row["collapsed"] and self._may_begin_anew(row):
                        return False
                if "save" in due:
                    with self.stopwatch.of("checkpoints"):
                        self._save()
                if "sample" in due:
                    with self.stopwatch.of("sample grids"):
                        self._write_samples(step)
                if stop is not None and step < config.steps:
                    raise Interrupted(
                        f"Stopped and saved at step {step}: the same command (without --restart) continues.", stop)
                clock = time.perf_counter()
        return True

    def _account_for(self, pending: Sequence[Dict[str, tf.Tensor]], step: int, since: float,
                     timed: bool) -> Dict[str, np.ndarray]:
        """Waits for the pending iterations, the last of which is `step`, and notes what they gave, and the time that they took
        `since`; the means of their metrics."""
        fetched = self._fetch(pending, step)
        seconds = time.perf_counter() - since
        self.window.add(fetched, seconds, timed)
        if self.stopwatch.times:
            self.stopwatch.add("iterations", seconds, len(pending))
        else:
            self.stopwatch.add("start-up", time.perf_counter() - self.started)
        self.counters["seconds"].assign_add(seconds)
        self.counters["step"].assign(step)
        means = {name: values.mean(0) for name, values in fetched.items()}
        self.writers.scalars({"restarts": self._count("restarts"), **means}, step)
        return means

    def _fetch(self, pending: Sequence[Dict[str, tf.Tensor]], step: int) -> Dict[str, np.ndarray]:
        """The metrics of T pending iterations, each [T, …]; every one of them must be finite."""
        stacked = {name: np.stack([np.asarray(metrics[name]) for metrics in pending]) for name in pending[0]}
        for name, values in stacked.items():
            bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))
            if len(bad):
                kept = (f"the last good checkpoint is kept in {self.checkpoints.folder}" if self.checkpoints.prefixes()
                        else "no checkpoint had been saved yet")
                raise Diverged(f"{name} became {values[bad[0]]} at step {step - len(values) + 1 + bad[0]}; {kept}. "
                               "Try lower learning rates or float32, in another --workdir or with --restart.")
        return stacked

    # -------------------------------------------------------------------------------------- evaluation, collapse

    def _evaluate(self, step: int, restarts: int) -> Tuple[Dict[str, Any], bool]:
        """Scores the validation split, writes one row of metrics, keeps the best mask network; the row, and whether this is
        the best."""
        results = evaluate(self.segment, self.val, self.config.model.regions)
        means = self.window.means()
        train_sizes = means.pop("region_sizes").tolist()
        images_per_second = self.window.iterations_per_second() * self.config.train.batch_size
        self.window.clear()
        row = {"step": step, "restarts": restarts, "seed": self.seed(restarts),
               "seconds": round(self._count("seconds"), 3), "images_per_second": round(images_per_second, 3),
               **{name: float(value) for name, value in means.items()}, "train/region_sizes": train_sizes,
               **{f"val/{name}": value for name, value in results.items()}}
        row["collapsed"] = collapse.fault(row, self.config.collapse) is not None
        self.workdir.append_metrics(row)
        self.writers.scalars({name: value for name, value in row.items()
                              if name.startswith("val/") and not name.startswith("val/order")}, step)
        best = history.best(self._rows())["step"] == step
        if best:
            self.best.save(self._number())
        return row, best

    def _may_begin_anew(self, row: Dict[str, Any]) -> bool:
        """After a collapse; says what happens, either way."""
        at_rest_until = self.config.optimizer.mask_delay if self.first_mask_weights else 0
        hindrance = collapse.hindrance(row, self.config.collapse, at_rest_until)
        if hindrance:
            logging.warning("Collapsed at step %d, and not begun anew: %s.", row["step"], hindrance)
        else:
            logging.warning("Collapsed at step %d: %s. Beginning anew with seed %d.", row["step"],
                            collapse.fault(row, self.config.collapse), self.seed(row["restarts"] + 1))
        return not hindrance

    # ------------------------------------------------------------------------------------ samples, saving, summary

    def _write_samples(self, step: int) -> None:
        images = np.asarray(self.val.images[:SAMPLE_ROWS])
        truth = self.val.truth(self.model.regions, slice(SAMPLE_ROWS))
        latents = tf.random.stateless_normal(
            [1, self.model.regions, self.model.latent_size], [self.config.seed, 0])
        masks, redrawn = self.redraw(tf.constant(images), tf.repeat(latents, len(images), axis=0))
        order = self._order()
        grid = sample_grid(images, masks.numpy()[..., order], list(redrawn.numpy()[order]), truth)
        self.writers.samples(grid, step)

    def _order(self) -> List[int]:
        """The regions in the labels' order, background first, as the last evaluation found it."""
        rows = self._rows()
        return rows[-1]["val/order"] if rows else list(range(self.model.regions))

    def _rows(self) -> List[Dict[str, Any]]:
        """The evaluations of this start."""
        return history.of_start(self.workdir.metrics(), self._count("restarts"))

    def _redraw(self, images, latents):
        images = to_model_range(images)
        masks = self.evaluated(images)
        return masks, compose(images, masks, self.model.paint(masks, latents))

    def _save(self) -> None:
        self.checkpoints.save(self._number())

    def _number(self) -> int:
        return number(self._count("restarts"), self._count("step"))

    def _summary(self) -> Dict[str, Any]:
        rows = self._rows()
        if not rows:
            raise UserError(f"The run stands at step {self._count('step')}, past train.steps={self.config.train.steps}, "
                            "and was never evaluated: raise train.steps to go on.")
        return {"dataset": self.config.data.dataset, "steps": self._count("step"),
                "seconds": round(self._count("seconds"), 1), **writers.summary(rows)}

    # ---------------------------------------------------------------------------------------------------- helpers

    def seed(self, restarts: int) -> int:
        """The seed of the run after so many restarts: the configured one, then far away ones."""
        return (self.config.seed + 1_000_003 * restarts) % 2**31

    def _count(self, name: str):
        return self.counters[name].numpy().item()

    def _fresh_model(self, restarts: int):
        tf.keras.utils.set_random_seed(self.seed(restarts))
        with layers_in(self.config.train.precision):
            model = build_model(self.config.model, self.config.data.image_size)
        if self.first_mask_weights:
            model.mask_network.set_weights(self.first_mask_weights)
        return model

    def _new_average(self) -> tf.keras.Model:
        with tf.device("CPU:0"), layers_in(self.config.train.precision):
            average = build_mask_network(self.config.model)
        average.set_weights(self.model.mask_network.get_weights())
        return average

    @staticmethod
    def _model_variables(model) -> List[tf.Variable]:
        return [variable for network in networks(model).values() for variable in network.variables]
