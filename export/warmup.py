"""Requests that TF Serving sends to a model when it loads it, so that the first real one is not slow."""
from __future__ import annotations

import io
import os
from typing import List

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

PLACE = ("assets.extra", "tf_serving_warmup_requests")  # In a SavedModel's folder; TF Serving looks for it there.


def requests(image_size: int) -> List[predict_pb2.PredictRequest]:
    """For both signatures, pictures larger than the network's and of its very size, which take different ways."""
    sizes = [(image_size, image_size), (2 * image_size, 3 * image_size)]
    pictures = [np.random.default_rng(0).integers(0, 256, [*size, 3], dtype=np.uint8) for size in sizes]
    files = [_encoded(picture, format) for picture in pictures for format in ("JPEG", "PNG")]
    return [_request("serving_default", images=picture[None]) for picture in pictures] + [
        _request("image_bytes", image_bytes=files)]


def _encoded(picture: np.ndarray, format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format)
    return file.getvalue()


def _request(signature: str, **inputs) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def write(folder: str, image_size: int) -> None:
    """Puts a TFRecord file of `PredictionLog`s into a SavedModel's folder."""
    path = os.path.join(folder, *PLACE)
    os.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as file:
        for request in requests(image_size):
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            file.write(log.SerializeToString())
