"""How the networks fit themselves to the size of a picture."""
from __future__ import annotations

from typing import Sequence, Tuple

SMALLEST_MAP = 4  # G starts from 4×4 maps; D and δ end on them.


def halvings(image_size: int) -> int:
    """How often a picture of 32·2^k pixels is halved to 4×4: 3 for 32, 5 for 128.

    Raises:
      ValueError: the size is not 32·2^k.
    """
    count = (image_size // SMALLEST_MAP).bit_length() - 1
    if image_size < 32 or SMALLEST_MAP << count != image_size:
        raise ValueError(f"The picture size is {image_size}, but must be 32, 64, 128, … (32·2^k).")
    return count


def fit_widths(widths: Sequence[int], image_size: int) -> Tuple[int, ...]:
    """One width for each halving and one for the last block.

    A width list is written for 128×128 (Table 4: six entries). A smaller picture takes its first entries, a larger one
    repeats its last.
    """
    count = halvings(image_size) + 1
    return tuple(widths[min(i, len(widths) - 1)] for i in range(count))
