"""The paper's Table 1: several trainings with one recipe and different seeds; mean and deviation of their scores.

  python -m redo_tf.experiments.table1 --dataset=lfw --seeds=5 --data_dir=… --workdir=runs/table1_lfw

Seed s is the run WORKDIR/seed_s, trained as by redo_tf.train: finished runs are reused, interrupted ones continued. Of
each run the mask network with the best validation IoU (one assignment; the released code chooses by the best one for each
picture) is scored on test, on train, and on val, which chose it; a dash is a split without masks. ± is the sample standard
deviation over the runs, n − 1 in the denominator.
Writes WORKDIR/table1.md and table1.json; without --workdir, in runs/table1_DATASET.
"""
from __future__ import annotations

from typing import Any, Dict, List

from absl import flags

from redo_tf import cli, config as configuration, data, tables
from redo_tf.config import Config
from redo_tf.experiments import runs
from redo_tf.files import write_json, write_text
from redo_tf.metrics import SCORES
from redo_tf.published import TABLE_1
from redo_tf.recipe_flags import config_from_flags
from redo_tf.workdir import Workdir

SEEDS = flags.DEFINE_integer(
    "seeds", 5, "Number of runs: the recipe's seed and those that follow.", lower_bound=1,
    allow_override=True)  # Another command has the flag too, and tests import both.

PROTOCOLS = {"best assignment for each picture": "_per_image", "one assignment for the whole set": ""}


def summarize(results: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Split → score → its mean and deviation over the runs; None for a split without masks.

    Args:
      results: for each run, what `runs.score_run` returns.
    """
    return {split: None if results[0][split] is None else
            {name: tables.mean_and_deviation([result[split][name] for result in results]) for name in SCORES}
            for split in data.SPLITS}


def table(dataset: str, results: List[Dict[str, Any]]) -> str:
    """Markdown: the scores beside the published ones, then what became of each run."""
    summary, published = summarize(results), TABLE_1.get(dataset, {})
    rows = []
    for split in data.SPLITS:
        for protocol, suffix in PROTOCOLS.items():
            found = [(summary[split] or {}).get(name + suffix) for name in ("accuracy", "iou")]
            # The paper has one protocol only.
            theirs = published.get(split, {}) if suffix else {}
            rows.append([split, protocol, *map(tables.plus_minus, found), *(
                tables.plus_minus(dict(zip(("mean", "std"), theirs[name])) if name in theirs else None)
                for name in ("accuracy", "iou"))])
    scores = tables.markdown(["split", "protocol", "Acc", "IoU", "published Acc", "published IoU"], rows)
    each = tables.markdown(
        ["seed", "restarts", "best step", "val IoU", "test Acc", "test IoU"],
        [[result["seed"], result["restarts"], result["step"],
          *(f"{result[split][name]:.3f}" if result[split] else "–"
            for split, name in (("val", "iou"), ("test", "accuracy"), ("test", "iou")))] for result in results])
    restarts = sum(result["restarts"] for result in results)
    return (f"{dataset}: {len(results)} run(s), {restarts} restart(s); mean ± sample standard deviation\n\n{scores}\n\n"
            f"Each run, selected by validation IoU, one assignment for the whole set:\n\n{each}\n")


def score_runs(config: Config, folder: Workdir) -> List[Dict[str, Any]]:
    """The results of every seed."""
    results = []
    for seed in seeds(config):
        workdir = Workdir(folder.file(f"seed_{seed}"), cli.MASK_DIR.value)
        scores = runs.score_run(workdir, ("train", "test"), cli.DATA_DIR.value)
        results.append({"seed": seed, "workdir": workdir.path, **scores})
    return results


def seeds(config: Config) -> List[int]:
    return list(range(config.seed, config.seed + SEEDS.value))


def main() -> None:
    config = config_from_flags()
    folder = runs.folder_of("table1", config)
    runs.train_all(config, {f"seed_{seed}": [f"seed={seed}"] for seed in seeds(config)}, folder)
    results = score_runs(config, folder)
    text = table(config.data.dataset, results)
    write_text(folder.file("table1.md"), text)
    write_json(folder.file("table1.json"), {
        "dataset": config.data.dataset, "std": "sample standard deviation (n - 1)", "runs": results,
        "summary": summarize(results), "published": TABLE_1.get(config.data.dataset),
        "config": configuration.flatten(config)})
    print(text)
    print(f"Written: {folder.file('table1.md')}, {folder.file('table1.json')}")


if __name__ == "__main__":
    cli.run(main)
