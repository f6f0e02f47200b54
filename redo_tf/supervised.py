"""The paper's Figure 3: the same mask network trained *with* N true masks, for several N, against the run without any.

  python -m redo_tf.supervised --dataset=lfw --data_dir=… --labels=5,10,20,50,100,200,500 --seeds=3 --reference=runs/lfw

Cross-entropy, the recipe's weight decay, batches of at most its batch size; the weights with the best IoU on held-out
masks are kept, and training stops when that has not risen for --patience evaluations. The unsupervised run is scored on
the same pictures, by the same two protocols.

The pictures to learn from, to stop by and to score on share none. Where train, val and test have masks, these are they.
LFW has none in train: three quarters of the people of val are to learn from, the others to stop by. Where test has none
either, val has half of its people to learn from, a sixth to stop by and a third to score on; an unsupervised run has
then been selected by some of the pictures that it is scored on. People are divided the same way for every N and seed;
with one seed, fewer pictures are a subset of more.

Writes WORKDIR/supervised.png and supervised.json. Each N and seed has a file of its own in WORKDIR/trained/, and is not
trained again. Without --workdir, in runs/supervised_DATASET.
"""
from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Dict, List, Sequence

from absl import flags, logging

from redo_tf import cli, config as configuration, data
from redo_tf.config import Config
from redo_tf.errors import UserError
from redo_tf.evaluation import score
from redo_tf.experiments import runs
from redo_tf.files import read_json, write_json, write_whole
from redo_tf.recipe_flags import config_from_flags
from redo_tf.supervision.figure import plot, summarize, table
from redo_tf.supervision.pictures import divide, draw, take
from redo_tf.supervision.training import Settings, train
from redo_tf.trained import of_run
from redo_tf.workdir import Workdir

LABELS = flags.DEFINE_list("labels", ["5", "10", "20", "50", "100", "200", "500"], "How many true masks to learn from.")
SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Trainings for each number: the recipe's seed and those that follow.", lower_bound=1,
    allow_override=True)  # Another command has the flag too, and tests import both.
REFERENCE = flags.DEFINE_string("reference", None, "Folder of an unsupervised run, drawn as a line.")
LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam.", lower_bound=0)
MAX_STEPS = flags.DEFINE_integer("max_steps", 3000, "Iterations at most.", lower_bound=1)
EVALUATE_EVERY = flags.DEFINE_integer("evaluate_every", 50, "Iterations between two evaluations.", lower_bound=1)
PATIENCE = flags.DEFINE_integer(
    "patience", 10, "Evaluations without a better IoU after which training stops.", lower_bound=1)

# The fields of a recipe that supervised training uses.
USED = ("data.", "model.regions", "model.initialization", "model.gain", "model.mask_network.", "optimizer.mask_weight_decay",
        "train.batch_size", "train.precision")


def numbers_of_labels(words: Sequence[str]) -> List[int]:
    """The numbers of --labels, ascending.

    Raises:
      UserError: there is none, or one is no positive whole number.
    """
    if not words or not all(word.strip().isdecimal() and int(word) for word in words):
        raise UserError(f"--labels={','.join(words)} is no list of positive whole numbers, such as 5,10,20.")
    return sorted({int(word) for word in words})


def claim(folder: Workdir, config: Config, settings: Settings, pictures: Dict[str, str]) -> None:
    """Makes the folder the own of these settings and pictures (split → fingerprint).

    Raises:
      UserError: results of other settings are there, its settings.json is damaged, or it cannot be written.
    """
    folder.check(config)
    wanted = {name: value for name, value in configuration.flatten(config).items() if name.startswith(USED)}
    wanted.update(dataclasses.asdict(settings), **pictures)
    wanted = json.loads(json.dumps(wanted))  # As it is read again: a list for a tuple.
    path = folder.file("settings.json")
    if os.path.exists(path):
        there = {"model.initialization": "orthogonal",  # The only one before it was a setting.
                 **read_json(path, "bring it back from a copy, or choose another --workdir")}
        changed = [f"{name} is {there.get(name)} there and {value} here" for name, value in wanted.items()
                   if there.get(name, value if name in pictures else None) != value]
        if changed:
            raise UserError(f"{folder.path} holds results of other settings: {'; '.join(changed[:3])}. "
                            "Choose another --workdir.")
    write_json(path, wanted)


def reference_scores(path: str, config: Config, scoring: data.Split) -> Dict[str, Any]:
    """`step` of an unsupervised run's best mask network, and its scores on the pictures to score on, `scoring`.

    Raises:
      UserError: there is no such run, or its pictures are others than the recipe's.
    """
    workdir = Workdir(path)
    theirs = workdir.load_config()
    for field in ("dataset", "image_size", "resize"):
        old, new = getattr(theirs.data, field), getattr(config.data, field)
        if old != new:
            raise UserError(f"--reference={path} was trained with data.{field}={old}, and this command has {new}: "
                            f"add --set data.{field}={old}, or choose another reference.")
    network = of_run(workdir)
    return {"workdir": workdir.path, "step": network.evaluation["step"],
            "scoring": score(network.segment, scoring, network.regions)}


def trained(folder: Workdir, config: Config, settings: Settings, training: data.Split, stopping: data.Split,
            scoring: data.Split, seed: int) -> Dict[str, Any]:
    """As `train`, but a result that is there already is read, and a new one is written."""
    count = len(training.ids)
    path = folder.file("trained", f"labels_{count:05d}_seed_{seed}.json")
    if os.path.exists(path):
        logging.info("%d masks, seed %d: trained already.", count, seed)
        return read_json(path, "remove it to have it trained again")
    result = train(config, settings, training, stopping, scoring, seed)
    write_json(path, result)
    logging.info("%d masks, seed %d: accuracy %.3f, IoU %.3f, after %d of %d steps.", count, seed,
                 result["scoring"]["accuracy"], result["scoring"]["iou"], result["best_step"], result["steps"])
    return result


def main() -> None:
    config = config_from_flags()
    settings = Settings(LEARNING_RATE.value, MAX_STEPS.value, EVALUATE_EVERY.value, PATIENCE.value)
    counts, dataset = numbers_of_labels(LABELS.value), config.data.dataset
    if len(data.members(dataset)) > 1:
        raise UserError(f"Supervised training takes one data set, not {dataset}: choose one of them.")
    splits = {split: data.load_configured(config.data, split, cli.DATA_DIR.value) for split in data.SPLITS}
    classes = splits["train"].scored_classes(config.model.regions)
    if config.model.regions != classes:
        raise UserError(f"{dataset} has {classes} kinds of labels and the recipe model.regions="
                        f"{config.model.regions}: give --set model.regions={classes}.")
    parts = divide(dataset, {split: pictures.ids for split, pictures in splits.items()},
                   {split: pictures.labelled_rows() for split, pictures in splits.items()})
    training_split, training_rows = parts["training"]
    if counts[-1] > len(training_rows):
        raise UserError(f"--labels asks for {counts[-1]} masks and {dataset} has {len(training_rows)} to learn from: "
                        "ask for fewer.")
    sizes = {part: len(rows) for part, (_, rows) in parts.items()}
    logging.info("Pictures with masks: %s.", ", ".join(
        f"{sizes[part]} of {parts[part][0]} for {part}" for part in ("training", "stopping", "scoring")))
    stopping, scoring = (take(splits[parts[part][0]], parts[part][1], classes) for part in ("stopping", "scoring"))
    reference = reference_scores(REFERENCE.value, config, scoring) if REFERENCE.value else None
    folder = runs.folder_of("supervised", config)
    claim(folder, config, settings, {split: pictures.fingerprint() for split, pictures in splits.items()})

    results = []
    for count in counts:
        for seed in range(config.seed, config.seed + SEEDS.value):
            training = take(splits[training_split], draw(training_rows, count, seed), classes)
            results.append(trained(folder, config, settings, training, stopping, scoring, seed))
    summary, level = summarize(results), reference and reference["scoring"]
    write_whole(folder.file("supervised.png"), plot(
        summary, level, f"{dataset}, {config.data.image_size}×{config.data.image_size}, {sizes['scoring']} pictures"))
    write_json(folder.file("supervised.json"), {
        "dataset": dataset, "std": "sample standard deviation (n - 1)", "summary": summary, "results": results,
        "reference": reference, "pictures": sizes})
    print(table(summary, level))
    print(f"Written: {folder.file('supervised.png')}, {folder.file('supervised.json')}")


if __name__ == "__main__":
    cli.run(main)
