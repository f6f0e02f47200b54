"""A folder of your own pictures at 64×64 for a computer without a GPU.

  python -m redo_tf.train --dataset=folder --config=configs/folder_cpu.py --data_dir=photos --mask_dir=masks

A starting point, not tuned: everything but the data set is configs/lfw_cpu.py's.
Masks are found sooner at 32×32: configs/lfw_cpu.py says how to begin with them.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "folder"
    return config
