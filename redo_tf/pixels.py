"""Pixels of pictures, 0…255, and of the networks, −1…1."""
from __future__ import annotations

import numpy as np
import tensorflow as tf


def to_model_range(images: tf.Tensor) -> tf.Tensor:
    """uint8 0…255 → float32 −1…1."""
    return tf.cast(images, tf.float32) / 127.5 - 1


def to_uint8(images: np.ndarray) -> np.ndarray:
    """−1…1 → uint8."""
    return np.clip((np.asarray(images, np.float32) + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
