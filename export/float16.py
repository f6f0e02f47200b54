"""Weights of a .tflite file in 16 bits.

The converter's own float16 rounds every constant. What the first convolutions and the normalizations round by grows on the
way to masks as steep as a well trained network's, for little: most of the weights are in the residual blocks.
"""
from __future__ import annotations

from typing import Optional

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils


def halve_large_kernels(content: bytes) -> bytes:
    """The same model with its large float32 constants, those of more than half as many numbers as the largest, stored as
    float16: of the published f the six kernels of the residual blocks, 221,184 of its 274,966 weights.

    Like the converter's, it widens them with DEQUANTIZE, which the interpreters run once, when they load the model.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph in model.subgraphs:
        constants = {index: _constant(model, tensor) for index, tensor in enumerate(graph.tensors)}
        constants = {index: data for index, data in constants.items() if data is not None}
        largest = max(map(len, constants.values()), default=0)
        widened = []
        for index, data in constants.items():
            if 2 * len(data) <= largest:
                continue
            tensor = graph.tensors[index]
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


def _constant(model: schema.ModelT, tensor: schema.TensorT) -> Optional[np.ndarray]:
    """The bytes of a float32 constant, or None for any other tensor."""
    return model.buffers[tensor.buffer].data if tensor.type == schema.TensorType.FLOAT32 else None


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
