"""ReDO: unsupervised object segmentation by redrawing (Chen, Artières, Denoyer, NeurIPS 2019) in TensorFlow."""
import os
import platform
import sys
import time
import warnings

STARTED = time.perf_counter()  # Before TensorFlow is imported, which takes seconds.

if not (3, 9) <= sys.version_info[:2] < (3, 12):
    sys.stderr.write("ReDO-TF needs Python 3.9, 3.10 or 3.11, which TensorFlow 2.15 is built for; this is Python %d.%d.\n"
                     % sys.version_info[:2])
    sys.exit(2)


def _tell(kind, error, trace) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("Interrupted.\n")
    else:
        sys.__excepthook__(kind, error, trace)


# Ctrl-C while a command's imports run, which takes seconds and ends before cli.run begins, shows no traceback through them.
if sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0]) == "redo-tf":
    sys.excepthook = _tell

# TensorFlow's C++ start-up messages and Addons' end-of-life notice tell a user of this package nothing to act on.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# By itself TensorFlow uses oneDNN's convolutions on Intel's servers alone. On an AMD EPYC (Zen 3) a training iteration at
# 64×64 takes half the time with them (docs/trials_speed.md). Read when TensorFlow is first imported.
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# TensorFlow takes all of a GPU's memory otherwise: a run could not be evaluated, or a picture segmented, beside a training.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
warnings.filterwarnings("ignore", message="[\\s\\S]*TensorFlow Addons")

__version__ = "0.1.0"
