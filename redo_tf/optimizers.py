"""The networks' optimisers."""
from __future__ import annotations

from typing import Dict, List, Sequence

import tensorflow as tf

from redo_tf.config import OptimizerConfig
from redo_tf.models import Redo, networks


class DelayedStart(tf.keras.optimizers.schedules.LearningRateSchedule):
    """0 for the first `delay` steps, then constant."""

    def __init__(self, learning_rate: float, delay: int):
        self.learning_rate, self.delay = learning_rate, delay

    def __call__(self, step):
        return tf.where(step < self.delay, 0.0, self.learning_rate)

    def get_config(self):
        return {"learning_rate": self.learning_rate, "delay": self.delay}


def build_optimizers(model: Redo, config: OptimizerConfig) -> Dict[str, tf.keras.optimizers.legacy.Optimizer]:
    """One Adam a network, with all its slots; call it in the strategy's scope.

    Each generator has its own, so that with one sampled region the others' moments stay as they are. The `legacy` class
    is the one with a fused kernel: one operation a variable where the newer class runs about ten, which on a CPU takes
    longer than the arithmetic of a small network. It adds ε to √v before bias correction, PyTorch after it: at ε = 1e-8
    the difference does not matter.
    """
    rates = {"mask_network": DelayedStart(config.mask_learning_rate, config.mask_delay),
             "encoder": config.encoder_learning_rate,
             "discriminator": config.discriminator_learning_rate}
    rates.update({f"generator_{k}": config.learning_rate for k in range(model.regions)})
    optimizers = {}
    for name, network in networks(model).items():
        optimizers[name] = tf.keras.optimizers.legacy.Adam(
            rates[name], beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.epsilon)
        optimizers[name]._create_all_weights(network.trainable_variables)  # Otherwise they appear in the first step.
    return optimizers


def l2_decayed(gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable],
               weight_decay: float) -> List[tf.Tensor]:
    """g + λ w: L2 inside the gradient, before Adam's scaling, as PyTorch's `weight_decay` does. Keras' own is decoupled,
    which at f's learning rate of 1e-5 is 1e5 times weaker."""
    return [gradient + weight_decay * tf.convert_to_tensor(variable)
            for gradient, variable in zip(gradients, variables)]
