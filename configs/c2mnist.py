"""colored-2-MNIST at 128×128, three regions: the paper's sanity check, with its noise of size 16.

  python -m redo_tf.train --dataset=c2mnist --data_dir=ARCHIVES

The paper shows pictures, no scores. This wants a GPU; it has not been trained to the end with this package yet.
"""
from configs import default


def get_config():
    config = default.get_config()
    config.data.dataset = "c2mnist"
    config.model.initialization = "released_pytorch_1.2"
    config.model.regions = 3
    config.collapse.smallest_region = 0.005  # A digit covers 2 to 3 % of a picture, less than the usual limit of 10 %.
    config.model.latent_size = 16
    return config
