"""LFW at 64×64 for a computer without a GPU.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw_cpu.py --data_dir=ARCHIVES

Not tuned yet: docs/learning.md has the curve as far as it was followed (IoU .38 after 2,000 steps, one assignment). Against
the published recipe: narrow networks, the worst-region objective, D four times as fast as G, f a fifth as fast, d = 8, and
a running average of f for evaluation.
"""
from configs import default
from redo_tf.precision import fastest_on_cpu


def get_config():
    config = default.get_config()
    config.data.dataset = "lfw"
    config.data.image_size = 64
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (32, 64, 128, 256, 256)
    config.model.encoder.widths = (32, 64, 128, 256, 256)
    config.objective.regions = "worst"
    config.objective.beta = 4.0
    config.objective.lambda_z = 2.0
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-5
    config.train.batch_size = 8
    config.train.steps = 5000
    config.train.precision = fastest_on_cpu()
    config.train.mask_average = 0.999
    return config
