"""The two signatures of an exported SavedModel, in TensorFlow's own operations alone."""
from __future__ import annotations

from typing import Callable, Dict, Tuple

import numpy as np
import tensorflow as tf

from export.inference_graph import InferenceGraph, Strips
from redo_tf.segmentation import Segmentation

STRIPS = 2  # Of a picture of the training's size.
IN_PARALLEL = 8  # Pictures of one request that are decoded and segmented at a time.

# A PNG file's beginning: signature, header up to the colour type, which says alpha or not, or a chunk that gives colours one.
HEAD = 2**16
TRANSPARENT = r"\CPNG\r\n\x1a\n\C{17}([\x04\x06]|\C*tRNS)\C*"


class FastSegmentation(Segmentation):
    """The same function in the form that is fastest to run, its weights as constants: nothing is derived from them anew
    for each picture. Pictures of the training's size S×S, or that are resized to it, have a graph of their own, with every
    shape known and two strips of a picture computed side by side: faster than two threads in each operation."""

    def __init__(self, mask_network: tf.keras.Model, image_size: int, *arguments, **options):
        super().__init__(mask_network, image_size, *arguments, **options)
        # One function for both of its callers, so that its weights are saved once.
        self._masks_of_training_size = tf.function(
            lambda images: self._graph(images, STRIPS), autograph=False,
            input_signature=[tf.TensorSpec([None, image_size, image_size, 3], tf.uint8)])

    def masks(self, images: tf.Tensor) -> tf.Tensor:
        return self._by_size(images, super().masks)

    def fitted_masks(self, images: tf.Tensor) -> tf.Tensor:
        return self._by_size(images, lambda images: self._graph(images, strips=1))

    def _by_size(self, images: tf.Tensor, of_other_sizes: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        side = self.image_size
        # Not by tf.ensure_shape, from which TensorFlow's optimizer would conclude that all pictures have this size.
        return tf.cond(tf.reduce_all(tf.shape(images)[1:3] == side),
                       lambda: self._masks_of_training_size(tf.reshape(images, [-1, side, side, 3])),
                       lambda: of_other_sizes(images))

    def _graph(self, images: tf.Tensor, strips: int) -> tf.Tensor:
        # TensorFlow's convolutions give an empty batch a wrong shape: a black picture stands in for it.
        count, *size = tf.unstack(tf.shape(images))
        images = tf.concat([images, tf.zeros([tf.maximum(1 - count, 0), *size], tf.uint8)], axis=0)
        return _ServedGraph(self.mask_network, self.order, strips=strips)(tf.cast(images, tf.float32) / 255)[:count]


class _ServedGraph(InferenceGraph):
    """With TensorFlow's kernels one larger convolution takes less time than four small ones, and files may be larger."""

    def _upsampled_by_pooling(self, name: str, x: Strips, kernel: np.ndarray) -> Strips:
        return self._upsampled_by_merging(name, x, kernel)

    def _per_channel(self, values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        # For whole lines: TensorFlow broadcasts a few channels at a time slowly.
        few = x.shape[2] is not None and x.shape[3] < 64
        return values + tf.zeros([1, 1, *x.shape[2:]]) if few else values


def servable(segmentation: Segmentation) -> Tuple[tf.Module, Dict[str, tf.types.experimental.GenericFunction]]:
    """What `tf.saved_model.save` takes: an object to hang the signatures on, and these by name.

    The object is not the segmentation itself: with it Keras would save a graph of every layer beside these two.
    """
    holder = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")], autograph=False)
    def serving_default(images):
        return segmentation(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def image_bytes(image_bytes):
        return segment_files(segmentation, image_bytes)

    return holder, {"serving_default": serving_default, "image_bytes": image_bytes}


def segment_files(segmentation: Segmentation, contents: tf.Tensor) -> Dict[str, tf.Tensor]:
    """Segments JPEG and PNG files, of a size each.

    Args:
      segmentation: what segments a batch.
      contents: the files, string [B].

    Returns:
      Grey 8-bit PNG files of the pictures' sizes, string [B]: `label_png_bytes` the label of each pixel,
      `mask_png_bytes` the probability of being object (not background), 255 for 1.

    Raises:
      InvalidArgumentError: by the graph, naming every file that cannot be decoded.
    """

    pictures = decoded(contents)

    def segment_file(picture):
        image = tf.ensure_shape(tf.io.parse_tensor(picture, tf.uint8), [None, None, 3])
        results = segmentation(image[None])
        mask = tf.round(255 * (1 - results["masks"][0, ..., :1]))
        return tf.io.encode_png(results["labels"][0, ..., None]), tf.io.encode_png(tf.cast(mask, tf.uint8))

    labels, masks = tf.map_fn(
        segment_file, pictures, fn_output_signature=(tf.string, tf.string), parallel_iterations=IN_PARALLEL)
    return {"label_png_bytes": labels, "mask_png_bytes": masks}


def decoded(contents: tf.Tensor) -> tf.Tensor:
    """JPEG and PNG files, string [B] → serialized uint8 [H, W, 3], string [B].

    A decoder's own error does not say which file of a request it was, and a graph cannot catch it; a data set can. One
    for the whole request, because it takes milliseconds to begin with it.

    Raises:
      InvalidArgumentError: by the graph, naming every file that cannot be decoded.
    """
    count = tf.size(contents, tf.int64)
    files = tf.data.Dataset.from_tensor_slices(contents).enumerate()
    readable = files.map(
        lambda index, file: (index, tf.io.serialize_tensor(decode(file))), num_parallel_calls=IN_PARALLEL)
    indices, pictures = readable.ignore_errors().batch(tf.maximum(count, 1)).reduce(
        (tf.zeros([0], tf.int64), tf.zeros([0], tf.string)), lambda _, batch: batch)
    broken = tf.where(tf.scatter_nd(indices[:, None], tf.ones_like(indices), count[None]) == 0)[:, 0]
    message = tf.strings.format("image_bytes holds no readable JPEG or PNG picture at index {}, counted from 0", broken)
    with tf.control_dependencies([tf.debugging.Assert(tf.size(broken) == 0, [message])]):
        return tf.ensure_shape(tf.identity(pictures), contents.shape)


def decode(file: tf.Tensor) -> tf.Tensor:
    """One file → uint8 [H, W, 3]: grey ones get three channels, transparent ones a white ground, 16 bits become 8."""
    # Not four channels of every file: a JPEG has none, of opaque PNGs that takes half as long again.
    return tf.cond(tf.strings.regex_full_match(tf.strings.substr(file, 0, HEAD), TRANSPARENT),
                   lambda: on_white(tf.io.decode_png(file, channels=4)),
                   lambda: tf.io.decode_image(file, channels=3, expand_animations=False))


def on_white(picture: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 4] → [H, W, 3], the colours over white; rounded as in Pillow, by which `redo_tf.segment` reads."""
    def composed():
        values = tf.cast(picture, tf.uint16)  # Products of two stay below 2¹⁶.
        colours, alpha = values[..., :3], values[..., 3:]
        return tf.cast((colours * alpha + (255 * (255 - alpha) + 127)) // 255, tf.uint8)

    return tf.cond(tf.reduce_min(picture[..., 3]) == 255, lambda: picture[..., :3], composed)
