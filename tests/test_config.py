from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal, get_args, get_origin

import pytest

from redo_tf.config import Config, flatten, from_json, override, parse_assignment, to_json, types, validate
from refusals import refusal


def overridden(*assignments: str) -> Config:
    config = Config()
    for assignment in assignments:
        override(config, *parse_assignment(assignment))
    return config


# ------------------------------------------------------------------------------------------------------- overrides

@pytest.mark.parametrize("assignment, name, value", [
    ("seed=7", "seed", 7),
    ("train.batch_size=16", "train.batch_size", 16),
    ("model.generator.channels=32", "model.generator.channels", 32),
    ("model.generator.attention=False", "model.generator.attention", False),
    ("optimizer.learning_rate=2e-4", "optimizer.learning_rate", 2e-4),
    ("data.dataset=lfw", "data.dataset", "lfw"),
    ("model.discriminator.widths=8,16", "model.discriminator.widths", (8, 16)),
    ("model.discriminator.widths=[8, 16]", "model.discriminator.widths", (8, 16)),
    ("model.encoder.widths=(8,)", "model.encoder.widths", (8,)),
    ("model.mask_network.pooling_windows=None", "model.mask_network.pooling_windows", None),
    ("model.mask_network.pooling_windows=adaptive", "model.mask_network.pooling_windows", "adaptive"),
    (" train.steps = 5", "train.steps", 5),
    ("collapse.last_step=-1", "collapse.last_step", -1),
    ("data.dataset=a=b", "data.dataset", "a=b"),
])
def test_an_override_sets_its_field_and_no_other(assignment, name, value):
    assert flatten(overridden(assignment)) == {**flatten(Config()), name: value}


def test_a_whole_number_for_a_real_one_becomes_real():
    value = overridden("objective.lambda_z=3").objective.lambda_z
    assert value == 3 and type(value) is float


def test_overriding_one_configuration_leaves_the_next_as_it_is():
    overridden("model.discriminator.widths=1,1", "train.steps=3", "model.encoder.attention=True")
    assert flatten(Config())["train.steps"] == 40_000
    assert Config().model.encoder.attention is False


@pytest.mark.parametrize("name, near", [
    ("train.batchsize", "train.batch_size"),
    ("train.step", "train.steps"),
    ("batch_size", "train.batch_size"),
    ("lambda_z", "objective.lambda_z"),
    ("optimizer.redraw", "objective.redraw"),
    ("model.generater.channels", "model.generator.channels"),
])
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    assert refusal(override, Config(), name, 1) == (
        f"There is no configuration field {name}. Did you mean {near}?")


def test_a_name_like_no_other_is_refused_without_a_guess():
    assert refusal(override, Config(), "qqqqqq", 1) == "There is no configuration field qqqqqq."


@pytest.mark.parametrize("name, fields", [
    ("collapse", "collapse.smallest_region, collapse.smallest_share, collapse.share_from, collapse.last_step, collapse.restarts"),
    ("model.generator", "model.generator.channels, model.generator.normalization, model.generator.attention"),
])
def test_of_a_section_the_fields_are_named(name, fields):
    assert refusal(override, Config(), name, 1) == f"{name} is a section of the configuration, not a field: set {fields}."


@pytest.mark.parametrize("name", ["", "train.", "seed.x", "__class__"])
def test_only_fields_can_be_set(name):
    assert refusal(override, Config(), name, 1).startswith(f"There is no configuration field {name}.")


@pytest.mark.parametrize("assignment, wanted", [
    ("train.batch_size=many", "a whole number, not 'many'"),
    ("train.batch_size=16.0", "a whole number, not 16.0"),
    ("train.batch_size=True", "a whole number, not True"),
    ("train.batch_size=", "a whole number, not ''"),
    ("train.batch_size=None", "a whole number, not None"),
    ("train.batch_size={[]: 1}", "a whole number, not '{[]: 1}'"),
    ("optimizer.learning_rate=fast", "a finite number, not 'fast'"),
    ("optimizer.learning_rate=True", "a finite number, not True"),
    ("optimizer.learning_rate=1e999", "a finite number, not inf"),
    ("optimizer.learning_rate=nan", "a finite number, not 'nan'"),
    ("model.generator.attention=1", "True or False, not 1"),
    ("model.generator.attention=yes", "True or False, not 'yes'"),
    ("data.dataset=None", "a word, not None"),
    ("model.encoder.widths=64", "a list of whole numbers, not 64"),
    ("model.encoder.widths=()", "a list of whole numbers, not ()"),
    ("model.encoder.widths=64,x", "a list of whole numbers, not '64,x'"),
    ("model.encoder.widths=64,1.5", "a whole number, not 1.5"),
    ("model.encoder.widths=64,True", "a whole number, not True"),
])
def test_a_value_of_another_type_is_refused(assignment, wanted):
    name = assignment.partition("=")[0]
    assert refusal(overridden, assignment) == f"{name} takes {wanted}."


@pytest.mark.parametrize("text, value", [("2024", "2024"), ("1,2", "1,2"), ("runs/a", "runs/a"), ("'2024'", "2024"), ("None", None)])
def test_a_folder_whose_name_is_a_number_is_a_word(text, value):
    assert overridden(f"train.begin_with={text}").train.begin_with == value
    assert overridden(f"data.mask_dir={text}").data.mask_dir == value


@pytest.mark.parametrize("assignment", [
    "optimizer.beta_1=1.0", "optimizer.beta_2=1", "optimizer.beta_2=-0.1", "optimizer.epsilon=0", "model.gain=0"])
def test_constants_with_which_nothing_could_be_learned_are_refused(assignment):
    assert " is " in refusal(lambda: validate(overridden(assignment)))


def test_a_number_beyond_floating_point_is_refused():
    assert refusal(override, Config(), "optimizer.learning_rate", 10**400).startswith(
        "optimizer.learning_rate takes a finite number")


def test_a_refused_value_changes_nothing():
    config = Config()
    refusal(override, config, "train.steps", "x")
    assert config == Config()


def test_an_assignment_needs_an_equals_sign():
    assert refusal(parse_assignment, "train.steps") == "--set train.steps is not of the form name=value."


# ------------------------------------------------------------------------------------------------------ validation

def test_the_defaults_are_valid():
    assert validate(Config()) == Config()


def arguments_of(kind):
    return [(name, get_args(declared)) for name, declared in types().items() if get_origin(declared) is kind]


def test_every_number_has_bounds_and_every_choice_its_words():
    """By name, as the two tests below take their cases from the fields themselves."""
    free = {name for name, declared in types().items() if get_origin(declared) not in (Literal, Annotated)}
    assert free == {
        "data.dataset", "data.image_size", "data.mask_dir", "data.weights", "data.flip",  # Checked elsewhere; one a switch.
        "model.generator.attention", "model.discriminator.widths", "model.discriminator.attention", "model.encoder.widths",
        "model.encoder.attention", "train.begin_with", "train.xla"}
    assert dict(arguments_of(Literal)) == {
        "data.resize": ("antialias", "nearest"), "model.mask_network.pooling_windows": ("equal", "adaptive", None),
        "model.generator.normalization": ("instance", "batch"),
        "model.initialization": ("orthogonal", "released", "released_pytorch_1.2"), "objective.redraw": ("all", "one"),
        "objective.regions": ("mean", "worst"), "train.precision": ("float32", "mixed_bfloat16")}


@pytest.mark.parametrize("name, words", arguments_of(Literal))
def test_a_choice_takes_each_of_its_words_and_no_other(name, words):
    for word in words:
        config = Config()
        override(config, name, word)
        validate(config)
    override(config, name, "other")
    assert refusal(validate, config) == f"{name} is one of {', '.join(map(str, words))}, not 'other'."


@pytest.mark.parametrize("name, declared", arguments_of(Annotated))
def test_a_bound_is_inclusive_and_holds(name, declared):
    for bound, outside in zip(declared[1], (-1, 1)):
        if bound is not None:
            config = Config()
            override(config, name, bound)
            validate(config)
            override(config, name, bound + outside * (1 if isinstance(bound, int) else 1e-3))
            assert refusal(validate, config).startswith(f"{name} is ")


def test_a_bound_is_told():
    assert refusal(validate, overridden("train.steps=0")) == "train.steps is from 1 to 99999999, not 0."
    assert refusal(validate, overridden("objective.lambda_z=-1")) == "objective.lambda_z is at least 0, not -1.0."


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["objective.lambda_z", "optimizer.beta_1", "model.gain"])
def test_a_recipe_cannot_set_what_is_not_a_number(name, value):
    config = Config()
    section, field = name.split(".")
    setattr(getattr(config, section), field, value)
    assert refusal(validate, config) == f"{name} takes a finite number, not {value}."


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_sizes_of_32_times_a_power_of_two_are_valid(size):
    validate(overridden(f"data.image_size={size}"))


@pytest.mark.parametrize("size", [-32, 0, 1, 16, 31, 33, 48, 96, 100, 129])
def test_other_sizes_are_refused(size):
    message = refusal(validate, overridden(f"data.image_size={size}"))
    assert message.startswith("data.image_size") and f"{size}" in message and "32, 64, 128" in message


@pytest.mark.parametrize("network", ["discriminator", "encoder"])
def test_widths_are_positive(network):
    assert refusal(validate, overridden(f"model.{network}.widths=8,0,8")) == (
        f"model.{network}.widths takes numbers that are at least 1, not (8, 0, 8).")


def test_a_misspelt_field_of_a_recipe_is_refused_with_the_nearest():
    config = Config()
    config.train.batchsize = 8
    assert refusal(validate, config) == (
        "There is no configuration field train.batchsize. Did you mean train.batch_size?")


def test_a_section_overwritten_by_a_recipe_is_refused():
    config = Config()
    config.train = None
    assert refusal(validate, config) == "train takes TrainConfig, not None."


# ------------------------------------------------------------------------------------------------------------ JSON

def test_json_gives_the_same_configuration_back():
    config = overridden("model.encoder.widths=3,4", "model.mask_network.pooling_windows=None", "seed=9",
                        "optimizer.epsilon=1e-12", "model.generator.attention=False", "data.dataset=lfw")
    assert from_json(to_json(config)) == config
    assert json.loads(to_json(config))["model"]["encoder"]["widths"] == [3, 4]


def test_json_holds_every_field():
    def names(value, prefix=""):
        return {name for key, item in value.items() for name in (
            names(item, f"{prefix}{key}.") if isinstance(item, dict) else {prefix + key})}
    assert names(json.loads(to_json(Config()))) == set(flatten(Config()))


@pytest.mark.parametrize("text", ["", "{", to_json(Config())[:100], "[]", "null", "3", '"text"', "\0\0\0"])
def test_what_is_not_a_configuration_is_refused(text):
    assert refusal(from_json, text).startswith("This configuration is not readable JSON")


@pytest.mark.parametrize("text, message", [
    ('{"seeds": 1}', "There is no configuration field seeds. Did you mean seed?"),
    ('{"train": {"steps": "x"}}', "train.steps takes a whole number, not 'x'."),
    ('{"train": {"steps": 0}}', "train.steps is from 1 to 99999999, not 0."),
    ('{"train": 3}', "train is a section of the configuration, not a field: set train.steps, "),
])
def test_json_is_checked_like_everything_else(text, message):
    assert refusal(from_json, text).startswith(message)


def test_sections_are_dataclasses_all_the_way_down():
    """`flatten` and `override` rely on it: no field but a section has fields of its own."""
    for name, value in flatten(Config()).items():
        assert not dataclasses.is_dataclass(value) and not isinstance(value, dict), name
