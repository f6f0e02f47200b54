"""Weights in 16 bits, in a model whose numbers are known."""
from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export import float16


@pytest.fixture(scope="module")
def weights():
    """Two dense layers' kernels, one of them large."""
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in ((200, 150), (8, 200))]


@pytest.fixture(scope="module")
def content(weights) -> bytes:
    large, small = map(tf.constant, weights)

    @tf.function(input_signature=[tf.TensorSpec([1, 8])])
    def serve(x):
        return {"y": tf.linalg.matmul(tf.linalg.matmul(x, small), large)}

    holder = tf.Module()
    holder.serve = serve
    return tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], holder).convert()


def run(content: bytes, x: np.ndarray) -> np.ndarray:
    return tf.lite.Interpreter(model_content=content).get_signature_runner()(x=x)["y"]


def test_large_kernels_are_rounded_to_float16_and_small_ones_are_not(content, weights):
    large, small = weights
    x = np.random.default_rng(1).normal(size=[1, 8]).astype(np.float32)
    rounded = x @ small @ large.astype(np.float16).astype(np.float32)
    scale = np.abs(rounded).max()
    np.testing.assert_allclose(run(float16.halve_large_kernels(content), x), rounded, atol=1e-6 * scale)
    # 11 bits round by up to 5e-4 of a weight: were nothing rounded, the comparison above would fail.
    assert np.abs(run(content, x) - rounded).max() > 1e-5 * scale


def test_the_file_is_smaller_by_half_of_the_large_kernel(content, weights):
    saved = len(content) - len(float16.halve_large_kernels(content))
    assert abs(saved - weights[0].nbytes / 2) < 1000  # What describes the new tensor and operation.


def test_which_kernels_are_large_is_a_matter_of_the_largest(content, weights):
    """The small kernel of the two is halved where it is alone."""
    small = tf.constant(weights[1])

    @tf.function(input_signature=[tf.TensorSpec([1, 8])])
    def serve(x):
        return {"y": tf.linalg.matmul(x, small)}

    holder = tf.Module()
    holder.serve = serve
    alone = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], holder).convert()
    for model, sizes in ((alone, [1600]), (content, [30_000])):
        details = tf.lite.Interpreter(model_content=float16.halve_large_kernels(model)).get_tensor_details()
        assert [detail["shape"].prod() for detail in details if detail["dtype"] == np.float16] == sizes


def test_a_model_without_constants_stays_as_it_is():
    @tf.function(input_signature=[tf.TensorSpec([1, 8])])
    def serve(x):
        return {"y": x + x}

    holder = tf.Module()
    holder.serve = serve
    content = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], holder).convert()
    x = np.ones([1, 8], np.float32)
    np.testing.assert_array_equal(run(float16.halve_large_kernels(content), x), 2 * x)
