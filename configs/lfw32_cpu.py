"""LFW at 32×32 for a computer without a GPU: the recipe of the mask network that comes with the package.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw32_cpu.py --data_dir=ARCHIVES

The settings of configs/shapes.py, which explains them, but the published mean over the regions: on these pictures it is no
worse than the worst region, and less to explain. What to expect: README.md, "Results"; the curve is in docs/learning.md.
"""
from configs import shapes


def get_config():
    config = shapes.get_config()
    config.data.dataset = "lfw"
    config.objective.regions = "mean"
    config.train.steps = 8000
    return config
