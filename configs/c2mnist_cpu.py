"""colored-2-MNIST at 64×64, three regions, for a computer without a GPU: it finds the background and one of the two digits.

  python -m redo_tf.train --dataset=c2mnist --config=configs/c2mnist_cpu.py --data_dir=FOLDER_OF_THE_IDX_FILES

The other digit stays with the background so far (docs/learning.md). Against configs/lfw_cpu.py:

* d = 3, as a digit and a background are of one colour each.
* Masks at a temperature of ¼ and a floor under the regions' areas (λ_A): digits are a fiftieth of a picture, and the
  published mean lets regions as small as that shrink to nothing.
* G of 8 channels, 2,500 steps, and an average of f over about a hundred, as tried so far.
* No λ_B: with it f finds one half of a digit as an object, and its other half as the other.
"""
from configs import lfw_cpu


def get_config():
    config = lfw_cpu.get_config()
    config.data.dataset = "c2mnist"
    config.model.regions = 3
    config.model.latent_size = 3
    config.model.mask_network.temperature = 0.25
    config.model.generator.channels = 8
    config.objective.lambda_border = 0.0
    config.objective.lambda_area = 1.0
    config.objective.smallest_area = 0.02
    config.collapse.smallest_region = 0.005  # A digit covers 2 to 3 % of a picture, less than the usual limit of 10 %.
    config.train.mask_average = 0.99
    config.train.steps = 2500
    return config
