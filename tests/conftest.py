"""What every test starts from: two CPU devices, seeded weights, float32."""
from __future__ import annotations

import redo_tf  # noqa: F401  First: it silences TensorFlow's start-up messages.

import pytest
import tensorflow as tf

from redo_tf.strategy import on_cpu

# A device can only be divided before TensorFlow first uses it.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.experimental.enable_tensor_float_32_execution(False)  # On a GPU: 10 bits of mantissa, not the tests' 23.


@pytest.fixture(autouse=True)
def float32():
    """No test's precision is left to the next."""
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def seeded() -> None:
    """The same initial weights in whatever order the tests run. Not for all: seeding also drops compiled functions."""
    tf.keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.Strategy:
    return on_cpu(replicas=2)


def _prepare_shapes(folder, sizes) -> None:
    """Prepares so many pictures of every split there, for commands that run in processes of their own."""
    from redo_tf import data
    from redo_tf.data import shapes
    with pytest.MonkeyPatch.context() as monkeypatch:
        for split, count in sizes.items():
            monkeypatch.setitem(shapes.SPLIT_SIZES, split, count)
        for split in sizes:
            data.load("shapes", split, data_dir=folder, image_size=32)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data folder with few prepared pictures of `shapes` at 32×32."""
    folder = tmp_path_factory.mktemp("data")
    _prepare_shapes(folder, {"train": 32, "val": 8, "test": 5})
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Folders of a finished run of tiny networks and of its prepared data. The training step is a tiny.FakeStep.

    For all tests: copy the run where it is to change.
    """
    import tiny
    folder = tmp_path_factory.mktemp("finished")
    _prepare_shapes(folder / "data", tiny.PICTURES)
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use_pictures(monkeypatch)
        trainer = tiny.trainer(folder / "run")
        tiny.FakeStep(trainer)
        trainer.run()
    return folder / "run", folder / "data"


@pytest.fixture(scope="session")
def figures(finished_run, tmp_path_factory):
    """A folder with pictures of the finished run, and by their name [exit code, stdout, stderr] of the commands."""
    from processes import redo_tf
    run, data_dir = finished_run
    folder = tmp_path_factory.mktemp("figures")
    common = [f"--workdir={run}", f"--data_dir={data_dir}"]
    commands = {  # All in one process, as its start takes longest.
        "redraw": ["redraw", *common, f"--output={folder / 'redraw.png'}", f"--gif={folder / 'redraw.gif'}",
                   "--split=test", "--images=9", "--columns=3", "--z_seed=7"],
        "masks": ["masks", *common, f"--output={folder / 'masks.png'}", "--split=val", "--images=3"],
        "redraw without a run": ["redraw"],
        "redraw of no run": ["redraw", f"--workdir={folder}"],
        "redraw without columns": ["redraw", *common, "--columns=0"],
        "masks without a run": ["masks"],
        "masks of two groups": ["masks", f"--model={run}", f"--data_dir={data_dir}", "--split=val", "--images=2",
                                f"--output={folder / 'two_groups.png'}", "--groups=worst_iou,random"],
        "masks of no group": ["masks", *common, "--groups=best"]}
    return folder, dict(zip(commands, redo_tf(*commands.values())))
