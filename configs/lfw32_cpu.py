"""LFW at 32×32 for a computer without a GPU: the first half of the way to 64×64 (configs/lfw_cpu.py), and quick by itself.

  python -m redo_tf.train --dataset=lfw --config=configs/lfw32_cpu.py --data_dir=ARCHIVES

The settings of configs/shapes.py, which explains them, but the published mean over the regions, an f that is a tenth as fast
as G, as published, and a G of 8 channels, which leaves D well ahead (L_D near 1). Two things are not in the paper, and
without them few seeds find faces: objects keep away from the border (λ_B), and for 2,500 steps f sees pictures in random
colours, so that it cannot divide them into light and dark. What to expect: README.md, "Results"; curves: docs/learning.md;
what else was tried: docs/trials.md.
"""
from configs import shapes


def get_config():
    config = shapes.get_config()
    config.data.dataset = "lfw"
    config.objective.regions = "mean"
    config.objective.lambda_border = 2.0
    config.objective.recolour_steps = 2500
    config.model.generator.channels = 8
    config.optimizer.mask_learning_rate = 2e-5
    config.train.steps = 10_000
    return config
