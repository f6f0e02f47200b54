"""Many pictures through a mask network: decoded and written by threads while the network runs, in bounded memory."""
from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import os
import sys
import threading
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from absl import logging

from redo_tf import decoding
from redo_tf.data.resizing import RESIZE
from redo_tf.decoding import PictureError
from redo_tf.errors import UserError
from redo_tf.files import exclusive
from redo_tf.own_pngs import is_whole
from redo_tf.photos import drawing
from redo_tf.photos.finding import Picture
from redo_tf.photos.index import Index
from redo_tf.progress import bar
from redo_tf.segmenter import Segmenter

MOST_FAILURES = 125  # The largest exit code that shells give no meaning of their own.
WAITING_BATCHES = 4  # So many batches of pictures at most wait for others of their size.


class Outcome(NamedTuple):
    """Numbers of pictures: segmented now, segmented before, failed."""

    segmented: int
    skipped: int
    failed: int


def exit_code(outcome: Outcome, unread: int = 0) -> int:
    """How many pictures failed and how many folders could not be read, as far as an exit code can say."""
    return min(outcome.failed + unread, MOST_FAILURES)


class _Fitted(NamedTuple):
    picture: Picture
    image: np.ndarray  # uint8 [h, w, 3]
    size: Tuple[int, int]  # (height, width) of the picture itself.


class _Budget:
    """Lets threads hold at most so many pixels at a time, all together."""

    def __init__(self, pixels: int):
        self._free, self._changed = pixels, threading.Condition()

    @contextlib.contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


def segment(segmenter: Segmenter, pictures: Sequence[Picture], output: str, kinds: Sequence[str] = ("mask",),
            batch_size: int = 16, workers: int = 2, overwrite: bool = False) -> Outcome:
    """Writes the masks of pictures and index.jsonl into a folder.

    Args:
      segmenter: the mask network.
      pictures: what to segment.
      output: folder, made if need be. Pictures whose results by this model are whole there are skipped; those whose
        results would replace another picture's fail.
      kinds: of `own_pngs.KINDS`, `mask` among them.
      batch_size: pictures of one fitted size that the network sees together.
      workers: threads that decode and write.
      overwrite: skip none, and replace the results of pictures that are no longer there.

    Raises:
      UserError: the folder is a file, or another process writes there; or a batch does not fit into memory.
    """
    output = os.path.abspath(output)
    if os.path.lexists(output) and not os.path.isdir(output):
        raise UserError(f"--output={output} is a file: name a folder.")
    os.makedirs(output, exist_ok=True)
    alone = exclusive(output, f"Another process is segmenting into {output}: wait for it, or choose another --output.")
    with alone, contextlib.closing(Index(output)) as index:
        files = {picture: {kind: f"{picture.name}_{kind}.png" for kind in kinds} for picture in pictures}
        model = os.path.abspath(segmenter.path)
        _follow_links(index, pictures, files)
        todo = [picture for picture in pictures
                if overwrite or not _is_done(index.rows.get(picture.path), files[picture], output, model)]
        skipped = len(pictures) - len(todo)
        if skipped:
            logging.info("%d of %d pictures are done already; --overwrite does them anew.", skipped, len(pictures))
        index.outdate({picture.path: files[picture]["mask"] for picture in todo})
        refused = _refused(index, todo, files, output, overwrite)
        index.begin()
        failed = 0
        with bar(len(pictures), "Segmenting", initial=skipped, unit="picture") as progress, contextlib.closing(
                _rows(segmenter, todo, output, files, refused, batch_size, workers)) as rows:
            for row in rows:
                index.add(row)
                if "error" in row:
                    failed += 1
                    progress.write(" ".join(f"{row['input']} {row['error']}.".splitlines()), file=sys.stderr)
                progress.update()
        index.end()
    return Outcome(len(todo) - failed, skipped, failed)


def _follow_links(index: Index, pictures: Sequence[Picture], files: Dict[Picture, Dict[str, str]]) -> None:
    """Gives pictures that were segmented under another path, through a link, their row under this one."""
    owners = index.owners()
    for picture in pictures:
        owner = owners.get(files[picture]["mask"], picture.path)
        if owner != picture.path and os.path.realpath(owner) == os.path.realpath(picture.path):
            index.rename(owner, picture.path)


def _refused(index: Index, pictures: Sequence[Picture], files: Dict[Picture, Dict[str, str]], output: str,
             overwrite: bool) -> Dict[Picture, PictureError]:
    """The pictures whose files are another's. With `overwrite`, others that are no longer there lose theirs instead."""
    owners, refused = index.owners(), {}
    for picture in pictures:
        mask = files[picture]["mask"]
        owner = owners.get(mask)
        if owner in (None, picture.path):
            continue
        if overwrite and not os.path.lexists(owner):
            index.drop([owner])
        else:
            refused[picture] = _refusal(os.path.join(output, mask), owner)
    return refused


def _refusal(mask: str, owner: str) -> PictureError:
    return PictureError(f"would overwrite {mask}, the mask of {owner}" + (
        ": choose another --output" if os.path.lexists(owner) else
        ", which is no longer there: add --overwrite to replace it, or choose another --output"))


def _is_done(row: Optional[Dict[str, Any]], files: Dict[str, str], output: str, model: str) -> bool:
    return (row is not None and row.get("model") == model and not row.get("outdated") and
            all(row.get(kind) == name and is_whole(os.path.join(output, name)) for kind, name in files.items()))


def _rows(segmenter: Segmenter, pictures: Sequence[Picture], output: str, files: Dict[Picture, Dict[str, str]],
          refused: Dict[Picture, PictureError], batch_size: int, workers: int) -> Iterator[Dict[str, Any]]:
    """Segments pictures; yields the index's row of each as soon as its files are whole or it has failed."""
    # As many pixels in flight as one picture may have: many small pictures or a single large one.
    budget = _Budget(decoding.MOST_PIXELS)
    resample = RESIZE[segmenter.card.get("resize", "antialias")]

    def fit(picture: Picture) -> _Fitted:
        if picture in refused:
            raise refused[picture]
        return _Fitted(picture, *decoding.read_fitted(picture.path, segmenter.fitted_size, resample, budget.hold))

    def write(fitted: _Fitted, masks: np.ndarray) -> Dict[str, Any]:
        paths = {kind: os.path.join(output, name) for kind, name in files[fitted.picture].items()}
        height, width = fitted.size
        with budget.hold(height * width):
            shares = drawing.write_files(masks, fitted.size, fitted.picture.path, paths)
        return {"input": fitted.picture.path, **files[fitted.picture], "width": width, "height": height,
                "shares": [round(share, 6) for share in shares], "object_share": round(1 - shares[0], 6),
                "model": os.path.abspath(segmenter.path)}

    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        upcoming, fitting, writing = iter(pictures), collections.deque(), collections.deque()
        waiting: Dict[Tuple[int, ...], List[_Fitted]] = collections.defaultdict(list)
        while True:
            while len(fitting) < 2 * max(batch_size, workers) and (picture := next(upcoming, None)):
                fitting.append((picture, pool.submit(fit, picture)))
            if fitting:
                picture, future = fitting.popleft()
                try:
                    fitted = future.result()
                    waiting[fitted.image.shape].append(fitted)
                except PictureError as error:
                    yield _failure(picture, error)
            batch = _next_batch(waiting, batch_size, flush=not fitting)
            if batch:
                for fitted, masks in zip(batch, _masks(segmenter, batch)):
                    writing.append((fitted.picture, pool.submit(write, fitted, masks)))
            idle = not (fitting or waiting)
            while writing and (idle or writing[0][1].done() or len(writing) > 2 * max(batch_size, workers)):
                picture, future = writing.popleft()
                try:
                    yield future.result()
                except PictureError as error:
                    yield _failure(picture, error)
            if idle:
                return
    finally:
        pool.shutdown(cancel_futures=True)


def _next_batch(waiting: Dict[Tuple[int, ...], List[_Fitted]], batch_size: int, flush: bool) -> List[_Fitted]:
    """Takes a batch from the pictures that wait, by size: a full one, or the fullest if it is time; else none."""
    if not waiting:
        return []
    fullest = max(waiting, key=lambda size: len(waiting[size]))
    crowded = sum(map(len, waiting.values())) >= WAITING_BATCHES * batch_size
    return waiting.pop(fullest) if flush or crowded or len(waiting[fullest]) >= batch_size else []


def _masks(segmenter: Segmenter, batch: List[_Fitted]) -> np.ndarray:
    try:
        return segmenter.masks(np.stack([fitted.image for fitted in batch]))
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(f"{len(batch)} pictures at a time do not fit into memory: lower --batch_size.") from error


def _failure(picture: Picture, error: PictureError) -> Dict[str, Any]:
    return {"input": picture.path, "error": str(error)}
