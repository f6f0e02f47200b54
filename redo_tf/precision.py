"""Which precision a processor computes fastest in."""
from __future__ import annotations


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
