"""One trained run, its SavedModel, and what an independent computation finds in pictures."""
from __future__ import annotations

import glob
import os

import numpy as np
import pytest
import tensorflow as tf

import tiny
from checks import Segmented
from export import saved_model
from redo_tf.build import build_mask_network
from redo_tf.models import Redo
from redo_tf.workdir import Workdir

SETTINGS = ("model.mask_network.channels=8", "train.steps=10", "train.eval_every=10", "train.sample_every=1000",
            "train.mask_average=0.5", "seed=2")  # The background is region 1.

def _build_model(config, image_size: int) -> Redo:
    """The real mask network; the others are toys, which the step is traced for in a second."""
    toy = tiny.build_toy(config, image_size)
    model = Redo(build_mask_network(config), toy.region_generators, toy.discriminator, toy.encoder, image_size,
                 config.latent_size)
    model.build()
    return model


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> str:
    """The folder of a run of some steps, at 32×32."""
    folder = tmp_path_factory.mktemp("export") / "run"
    tf.keras.utils.set_random_seed(0)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use_pictures(monkeypatch)
        monkeypatch.setattr("redo_tf.trainer.build_model", _build_model)
        tiny.trainer(folder, *SETTINGS).run()
    return str(folder)


@pytest.fixture(scope="session")
def models(run, tmp_path_factory) -> str:
    """The folder of the run's exported SavedModel, its version 1 below it."""
    base = str(tmp_path_factory.mktemp("models") / "redo")
    assert saved_model.export(Workdir(run), base) == os.path.join(base, "1")
    return base


@pytest.fixture(scope="session")
def model(models):
    """The exported SavedModel, loaded."""
    return tf.saved_model.load(models + "/1")


@pytest.fixture(scope="session")
def segmented(run):
    """uint8 [B, H, W, 3] → the trained network's `Segmented`, from its checkpoint, resized by tf.image alone."""
    network = build_mask_network(tiny.config(*SETTINGS).model)
    (best,) = glob.glob(os.path.join(run, "best", "*.index"))
    tf.train.Checkpoint(mask_network=network).restore(best[:-len(".index")]).expect_partial()
    step = int(best[:-len(".index")].rsplit("-", 1)[1])
    (order,) = [row["val/order"] for row in Workdir(run).metrics() if row["step"] == step]

    def segment(images: np.ndarray) -> Segmented:
        height, width = images.shape[1:3]
        size = [round(32 * side / min(height, width) / 4) * 4 for side in (height, width)]
        fitted = tf.floor(tf.image.resize(images, size, antialias=True) + 0.501)  # As good as halves go up, everywhere.
        masks = tf.image.resize(network(fitted / 127.5 - 1), [height, width], antialias=True)
        masks = masks.numpy()[..., order]
        return Segmented(masks, masks.argmax(-1))

    return segment
