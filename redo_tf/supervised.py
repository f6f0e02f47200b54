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
import hashlib
import io
import json
import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf
from absl import flags, logging

from redo_tf import cli, config as configuration, data
from redo_tf.build import build_mask_network
from redo_tf.config import Config
from redo_tf.errors import Diverged, UserError
from redo_tf.evaluation import compile_segmenter
from redo_tf.experiments import runs
from redo_tf.files import write_text, write_whole
from redo_tf.metrics import UNLABELLED
from redo_tf.progress import bar
from redo_tf.recipe_flags import config_from_flags
from redo_tf.segmenter import load_mask_network
from redo_tf.step import l2_decayed, to_model_range
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

# How the people of val are shared out among the parts that have no split with masks of their own.
SHARES = {"training": 3, "stopping": 1, "scoring": 2}
# The fields of a recipe that supervised training uses.
USED = ("data.", "model.regions", "model.gain", "model.mask_network.", "optimizer.mask_weight_decay",
        "train.batch_size", "train.precision")


Rows = Tuple[str, List[int]]  # A split and rows of it.


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is trained, beside the recipe."""
    learning_rate: float = 1e-3
    max_steps: int = 3000
    evaluate_every: int = 50
    patience: int = 10


# ------------------------------------------------------------------------------------------------------- the pictures

def identity(dataset: str, split: str, name: str) -> str:
    """Who or what is on a picture: of LFW the person, NAME of NAME_0001; elsewhere every picture is its own."""
    return name.rsplit("_", 1)[0] if dataset == "lfw" else f"{split}/{name}"


def _share(who: str, parts: Sequence[str]) -> str:
    """Which of the parts an identity belongs to, by `SHARES`; always the same one."""
    number = int.from_bytes(hashlib.sha256(who.encode()).digest()[:8], "big") / 2**64
    bounds = np.cumsum([SHARES[part] for part in parts])
    return parts[int(np.searchsorted(bounds, number * bounds[-1], side="right"))]


def divide(dataset: str, names: Dict[str, Sequence[str]], labelled: Dict[str, Sequence[int]]) -> Dict[str, Rows]:
    """Which pictures to learn from, to stop by, and to score on; no identity is in two of them.

    Args:
      dataset: its name.
      names: of the pictures of train, val and test.
      labelled: the rows of those that have masks.

    Returns:
      For `training`, `stopping` and `scoring`, a split and rows of it.

    Raises:
      UserError: val has no masks, or too few.
    """
    if not labelled["val"]:
        raise UserError(f"No picture of {dataset}'s val split has a mask, and supervised training needs masks there: "
                        "choose another --dataset, or name a folder's masks with --mask_dir=….")
    home = {"training": "train" if labelled["train"] else "val", "stopping": "val",
            "scoring": "test" if labelled["test"] else "val"}
    sharing = [part for part, split in home.items() if split == "val"]
    parts, taken = {}, set()
    for part in ("scoring", "stopping", "training"):
        split = home[part]
        who = {row: identity(dataset, split, names[split][row]) for row in labelled[split]}
        rows = [row for row in labelled[split]
                if who[row] not in taken and (split != "val" or _share(who[row], sharing) == part)]
        if not rows:
            raise UserError(f"{dataset} has masks for {len(labelled['val'])} pictures of its val split, too few "
                            f"for some to be for {part}: add masks.")
        parts[part] = (split, rows)
        taken.update(who[row] for row in rows)
    return parts


def labelled_rows(pictures: data.Split) -> List[int]:
    """Rows of the pictures that have a mask."""
    if pictures.masks is None:
        return []
    return [row for row, mask in enumerate(pictures.masks) if np.any(mask != UNLABELLED)]


def take(pictures: data.Split, rows: Sequence[int]) -> data.Split:
    """These pictures, in memory; they all have masks."""
    return data.Split(pictures.images[rows], pictures.masks[rows], [pictures.ids[row] for row in rows])


def draw(rows: Sequence[int], count: int, seed: int) -> List[int]:
    """`count` of the rows, at random; with one seed, fewer are a subset of more."""
    return np.random.default_rng([seed, 0]).permutation(rows)[:count].tolist()


def batches(pictures: data.Split, size: int, seed: int, flip: bool) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Infinite batches of images uint8 [B, S, S, 3] and masks [B, S, S]: one permutation an epoch after another.

    B is `size`, or all pictures where they are fewer. `flip` mirrors every other picture, left and right, at random.
    """
    size = min(size, len(pictures.ids))
    rng = np.random.default_rng([seed, 1])
    order = np.zeros(0, int)
    while True:
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(len(pictures.ids))])
        rows, order = order[:size], order[size:]
        images, masks = np.array(pictures.images[rows]), np.array(pictures.masks[rows])
        if flip:
            mirrored = rng.random(size) < 0.5
            images[mirrored], masks[mirrored] = images[mirrored, :, ::-1], masks[mirrored, :, ::-1]
        yield images, masks


# --------------------------------------------------------------------------------------------------------- the training

def cross_entropy(masks: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean −log of the true region's share, over the pixels that have a label.

    Args:
      masks: float32 [B, S, S, n], sums to 1 over n.
      labels: uint8 [B, S, S], 0…n−1, or 255 for no label.
    """
    known = tf.cast(labels != UNLABELLED, tf.float32)
    true = tf.reduce_sum(masks * tf.one_hot(labels, masks.shape[-1]), axis=-1)
    return tf.reduce_sum(-tf.math.log(true + 1e-7) * known) / tf.maximum(tf.reduce_sum(known), 1)


def train(config: Config, settings: Settings, training: data.Split, stopping: data.Split, scoring: data.Split,
          seed: int) -> Dict[str, Any]:
    """Trains one mask network from scratch and scores it.

    Args:
      config: the recipe; its data, mask network, batch size, precision and optimiser's constants are used.
      settings: of the training.
      training, stopping, scoring: pictures with masks.
      seed: of the weights and of the batches.

    Returns:
      `labels`, N; `seed`; `steps` that were made; `best_step`, and the scores of the weights at that step on `stopping`
      and on `scoring`.

    Raises:
      Diverged: the loss became NaN or infinite.
    """
    tf.keras.backend.clear_session()  # Results do not depend on how many networks this process made before.
    tf.keras.mixed_precision.set_global_policy(config.train.precision)
    tf.keras.utils.set_random_seed(seed)
    network = build_mask_network(config.model)
    network(tf.zeros([1, config.data.image_size, config.data.image_size, 3]))
    segment = compile_segmenter(network, config.data.image_size)
    optimizer = tf.keras.optimizers.legacy.Adam(settings.learning_rate)

    @tf.function
    def update(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(network(to_model_range(images), training=True), labels)
        variables = network.trainable_variables
        gradients = l2_decayed(tape.gradient(loss, variables), variables, config.optimizer.mask_weight_decay)
        optimizer.apply_gradients(zip(gradients, variables))
        return loss

    best, best_weights, since, step = None, None, 0, 0
    source = batches(training, config.train.batch_size, seed, config.data.flip)
    with bar(settings.max_steps, f"{len(training.ids)} masks, seed {seed}") as progress:
        while step < settings.max_steps and since < settings.patience:
            loss = update(*next(source))
            step += 1
            progress.update()
            if step % settings.evaluate_every and step < settings.max_steps:
                continue
            if not np.isfinite(loss):
                raise Diverged(f"The cross-entropy became {float(loss)} at step {step}, with {len(training.ids)} masks "
                               f"and seed {seed}: try a lower --learning_rate.")
            scores, since = runs.score(segment, config, stopping), since + 1
            if best is None or scores["iou"] > best["stopping"]["iou"]:
                best, best_weights, since = {"best_step": step, "stopping": scores}, network.get_weights(), 0
            progress.set_postfix(loss=f"{float(loss):.3f}", IoU=f"{scores['iou']:.3f}")
    network.set_weights(best_weights)
    return {"labels": len(training.ids), "seed": seed, "steps": step, **best,
            "scoring": runs.score(segment, config, scoring)}


# ----------------------------------------------------------------------------------------------------------- the figure

def summarize(results: Sequence[Dict[str, Any]]) -> Dict[int, Dict[str, Dict[str, Optional[float]]]]:
    """N → score → its mean and sample standard deviation over the seeds; N ascends."""
    counts = sorted({result["labels"] for result in results})
    return {count: {name: runs.mean_and_deviation(
        [result["scoring"][name] for result in results if result["labels"] == count]) for name in runs.SCORES}
        for count in counts}


def plot(summary: Dict[int, Dict[str, Dict[str, Optional[float]]]], reference: Optional[Dict[str, float]],
         title: str) -> bytes:
    """A PNG: accuracy and IoU against N, the deviation as bars, the unsupervised run as horizontal lines.

    Args:
      summary: from `summarize`.
      reference: its scores, or None.
      title: above both.
    """
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharex=True, constrained_layout=True)
    counts = list(summary)
    figure.suptitle(title)
    for axis, name, label in zip(axes, ("accuracy", "iou"), ("accuracy", "IoU of the objects")):
        for suffix, style, protocol in (("", "-", "one assignment"), ("_per_image", ":", "assignment per image")):
            values = [summary[count][name + suffix] for count in counts]
            axis.errorbar(counts, [value["mean"] for value in values], [value["std"] or 0 for value in values],
                          color="tab:blue", linestyle=style, marker="o", markersize=4, capsize=3,
                          label=f"N true masks, {protocol}")
            if reference:
                axis.axhline(
                    reference[name + suffix], color="tab:orange", linestyle=style, label=f"no masks, {protocol}")
        axis.set(xscale="log", xlabel="true masks to learn from, N", ylabel=label)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    pyplot.close(figure)
    return buffer.getvalue()


def table(summary: Dict[int, Dict[str, Dict[str, Optional[float]]]], reference: Optional[Dict[str, float]]) -> str:
    """The same numbers as text."""
    header = ["true masks", "Acc", "IoU", "Acc per image", "IoU per image"]
    rows = [[count, *(runs.plus_minus(summary[count][name]) for name in runs.SCORES)] for count in summary]
    if reference:
        rows.append(["none (unsupervised)", *(f"{reference[name]:.3f}" for name in runs.SCORES)])
    return runs.markdown(header, rows)


# ---------------------------------------------------------------------------------------------------------- the command

def numbers_of_labels(words: Sequence[str]) -> List[int]:
    """The numbers of --labels, ascending.

    Raises:
      UserError: there is none, or one is no positive whole number.
    """
    if not words or not all(word.strip().isdecimal() and int(word) for word in words):
        raise UserError(f"--labels={','.join(words)} is no list of positive whole numbers, such as 5,10,20.")
    return sorted({int(word) for word in words})


def claim(folder: Workdir, config: Config, settings: Settings) -> None:
    """Makes the folder these settings' own.

    Raises:
      UserError: results of other settings are there, or it cannot be written.
    """
    folder.check(config)
    wanted = {name: value for name, value in configuration.flatten(config).items() if name.startswith(USED)}
    wanted.update(dataclasses.asdict(settings))
    path = folder.file("settings.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            there = json.load(file)
        changed = [f"{name} is {there.get(name)} there and {value} here" for name, value in wanted.items()
                   if there.get(name) != value]
        if changed:
            raise UserError(f"{folder.path} holds results of other settings: {'; '.join(changed[:3])}. "
                            "Choose another --workdir.")
    write_text(path, json.dumps(wanted, indent=2) + "\n")


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
    tf.keras.mixed_precision.set_global_policy(theirs.train.precision)
    network, row = load_mask_network(workdir)
    segment = compile_segmenter(network, config.data.image_size)
    return {"workdir": workdir.path, "step": row["step"], "scoring": runs.score(segment, theirs, scoring)}


def trained(folder: Workdir, config: Config, settings: Settings, training: data.Split, stopping: data.Split,
            scoring: data.Split, seed: int) -> Dict[str, Any]:
    """As `train`, but a result that is there already is read, and a new one is written."""
    count = len(training.ids)
    path = folder.file("trained", f"labels_{count:05d}_seed_{seed}.json")
    if os.path.exists(path):
        logging.info("%d masks, seed %d: trained already.", count, seed)
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    result = train(config, settings, training, stopping, scoring, seed)
    write_text(path, json.dumps(result, indent=2) + "\n")
    logging.info("%d masks, seed %d: accuracy %.3f, IoU %.3f, after %d of %d steps.", count, seed,
                 result["scoring"]["accuracy"], result["scoring"]["iou"], result["best_step"], result["steps"])
    return result


def main() -> None:
    config = config_from_flags()
    settings = Settings(LEARNING_RATE.value, MAX_STEPS.value, EVALUATE_EVERY.value, PATIENCE.value)
    counts, dataset = numbers_of_labels(LABELS.value), config.data.dataset
    if len(data.members(dataset)) > 1:
        raise UserError(f"Supervised training takes one data set, not {dataset}: choose one of them.")
    if config.model.regions != data.regions(dataset):
        raise UserError(f"{dataset} has {data.regions(dataset)} kinds of labels and the recipe model.regions="
                        f"{config.model.regions}: give --set model.regions={data.regions(dataset)}.")
    splits = {split: data.load_configured(config.data, split, cli.DATA_DIR.value) for split in data.SPLITS}
    parts = divide(dataset, {split: pictures.ids for split, pictures in splits.items()},
                   {split: labelled_rows(pictures) for split, pictures in splits.items()})
    training_split, training_rows = parts["training"]
    if counts[-1] > len(training_rows):
        raise UserError(f"--labels asks for {counts[-1]} masks and {dataset} has {len(training_rows)} to learn from: "
                        "ask for fewer.")
    sizes = {part: len(rows) for part, (_, rows) in parts.items()}
    logging.info("Pictures with masks: %s.", ", ".join(
        f"{sizes[part]} of {parts[part][0]} for {part}" for part in ("training", "stopping", "scoring")))
    stopping, scoring = (take(splits[parts[part][0]], parts[part][1]) for part in ("stopping", "scoring"))
    reference = reference_scores(REFERENCE.value, config, scoring) if REFERENCE.value else None
    folder = runs.folder_of("supervised", config)
    claim(folder, config, settings)

    results = []
    for count in counts:
        for seed in range(config.seed, config.seed + SEEDS.value):
            training = take(splits[training_split], draw(training_rows, count, seed))
            results.append(trained(folder, config, settings, training, stopping, scoring, seed))
    summary, level = summarize(results), reference and reference["scoring"]
    write_whole(folder.file("supervised.png"), plot(
        summary, level, f"{dataset}, {config.data.image_size}×{config.data.image_size}, {sizes['scoring']} pictures"))
    write_text(folder.file("supervised.json"), json.dumps({
        "dataset": dataset, "std": "sample standard deviation (n - 1)", "summary": summary, "results": results,
        "reference": reference, "pictures": sizes}, indent=2) + "\n")
    print(table(summary, level))
    print(f"Written: {folder.file('supervised.png')}, {folder.file('supervised.json')}")


if __name__ == "__main__":
    cli.run(main)
