"""Spectral normalization (Miyato et al., 2018) as defined, on tensorflow-addons' layer."""
from __future__ import annotations

from typing import Tuple, Type

import tensorflow as tf
import tensorflow_addons as tfa

from redo_tf.layers.bias import add_bias
from redo_tf.layers.initializers import Orthogonal
from redo_tf.layers.kernel_cache import kept


class SpectralNormalization(tfa.layers.SpectralNormalization):
    """Runs a convolution with the kernel W/σ(W); W itself is never touched.

    σ(W) is the largest singular value of W as the matrix [kh·kw·in, out] (the transpose of Miyato's [out, in·kh·kw];
    σ is the same), approximated as `vᵀ W u` with unit vectors u [out] and v [kh·kw·in] that are constants for the
    gradient, while the gradient flows through W in σ.

    tensorflow-addons' layer overwrites W by W/σ at each call and has no gradient through σ. This subclass differs:

    * the variable W is only changed by the optimiser;
    * `u` moves when `power_iteration` is called, once a training step, however often the layer is called;
    * only u is kept. v is W u normalised, so that σ = ‖W u‖ costs one product and is right directly after W changed;
    * σ and W/σ are computed in float32; the convolution runs in its layer's own compute dtype;
    * under several replicas u is computed once, outside of them, from the same W.
    """

    def __init__(self, layer: tf.keras.layers.Conv2D, power_iterations: int = 1, **kwargs):
        if not hasattr(layer, "convolution_op"):
            raise TypeError(f"SpectralNormalization wraps convolutions, not {type(layer).__name__}.")
        kwargs.update(dtype="float32", autocast=False)
        super().__init__(layer, power_iterations, **kwargs)

    def build(self, input_shape):
        tf.keras.layers.Wrapper.build(self, input_shape)
        self.input_spec = tf.keras.layers.InputSpec(shape=[None] + tf.TensorShape(input_shape).as_list()[1:])
        self.w = self.layer.kernel
        self.w_shape = self.w.shape.as_list()
        self.u = self.add_weight(
            shape=(1, self.w_shape[-1]),
            initializer=tf.initializers.RandomNormal(),
            trainable=False,
            name="sn_u",
            dtype=tf.float32,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def sigma(self) -> tf.Tensor:
        """σ(W), a float32 scalar: `vᵀ W u` with v = W u / ‖W u‖."""
        return _sigma(self._matrix(), tf.math.l2_normalize(self.u))[0]

    def normalized_kernel(self, dtype: str) -> tf.Tensor:
        """W/σ(W) in the convolution's dtype. Its gradient, u and v being constants, is `(g − ⟨g, W/σ⟩ v uᵀ)/σ`."""
        return kept(self, dtype, lambda: self._normalize(dtype))

    def _normalize(self, dtype: str) -> tf.Tensor:
        """The gradient is written out because the largest kernels have millions of weights: this passes over them half as
        often as the gradients of the division and of σ."""
        u = tf.math.l2_normalize(self.u)  # [1, out]

        @tf.custom_gradient
        def divide(w):
            sigma, w_u = _sigma(w, u)
            normalized = tf.cast(w / sigma, dtype)

            def gradient(upstream):
                upstream = tf.cast(upstream, tf.float32)
                along = tf.reduce_sum(upstream * w) / sigma  # ⟨g, W/σ⟩
                return (upstream - tf.linalg.matmul(along / sigma * w_u, u)) / sigma

            return normalized, gradient

        return tf.reshape(divide(self._matrix()), self.w_shape)

    def power_iteration(self) -> None:
        """Moves u by `power_iterations` steps u ← Wᵀ v / ‖Wᵀ v‖, v ← W u / ‖W u‖ towards the first singular vector."""
        matrix, u = self._matrix(), self.u
        for _ in range(self.power_iterations):
            v = tf.math.l2_normalize(tf.linalg.matmul(matrix, u, transpose_b=True))
            u = tf.math.l2_normalize(tf.linalg.matmul(v, matrix, transpose_a=True))
        self.u.assign(u)

    def call(self, inputs: tf.Tensor, training=None) -> tf.Tensor:
        del training  # The kernel in use is the same in training and inference.
        dtype = self.layer.compute_dtype
        outputs = self.layer.convolution_op(tf.cast(inputs, dtype), self.normalized_kernel(dtype))
        if self.layer.use_bias:
            outputs = add_bias(outputs, tf.cast(self.layer.bias, dtype))
        return self.layer.activation(outputs)

    def normalize_weights(self):
        raise NotImplementedError("The kernel is not overwritten; power_iteration() is the once-a-step update.")

    def _matrix(self) -> tf.Tensor:
        return tf.reshape(self.w, [-1, self.w_shape[-1]])


def normalized(layer: Type[tf.keras.layers.Conv2D], filters: int, gain: float, **options) -> SpectralNormalization:
    """A convolution with spectral normalization, orthogonal at first."""
    return SpectralNormalization(layer(filters, kernel_initializer=Orthogonal(gain), **options))


def _sigma(matrix: tf.Tensor, u: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    """‖W u‖, and W u [in, 1] itself; u [1, out] is a unit vector."""
    w_u = tf.linalg.matmul(matrix, u, transpose_b=True)
    return tf.norm(w_u), w_u


def power_iteration(module: tf.Module) -> None:
    """One power iteration for every spectrally normalised layer in a module. Call it once each training step."""
    for layer in module.submodules:
        if isinstance(layer, SpectralNormalization):
            layer.power_iteration()
