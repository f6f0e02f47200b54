"""The first weights that the published results began with, as far as their code tells."""
from __future__ import annotations

import math

import tensorflow as tf

from redo_tf.layers import InstanceNormalization, SpectralNormalization


def begin_as(initialization: str, model: tf.Module) -> None:
    """Gives a built model, which is orthogonal, the first weights that a configuration names.

    `released` are those of the released code on a GPU under PyTorch 1.0, which it names.

    They are not those of the paper's text. That code makes kernels orthogonal only after moving the networks to the GPU. By
    then a spectrally normalised layer computes its kernel from another parameter, which is not changed. So there, and in
    every bias, weights stay as PyTorch draws them, uniform in ±1/√fan-in; the scales of f's instance norms are uniform in
    0…1, but 1 from PyTorch 1.2 on (`released_pytorch_1.2`). Orthogonal are f's kernels, those of the linear layers, and those
    of γ(z) and β(z).

    The singular values of W/σ(W) of a normalised 3×3 kernel of equal widths then lie between about ½ and 1, and further down
    where it widens; an orthogonal one has all at 1. D, δ and G begin with weaker responses.
    """
    if initialization == "orthogonal":
        return
    for layer in model.submodules:
        if isinstance(layer, SpectralNormalization):
            _draw(layer.layer.kernel, -_limit(layer.layer), _limit(layer.layer))
        elif isinstance(layer, InstanceNormalization) and initialization == "released":
            _draw(layer.scale, 0, 1)
        elif isinstance(layer, (tf.keras.layers.Dense, tf.keras.layers.Conv2D)) and layer.use_bias:
            _draw(layer.bias, -_limit(layer), _limit(layer))


def _limit(layer: tf.keras.layers.Layer) -> float:
    """1/√fan-in."""
    return 1 / math.sqrt(layer.kernel.shape[:-1].num_elements())


def _draw(variable: tf.Variable, lowest: float, highest: float) -> None:
    with tf.device("CPU:0"):
        variable.assign(tf.keras.initializers.RandomUniform(lowest, highest)(variable.shape))
