"""LFW at 32×32 for a computer without a GPU: the recipe of the mask network that comes with the package.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw32_cpu.py --data_dir=ARCHIVES

The settings of configs/shapes.py, which explains them, but the published mean over the regions and

* f a tenth as fast as G, as published. A fast f settles on what G can paint first, skin and whatever is as light.
* A narrow G, of 8 channels. It cannot paint hair around a face that it does not see, so f learns to keep both together;
  one of 16 or 32 channels can, and f has no reason to.

For three thousand steps the masks have no meaning (IoU .25); then it climbs to .6 within a thousand steps. What to expect:
README.md, "Results"; the curves, and what else was tried, are in docs/learning.md.
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
