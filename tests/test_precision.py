from __future__ import annotations

import pytest
import tensorflow as tf

from redo_tf.precision import layers_in


def test_layers_keep_the_precision_they_are_made_in_and_later_ones_are_as_before():
    with pytest.raises(ZeroDivisionError), layers_in("mixed_bfloat16"):
        layer = tf.keras.layers.Dense(1)
        1 / 0
    assert layer(tf.zeros([1, 1])).dtype == tf.bfloat16
    assert tf.keras.layers.Dense(1)(tf.zeros([1, 1])).dtype == tf.float32
