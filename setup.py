"""Installs ReDO-TF. Every dependency is pinned to the version that the test suite ran with."""
import re
import sys

if not (3, 9) <= sys.version_info[:2] < (3, 12):
    sys.stderr.write("ReDO-TF needs Python 3.9, 3.10 or 3.11, which TensorFlow 2.15 is built for; this is Python %d.%d.\n"
                     % sys.version_info[:2])
    sys.exit(2)

from setuptools import find_packages, setup

with open("redo_tf/__init__.py", encoding="utf-8") as file:
    VERSION = re.search(r'__version__ = "(.+)"', file.read()).group(1)

# `tfds build` imports both when it starts; neither is tried with Python 3.9.
TFDS_BUILD = [
    "apache-beam==2.71.0; python_version >= '3.10'",
    "mlcroissant==1.1.1; python_version >= '3.10'",
]

setup(
    name="redo-tf",
    version=VERSION,
    description="Unsupervised object segmentation by redrawing (ReDO, NeurIPS 2019) in TensorFlow and Keras",
    python_requires=">=3.9,<3.12",
    packages=find_packages(include=["redo_tf*", "configs*", "export*"]),
    package_data={"redo_tf.data": ["checksums.tsv"],  # of the downloads
                  "redo_tf.pretrained": ["*.tflite", "*.json"]},  # mask networks and their cards
    install_requires=[
        "tensorflow==2.15.1",  # the last release that TensorFlow Addons supports
        "keras==2.15.0",  # tf.keras of that release
        "tensorflow-addons==0.23.0",  # the spectral normalization layer that ours builds on
        "tensorflow-datasets==4.9.10; python_version >= '3.10'",  # the data sets' builders
        "tensorflow-datasets==4.9.3; python_version < '3.10'",  # the last one for Python 3.9
        "tensorflow-metadata<1.18",  # later ones need protobuf 5, which TensorFlow 2.15 cannot use
        "importlib_resources==6.5.2",  # tensorflow-datasets imports it without asking for it
        "tensorflow-serving-api==2.15.1",  # the messages of a SavedModel's warm-up; needs nothing else
        "numpy==1.26.4",  # the last 1.x; TensorFlow 2.15 is built against it
        "scipy==1.13.1",  # the assignment problem in the metrics
        "absl-py==2.3.1",  # flags and logging
        "pillow==11.3.0",  # decodes archives' pictures, writes PNGs
        "matplotlib==3.9.4",  # curves of runs
        "tqdm==4.70.1",  # progress bars
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]==2.15.1"],  # CUDA's libraries as packages
        "tfds": TFDS_BUILD,  # TFDS's own command line
        "test": [
            *TFDS_BUILD,
            "pytest==8.4.2",  # runs the suite
            "pytest-xdist==3.8.0",  # two files of it at a time
            "dill==0.4.1",  # TFDS's checks of builders
            "openvino==2024.6.0",  # one of the runtimes that exported SavedModels are read by
            "ai-edge-litert==2.3.0; python_version >= '3.10'",  # runs exported .tflite files
            "ai-edge-litert==2.1.0; python_version < '3.10'",  # the last one for Python 3.9
            "tflite-runtime==2.14.0; sys_platform == 'linux'",  # its predecessor
        ],
    },
    entry_points={"console_scripts": ["redo-tf=redo_tf.cli:main"]},
)
