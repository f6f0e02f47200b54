"""The folder of a run: which configuration it belongs to, its metrics, its summary."""
from __future__ import annotations

import contextlib
import json
import os
from typing import Any, ContextManager, Dict, Iterator, List, Optional, Sequence

from absl import logging

from redo_tf import config as configuration, run_folders
from redo_tf.config import Config
from redo_tf.errors import UserError
from redo_tf.files import exclusive, find_json, write_json, write_text

# Fields that change how long a run goes on or what it writes, but no weight; they may differ when it is continued.
FREE_FIELDS = ("train.steps", "train.log_every", "train.eval_every", "train.sample_every", "train.checkpoint_every",
               "train.checkpoints_kept", "data.mask_dir")
# Fields that recipes choose by the processor.
PROCESSOR_FIELDS = ("train.precision", "train.intra_op_threads")


class Workdir:
    """Paths and small files of one run. Everything but TensorBoard's events is written whole.

    Args:
      path: of the folder, which need not be there.
      mask_dir: where the masks of its pictures are, in place of what config.json says, as they may have moved.
    """

    def __init__(self, path: str, mask_dir: Optional[str] = None):
        self.path, self.mask_dir = os.path.abspath(path), mask_dir

    def file(self, *names: str) -> str:
        return os.path.join(self.path, *names)

    def load_config(self) -> Config:
        """The configuration of the run.

        Raises:
          UserError: there is no run here, or its config.json is damaged.
        """
        try:
            with open(self.file("config.json"), encoding="utf-8") as file:
                config = configuration.from_json(file.read())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UserError(f"{self.path} holds no run (no config.json): train one there, or check --workdir.") from error
        except (UserError, UnicodeDecodeError) as error:
            raise UserError(f"{self.file('config.json')} is damaged, or of another version of this package: {error}") from error
        config.data.mask_dir = self.mask_dir or config.data.mask_dir
        return config

    def check(self, config: Config, pictures: Optional[Dict[str, str]] = None) -> None:
        """Whether a run of this configuration can be begun or continued here; changes nothing.

        Args:
          config: of the run.
          pictures: that it trains with: `Split.fingerprint` by split; not looked at when None.

        Raises:
          UserError: a run of another configuration or on other pictures is here, or the folder cannot be made or
            written.
        """
        ground = self.path  # As much of the path as is there.
        while not os.path.exists(ground):
            ground = os.path.dirname(ground)
        if not (os.path.isdir(ground) and os.access(ground, os.W_OK)):
            raise UserError(f"The run cannot be written to {self.path} ({ground} is not a folder that may be written to): "
                            "choose another --workdir.")
        if not os.path.exists(self.file("config.json")):
            return
        if not self.has_begun():
            try:
                self.load_config()
            except UserError as error:
                raise UserError(f"{error} It would be overwritten: choose another --workdir, or move that file.") from error
            return
        old, new = configuration.flatten(self.load_config()), configuration.flatten(config)
        changed = [f"{name} is {old[name]} there and {value} here" for name, value in new.items()
                   if old[name] != value and name not in FREE_FIELDS
                   and not (name == "train.begin_with" and run_folders.same(old[name], value))]
        if changed:
            more = f" (and {len(changed) - 3} more)" if len(changed) > 3 else ""
            kept = [f"--set {name}={old[name]}" for name in PROCESSOR_FIELDS if old[name] != new[name]]
            advice = (f"These follow from the processor: to continue, add {' '.join(kept)}; or choose"
                      if len(kept) == len(changed) else "Choose")
            raise UserError(f"{self.path} holds a run of another configuration: {'; '.join(changed[:3])}{more}. "
                            f"{advice} another --workdir, or --restart to move that run aside and begin anew.")
        there = find_json(self.file("pictures.json")) or {}
        others = [f"{split}: {there[split]} there and {value} here" for split, value in (pictures or {}).items()
                  if there.get(split, value) != value]
        if others:
            raise UserError(f"{self.path} holds a run on other pictures ({'; '.join(others)}): give back its own with "
                            "--data_dir, or choose another --workdir, or --restart to move that run aside and begin anew.")

    @contextlib.contextmanager
    def claim(self, config: Config, restart: bool, pictures: Optional[Dict[str, str]] = None) -> Iterator[None]:
        """In its `with` block the folder is this configuration's, and no other process trains here.

        The folder is made, continued as it is, or an older run moved aside.

        Args:
          config: of the run.
          restart: whether a run that is here is moved aside.
          pictures: as for `check`; noted for the next time.

        Raises:
          UserError: a run of another configuration or on other pictures is here and `restart` is not set; another
            process is training here; or the folder cannot be written.
        """
        with contextlib.ExitStack() as lock:
            try:
                if restart and os.path.exists(self.path):
                    if os.listdir(self.path) and not os.path.exists(self.file("config.json")) and not self.has_begun():
                        raise UserError(f"--restart moves a run aside, and {self.path} holds none, but other files: choose "
                                        "another --workdir.")
                    aside = next(name for i in range(1, 10_000) if not os.path.exists(name := f"{self.path}.old{i}"))
                    with self.exclusive():
                        os.rename(self.path, aside)
                    logging.info("The earlier run was moved to %s.", aside)
                os.makedirs(self.path, exist_ok=True)
                lock.enter_context(self.exclusive())
                self.check(config, pictures)
                write_text(self.file("config.json"), configuration.to_json(config))
                if pictures:
                    write_json(self.file("pictures.json"), pictures)
            except OSError as error:
                raise UserError(f"The run cannot be written to {self.path} ({error.strerror}): "
                                "choose another --workdir.") from error
            yield

    def exclusive(self) -> ContextManager[None]:
        """In its `with` block no other process trains here.

        Raises:
          UserError: another one does.
        """
        return exclusive(
            self.path, f"Another process is training in {self.path}: wait for it, or choose another --workdir.")

    def has_begun(self) -> bool:
        """Whether there is more than the configuration, which is all that a mistaken first command leaves."""
        return self.has_checkpoint() or bool(self.metrics()) or os.path.exists(self.file("summary.json"))

    def check_kept(self) -> None:
        """Whether a run that was here still has its checkpoints.

        The first evaluation is followed by a checkpoint, so a process that is killed in between leaves a single row.

        Raises:
          UserError: they were removed, and the run can neither go on nor be begun over.
        """
        rows = self.metrics()
        if not self.has_checkpoint() and (len(rows) > 1 or os.path.exists(self.file("summary.json"))):
            raise self.lost(rows)

    def lost(self, rows: Sequence[Dict[str, Any]]) -> UserError:
        """That no checkpoint of the run can be read."""
        return UserError(f"No checkpoint in {self.file('checkpoints')} can be read, and the run had come to step "
                         f"{rows[-1]['step'] if rows else 0}: bring them back from a copy, or add --restart to move the run "
                         "aside and begin anew.")

    def has_checkpoint(self) -> bool:
        """Whether there is anything to continue from."""
        folder = self.file("checkpoints")
        return os.path.isdir(folder) and any(name.endswith(".index") for name in os.listdir(folder))

    def metrics(self) -> List[Dict[str, Any]]:
        """One dictionary an evaluation, oldest first; a last line cut off by a crash is left out.

        Raises:
          UserError: another line is damaged; the rows after it, too, would be lost when the file is next written.
        """
        path = self.file("metrics.jsonl")
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
        rows = []
        for number, line in lines:
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("a row is a JSON object")
                rows.append(row)
            except ValueError as error:  # UnicodeDecodeError is one.
                if number != lines[-1][0]:
                    raise UserError(f"{path} is damaged in line {number}: mend or remove that line, or bring back the file "
                                    "from a copy.") from error
        return rows

    def append_metrics(self, row: Dict[str, Any]) -> None:
        self._write_metrics(self.metrics() + [row])

    def forget_metrics_after(self, restarts: int, step: int) -> None:
        """Drops what was written after the checkpoint that a run continues from."""
        rows = self.metrics()
        kept = [row for row in rows if (row["restarts"], row["step"]) <= (restarts, step)]
        if len(kept) < len(rows):
            self._write_metrics(kept)

    def environment(self) -> Dict[str, str]:
        """What `environment.describe` noted when the run was last started; {} where nothing is noted."""
        return find_json(self.file("environment.json")) or {}

    def write_summary(self, summary: Dict[str, Any]) -> None:
        write_json(self.file("summary.json"), summary)

    def remove_summary(self) -> None:
        """Of a run that goes on: the file says that it has ended."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file("summary.json"))

    def _write_metrics(self, rows: List[Dict[str, Any]]) -> None:
        write_text(self.file("metrics.jsonl"), "".join(json.dumps(row) + "\n" for row in rows))
