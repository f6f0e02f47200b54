"""Convolutions in 8 bits, everything between them in float32.

Instance norm needs the mean and the variance of whole maps, in more than 8 bits; so do sums of residuals. What costs
time are the convolutions, and they take 8 bits well: each map that goes into one or comes out of one has a range, found
on training pictures, and each kernel one for each output channel. TensorFlow Lite's converter makes integer
convolutions of those that lie between maps of known range.
"""
from __future__ import annotations

from typing import Callable, Dict, Iterable, Tuple

import numpy as np
import tensorflow as tf

from export.inference_graph import InferenceGraph, Precision

FLOAT = ("stem",)  # With three input channels an 8-bit convolution takes three times as long as a float one.
Ranges = Dict[str, Tuple[float, float]]


class _Recorder(Precision):
    """float32; keeps the maps of the graph that is being traced."""

    def __init__(self):
        self.seen = {}

    def activation(self, name, strips):
        self.seen.setdefault(name, []).extend(strips)
        return strips

    def convolve(self, name, strips, kernel, strides, padding):
        return self.activation(name + "/output", super().convolve(name, strips, kernel, strides, padding))


class Int8(Precision):
    """Rounds maps and kernels as 8-bit integers do.

    Args:
      ranges: of every map, see `calibrate`.
    """

    def __init__(self, ranges: Ranges):
        self.ranges = ranges

    def activation(self, name, strips):
        low, high = self.ranges[name]
        return [tf.quantization.fake_quant_with_min_max_args(x, low, high) for x in strips]

    def convolve(self, name, strips, kernel, strides, padding):
        if name in FLOAT:
            return super().convolve(name, strips, kernel, strides, padding)
        largest = np.maximum(np.abs(kernel).max((0, 1, 2)), 1e-6)
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -largest, largest, narrow_range=True)
        return self.activation(name + "/output", [tf.nn.conv2d(x, rounded, strides, padding) for x in strips])


def calibrate(build: Callable[[Precision], InferenceGraph], batches: Iterable[np.ndarray]) -> Ranges:
    """The smallest and the largest value of every map on some pictures; 0 is within, since borders are padded with it.

    Args:
      build: makes the graph in a precision.
      batches: float32 [B, S, S, 3] in 0…1.
    """
    recorder = _Recorder()
    graph = build(recorder)

    @tf.function(reduce_retracing=True)
    def extremes(images):
        recorder.seen.clear()
        graph(images)
        return {name: (tf.reduce_min([tf.reduce_min(x) for x in maps]), tf.reduce_max([tf.reduce_max(x) for x in maps]))
                for name, maps in recorder.seen.items()}

    ranges: Ranges = {"stem": (0.0, 1.0)}  # Pictures' own, so that they need not be rounded.
    for images in batches:
        for name, (low, high) in extremes(tf.constant(images)).items():
            known = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(known[0], float(low)), max(known[1], float(high)))
    return ranges
