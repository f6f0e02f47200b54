"""Counts the arithmetic of a compiled function: the floating-point operations of its convolutions and matrix products."""
from __future__ import annotations

import math
from typing import Iterator, NamedTuple

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from redo_tf.layers import scopes

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
CONDITIONS = ("If", "StatelessIf")
CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
# `layers.resampled_convolution` needs 4·4 products where the layers as published have 3·3 for each of 2·2 pixels.
MERGED, MERGED_STRIDE, UNMERGED = (4, 4), 2, 36 / 16


class Arithmetic(NamedTuple):
    """FLOPs of a function: those that it computes, and those that the same layers take as they are published, a 3×3
    convolution at the larger size before its pooling or after its upsampling."""
    computed: int
    published: int

    def __add__(self, other):
        return Arithmetic(self.computed + other.computed, self.published + other.published)


NOTHING = Arithmetic(0, 0)


def count(function: tf.types.experimental.ConcreteFunction) -> Arithmetic:
    """FLOPs of one call; a product and a sum are two. Shapes have to be known when the function is traced.

    Of a condition the dearer branch counts. Elementwise operations, norms, pooling, sums and the merging of kernels do not:
    they are what an implementation can save.

    Raises:
      ValueError: a convolution or a matrix product has an unknown shape, or a loop's length is unknown.
    """
    return _of_graph(function.graph, function.graph)


def _of_graph(graph: tf.Graph, library: tf.Graph) -> Arithmetic:
    """Of the operations that a result or a side effect needs; TensorFlow leaves out the others when it runs the graph."""
    needed, waiting = set(), [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting.extend([*(tensor.op for tensor in operation.inputs), *operation.control_inputs])
    return sum((_of_operation(operation, library) for operation in needed), NOTHING)


def _of_operation(operation: tf.Operation, library: tf.Graph) -> Arithmetic:
    if scopes.SUMS in operation.name:
        return NOTHING
    if operation.type in CONVOLUTIONS:
        return _of_convolution(operation)
    if operation.type in CALLS:
        return max(_of_functions(operation, library, "f"))
    if operation.type in CONDITIONS:
        return max(_of_functions(operation, library, "then_branch", "else_branch"))
    if operation.type in ("While", "StatelessWhile") and max(_of_functions(operation, library, "body")) > NOTHING:
        raise ValueError(f"{operation.name} repeats arithmetic an unknown number of times.")
    computed = 2 * _products(operation)
    merged = operation.type == "MatMul" and scopes.convolution(MERGED[0], MERGED_STRIDE) in operation.name
    return Arithmetic(computed, round(computed * UNMERGED) if merged else computed)


def _of_convolution(operation: tf.Operation) -> Arithmetic:
    """A filter is [kh, kw, in, out]; each of its products happens for each pixel of the result or its gradient."""
    inputs = [tensor.shape for tensor in operation.inputs]
    if operation.type == "Conv2D":
        pixels, kernel = operation.outputs[0].shape[:3], inputs[1]
    elif operation.type == "Conv2DBackpropInput":
        pixels, kernel = inputs[2][:3], _filter(operation, inputs[1])
    else:
        pixels, kernel = inputs[2][:3], _filter(operation, operation.outputs[0].shape)
    computed = 2 * _size(pixels) * _size(kernel)
    merged = tuple(kernel[:2]) == MERGED and operation.get_attr("strides")[1] == MERGED_STRIDE
    return Arithmetic(computed, round(computed * UNMERGED) if merged else computed)


def _products(operation: tf.Operation) -> int:
    """Of a matrix product; 0 for any other operation."""
    inputs = [tensor.shape for tensor in operation.inputs]
    if operation.type in ("MatMul", "BatchMatMulV2"):
        name = "transpose_a" if operation.type == "MatMul" else "adj_x"
        contracted = inputs[0][-2 if operation.get_attr(name) else -1]
        return _size(operation.outputs[0].shape) * _size([contracted])
    return 0


def _of_functions(operation: tf.Operation, library: tf.Graph, *attributes: str) -> Iterator[Arithmetic]:
    """Of each function that the attributes name; `library` is the outermost graph, which holds them all."""
    for attribute in attributes:
        definition = library._get_function(operation.get_attr(attribute).name).cached_definition
        arguments = operation.inputs[1:] if operation.type in CONDITIONS else operation.inputs
        with library.as_default():  # Where it looks for the functions within.
            yield _of_graph(function_def_to_graph(definition, [tensor.shape for tensor in arguments]), library)


def _filter(operation: tf.Operation, shape: tf.TensorShape) -> tf.TensorShape:
    """A filter's shape; where it is only known as the value of the shape input, that value."""
    if shape.is_fully_defined():
        return shape
    return tf.TensorShape(tf.get_static_value(operation.inputs[1]))


def _size(shape) -> int:
    sizes = list(shape)
    if None in sizes:
        raise ValueError(f"The shape {sizes} is not known when the function is traced.")
    return math.prod(int(size) for size in sizes)
