"""The precision that layers compute in, and which one is fastest."""
from __future__ import annotations

import contextlib
from typing import Iterator

import tensorflow as tf


@contextlib.contextmanager
def layers_in(precision: str) -> Iterator[None]:
    """Layers that are made, and built, in its `with` block compute in this precision, float32 or mixed_bfloat16, ever after;
    others as before."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def fastest_on_cpu() -> str:
    """`mixed_bfloat16` where the processor multiplies bfloat16 numbers (AVX-512 BF16 or AMX), else `float32`.

    Known for Linux only; elsewhere `float32`.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            words = set(file.read().split())
    except OSError:
        return "float32"
    return "mixed_bfloat16" if words & {"avx512_bf16", "amx_bf16"} else "float32"
