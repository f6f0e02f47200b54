"""Where this process runs: versions, machine, revision of the code."""
from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from typing import Dict, Optional

import tensorflow as tf

import redo_tf

PACKAGES = ("tensorflow", "keras", "tensorflow-addons", "tensorflow-datasets", "numpy", "scipy", "pillow")


def versions() -> Dict[str, str]:
    """Name → version of Python, this package, and what it computes with."""
    return {"Python": platform.python_version(), "redo-tf": redo_tf.__version__,
            **{name: importlib.metadata.version(name) for name in PACKAGES}}


def machine() -> Dict[str, str]:
    """Host, system, processor with the number of its cores, and the GPUs that TensorFlow sees."""
    gpus = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")]
    return {"host": platform.node(), "system": platform.platform(),
            "processor": f"{_processor()}, {os.cpu_count()} cores", "GPUs": ", ".join(gpus) or "none"}


def usable_cores() -> int:
    """How many this process may use; more threads than that would wait for each other."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def describe() -> Dict[str, str]:
    """All of it: name → value."""
    revision = git_revision() or "not known: the package is not run from a checkout"
    return {**versions(), "git commit": revision, **machine()}


def git_revision(folder: Optional[str] = None) -> Optional[str]:
    """Commit of the checkout that a folder is tracked in, `-dirty` added when files differ from it; None elsewhere.

    Args:
      folder: of a package, with an __init__.py; by default this one's.
    """
    folder = folder or os.path.dirname(os.path.abspath(redo_tf.__file__))

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # An installed package may lie in another project's checkout.
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
