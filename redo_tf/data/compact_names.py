"""Many strings in little memory."""

from __future__ import annotations

import collections.abc
from typing import Iterable, List, Union

import numpy as np


class Names(collections.abc.Sequence):
    """An unchangeable list of strings, kept as one text: about a third of the memory of as many objects."""

    def __init__(self, names: Iterable[str]):
        pieces = [name.encode("utf-8") for name in names]
        self._bounds = np.cumsum([0, *map(len, pieces)])
        self._text = b"".join(pieces)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, index: Union[int, slice]) -> Union[str, List[str]]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]  # Raises IndexError, counts negative ones from the end.
        return self._text[self._bounds[position] : self._bounds[position + 1]].decode("utf-8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, collections.abc.Sequence) and list(self) == list(other)
