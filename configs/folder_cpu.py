"""A folder of your own pictures at 64×64 for a computer without a GPU: the second of two runs, which configs/folder.py names.

  python -m redo_tf.train --dataset=folder --config=configs/folder_cpu.py --data_dir=photos --workdir=runs/photos --set train.begin_with=runs/small --set optimizer.mask_delay=2000

A starting point, not tuned: everything but the data set is configs/lfw_cpu.py's, which says why there are two runs.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "folder"
    return config
