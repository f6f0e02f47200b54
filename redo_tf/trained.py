"""A trained mask network with the pictures it is for: what is scored and shown. A run's, or an exported one."""
from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional

import tensorflow as tf

from redo_tf import data, segmenter
from redo_tf.areas import mean_areas, most_probable
from redo_tf.best import load_mask_network
from redo_tf.config import DataConfig
from redo_tf.errors import UserError
from redo_tf.evaluation import SegmentFunction, compile_segmenter
from redo_tf.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Trained:
    """A mask network.

    Attributes:
      segment: uint8 images [B, S, S, 3] → region of each pixel uint8 [B, S, S], and soft region sizes float32 [B, n].
      pictures: data set, size and preparation.
      regions: n.
      order: the regions in the labels' order, background first.
      evaluation: of a run the row of metrics.jsonl that chose the network; of an exported model nothing.
    """
    segment: SegmentFunction
    pictures: DataConfig
    regions: int
    order: List[int]
    evaluation: Dict[str, Any]

    def load(self, split: str, data_dir: Optional[str]) -> data.Split:
        """The split's pictures with their masks.

        Raises:
          UserError: no data, or no picture has a mask.
        """
        pictures = data.load_configured(self.pictures, split, data_dir)
        if pictures.masks is None:
            raise UserError(f"No picture of {self.pictures.dataset}'s {split} split has a mask, so there is nothing to "
                            "score; choose another --split, or name the masks of a folder with --mask_dir=….")
        return pictures


def of_run(workdir: Workdir) -> Trained:
    """The best mask network of a run, in the precision of its training.

    Raises:
      UserError: there is no run, or it has not been evaluated yet, or its best checkpoint is damaged.
    """
    config = workdir.load_config()
    network, row = load_mask_network(workdir, config.train.precision)
    return Trained(compile_segmenter(network, config.data.image_size), config.data, config.model.regions,
                   row["val/order"], row)


def of_model(path: str, dataset: Optional[str] = None, mask_dir: Optional[str] = None) -> Trained:
    """Whatever `segmenter.load` loads, computing as it does in use; regions are labels.

    Args:
      dataset: by default the one of its training.
      mask_dir: of the data set `folder`: where its masks are.

    Raises:
      UserError: there is no model, or nothing says on which data set it was trained.
    """
    model = segmenter.load(path)
    card = model.card
    if not (dataset or card.get("dataset")):
        raise UserError(f"The card of {path} does not say on which data set it was trained: name one with --dataset=….")

    def segment(images):
        masks = model.masks(images.numpy())
        return most_probable(tf.constant(masks)), mean_areas(masks)

    pictures = DataConfig(dataset=dataset or card["dataset"], image_size=card["image_size"],
                          resize=card.get("resize", "antialias"), stored_side=card.get("stored_side", 0),
                          mask_dir=mask_dir or (None if dataset else card.get("mask_dir")))
    return Trained(segment, pictures, model.regions, list(range(model.regions)), {})
