#!/usr/bin/env python3
"""Sends pictures to TF Serving over gRPC and saves their masks. Needs `pip install tensorflow-serving-api`.

  python grpc_client.py --address localhost:8500 --model redo photo.jpg other.png

writes photo_mask.png, grey, 255 where the object is certain, and with --labels photo_labels.png, each pixel's label;
files that have these names are replaced. One request a picture: what it gives is written before the next one is sent. At
the first that fails it stops, with exit code 1.
"""
import argparse
import pathlib
import sys

import grpc
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]  # gRPC's default is 4 MB.


def segment(channel, model, files, timeout=60.0):
    """Segments JPEG or PNG files.

    Args:
      channel: to the server, `grpc.insecure_channel(HOST:8500, UNLIMITED)`.
      model: its name there.
      files: their contents, a list of bytes.
      timeout: in seconds.

    Returns:
      For each file `label_png_bytes` and `mask_png_bytes`, the contents of PNG files.

    Raises:
      grpc.RpcError: the server refused the request, or cannot be reached.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "image_bytes"
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(files))])
    request.inputs["image_bytes"].CopyFrom(
        tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=files))
    outputs = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout).outputs
    return [{name: outputs[name].string_val[i] for name in outputs} for i in range(len(files))]


def prepare(pictures, output):
    """Makes the folder `output`, once each picture's results are known to have a name of their own there."""
    stems = [picture.stem for picture in pictures]
    shared = next((stem for stem in stems if stems.count(stem) > 1), None)
    if shared is not None:
        sys.exit(f"Several pictures are called {shared}, and so would their masks be: "
                 "send them one after another, to other folders.")
    output.mkdir(parents=True, exist_ok=True)


def write(path, content):
    try:
        path.write_bytes(content)
    except OSError as error:  # Of a full disk the system does not name the file.
        sys.exit(f"{path}: {error.strerror}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="localhost:8500", help="the server (default: %(default)s)")
    parser.add_argument("--model", default="redo", help="the model's name there (default: %(default)s)")
    parser.add_argument("--labels", action="store_true", help="also save the label of each pixel")
    parser.add_argument("--output", type=pathlib.Path, default=".", help="folder of the results (default: here)")
    parser.add_argument("pictures", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    try:
        prepare(options.pictures, options.output)
        with grpc.insecure_channel(options.address, UNLIMITED) as channel:
            for picture in options.pictures:  # A request each, so that neither its time nor its size grows with their number.
                try:
                    (result,) = segment(channel, options.model, [picture.read_bytes()])
                except grpc.RpcError as error:
                    sys.exit(f"{options.address}, {picture}: {error.details()}")
                write(options.output / f"{picture.stem}_mask.png", result["mask_png_bytes"])
                if options.labels:
                    write(options.output / f"{picture.stem}_labels.png", result["label_png_bytes"])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
