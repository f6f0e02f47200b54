"""The flags that choose a trained mask network: --workdir, or --model and --dataset."""
from __future__ import annotations

from absl import flags

from redo_tf import cli, trained
from redo_tf.errors import UserError
from redo_tf.workdir import Workdir

# Other commands have flags of these names too, and one process may import them all.
MODEL = flags.DEFINE_string(
    "model", None, "A SavedModel, a .tflite file, a run, or the name of a network that comes with the package; instead of "
                   "--workdir.", allow_override=True)
DATASET = flags.DEFINE_string(
    "dataset", None, "Data set, with --model. Default: the one it was trained on.", allow_override=True)


def trained_from_flags() -> trained.Trained:
    """The mask network that the command line names.

    Raises:
      UserError: neither --workdir nor --model is given, or both, or there is no such thing.
    """
    if bool(cli.WORKDIR.value) == bool(MODEL.value):
        raise UserError("Which model? Give a run's folder as --workdir=… or an exported model as --model=…, one of the "
                        "two.")
    if MODEL.value:
        return trained.of_model(MODEL.value, DATASET.value, cli.MASK_DIR.value)
    if DATASET.value:
        raise UserError("A run is scored on its own data set: leave out --dataset, or give the run as --model=….")
    return trained.of_run(Workdir(cli.WORKDIR.value, cli.MASK_DIR.value))
