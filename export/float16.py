"""Weights of a .tflite file in 16 bits.

The converter's own float16 rounds every constant. What the first convolutions and the normalizations round by grows on the
way to masks as steep as a well trained network's, for little: most of the weights are in the residual blocks.
"""
from __future__ import annotations

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

LARGE = 30_000  # weights in a kernel: with f of 16 channels, those of the residual blocks, 221,184 of 274,966


def halve_large_kernels(content: bytes) -> bytes:
    """The same model with each float32 constant of at least `LARGE` numbers stored as float16.

    Like the converter's, it widens them with DEQUANTIZE, which the interpreters run once, when they load the model.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph in model.subgraphs:
        widened = []
        for index, tensor in enumerate(list(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) < 4 * LARGE:
                continue
            half = schema.TensorT()
            half.shape, half.type, half.buffer = tensor.shape, schema.TensorType.FLOAT16, tensor.buffer
            model.buffers[half.buffer].data = np.frombuffer(data.tobytes(), "<f4").astype("<f2").view(np.uint8)
            tensor.buffer = 0  # By convention the empty one.
            widened.append((len(graph.tensors), index))
            graph.tensors.append(half)
        if widened:
            code = _dequantize(model)
            graph.operators = [_operator(code, *pair) for pair in widened] + graph.operators
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _dequantize(model: schema.ModelT) -> int:
    """The number of DEQUANTIZE among the model's operations, where it is entered."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # The first that takes float16.
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _operator(code: int, taken: int, given: int) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [taken], [given]
    return operator
