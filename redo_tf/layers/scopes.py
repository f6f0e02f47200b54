"""Names in the graph by which its arithmetic is counted (`redo_tf.flops`)."""
from __future__ import annotations

# Products that stand for sums, averages or the merging of kernels: none of a layer's arithmetic.
SUMS = "sums_as_products"


def convolution(size: int, stride: int) -> str:
    """Of products of matrices that stand for a convolution with a kernel size×size."""
    return f"convolution_{size}x{size}_stride_{stride}"
