"""Trained mask networks in whatever form they lie on the disk: a run, a SavedModel, a .tflite file; or come with the
package."""
from __future__ import annotations

import abc
import concurrent.futures
import functools
import hashlib
import os
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import tensorflow as tf

from redo_tf import pretrained
from redo_tf.best import load_mask_network
from redo_tf.environment import usable_cores
from redo_tf.errors import UserError
from redo_tf.files import find_json
from redo_tf.segmentation import MULTIPLE, SMALLEST, Segmentation, fitted_size
from redo_tf.workdir import Workdir


class Segmenter(abc.ABC):
    """Pictures at the network's size → masks at that size, regions in the labels' order.

    Attributes:
      path: where it was loaded from.
      card: what is known of it, as in model_card.json: `regions`, `image_size`, `resize`, …
    """

    def __init__(self, path: str, card: Dict[str, Any]):
        self.path, self.card = path, card

    @property
    def regions(self) -> int:
        return self.card["regions"]

    def fitted_size(self, height: int, width: int) -> Tuple[int, int]:
        """(h, w) to which a picture of height × width pixels has to be resized for `masks`."""
        return fitted_size(height, width, self.card["image_size"])

    def masks(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, h, w, 3] of a fitted size → probabilities float32 [B, h, w, n], sums to 1 over n; 0 is background.

        Raises:
          TypeError: the images are not uint8.
          ValueError: they have another shape, or sides that the network cannot have.
        """
        if images.dtype != np.uint8:
            raise TypeError(f"Images are {images.dtype}, and should be uint8, 0…255.")
        if images.ndim != 4 or images.shape[3] != 3:
            raise ValueError(f"Images have the shape {list(images.shape)}, and should have [B, h, w, 3].")
        return self._masks(images) if len(images) else np.zeros([*images.shape[:3], self.regions], np.float32)

    @abc.abstractmethod
    def _masks(self, images: np.ndarray) -> np.ndarray:
        """`masks` of at least one picture."""


class _Run(Segmenter):
    """The best mask network of a run."""

    def __init__(self, path: str):
        workdir = Workdir(path)
        config = workdir.load_config()
        network, row = load_mask_network(workdir)
        super().__init__(path, {"regions": config.model.regions, "image_size": config.data.image_size,
                                "resize": config.data.resize, "stored_side": config.data.stored_side,
                                "order": row["val/order"], "dataset": config.data.dataset,
                                "mask_dir": config.data.mask_dir})
        self.segmentation = Segmentation(network, config.data.image_size, row["val/order"], config.data.resize)
        self._fitted_masks = tf.function(
            self.segmentation.fitted_masks, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])

    def _masks(self, images):
        _check_sides(images)
        return self._fitted_masks(images).numpy()


class _SavedModel(Segmenter):
    """An exported SavedModel."""

    def __init__(self, path: str):
        super().__init__(path, _read_card(os.path.join(path, "model_card.json")))
        try:
            self._model = tf.saved_model.load(path)  # Kept: its variables live as long as it does.
            self._serve = self._model.signatures["serving_default"]
        except (OSError, KeyError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise UserError(f"The SavedModel {path} cannot be loaded ({_first_line(error)}): export it again.") from error

    def _masks(self, images):
        return self._serve(images=tf.constant(images))["masks"].numpy()


class _TFLite(Segmenter):
    """An exported .tflite file, a picture at a time.

    A batch is shared out among interpreters, up to one for each core, of one thread each unless told otherwise. The threads of
    a single interpreter wait for each other in busy loops after every layer: slower, and many times so beside other work.
    """

    def __init__(self, path: str, interpreter: Callable[..., Any], threads: int):
        card_path = os.path.splitext(path)[0] + ".json"
        super().__init__(path, _read_card(card_path))
        _check_file(path, card_path, self.card)
        self._interpreter = functools.partial(interpreter, path, num_threads=threads)
        try:
            self._idle = [self._new_runner()]
            self._output = self._idle[0].get_output_details()["masks"]
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path} cannot be loaded ({_first_line(error)}): export it again.") from error
        self._workers = concurrent.futures.ThreadPoolExecutor(usable_cores())

    def _new_runner(self):
        interpreter = self._interpreter()
        (self._input,) = interpreter.get_input_details()
        # Not left to the signature's first call, which before LiteRT leaves out the fast kernels (XNNPACK).
        interpreter.resize_tensor_input(self._input["index"], [1, *self.fitted_size(1, 1), 3])
        interpreter.allocate_tensors()
        return interpreter.get_signature_runner("serving_default")

    def fitted_size(self, height, width):
        fixed = self._fixed_size()
        return super().fitted_size(height, width) if fixed is None else fixed

    def _fixed_size(self) -> Optional[Tuple[int, int]]:
        """(h, w) of the pictures that it takes; None for any."""
        sides = tuple(map(int, self._input["shape_signature"][1:3]))
        return None if -1 in sides else sides

    def _masks(self, images):
        fixed = self._fixed_size()
        if fixed is None:
            _check_sides(images)
        elif images.shape[1:3] != fixed:
            raise ValueError(f"Images are {_size(images)} pixels large, and should be {fixed[0]}×{fixed[1]}.")
        return np.concatenate(list(self._workers.map(self._masks_of_one, images[:, None])))

    def _masks_of_one(self, image: np.ndarray) -> np.ndarray:
        if self._input["dtype"] == np.float32:
            image = image.astype(np.float32) / 255
        try:
            runner = self._idle.pop()
        except IndexError:
            runner = self._new_runner()
        masks = runner(images=image)["masks"]
        self._idle.append(runner)
        scale, zero = self._output["quantization"]
        return masks if masks.dtype == np.float32 else (masks.astype(np.float32) - zero) * np.float32(scale)


def load(path: str, interpreter: Callable[..., Any] = tf.lite.Interpreter, threads: int = 1) -> Segmenter:
    """The mask network at a path: a run's folder, a SavedModel's (with or without its version), or a .tflite file.

    Args:
      path: of the model; where none is there, the name of one that comes with the package (`pretrained.names`).
      interpreter: runs .tflite files; LiteRT's and tflite-runtime's have the same interface.
      threads: of such an interpreter; more make a single picture faster and a batch slower.

    Raises:
      UserError: nothing is there, or it is none of these, or it is damaged.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        shipped = pretrained.path(path)
        if not shipped:
            raise UserError(f"There is no model at {path}: name a run's folder, a SavedModel or a .tflite file"
                            f"{''.join(f', or {name}, which comes with the package' for name in pretrained.names())}.")
        path = shipped
    if os.path.isfile(path):
        if not path.endswith(".tflite"):
            raise UserError(f"{path} is not a .tflite file: name a run's folder, a SavedModel or a .tflite file.")
        return _TFLite(path, interpreter, threads)
    if os.path.exists(os.path.join(path, "config.json")):
        return _Run(path)
    version = newest_version(path)
    for folder in [path] if version is None else [path, os.path.join(path, str(version))]:
        if os.path.exists(os.path.join(folder, "saved_model.pb")):
            return _SavedModel(folder)
    if pretrained.path(path):  # A folder of that name which is none of these, of pictures perhaps.
        return _TFLite(pretrained.path(path), interpreter, threads)
    raise UserError(f"{path} holds neither a run (config.json) nor a SavedModel (saved_model.pb): check the path.")


def newest_version(path: str) -> Optional[int]:
    """The largest of the numbers that name subfolders, TF Serving's versions; None when there are none."""
    versions = [int(name) for name in os.listdir(path) if name.isdecimal()] if os.path.isdir(path) else []
    return max(versions, default=None)


def _read_card(path: str) -> Dict[str, Any]:
    card = find_json(path)
    if card is None or not {"regions", "image_size"} <= card.keys():
        raise UserError(f"The model's card {path} is missing or damaged: it is written beside every exported model; "
                        "export the model again.")
    return card


def _check_sides(images: np.ndarray) -> None:
    """Whether the network can have pictures of this size.

    Raises:
      ValueError: it cannot.
    """
    if any(side < SMALLEST or side % MULTIPLE for side in images.shape[1:3]):
        raise ValueError(f"Images are {_size(images)} pixels large, and sides should be multiples of {MULTIPLE}, at least "
                         f"{SMALLEST}: fitted_size() tells the right ones.")


def _size(images: np.ndarray) -> str:
    return "×".join(map(str, images.shape[1:3]))


def _check_file(path: str, card_path: str, card: Dict[str, Any]) -> None:
    """That a model's file is the one its card was written for, where the card says: interpreters crash on damaged ones.

    Raises:
      UserError: it is not.
    """
    with open(path, "rb") as file:
        content = file.read()
    length = card.get("model_bytes", len(content))
    if len(content) != length:
        raise UserError(f"{path} has {len(content)} bytes, and {length} by its card {card_path}: copy both again, or export "
                        "the model again.")
    digest = hashlib.sha256(content).hexdigest()
    if card.get("model_sha256", digest) != digest:
        raise UserError(f"{path} is damaged, or not the model that its card {card_path} belongs to (another SHA-256): copy "
                        "both again, or export the model again.")


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:200]
