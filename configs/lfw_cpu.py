"""LFW at 64×64 for a computer without a GPU: two runs, the second of which begins with the masks of the first.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw32_cpu.py --data_dir=ARCHIVES --workdir=runs/lfw32
  python -m redo_tf.train --dataset=lfw --config=configs/lfw_cpu.py --data_dir=ARCHIVES --workdir=runs/lfw64 --set train.begin_with=runs/lfw32 --set optimizer.mask_delay=2000

Faces are found far sooner at 32×32 than at 64×64. f then learns those masks at its new size, and waits until G and D, which
are new, paint well enough to teach it anything.

Against the published recipe: antialiased pictures, orthogonal first weights, the settings that configs/shapes.py and
configs/lfw32_cpu.py explain (D twice as fast as G and wide at full size, d = 8, λ_B), batches of 8, and a running average
of f over about 500 steps. What to expect: README.md, "Results"; curves: docs/learning.md.
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
    config.objective.lambda_border = 2.0
    config.optimizer.learning_rate = 2e-4
    config.optimizer.encoder_learning_rate = 2e-4
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-5
    config.train.batch_size = 8
    config.train.steps = 20_000
    config.train.precision = fastest_on_cpu()
    # With bfloat16's faster arithmetic, operations gain more by running side by side than by being divided.
    config.train.intra_op_threads = 1 if config.train.precision == "mixed_bfloat16" else 0
    config.train.shards = 2
    config.train.mask_average = 0.998
    return config
