"""A folder of your own pictures at 128×128: the published training.

  python -m redo_tf.train --dataset=folder --data_dir=photos --mask_dir=masks

Masks, if any, are not learnt from: they give the scores, by which best/ is chosen and regions become labels.

The method needs pictures of one kind, each with one kind of object in front of what is around it. There is no published
result on your pictures, of course; this is the recipe of Flowers-102, with antialiased pictures, and with batches of 16, so
that twenty pictures are enough to begin with. It wants a GPU (`pip install ".[gpu]"`).
"""
from configs import flowers


def get_config():
    config = flowers.get_config()
    config.data.dataset = "folder"
    config.data.resize = "antialias"  # The nearest pixels of a large photograph leave most of it out.
    config.train.batch_size = 16
    return config
