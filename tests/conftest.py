"""What every test starts from: two CPU devices, seeded weights, float32."""
from __future__ import annotations

import redo_tf  # noqa: F401  First: it silences TensorFlow's start-up messages.

import pytest
import tensorflow as tf

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
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
