"""The paper's ablations: one training for each part of the recipe that is left out or changed, and a table of them.

  python -m redo_tf.experiments.ablations --dataset=shapes --list
  python -m redo_tf.experiments.ablations --dataset=shapes --only=recipe,lambda_z_0,no_attention_d --workdir=runs/a

Ablation NAME is the run WORKDIR/NAME, trained as by redo_tf.train: finished runs are reused, interrupted ones
continued. A run that diverges has its row too; the others go on, and the exit code is 1. Writes WORKDIR/ablations.md
and ablations.json; without --workdir, in runs/ablations_DATASET.
"""
from __future__ import annotations

import sys
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from absl import flags

from redo_tf import cli, config as configuration, history, tables
from redo_tf.config import Config
from redo_tf.errors import UserError
from redo_tf.experiments import runs
from redo_tf.files import write_json, write_text
from redo_tf.metrics import SCORES
from redo_tf.recipe_flags import config_from_flags
from redo_tf.workdir import Workdir

ONLY = flags.DEFINE_list(
    "only", [], "Which ablations, separated by commas. Default: all that change anything in the recipe.",
    allow_override=True)  # Another command has the flag too, and tests import both.
LIST = flags.DEFINE_bool("list", False, "Print the ablations and what each changes in the recipe, and train nothing.")


class Ablation(NamedTuple):
    """One change of a recipe."""
    fields: Callable[[Config], Dict[str, Any]]  # recipe → field → its value
    known: str  # what is known of it


ABLATIONS: Dict[str, Ablation] = {
    "recipe": Ablation(lambda recipe: {}, "what the others are compared with"),
    "lambda_z_0": Ablation(
        lambda recipe: {"objective.lambda_z": 0.0}, "no information conservation; on Flowers it always collapses"),
    "lambda_z_1": Ablation(lambda recipe: {"objective.lambda_z": 1.0}, ""),
    "lambda_z_5": Ablation(lambda recipe: {"objective.lambda_z": 5.0}, "released code"),
    "gain_0.2": Ablation(lambda recipe: {"model.gain": 0.2}, "paper: does not work at all"),
    "gain_1": Ablation(lambda recipe: {"model.gain": 1.0}, "paper: works as well as 0.8"),
    "gain_1.4": Ablation(lambda recipe: {"model.gain": 1.4}, "paper: does not work at all"),
    "no_attention_d": Ablation(
        lambda recipe: {"model.discriminator.attention": False}, "Flowers reproduction: IoU 2-4 points lower"),
    "no_attention_g": Ablation(
        lambda recipe: {"model.generator.attention": False}, "Flowers reproduction: IoU 2-4 points lower"),
    "no_pyramid_pooling": Ablation(
        lambda recipe: {"model.mask_network.pooling_windows": None}, "paper: significantly worse masks"),
    "half_generator": Ablation(
        lambda recipe: {"model.generator.channels": max(1, recipe.model.generator.channels // 2)},
        "paper: 64 for LFW and c2-MNIST, 32 better for Flowers and CUB"),
    "double_generator": Ablation(
        lambda recipe: {"model.generator.channels": 2 * recipe.model.generator.channels}, "as half_generator"),
    "equal_rates": Ablation(
        lambda recipe: {"optimizer.discriminator_learning_rate": recipe.optimizer.learning_rate},
        "D learns as fast as G, as published"),
    "fast_discriminator": Ablation(
        lambda recipe: {"optimizer.discriminator_learning_rate": 4 * recipe.optimizer.learning_rate},
        "D learns four times as fast as G; paper: more updates of D than of G did not help"),
    "slow_masks": Ablation(
        lambda recipe: {"optimizer.mask_learning_rate": recipe.optimizer.learning_rate / 10},
        "f learns a tenth as fast as G, as published"),
    "fast_masks": Ablation(
        lambda recipe: {"optimizer.mask_learning_rate": recipe.optimizer.learning_rate}, "f learns as fast as G"),
    "one_region": Ablation(
        lambda recipe: {"objective.redraw": "one", "objective.regions": "mean"},
        "Algorithm 1: a sampled region is redrawn, so that there is one fake of a picture to judge"),
    "all_regions": Ablation(
        lambda recipe: {"objective.redraw": "all"}, "released code: every region is redrawn"),
    "mean": Ablation(lambda recipe: {"objective.regions": "mean"}, "published: mean over the fakes of a picture"),
    "worst": Ablation(lambda recipe: {"objective.regions": "worst"}, "docs/learning.md: the worst fake of a picture"),
}


def changes(name: str, recipe: Config) -> Dict[str, Any]:
    """Field → value of what the ablation changes in the recipe; empty when the recipe is so already."""
    old = configuration.flatten(recipe)
    return {field: value for field, value in ABLATIONS[name].fields(recipe).items() if old[field] != value}


def assignments(name: str, recipe: Config) -> List[str]:
    """The same as arguments of --set."""
    return [f"{field}={value!r}" for field, value in changes(name, recipe).items()]


def chosen(names: Sequence[str], recipe: Config) -> List[str]:
    """The ablations to train, in the order of the table.

    Args:
      names: of --only; empty for all that change anything.

    Raises:
      UserError: a name is unknown, or its ablation changes nothing.
    """
    for name in names:
        if name not in ABLATIONS:
            raise UserError(
                f"There is no ablation {name}.{configuration.nearest(name, ABLATIONS)} --list prints them all.")
        if name != "recipe" and not changes(name, recipe):
            raise UserError(f"The recipe is as the ablation {name} would make it: leave {name} out, or choose another "
                            "--config.")
    return [name for name in ABLATIONS if (name in names if names else name == "recipe" or changes(name, recipe))]


def described(name: str, recipe: Config) -> str:
    """`objective.lambda_z 5.0 → 0.0`."""
    old = configuration.flatten(recipe)
    return ", ".join(f"{field} {old[field]} → {value}" for field, value in changes(name, recipe).items()) or "nothing"


def result(workdir: Workdir) -> Dict[str, Any]:
    """What became of a run: its best evaluation and its last one; empty when there is none.

    The best is that of the last start, like best/: `step`, `val/…`. Of the last: `restarts`, `last_step`,
    `smallest_region`, the mean soft area of the smallest region of the validation pictures, and whether it `collapsed`.
    """
    rows = workdir.metrics()
    if not rows:
        return {}
    best, last = history.best_of_last_start(rows), rows[-1]
    return {"step": best["step"], **{f"val/{name}": best.get(f"val/{name}") for name in SCORES},
            "restarts": last["restarts"], "last_step": last["step"], "smallest_region": min(last["val/region_sizes"]),
            "collapsed": last["collapsed"]}


def table(results: Dict[str, Dict[str, Any]]) -> str:
    """Markdown; results: name → `changes`, `failed` and the fields of `result`."""
    def cells(name, found):
        numbers = [found.get(f"val/{score}") for score in ("iou", "accuracy", "iou_per_image", "accuracy_per_image")]
        outcome = "diverged" if found["failed"] else "collapsed" if found.get("collapsed") else ""
        return [name, found["changes"], *("–" if number is None else f"{number:.3f}" for number in numbers),
                *(found.get(field, "–") for field in ("step", "last_step", "restarts")),
                f"{found['smallest_region']:.3f}" if "smallest_region" in found else "–", outcome]

    return tables.markdown(
        ["ablation", "changes", "val IoU", "val Acc", "IoU per image", "Acc per image", "best step", "last step",
         "restarts", "smallest region", "outcome"], [cells(name, found) for name, found in results.items()]) + "\n"


def main() -> None:
    recipe = config_from_flags()
    if LIST.value:
        print(tables.markdown(["ablation", "changes", "what is known of it"],
                            [[name, described(name, recipe), ABLATIONS[name].known] for name in ABLATIONS]))
        return
    folder = runs.folder_of("ablations", recipe)
    names = chosen(ONLY.value, recipe)
    failed = runs.train_all(recipe, {name: assignments(name, recipe) for name in names}, folder, may_fail=True)
    results = {}
    for name in names:
        found = result(Workdir(folder.file(name)))
        results[name] = {"changes": described(name, recipe), "failed": name in failed, **found}
    text = table(results)
    write_text(folder.file("ablations.md"), text)
    write_json(folder.file("ablations.json"), {
        "dataset": recipe.data.dataset, "results": results, "config": configuration.flatten(recipe)})
    print(text)
    print(f"Written: {folder.file('ablations.md')}, {folder.file('ablations.json')}")
    if failed:
        print(f"Diverged, for the reasons above: {', '.join(failed)}.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
