"""One HTML file about one run, or about several side by side: nothing to install, nothing to fetch.

  python -m redo_tf.report --workdir=runs/lfw --output=report.html --data_dir=…
  python -m redo_tf.report --workdir=runs/mean,runs/worst --output=compared.html

Configuration, curves, sample grids over time, best and worst masks, scores beside the published ones, environment.
Scores are those that redo_tf.evaluate left in the run; those of --split are computed where they are missing and the
data is prepared. A run need not be finished, nor its data have masks.
"""
from __future__ import annotations

from absl import flags

from redo_tf import cli, data, environment, run_folders
from redo_tf.errors import UserError
from redo_tf.files import write_text
from redo_tf.reporting.facts import gather
from redo_tf.reporting.page import page
from redo_tf.workdir import Workdir

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "report.html", "File to write.", allow_override=True)
flags.DEFINE_enum(
    "split", "val", list(data.SPLITS), "Which pictures to score and to show the best and worst masks of.", allow_override=True)
flags.DEFINE_integer("samples", 40, "At most so many sample grids of each run, evenly chosen; 0: all.", lower_bound=0)


def main() -> None:
    paths = run_folders.split(cli.WORKDIR.value or "")
    if not paths:
        raise UserError("Which run? Give its folder as --workdir=…, several separated by commas.")
    runs = [gather(Workdir(path, cli.MASK_DIR.value), name, FLAGS.split, cli.DATA_DIR.value, FLAGS.samples)
            for path, name in zip(paths, run_folders.names_of(paths))]
    write_text(FLAGS.output, page(runs, environment.describe()))
    print(f"Report: {FLAGS.output}")


if __name__ == "__main__":
    cli.run(main)
