"""Generated textured objects on textured backgrounds at 32×32: learns in minutes on a CPU.

  python -m redo_tf.train --dataset=shapes            # or make demo

There is no published result on this data set; docs/results.md has the IoU and time of three seeds. What differs from the
published training, and why (docs/learning.md has the curves):

* `objective.regions = worst`: the published mean pays f for shrinking a region while G is imperfect. On these pictures the
  mean learned too, where it was tried (one seed, 2,000 steps). β = 4: an image's fakes differ by about 1 in D, so the worse
  one gets nearly all of the weight.
* D learns twice as fast as G and is twice as wide at full size. A mask that is one pixel too large shows only as a thin
  ring of old background, which D has to see before f can be taught. λ_z stays at 5: at 1 and 0 the masks come sooner, but
  G gets ahead of D and they stop improving.
* f learns as fast as G. The published tenth is a wait for G and D to become good; the worst-region term needs no wait.
* d = 8: δ has to read z back early, or L_z holds nothing; it is in proportion to δ's width.
* f's weights are averaged over about a hundred steps for evaluation, which takes out the jitter of its fast steps.
"""
from configs import default
from redo_tf.precision import fastest_on_cpu


def get_config():
    config = default.get_config()
    config.data.dataset = "shapes"
    config.data.image_size = 32
    config.model.latent_size = 8
    config.model.generator.channels = 16
    config.model.discriminator.widths = (32, 64, 128, 128)
    config.model.encoder.widths = (16, 32, 64, 128)
    config.objective.regions = "worst"
    config.objective.beta = 4.0
    config.optimizer.learning_rate = 2e-4
    config.optimizer.encoder_learning_rate = 2e-4
    config.optimizer.discriminator_learning_rate = 4e-4
    config.optimizer.mask_learning_rate = 2e-4
    config.train.batch_size = 16
    config.train.steps = 4000
    config.train.precision = fastest_on_cpu()
    config.train.intra_op_threads = 1  # Operations this small gain more by running side by side than by being divided.
    config.train.shards = 2
    config.train.mask_average = 0.99
    return config
