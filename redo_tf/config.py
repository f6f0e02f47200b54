"""The typed configuration: its fields and defaults, overrides, validation."""
from __future__ import annotations

import ast
import dataclasses
import difflib
import json
import sys
from typing import Any, Dict, Iterable, Optional, Tuple, Union, get_args, get_origin, get_type_hints

from redo_tf.errors import UserError
from redo_tf.sizes import halvings


@dataclasses.dataclass
class DataConfig:
    """What is read: set, size, resize method."""
    dataset: str = "shapes"  # or several: lfw+flowers
    image_size: int = 128  # S, pixels; 32·2^k
    resize: str = "antialias"  # antialias | nearest (the released code)
    stored_side: int = 0  # short side at which photographs are prepared; 0: image_size
    mask_dir: Optional[str] = None  # of the data set folder: where its masks are
    weights: Optional[Tuple[float, ...]] = None  # of a mixture: how often each set is drawn; None: by its size
    flip: bool = False  # mirror training pictures at random; not in the paper


@dataclasses.dataclass
class MaskNetworkConfig:
    """f."""
    channels: int = 16
    residual_blocks: int = 3
    temperature: float = 1.0
    pooling_windows: Optional[str] = "equal"  # equal (released code) | adaptive | None: no pyramid pooling


@dataclasses.dataclass
class GeneratorConfig:
    """G_k, one for each region."""
    channels: int = 64  # the paper: 64 for LFW and c2-MNIST, 32 for Flowers and CUB
    normalization: str = "instance"  # instance (released code) | batch (the paper's text)
    attention: bool = True


@dataclasses.dataclass
class TrunkConfig:
    """D or δ."""
    widths: Tuple[int, ...] = (64, 128, 256, 512, 1024, 1024)  # released code; Table 4: 64, 64, 128, 256, 512, 1024
    attention: bool = True


@dataclasses.dataclass
class ModelConfig:
    """The four networks."""
    regions: int = 2  # n
    latent_size: int = 32  # d
    # orthogonal (the paper's text) | released (that code's on a GPU, with PyTorch 1.0) | released_pytorch_1.2 (or later)
    initialization: str = "orthogonal"
    gain: float = 0.8  # of the orthogonal kernels
    mask_network: MaskNetworkConfig = dataclasses.field(default_factory=MaskNetworkConfig)
    generator: GeneratorConfig = dataclasses.field(default_factory=GeneratorConfig)
    discriminator: TrunkConfig = dataclasses.field(default_factory=TrunkConfig)
    encoder: TrunkConfig = dataclasses.field(default_factory=lambda: TrunkConfig(attention=False))


@dataclasses.dataclass
class ObjectiveConfig:
    """What is minimised."""
    redraw: str = "all"  # all: every region of every image (released code) | one: a sampled region (Algorithm 1)
    regions: str = "mean"  # of an image's fakes: mean (published) | worst (docs/learning.md); of `one` there is one
    beta: float = 4.0  # sharpness of `worst`
    recolour_steps: int = 0  # in which f sees pictures in random colours, half of them negatives; G, D and δ never do
    lambda_z: float = 5.0  # λ_z, on the mean over the d components
    lambda_border: float = 0.0  # λ_B, on the share of the border outside region 0; not in the paper
    lambda_area: float = 0.0  # λ_A, on what each region lacks of `smallest_area`; not in the paper
    smallest_area: float = 0.02  # a, share of a picture


@dataclasses.dataclass
class OptimizerConfig:
    """Adam, one for each network."""
    learning_rate: float = 1e-4  # G
    encoder_learning_rate: float = 1e-4  # δ
    discriminator_learning_rate: float = 1e-4  # D
    mask_learning_rate: float = 1e-5  # f
    mask_delay: int = 0  # f stays as it is for so many steps
    mask_weight_decay: float = 1e-4  # L2 in the gradient, on f alone
    beta_1: float = 0.0
    beta_2: float = 0.9
    epsilon: float = 1e-8


@dataclasses.dataclass
class TrainConfig:
    """The run."""
    steps: int = 40_000
    batch_size: int = 25  # over all replicas; the released code has 20
    begin_with: Optional[str] = None  # folder of the run whose f is this one's at first, or several folders, with commas
    begin_steps: int = 500  # in which f learns that run's masks if its picture size is another, or the mean of several runs'
    precision: str = "float32"  # float32 | mixed_bfloat16
    xla: bool = False  # XLA compiles the iteration, with other random numbers: for one GPU (docs/speed.md)
    intra_op_threads: int = 0  # threads that one operation uses on a CPU; 0: TensorFlow's choice, all cores
    shards: int = 1  # equal parts of a batch, over all replicas; each has its own statistics in batch normalization
    mask_average: float = 0.0  # decay of the running average of f's weights that is evaluated and exported; 0: none
    log_every: int = 50
    eval_every: int = 500
    sample_every: int = 500
    checkpoint_every: int = 500
    checkpoints_kept: int = 3


@dataclasses.dataclass
class CollapseConfig:
    """When a run is begun anew because one region took (nearly) everything."""
    smallest_region: float = 0.1  # mean soft area, on training and validation images alike; 0: not looked at
    smallest_share: float = 0.0  # of validation's pixels, won by a region; a tint of everything wins none; 0: not looked at
    share_from: int = 0  # step from which on shares are looked at: small objects win no pixels at first
    last_step: int = 7000  # later collapses are reported, not restarted
    restarts: int = 10  # at most


@dataclasses.dataclass
class Config:
    """Everything a run is made of; written to WORKDIR/config.json."""
    seed: int = 0
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    collapse: CollapseConfig = dataclasses.field(default_factory=CollapseConfig)


STEP_LIMIT = 10**8  # Steps of one start stay below it, as it is in the numbers of checkpoints.
CHOICES = {
    "data.resize": ("antialias", "nearest"),
    "model.mask_network.pooling_windows": ("equal", "adaptive", None),
    "model.initialization": ("orthogonal", "released", "released_pytorch_1.2"),
    "model.generator.normalization": ("instance", "batch"),
    "objective.redraw": ("all", "one"),
    "objective.regions": ("mean", "worst"),
    "train.precision": ("float32", "mixed_bfloat16"),
}
# Inclusive bounds; None is open. Whatever is not named here may be any number of its type.
BOUNDS = {
    "seed": (0, 2**31 - 1),
    "data.stored_side": (0, None),
    "model.regions": (2, 254),
    "model.latent_size": (1, None),
    "model.gain": (1e-6, None),
    "model.mask_network.channels": (1, None),
    "model.mask_network.residual_blocks": (0, None),
    "model.mask_network.temperature": (1e-6, None),
    "model.generator.channels": (1, None),
    "objective.beta": (1e-6, None),
    "objective.lambda_z": (0, None),
    "objective.lambda_border": (0, None),
    "objective.lambda_area": (0, None),
    "objective.smallest_area": (1e-6, 1),
    "objective.recolour_steps": (0, None),
    "optimizer.learning_rate": (0, None),
    "optimizer.encoder_learning_rate": (0, None),
    "optimizer.discriminator_learning_rate": (0, None),
    "optimizer.mask_learning_rate": (0, None),
    "optimizer.mask_delay": (0, None),
    "optimizer.mask_weight_decay": (0, None),
    "optimizer.beta_1": (0, 0.999999),
    "optimizer.beta_2": (0, 0.999999),
    "optimizer.epsilon": (1e-12, None),
    "train.steps": (1, STEP_LIMIT - 1),
    "train.batch_size": (1, None),
    "train.begin_steps": (1, None),
    "train.intra_op_threads": (0, None),
    "train.shards": (1, None),
    "train.mask_average": (0, 1),
    "train.log_every": (1, None),
    "train.eval_every": (1, None),
    "train.sample_every": (1, None),
    "train.checkpoint_every": (1, None),
    "train.checkpoints_kept": (1, None),
    "collapse.smallest_region": (0, 1),
    "collapse.smallest_share": (0, 1),
    "collapse.share_from": (0, None),
    "collapse.last_step": (0, None),
    "collapse.restarts": (0, None),
}


def flatten(config: Any, prefix: str = "") -> Dict[str, Any]:
    """Dotted name → value of every field."""
    fields = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        fields.update(flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value})
    return fields


def nearest(name: str, names: Iterable[str]) -> str:
    """' Did you mean …?' for the closest of `names`, or nothing when none is close. The last part counts most."""
    names = list(names)
    same_field = [known for known in names if known.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    close = difflib.get_close_matches(name, same_field or names, n=1, cutoff=0.0 if same_field else 0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _typed(value: Any, wanted: Any, name: str) -> Any:
    """`value` as the field's type: whole numbers pass as float, lists as tuples; anything else is refused."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Union:  # Optional
        return None if value is None else _typed(value, arguments[0], name)
    if origin is tuple and isinstance(value, (list, tuple)) and value:
        return tuple(_typed(item, arguments[0], name) for item in value)
    if wanted is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            return float(value)  # Neither NaN nor infinite.
    elif origin is None and isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    described = f"a list of {'whole ' if arguments[0] is int else ''}numbers" if origin is tuple else {
        int: "a whole number", float: "a finite number", bool: "True or False", str: "a word"}.get(wanted, wanted.__name__)
    raise UserError(f"{name} takes {described}, not {value!r}.")


def override(config: Config, name: str, value: Any) -> None:
    """Sets one field by its dotted name.

    Raises:
      UserError: no such field (names the nearest, or those of a section), or a value of the wrong type.
    """
    names = flatten(config)
    if name not in names:
        fields = [known for known in names if known.startswith(name + ".")]
        raise UserError(f"There is no configuration field {name}.{nearest(name, names)}" if not fields else
                        f"{name} is a section of the configuration, not a field: set {', '.join(fields)}.")
    *path, field = name.split(".")
    for part in path:
        config = getattr(config, part)
    setattr(config, field, _typed(value, get_type_hints(type(config))[field], name))


def parse_assignment(assignment: str) -> Tuple[str, Any]:
    """`name=value` → name and value; the value is a Python literal, or else a word, as always where the field holds one.

    Raises:
      UserError: there is no `=`.
    """
    name, equals, text = assignment.partition("=")
    if not equals:
        raise UserError(f"--set {assignment} is not of the form name=value.")
    name = name.strip()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        value = text
    return name, text if _holds_word(name) and not isinstance(value, (str, type(None))) else value


def _holds_word(name: str) -> bool:
    """Whether a field, by its dotted name, is of type str, so that a folder called 2024 is no number."""
    wanted: Any = Config
    for part in name.split("."):
        wanted = get_type_hints(wanted).get(part) if dataclasses.is_dataclass(wanted) else None
    return wanted is str or str in get_args(wanted)


def _strangers(config: Any, prefix: str = "") -> Iterable[str]:
    """Dotted names of attributes that are no fields."""
    known = {field.name for field in dataclasses.fields(config)}
    for name, value in vars(config).items():
        if name not in known:
            yield prefix + name
        elif dataclasses.is_dataclass(value):
            yield from _strangers(value, f"{prefix}{name}.")


def validate(config: Config) -> Config:
    """The configuration itself, once types, choices, bounds and the picture size hold.

    Raises:
      UserError: the first field that does not.
    """
    for name in _strangers(config):  # Recipes are Python: a misspelt field is a new attribute, types are unchecked.
        override(config, name, None)
    for name, value in flatten(config).items():
        override(config, name, value)
        if name in CHOICES and value not in CHOICES[name]:
            raise UserError(f"{name} is one of {', '.join(map(str, CHOICES[name]))}, not {value!r}.")
        lowest, highest = BOUNDS.get(name, (None, None))
        if (lowest is not None and value < lowest) or (highest is not None and value > highest):
            limits = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            raise UserError(f"{name} is {limits}, not {value!r}.")
    for name in ("model.discriminator.widths", "model.encoder.widths"):
        if min(flatten(config)[name]) < 1:
            raise UserError(f"{name} takes positive whole numbers, not {flatten(config)[name]}.")
    try:
        halvings(config.data.image_size)
    except ValueError as error:
        raise UserError(f"data.image_size: {error}") from error
    return config


def to_json(config: Config) -> str:
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Config:
    """The configuration that `to_json` wrote.

    Raises:
      UserError: not JSON, or not a configuration of this version.
    """
    def fields(value, prefix=""):
        for key, item in value.items():
            if isinstance(item, dict):
                yield from fields(item, f"{prefix}{key}.")
            else:
                yield prefix + key, item

    try:
        values = dict(fields(json.loads(text)))
    except (ValueError, AttributeError) as error:
        raise UserError(f"This configuration is not readable JSON: {error}.") from error
    config = Config()
    for name, value in values.items():
        override(config, name, value)
    return validate(config)
