"""The typed configuration: its fields and defaults, overrides, validation."""
from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import json
import sys
from typing import (
    Annotated, Any, Dict, Iterable, Literal, NamedTuple, Optional, Tuple, Type, Union, get_args, get_origin, get_type_hints)

from redo_tf.errors import UserError
from redo_tf.sizes import halvings

STEP_LIMIT = 10**8  # Steps of one start stay below it, as it is in the numbers of checkpoints.


class Range(NamedTuple):
    """Inclusive bounds of a field; None is open."""
    lowest: float
    highest: Optional[float] = None

    def holds(self, value: float) -> bool:
        return self.lowest <= value and (self.highest is None or value <= self.highest)

    def __str__(self) -> str:
        return f"at least {self.lowest}" if self.highest is None else f"from {self.lowest} to {self.highest}"


Whole = Annotated[int, Range(0)]
Count = Annotated[int, Range(1)]
Positive = Annotated[float, Range(1e-6)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]


@dataclasses.dataclass
class DataConfig:
    """What is read: set, size, resize method."""
    dataset: str = "shapes"  # or several: lfw+flowers
    image_size: int = 128  # S, pixels; 32·2^k
    resize: Literal["antialias", "nearest"] = "antialias"  # nearest: the released code
    stored_side: Whole = 0  # short side at which photographs are prepared; 0: image_size
    mask_dir: Optional[str] = None  # of the data set folder: where its masks are
    weights: Optional[Tuple[float, ...]] = None  # of a mixture: how often each set is drawn; None: by its size
    flip: bool = False  # mirror training pictures at random; not in the paper


@dataclasses.dataclass
class MaskNetworkConfig:
    """f."""
    channels: Count = 16
    residual_blocks: Whole = 3
    temperature: Positive = 1.0
    pooling_windows: Literal["equal", "adaptive", None] = "equal"  # equal: released code; None: no pyramid pooling


@dataclasses.dataclass
class GeneratorConfig:
    """G_k, one for each region."""
    channels: Count = 64  # the paper: 64 for LFW and c2-MNIST, 32 for Flowers and CUB
    normalization: Literal["instance", "batch"] = "instance"  # instance: released code; batch: the paper's text
    attention: bool = True


@dataclasses.dataclass
class TrunkConfig:
    """D or δ."""
    widths: Tuple[Count, ...] = (64, 128, 256, 512, 1024, 1024)  # released code; Table 4: 64, 64, 128, 256, 512, 1024
    attention: bool = True


@dataclasses.dataclass
class ModelConfig:
    """The four networks."""
    regions: Annotated[int, Range(2, 254)] = 2  # n
    latent_size: Count = 32  # d
    # orthogonal: the paper's text; released: that code's on a GPU, with PyTorch 1.0; released_pytorch_1.2: or later
    initialization: Literal["orthogonal", "released", "released_pytorch_1.2"] = "orthogonal"
    gain: Positive = 0.8  # of the orthogonal kernels
    mask_network: MaskNetworkConfig = dataclasses.field(default_factory=MaskNetworkConfig)
    generator: GeneratorConfig = dataclasses.field(default_factory=GeneratorConfig)
    discriminator: TrunkConfig = dataclasses.field(default_factory=TrunkConfig)
    encoder: TrunkConfig = dataclasses.field(default_factory=lambda: TrunkConfig(attention=False))


@dataclasses.dataclass
class ObjectiveConfig:
    """What is minimised."""
    # all: every region of every image (released code); one: a sampled region (Algorithm 1)
    redraw: Literal["all", "one"] = "all"
    # of an image's fakes, of which `one` has one. mean: published; worst: docs/learning.md
    regions: Literal["mean", "worst"] = "mean"
    beta: Positive = 4.0  # sharpness of `worst`
    recolour_steps: Whole = 0  # in which f sees pictures in random colours, half of them negatives; G, D and δ never do
    lambda_z: NotNegative = 5.0  # λ_z, on the mean over the d components
    lambda_border: NotNegative = 0.0  # λ_B, on the share of the border outside region 0; not in the paper
    lambda_area: NotNegative = 0.0  # λ_A, on what each region lacks of `smallest_area`; not in the paper
    smallest_area: Annotated[float, Range(1e-6, 1)] = 0.02  # a, share of a picture


@dataclasses.dataclass
class OptimizerConfig:
    """Adam, one for each network."""
    learning_rate: NotNegative = 1e-4  # G
    encoder_learning_rate: NotNegative = 1e-4  # δ
    discriminator_learning_rate: NotNegative = 1e-4  # D
    mask_learning_rate: NotNegative = 1e-5  # f
    mask_delay: Whole = 0  # f stays as it is for so many steps
    mask_weight_decay: NotNegative = 1e-4  # L2 in the gradient, on f alone
    beta_1: Annotated[float, Range(0, 0.999999)] = 0.0
    beta_2: Annotated[float, Range(0, 0.999999)] = 0.9
    epsilon: Annotated[float, Range(1e-12)] = 1e-8


@dataclasses.dataclass
class TrainConfig:
    """The run."""
    steps: Annotated[int, Range(1, STEP_LIMIT - 1)] = 40_000
    batch_size: Count = 25  # over all replicas; the released code has 20
    begin_with: Optional[str] = None  # folder of the run whose f is this one's at first, or several folders, with commas
    begin_steps: Count = 500  # in which f learns that run's masks if its picture size is another, or the mean of several runs'
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    xla: bool = False  # XLA compiles the iteration, with other random numbers: for one GPU (docs/speed.md)
    intra_op_threads: Whole = 0  # threads that one operation uses on a CPU; 0: TensorFlow's choice, all cores
    shards: Count = 1  # equal parts of a batch, over all replicas; each has its own statistics in batch normalization
    mask_average: Share = 0.0  # decay of the running average of f's weights that is evaluated and exported; 0: none
    log_every: Count = 50
    eval_every: Count = 500
    sample_every: Count = 500
    checkpoint_every: Count = 500
    checkpoints_kept: Count = 3


@dataclasses.dataclass
class CollapseConfig:
    """When a run is begun anew because one region took (nearly) everything."""
    smallest_region: Share = 0.1  # mean soft area, on training and validation images alike; 0: not looked at
    smallest_share: Share = 0.0  # of validation's pixels, won by a region; a tint of everything wins none; 0: not looked at
    share_from: Whole = 0  # step from which on shares are looked at: small objects win no pixels at first
    last_step: Whole = 7000  # later collapses are reported, not restarted
    restarts: Whole = 10  # at most


@dataclasses.dataclass
class Config:
    """Everything a run is made of; written to WORKDIR/config.json."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    collapse: CollapseConfig = dataclasses.field(default_factory=CollapseConfig)


def flatten(config: Any, prefix: str = "") -> Dict[str, Any]:
    """Dotted name → value of every field."""
    fields = {}
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        fields.update(flatten(value, name + ".") if dataclasses.is_dataclass(value) else {name: value})
    return fields


@functools.lru_cache(maxsize=None)
def types(section: Type = Config, prefix: str = "") -> Dict[str, Any]:
    """Dotted name → declared type of every field: with its choices or bounds, where it has some."""
    found = {}
    for name, wanted in get_type_hints(section, include_extras=True).items():
        found.update(types(wanted, f"{prefix}{name}.") if dataclasses.is_dataclass(wanted) else {prefix + name: wanted})
    return found


def nearest(name: str, names: Iterable[str]) -> str:
    """' Did you mean …?' for the closest of `names`, or nothing when none is close. The last part counts most."""
    names = list(names)
    same_field = [known for known in names if known.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    close = difflib.get_close_matches(name, same_field or names, n=1, cutoff=0.0 if same_field else 0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _typed(value: Any, wanted: Any, name: str) -> Any:
    """`value` as the field's type: whole numbers pass as float, lists as tuples; anything else is refused."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return _typed(value, arguments[0], name)
    if origin is Literal:
        return _typed(value, Optional[str] if None in arguments else str, name)
    if origin is Union:  # Optional
        return None if value is None else _typed(value, arguments[0], name)
    if origin is tuple and isinstance(value, (list, tuple)) and value:
        return tuple(_typed(item, arguments[0], name) for item in value)
    if wanted is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
            return float(value)  # Neither NaN nor infinite.
    elif origin is None and isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    described = f"a list of {'' if arguments[0] is float else 'whole '}numbers" if origin is tuple else {
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
    setattr(config, field, _typed(value, get_type_hints(type(config), include_extras=True)[field], name))


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
    wanted = types().get(name)
    return wanted is str or get_origin(wanted) is Literal or str in get_args(wanted)


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
    wanted = types()
    for name, value in flatten(config).items():
        override(config, name, value)
        origin, arguments = get_origin(wanted[name]), get_args(wanted[name])
        if origin is Literal and value not in arguments:
            raise UserError(f"{name} is one of {', '.join(map(str, arguments))}, not {value!r}.")
        if origin is Annotated and not arguments[1].holds(value):
            raise UserError(f"{name} is {arguments[1]}, not {value!r}.")
        if origin is tuple and get_origin(arguments[0]) is Annotated:
            bounds = get_args(arguments[0])[1]
            if not all(map(bounds.holds, value)):
                raise UserError(f"{name} takes numbers that are {bounds}, not {value!r}.")
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
