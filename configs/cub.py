"""CUB-200-2011 at 128×128: the published training.

Table 1 of the paper reports test accuracy .845 ± .012 and IoU .426 ± .025 (assignment for each image, five runs). The
released code's widths, losses, learning rates, resizing and first weights (those under PyTorch 1.2 and later, see
configs/lfw.py); generator width 32; batch 25 as in the paper.

  python -m redo_tf.train --dataset=cub --data_dir=ARCHIVES

This wants a GPU (`pip install ".[gpu]"`). It has not been trained with this package, so no time or score is given here.
"""
from configs import lfw


def get_config():
    config = lfw.get_config()
    config.data.dataset = "cub"
    config.model.generator.channels = 32
    return config
