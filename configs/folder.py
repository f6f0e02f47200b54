"""A folder of your own pictures: the first of two runs, at 32×32, where objects are found quickly, with or without a GPU.

  python -m redo_tf.train --dataset=folder --data_dir=photos --workdir=runs/small
  python -m redo_tf.train --dataset=folder --data_dir=photos --config=configs/folder_cpu.py --workdir=runs/photos --set train.begin_with=runs/small --set optimizer.mask_delay=2000

With a GPU add `--set train.precision=float32` to both; `--config=lfw_gpu --dataset=folder`, begun with the second, goes on at
128×128. Both are untried.

Masks, if any, are not learnt from: they give the scores, by which best/ is chosen and regions become labels.

The method needs pictures of one kind, each with one kind of object in front of what is around it. There is no published
result on your pictures, of course; these are the settings of configs/lfw32_cpu.py, which found faces with three of three
seeds, one of them after a restart. Its batches are of 16, so that twenty pictures are enough to begin with. The published
training of such pictures is `--config=flowers --dataset=folder --set data.resize=antialias`, which wants a GPU.
"""
from configs import lfw32_cpu


def get_config():
    config = lfw32_cpu.get_config()
    config.data.dataset = "folder"
    return config
