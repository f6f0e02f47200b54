"""index.jsonl: what became of each picture, and hence what is left to do after an interruption."""
from __future__ import annotations

import collections
import json
import os
from typing import Any, Dict, Iterable

from absl import logging

from redo_tf.errors import UserError
from redo_tf.files import naming, write_whole

_START = b'{"input": '  # Of every row.


class Index:
    """The rows of index.jsonl, one object a picture, by its path in `input`.

    A row with `mask` owns the files that it names; no two rows name the same. A picture that is to be segmented anew is noted
    as `outdated`; should that fail, its row has both `mask`, the former one, and `error`.

    While pictures are being segmented lines are only ever appended, so a killed process leaves at worst one line that
    is cut off, which is dropped when the file is next read.
    """

    def __init__(self, folder: str):
        """
        Raises:
          UserError: there is an index.jsonl that was written by something else.
        """
        self.path = os.path.join(folder, "index.jsonl")
        self.rows: Dict[str, Dict[str, Any]] = {row["input"]: row for row in _read(self.path)}
        self._file = None
        self._drop_shared()

    def owners(self) -> Dict[str, str]:
        """The picture that each mask is of. A picture's other files have the mask's name up to their kind."""
        return {row["mask"]: path for path, row in self.rows.items() if "mask" in row}

    def rename(self, old: str, new: str) -> None:
        """Gives a picture's row to another path of the same picture."""
        self.rows[new] = {**self.rows.pop(old), "input": new}

    def drop(self, inputs: Iterable[str]) -> None:
        """Forgets pictures, which then own nothing."""
        for path in inputs:
            self.rows.pop(path, None)

    def outdate(self, masks: Dict[str, str]) -> None:
        """Notes that pictures are to be segmented anew: input → mask. Until they are, a mask of that name stays theirs."""
        for path, mask in masks.items():
            row = self.rows.get(path, {})
            if row.get("mask") == mask:
                row["outdated"] = True
            else:
                self.drop([path])

    def begin(self) -> None:
        """From now on rows are added."""
        self._write()
        self._file = open(self.path, "ab", buffering=0)

    def add(self, row: Dict[str, Any]) -> None:
        """A picture's new row; one that failed keeps the files that it had."""
        before = self.rows.get(row["input"], {})
        if "error" in row and before.get("outdated"):
            row = {**row, "mask": before["mask"], "outdated": True}
        self.rows[row["input"]] = row
        line = _line(row)
        with naming(self.path):
            while line:  # A disk takes what it has room for, and fails with the rest.
                line = line[self._file.write(line):]

    def end(self) -> None:
        """Sorts the rows by path, as pictures are finished in no fixed order."""
        self.rows = dict(sorted(self.rows.items()))
        self._write()
        self.close()

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _drop_shared(self) -> None:
        """Where several rows name one mask, as earlier versions let them, nobody knows whose it is."""
        owners = collections.Counter(row["mask"] for row in self.rows.values() if "mask" in row)
        shared = [path for path, row in self.rows.items() if owners.get(row.get("mask"), 0) > 1]
        if shared:
            logging.warning("%s names the same masks for several of %d pictures, as %s: they count as not segmented.",
                            self.path, len(shared), shared[0])
        self.drop(shared)

    def _write(self) -> None:
        write_whole(self.path, b"".join(map(_line, self.rows.values())))


def _read(path: str):
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for line in file:
            try:
                row = json.loads(line)
                if not isinstance(row["input"], str) or not {"mask", "error"} & row.keys():
                    raise KeyError
            except (ValueError, KeyError, TypeError) as error:
                if _is_cut(line):
                    continue
                raise UserError(f"{path} is not of redo_tf.segment, and would be overwritten: choose another --output, or move "
                                "the file away.") from error
            yield row


def _is_cut(line: bytes) -> bool:
    """Whether a line is the beginning of a row, as a killed process leaves it, or zeros, as a failing power does."""
    return not line.strip(b"\0\r\n") or not line.endswith(b"\n") and line[:len(_START)] == _START[:len(line)]


def _line(row: Dict[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # A name that is not UTF-8 on the disk.
        return json.dumps(row).encode() + b"\n"
