"""Exported SavedModels where this project is not: Python without it, TensorFlow's command line, C++, OpenVINO."""
from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from checks import assert_same, encoded, pictures, read

SIZES = [(3, 45, 64), (1, 32, 32)]
# Importing from this project fails, even where it is installed.
WITHOUT_PROJECT = """
import sys
sys.modules.update({"redo_tf": None, "export": None, "configs": None})
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
for path in sys.argv[2:]:
    results = model.signatures["serving_default"](images=tf.constant(np.load(path)))
    np.savez(path + ".npz", **{name: value.numpy() for name, value in results.items()})
"""


def finished(*command, cwd, text=True, **options):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=text,
                          timeout=600, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_without_this_project(models, segmented, tmp_path):
    batches = {str(tmp_path / f"{i}.npy"): pictures(*size) for i, size in enumerate(SIZES)}
    for path, images in batches.items():
        np.save(path, images)
    finished(sys.executable, "-c", WITHOUT_PROJECT, models + "/1", *batches, cwd=tmp_path)
    for path, images in batches.items():
        results = np.load(path + ".npz")
        assert_same(results["masks"], results["labels"], segmented(images))


def test_saved_model_cli(models, segmented, tmp_path):
    images = pictures(*SIZES[0])
    np.save(tmp_path / "images.npy", images)
    finished(os.path.join(os.path.dirname(sys.executable), "saved_model_cli"), "run", "--dir", models + "/1",
             "--tag_set", "serve", "--signature_def", "serving_default", "--inputs",
             f"images={tmp_path / 'images.npy'}", "--outdir", tmp_path, cwd=tmp_path)
    assert_same(np.load(tmp_path / "masks.npy"), np.load(tmp_path / "labels.npy"), segmented(images))


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler g++ on the PATH")
def test_c_plus_plus(models, segmented, tmp_path):
    program, library = tmp_path / "segment", tf.sysconfig.get_lib()
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "segment.cc")
    finished("g++", "-O0", source, "-o", program, *tf.sysconfig.get_compile_flags(), f"-L{library}",
             "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}", cwd=tmp_path)

    images = pictures(*SIZES[0])
    output = finished(program, models + "/1", *images.shape[:3], cwd=tmp_path, text=False, input=images.tobytes())
    masks = np.frombuffer(output, np.float32, images.shape[0] * images.shape[1] * images.shape[2] * 2)
    labels = np.frombuffer(output, np.uint8, offset=masks.nbytes)
    assert_same(masks.reshape([*images.shape[:3], 2]), labels.reshape(images.shape[:3]), segmented(images))

    files = [tmp_path / f"{i}.png" for i in range(2)]
    for path, size in zip(files, SIZES):
        path.write_bytes(encoded(pictures(*size)[0]))
    output = finished(program, models + "/1", *files, cwd=tmp_path, text=False)
    for size in SIZES:
        (length,) = struct.unpack("Q", output[:8])
        expected = segmented(pictures(*size)[:1]).labels[0]
        assert np.mean(read(output[8:8 + length]) == expected) >= 0.999
        output = output[8 + length:]
    assert output == b""


def test_openvino(models, segmented):
    openvino = pytest.importorskip("openvino")
    # OpenVINO computes in bfloat16 by itself where the processor is good at it.
    model = openvino.Core().compile_model(models + "/1", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for size in SIZES + [(2, 20, 33)]:
        images = pictures(*size)
        results = model({"images": images})
        assert_same(results["masks"], results["labels"], segmented(images))
