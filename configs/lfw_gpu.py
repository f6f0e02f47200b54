"""LFW at 128×128 for one GPU, begun with the masks that configs/lfw_cpu.py found at 64×64.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw_gpu.py --data_dir=ARCHIVES --workdir=runs/lfw128 --set train.begin_with=runs/lfw64 --set optimizer.mask_delay=2000

The settings of configs/lfw_cpu.py, d = 8 among them, with the published batch, the released widths of D and δ, and a G of 32
channels, half the published ones. With several GPUs put CUDA_VISIBLE_DEVICES=0 in front: XLA is for one.
Begun with the masks of several runs it came further (docs/learning.md).
configs/lfw.py is the published training, from random weights.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.image_size = 128
    config.model.generator.channels = 32
    config.model.discriminator.widths = (64, 128, 256, 512, 1024, 1024)
    config.model.encoder.widths = (64, 128, 256, 512, 1024, 1024)
    config.train.batch_size = 25
    config.train.precision = "mixed_bfloat16"
    config.train.xla = True
    config.train.intra_op_threads, config.train.shards = 0, 1
    config.train.mask_average = 0.999
    return config
