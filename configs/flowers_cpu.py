"""Flowers-102 at 64×64 for a computer without a GPU.

  python -m redo_tf.train --dataset=flowers --config=configs/flowers_cpu.py --data_dir=ARCHIVES

A starting point, not tuned and not yet trained on these pictures: everything but the data set is configs/lfw_cpu.py's, and
λ_B = 0, since many of these flowers fill the picture.
Masks are found sooner at 32×32: configs/lfw_cpu.py says how to begin with them, but add --set objective.lambda_border=0 to
the first of its two runs.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "flowers"
    config.objective.lambda_border = 0.0
    return config
