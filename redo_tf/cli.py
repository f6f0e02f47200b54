"""What every command shares: flags, exit codes, and `redo-tf SUBCOMMAND`."""
from __future__ import annotations

import atexit
import errno
import faulthandler
import gc
import importlib
import logging as standard_logging
import os
import signal
import sys
import traceback
from typing import Callable, List, Optional

from absl import flags, logging

from redo_tf.config import nearest
from redo_tf.errors import Diverged, Interrupted, UserError

DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the archives, or of your own pictures, and of the prepared data. Default: a cache folder.")
MASK_DIR = flags.DEFINE_string(
    "mask_dir", None, "With --dataset=folder: folder of masks that have their pictures' names. Default: its subfolder masks.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run. Training's default: runs/DATASET.")

# What to do about an error of the operating system that a person can mend.
ADVICE = {
    **dict.fromkeys([errno.ENOSPC, errno.EDQUOT, errno.EFBIG], "make room or choose another folder"),
    **dict.fromkeys([errno.EACCES, errno.EROFS], "choose another folder or change its permissions"),
    **dict.fromkeys([errno.ENOTDIR, errno.EEXIST], "a file is where a folder should be; choose another path"),
    errno.EISDIR: "that is a folder; name a file in it",
}
HELP = {"-h", "-help", "--help", "--helpshort", "--helpfull"}
COMMANDS = {
    "train": "redo_tf.train",
    "evaluate": "redo_tf.evaluate",
    "segment": "redo_tf.segment",
    "curves": "redo_tf.curves",
    "redraw": "redo_tf.redraw",
    "masks": "redo_tf.experiments.masks",
    "table1": "redo_tf.experiments.table1",
    "ablations": "redo_tf.experiments.ablations",
    "supervised": "redo_tf.supervised",
    "report": "redo_tf.report",
    "data": "redo_tf.data.__main__",
    "benchmark": "redo_tf.benchmark",
    "export-saved-model": "export.saved_model",
    "export-tflite": "export.tflite",
    "verify": "export.verify",
}


def _parse_flags(arguments: List[str], first_word: Optional[str]) -> None:
    """absl's parser, but a wrong flag is a person's mistake like any other, and so are stray words; the first one may
    stand for the flag `first_word`."""
    if first_word and len(arguments) > 1 and not arguments[1].startswith("-"):
        arguments = [arguments[0], f"--{first_word}={arguments[1]}", *arguments[2:]]
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        raise UserError(f"{error} (--help lists the flags.)") from error
    for name in flags.FLAGS:
        flag = flags.FLAGS[name]
        if flag.present and flag.value == "":  # Of a script, say, whose variable is not set.
            raise UserError(f"--{name}= is empty: give it a value, or leave it out for the default.")
        if isinstance(flag.value, str) and flag.value.startswith("~"):  # Shells leave it as it is after `--name=`.
            flag.value = os.path.expanduser(flag.value)
    if len(rest) > 1:
        raise UserError(f"Not understood: {' '.join(rest[1:])} (flags have the form --name=value; --help lists them.)")


def _help(main: Callable[[], None]) -> str:
    """The docstring of a command's module, its flags, and those that it shares with other commands."""
    module = sys.modules[main.__module__]
    name = sys.argv[0] if module.__name__ == "__main__" else module.__name__  # absl's name for who defined a flag.
    shared = [other for other in flags.FLAGS.flags_by_module_dict() if other.startswith("redo_tf.") and other != name]
    return "\n".join([module.__doc__, *(flags.FLAGS.module_help(part) for part in [name, *shared])])


def _exit_code(body: Callable[[], None]) -> int:
    """Runs the body: 0 for success, 2 for a person's mistake, 1 for a failed run, 128 + signal when interrupted."""
    try:
        body()
        return 0
    except UserError as error:
        message, code = str(error), 2
    except Diverged as error:
        message, code = str(error), 1
    except Interrupted as error:
        message, code = str(error), 128 + error.signal
    except KeyboardInterrupt:
        message, code = "Interrupted.", 130
    except BrokenPipeError:  # Whoever reads what is printed went away, as `head` does; nor is there anyone to flush for.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in ADVICE:
            raise
        path = error.filename2 or error.filename  # Of a renaming, where to.
        message, code = f"{os.strerror(error.errno)}{f' at {path}' if path else ''}: {ADVICE[error.errno]}.", 2
    print(message, file=sys.stderr)
    return code


def run(main: Callable[[], None], first_word: Optional[str] = None) -> None:
    """Runs a command's `main()` after parsing its flags and leaves the process with the right exit code.

    Args:
      main: of the command's module.
      first_word: name of the flag that may also be given as the command's first word, without its name.
    """
    # Or else the process collects its graphs one by one before it goes: half a minute after a training.
    atexit.register(gc.freeze)
    if HELP.intersection(sys.argv[1:]):
        # absl's own --help ends with exit code 1 and leaves out imported modules' flags.
        sys.exit(_exit_code(lambda: print(_help(main), flush=True)))
    if sys.__stderr__:
        faulthandler.enable(sys.__stderr__)  # Where TensorFlow was when it crashes the process.
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(_PlainFormatter())
    logging.get_absl_handler().addFilter(lambda record: "tensorflow_datasets" not in record.pathname)
    standard_logging.getLogger("tensorflow").setLevel(standard_logging.ERROR)

    def body():
        _parse_flags(sys.argv, first_word)
        main()
        sys.stdout.flush()

    try:
        code = _exit_code(body)
    except Exception:  # A mistake of this program's, not to be taken for a run that diverged, which is code 1.
        traceback.print_exc()
        code = 70
    sys.exit(code)


class _PlainFormatter(logging.PythonFormatter):
    """The message itself; its level only from warnings up."""

    def format(self, record):
        prefix = "" if record.levelno <= 20 else record.levelname.capitalize() + ": "
        return prefix + record.getMessage()


def main() -> None:
    """`redo-tf SUBCOMMAND --flags`: the same as `python -m MODULE --flags`, with the modules of `COMMANDS`."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help", "help"):
        lines = [f"  {command:18} python -m {module.removesuffix('.__main__')}" for command, module in COMMANDS.items()]
        text = "\n".join(["usage: redo-tf SUBCOMMAND [--flags]\n\nSubcommands (each has a --help):", *lines])
        sys.exit(_exit_code(lambda: print(text, flush=True)))
    if name not in COMMANDS:
        print(f"redo-tf has no subcommand {name}.{nearest(name, COMMANDS)} There is {', '.join(COMMANDS)}.", file=sys.stderr)
        sys.exit(2)
    sys.argv[:2] = [f"redo-tf {name}"]
    module = importlib.import_module(COMMANDS[name])
    run(module.main, getattr(module, "FIRST_WORD", None))
