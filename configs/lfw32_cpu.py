"""LFW at 32×32 for a computer without a GPU: the recipe of the mask network that comes with the package.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw32_cpu.py --data_dir=ARCHIVES

The settings of configs/shapes.py, which explains them, but the published mean over the regions, an f that is a tenth as
fast as G, as published, and a G of 8 channels, which leaves D well ahead (L_D near 1).

Of three seeds one is good: there the masks have no meaning for three thousand steps, then become faces with their hair, with another
they become skin and light clothes, with the third the face and what is light around it. What to expect: README.md, "Results"; the curves, and what else was tried,
are in docs/learning.md.
"""
from configs import shapes


def get_config():
    config = shapes.get_config()
    config.data.dataset = "lfw"
    config.objective.regions = "mean"
    config.model.generator.channels = 8
    config.optimizer.mask_learning_rate = 2e-5
    config.train.steps = 10_000
    return config
