"""A small stand-in for TF Serving: the same protocols, over loopback, around a SavedModel that is loaded here.

gRPC by the real service description. REST by the rules of TF Serving's "RESTful API" page: `{"b64": …}` is binary and
decoded by the server; outputs whose names end in `_bytes` are encoded so in its answer.
"""
from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading
from typing import Iterator, Tuple

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

NAME = "redo"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` alone."""

    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        if request.model_spec.name != NAME:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec.name}")
        signature = self.model.signatures[request.model_spec.signature_name or "serving_default"]
        try:
            outputs = signature(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def handler(model):
    """The class that answers POST /v1/models/NAME:predict in the row format."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != f"/v1/models/{NAME}:predict":
                return self.answer(404, {"error": "Malformed request: POST " + self.path})
            signature = model.signatures[content.get("signature_name", "serving_default")]
            names = list(signature.structured_input_signature[1])
            rows = [row if isinstance(row, dict) and row.keys() != {"b64"} else {names[0]: row}
                    for row in content["instances"]]
            inputs = {name: tf.constant([binary(row[name]) for row in rows], spec.dtype)
                      for name, spec in signature.structured_input_signature[1].items()}
            try:
                outputs = {name: value.numpy() for name, value in signature(**inputs).items()}
            except tf.errors.InvalidArgumentError as error:
                return self.answer(400, {"error": error.message})
            self.answer(200, {"predictions": [{name: written(name, value[i]) for name, value in outputs.items()}
                                              for i in range(len(rows))]})

        def answer(self, code, content):
            body = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def binary(value):
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value


def written(name, value):
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode()
    return np.asarray(value).tolist()


@contextlib.contextmanager
def serving(path: str) -> Iterator[Tuple[str, str]]:
    """Serves a SavedModel; (address of gRPC, URL of REST)."""
    model = tf.saved_model.load(path)
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(model), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(model))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{port}", f"http://127.0.0.1:{web.server_port}"
    finally:
        rpc.stop(None).wait()
        web.shutdown()
        web.server_close()
