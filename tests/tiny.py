"""A configuration, pictures and networks so small that a whole run takes seconds."""
from __future__ import annotations

import functools
import os
from typing import Any, Dict, Optional

import numpy as np
import tensorflow as tf

from redo_tf import config as configuration, data
from redo_tf.config import Config, ModelConfig
from redo_tf.data import Split, shapes
from redo_tf.layers import SpectralNormalization
from redo_tf.models import Redo, networks
from redo_tf.trainer import Trainer
from redo_tf.workdir import Workdir

SETTINGS = (
    "data.image_size=32", "train.precision=float32", "model.latent_size=2",
    "model.mask_network.channels=2", "model.mask_network.residual_blocks=1",
    "model.generator.channels=2", "model.generator.attention=False",
    "model.discriminator.widths=2,2,2,2", "model.discriminator.attention=False", "model.encoder.widths=2,2,2,2",
    "optimizer.mask_learning_rate=1e-2", "train.batch_size=4", "train.mask_average=0", "train.steps=6",
    "train.log_every=2", "train.eval_every=3", "train.sample_every=3", "train.checkpoint_every=2",
    "collapse.smallest_region=0")
PICTURES = {"train": 16, "val": 6, "test": 4}


def config(*assignments: str) -> Config:
    """The defaults, made tiny, then overridden as by --set."""
    tiny = Config()
    for assignment in SETTINGS + assignments:
        configuration.override(tiny, *configuration.parse_assignment(assignment))
    return configuration.validate(tiny)


@functools.lru_cache(maxsize=None)
def pictures(split: str) -> Split:
    drawn = [shapes.draw(shapes.picture_seed(split, i), 32) for i in range(PICTURES[split])]
    return Split(np.stack([image for image, _ in drawn]), np.stack([mask for _, mask in drawn]),
                 [f"{split}_{i}" for i in range(len(drawn))])


def use_pictures(monkeypatch, masks: bool = True) -> None:
    """Puts `pictures` in the place of the prepared data set; without masks, if so wanted."""
    def load(config, split, *_, **__):
        found = pictures(split)
        return found if masks else Split(found.images, None, found.ids)
    monkeypatch.setattr("redo_tf.data.load_configured", load)


class ToyMaskNetwork(tf.keras.Model):
    """I [B, S, S, 3] → M [B, S, S, n]: one convolution."""

    def __init__(self, regions: int):
        super().__init__()
        self.logits = tf.keras.layers.Conv2D(regions, 3, padding="same")

    def call(self, images):
        return tf.nn.softmax(tf.cast(self.logits(images), tf.float32))


class ToyGenerator(tf.keras.Model):
    """(M_k [B, S, S, 1], z_k [B, d]) → M_k ⊙ V_k [B, S, S, 3]: a colour from z, tinted by the mask."""

    def __init__(self):
        super().__init__(autocast=False)
        self.colour = tf.keras.layers.Dense(3)
        self.tint = SpectralNormalization(tf.keras.layers.Conv2D(3, 3, padding="same"))

    def call(self, inputs, training=None):
        mask, z = inputs
        return tf.tanh(tf.cast(self.colour(z)[:, None, None] + self.tint(mask), tf.float32)) * mask


class ToyTrunk(tf.keras.Model):
    """[B, S, S, 3] → [B] + shape: one convolution, a sum, one linear layer."""

    def __init__(self, shape=()):
        super().__init__()
        self.convolution = SpectralNormalization(tf.keras.layers.Conv2D(4, 4, strides=4, activation="relu"))
        self.linear = tf.keras.layers.Dense(int(np.prod(shape)), dtype="float32")
        self.shape_of_result = [-1, *shape]

    def call(self, images):
        summed = tf.reduce_sum(tf.cast(self.convolution(images), tf.float32), axis=[1, 2])
        return tf.reshape(self.linear(summed), self.shape_of_result)


def build_toy_mask_network(config: ModelConfig) -> ToyMaskNetwork:
    network = ToyMaskNetwork(config.regions)
    network(tf.zeros([1, 32, 32, 3]))
    return network


def build_toy(config: ModelConfig, image_size: int) -> Redo:
    model = Redo(ToyMaskNetwork(config.regions), [ToyGenerator() for _ in range(config.regions)], ToyTrunk(),
                 ToyTrunk((config.regions, config.latent_size)), image_size, config.latent_size)
    model.build()
    return model


def use_toy_networks(monkeypatch) -> None:
    """Trainers get networks of one or two layers, which the compiled step is traced for in a second instead of ten."""
    monkeypatch.setattr("redo_tf.trainer.build_model", build_toy)
    for module in ("trainer", "beginning", "best"):
        monkeypatch.setattr(f"redo_tf.{module}.build_mask_network", build_toy_mask_network)


def trainer(folder: Any, *assignments: str, strategy: Optional[tf.distribute.Strategy] = None) -> Trainer:
    """Of a new run, or of the one that is there, as the first of its process.

    Keras numbers layers through a whole process, and TensorFlow orders some sums by layers' names: two trainers with other
    numbers may differ in the last bit.
    """
    tf.keras.backend.clear_session()
    settings, workdir = config(*assignments), Workdir(os.fspath(folder))
    with workdir.claim(settings, restart=False):
        pass
    splits = {split: data.load_configured(settings.data, split, data_dir=None) for split in ("train", "val")}
    return Trainer(settings, workdir, splits, strategy)


class FakeStep:
    """Takes the place of a trainer's compiled step: moves f's weights and returns metrics, both functions of (seed, step).

    Args:
      trainer: its step function is replaced.
      before: called with the step, from 0, before each iteration; may send signals or change `metrics`.
    """

    def __init__(self, trainer: Trainer, before=lambda step: None):
        self.trainer, self.before, self.metrics, self.traces = trainer, before, {}, 0
        trainer.step_function = self

    def __call__(self, batch, seed: int, step: int) -> Dict[str, np.ndarray]:
        self.before(step)
        self.traces = max(self.traces, 1)
        rng = np.random.default_rng([seed, step])
        for variable in self.trainer.model.mask_network.trainable_variables:
            variable.assign_add(rng.normal(size=variable.shape).astype(np.float32) * 0.1)
        names = ("generator/total", "generator/adversarial", "generator/information", "discriminator/total")
        return {**{name: rng.random(dtype=np.float32) for name in names},
                "region_sizes": np.array([0.75, 0.25], np.float32), **self.metrics}


def state(trained: Trainer) -> Dict[str, np.ndarray]:
    """Everything that training changes: weights, power iteration vectors, moments and counters of the optimisers, the
    running average."""
    values = {}
    for name, network in networks(trained.model).items():
        values.update({f"{name}/{i}": variable.numpy() for i, variable in enumerate(network.variables)})
        values.update({f"{name}/optimizer/{i}": variable.numpy()
                       for i, variable in enumerate(trained.optimizers[name].variables())})
    if trained.average:
        values.update({f"average/{i}": variable.numpy() for i, variable in enumerate(trained.average.variables)})
    return values


def assert_same_state(one: Dict[str, np.ndarray], other: Dict[str, np.ndarray]) -> None:
    """Bit by bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []


def untimed(rows):
    """Rows of metrics.jsonl without what depends on the clock."""
    return [{name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
            for row in rows]
