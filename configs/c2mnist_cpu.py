"""colored-2-MNIST at 64×64, three regions, for a computer without a GPU.

  python -m redo_tf.train --dataset=c2mnist --config=configs/c2mnist_cpu.py --data_dir=FOLDER_OF_THE_IDX_FILES

A starting point, not tuned and not yet trained: everything but the data set and its three regions is configs/lfw_cpu.py's.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "c2mnist"
    config.model.regions = 3
    config.collapse.smallest_region = 0.005  # A digit covers 2 to 3 % of a picture, less than the usual limit of 10 %.
    return config
