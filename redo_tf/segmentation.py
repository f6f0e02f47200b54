"""The mask network with what it needs around it: pictures of any size in, masks of that size out.

One graph for every use of a trained network: `redo_tf.segment` runs it, `export/` saves it.
"""
from __future__ import annotations

from typing import Dict, List, Sequence

import tensorflow as tf

from redo_tf.areas import most_probable
from redo_tf.pixels import to_model_range

MULTIPLE = 4  # The mask network halves its input twice and doubles it twice.
SMALLEST = 24  # Pyramid pooling has six bins a side, and sees the picture at a quarter.
LONGEST = 4  # Sides longer than this many short sides are squeezed, so that no picture's shape can exhaust memory.


def label_names(regions: int) -> List[str]:
    """What labels 0…n−1 mean, in that order. Objects have no names of their own: nothing in training names them."""
    objects = ["object"] if regions == 2 else [f"object {i}" for i in range(1, regions)]
    return ["background", *objects]


def fitted_size(height, width, image_size: int):
    """Size at which the mask network sees a picture: short side S as in training, long side in proportion.

    Training crops the centre of a picture; here all of it gets a mask.

    Args:
      height, width: of the picture, numbers or int32 scalars.
      image_size: S.

    Returns:
      (height, width), multiples of 4, S the smaller of the two, the larger at most 4·S.
    """
    if tf.is_tensor(height):
        smaller, minimum = tf.minimum(height, width), tf.minimum
    else:
        smaller, minimum = min(height, width), min
    # long = S·side/short, to the nearest multiple of 4. Sides are limited first, so that no product can overflow.
    fit = lambda side: (2 * image_size * minimum(side, LONGEST * smaller) + MULTIPLE * smaller) // (
        2 * MULTIPLE * smaller) * MULTIPLE
    return fit(height), fit(width)


class Segmentation(tf.Module):
    """f with resizing before and after, its regions in the labels' order.

    Args:
      mask_network: f, with its variables.
      image_size: S of its training.
      order: region of each label, background first (`metrics.order_by_masks`).
      resize: as in training, `antialias` or `nearest`.
    """

    def __init__(self, mask_network: tf.keras.Model, image_size: int, order: Sequence[int], resize: str = "antialias"):
        super().__init__()
        self.mask_network = mask_network
        self.image_size, self.order, self.resize = image_size, tuple(order), resize

    @property
    def regions(self) -> int:
        return len(self.order)

    def masks(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 [B, H, W, 3] of any size → probabilities float32 [B, H, W, n], sums to 1 over n; 0 is the background."""
        size = tf.shape(images)[1:3]
        fitted = tf.stack(fitted_size(size[0], size[1], self.image_size))
        return resized(self.fitted_masks(resized(images, fitted, self.resize)), size)

    def fitted_masks(self, images: tf.Tensor) -> tf.Tensor:
        """uint8 [B, h, w, 3], sides multiples of 4 → probabilities float32 [B, h, w, n] in the labels' order."""
        masks = tf.cast(self.mask_network(to_model_range(images), training=False), tf.float32)
        return tf.gather(masks, self.order, axis=-1)

    def __call__(self, images: tf.Tensor) -> Dict[str, tf.Tensor]:
        """uint8 [B, H, W, 3] → `masks` as above, `labels` uint8 [B, H, W], the most probable."""
        masks = self.masks(images)
        return {"masks": masks, "labels": most_probable(masks)}


def resized(pictures: tf.Tensor, size: tf.Tensor, method: str = "antialias") -> tf.Tensor:
    """[B, H, W, C] → [B, h, w, C] in the same dtype: bilinear, smoothed before it is made smaller; or nearest."""
    if method == "nearest":
        return tf.image.resize(pictures, size, "nearest")
    # Rounded to whole grey levels, as pictures are in training.
    whole = pictures.dtype.is_integer
    smaller = tf.reduce_any(size < tf.shape(pictures)[1:3])
    result = tf.cond(smaller, lambda: _smoothed(tf.cast(pictures, tf.float32), size),
                     lambda: tf.image.resize(pictures, size))
    return tf.cast(whole_levels(result), pictures.dtype) if whole else result


def whole_levels(values: tf.Tensor) -> tf.Tensor:
    """Grey levels to the nearest whole one, halves upwards as in Pillow, so that every processor rounds alike.

    Resized values often are halves but for the last bits, and those depend on the order of a sum: on the processor and on
    how many pictures are resized together. One grey level in one pixel changes masks by .001. So a thousandth is added.
    """
    return tf.floor(values + (0.5 + 2 ** -10))


def _smoothed(pictures: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """`tf.image.resize(…, antialias=True)` of float32 [B, H, W, C], by products: few runtimes have its operation."""
    shape = tf.shape(pictures)
    rows = _triangles(shape[1], size[0]) @ tf.reshape(pictures, [shape[0], shape[1], shape[2] * shape[3]])
    return _triangles(shape[2], size[1]) @ tf.reshape(rows, [shape[0], size[0], shape[2], shape[3]])


def _triangles(old: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    """Weights float32 [new, old] of the old samples in the new: triangles two new samples wide, at least two old."""
    step = tf.cast(old, tf.float32) / tf.cast(new, tf.float32)
    centres = (tf.range(tf.cast(new, tf.float32)) + 0.5) * step
    distances = tf.abs(tf.range(tf.cast(old, tf.float32)) + 0.5 - centres[:, None]) / tf.maximum(step, 1)
    weights = tf.nn.relu(1 - distances)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
