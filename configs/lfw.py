"""LFW at 128×128: the published training.

Table 1 of the paper reports test accuracy .917 ± .002 and IoU .781 ± .005 (assignment for each image, five runs). The
released code's widths, losses, learning rates, resizing and first weights; generator width 64; batch 25 as in the paper.

  python -m redo_tf.train --dataset=lfw --data_dir=ARCHIVES

This wants a GPU (`pip install ".[gpu]"`). On one, `--set train.precision=mixed_bfloat16 --set train.xla=True` is twice as
fast as float32 (docs/speed.md). With other first weights, orthogonal kernels or random scales of f's norms, none of seven
starts learned here; today's, the released code's under PyTorch 1.2 and later, find faces at 32×32 from some seeds and were
not tried at this size (docs/learning.md). configs/lfw_gpu.py is the way to faces that worked.
"""
from configs import default


def get_config():
    config = default.get_config()
    config.data.dataset = "lfw"
    config.data.resize = "nearest"
    config.model.initialization = "released_pytorch_1.2"
    return config
