"""What a layer computes from its weights alone, kept for all parts of a batch."""
from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator

import tensorflow as tf

_kept = threading.local()  # Replicas are traced in a thread each, and have kernels of their own.


@contextlib.contextmanager
def kernels_kept() -> Iterator[None]:
    """In it each layer prepares its kernel at its first call and uses it in the next ones: weights must not change meanwhile.

    For a batch that is computed in several parts, all under one tape and in one graph: the gradients of the parts are
    summed before they pass through what was kept.
    """
    outer, _kept.kernels = getattr(_kept, "kernels", None), {}
    try:
        yield
    finally:
        _kept.kernels = outer


def kept(layer: tf.keras.layers.Layer, source: Any, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
    """`compute()`, or what it gave before for this layer and the very same `source` within the same `kernels_kept`."""
    kernels = getattr(_kept, "kernels", None)
    if kernels is None:
        return compute()
    key = id(layer), id(source)
    if key not in kernels:
        kernels[key] = compute(), layer, source  # Held, so that their numbers are not given to others.
    return kernels[key][0]
