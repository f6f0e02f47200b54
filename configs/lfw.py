"""LFW at 128×128: the published training.

Table 1 of the paper reports test accuracy .917 ± .002 and IoU .781 ± .005 (assignment for each image, five runs). The
released code's widths, losses and learning rates; generator width 64; batch 25 as in the paper.

  python -m redo_tf.train --dataset=lfw --data_dir=ARCHIVES

This wants a GPU (`pip install ".[gpu]"`). It has not been trained to the end with this
package yet, so no time or score is given here.
"""
from configs import default


def get_config():
    config = default.get_config()
    config.data.dataset = "lfw"
    return config
