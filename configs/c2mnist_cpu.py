"""colored-2-MNIST at 64×64, three regions, for a computer without a GPU.

  python -m redo_tf.train --dataset=c2mnist --config=configs/c2mnist_cpu.py --data_dir=ARCHIVES

What to expect: docs/learning.md. Against configs/lfw_cpu.py:

* A fast G of 8 channels, and f at a tenth of its rate. A background of one colour takes G long to learn, and as long as it is
  stained f is paid for giving it fewer pixels.
* d = 3, as a digit and a background are of one colour each.
* Masks at a temperature of ¼ and a floor under the regions' areas (λ_A): digits are a fiftieth of a picture, and the
  published mean lets regions as small as that shrink to nothing.
* λ_z = 2 and D as fast as G: with λ_z = 5 and a D at 4e-4 f comes to the digits later, and with 1 G left such a D behind.
* λ_B half as large.
* An average of f over about a thousand steps.
* Anew with another seed where a region wins less than half of a digit's pixels after 3,000 steps.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "c2mnist"
    config.model.regions = 3
    config.model.latent_size = 3
    config.model.mask_network.temperature = 0.25
    config.model.generator.channels = 8
    config.objective.lambda_z = 2.0
    config.objective.lambda_border = 1.0
    config.objective.lambda_area = 1.0
    config.objective.smallest_area = 0.02
    config.optimizer.learning_rate = 1e-3
    config.optimizer.discriminator_learning_rate = 1e-3
    config.optimizer.mask_learning_rate = 1e-4
    config.collapse.smallest_region = 0.005  # A digit covers 2 to 3 % of a picture, less than the usual limit of 10 %.
    config.collapse.smallest_share, config.collapse.share_from = 0.01, 3000
    config.train.mask_average = 0.999
    config.train.steps = 15_000
    return config
