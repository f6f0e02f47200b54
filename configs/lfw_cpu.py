"""LFW at 64×64 for a computer without a GPU.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw_cpu.py --data_dir=ARCHIVES

Against the published recipe: the settings that configs/shapes.py explains (worst region, D twice as fast as G and wide at
full size, f as fast as G, d = 8), batches of 8, and a running average of f over about 500 steps. docs/learning.md has its
curve as far as it was followed, and what was tried before.
"""
from configs import default
from redo_tf.precision import fastest_on_cpu


def get_config():
    config = default.get_config()
    config.data.dataset = "lfw"
    config.data.image_size = 64
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (32, 64, 128, 128, 128)
    config.model.encoder.widths = (16, 32, 64, 128, 128)
    config.objective.regions = "worst"
    config.objective.beta = 4.0
    config.optimizer.learning_rate = 2e-4
    config.optimizer.encoder_learning_rate = 2e-4
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-4
    config.train.batch_size = 8
    config.train.steps = 20_000
    config.train.precision = fastest_on_cpu()
    # With bfloat16's faster arithmetic, operations gain more by running side by side than by being divided.
    config.train.intra_op_threads = 1 if config.train.precision == "mixed_bfloat16" else 0
    config.train.mask_average = 0.998
    return config
