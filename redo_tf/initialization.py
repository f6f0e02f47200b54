"""The first weights that the published results began with."""
from __future__ import annotations

import math

import tensorflow as tf

from redo_tf.layers import SpectralNormalization


def begin_as_released(model: tf.Module) -> None:
    """Gives a built model the first weights of the released code on a GPU; others than the paper tells of.

    That code makes every kernel orthogonal once the networks have been moved to the GPU. A spectrally normalised layer
    computes its kernel from another parameter then, which stays as PyTorch draws it, uniform in ±1/√fan-in; and so does
    every bias. What is left of the orthogonal kernels are f's, those of the linear layers and those of γ(z) and β(z).

    The singular values of W/σ(W) then lie between about ½ and 1 for a 3×3 kernel, where an orthogonal one has all at 1: D,
    δ and G begin with weaker responses.
    """
    for layer in model.submodules:
        if isinstance(layer, SpectralNormalization):
            _draw(layer.layer.kernel, layer.layer.kernel.shape)
        elif isinstance(layer, (tf.keras.layers.Dense, tf.keras.layers.Conv2D)) and layer.use_bias:
            _draw(layer.bias, layer.kernel.shape)


def _draw(variable: tf.Variable, kernel_shape: tf.TensorShape) -> None:
    limit = 1 / math.sqrt(kernel_shape[:-1].num_elements())
    with tf.device("CPU:0"):
        variable.assign(tf.keras.initializers.RandomUniform(-limit, limit)(variable.shape))
