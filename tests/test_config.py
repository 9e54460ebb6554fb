"""Options: declared once, read from a file and the command line, wrong in one line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dreamvid.config import (
    MODELS,
    DreamConfig,
    EvalConfig,
    ImageConfig,
    Section,
    SequenceConfig,
    VideoConfig,
    ZoomConfig,
    build_config,
    options,
    parse_rate,
    parse_seconds,
    split_weight,
    to_toml,
)
from dreamvid.errors import ConfigError


@pytest.mark.parametrize("model", MODELS)
def test_every_option_has_a_help_a_heading_and_what_is_allowed(model):
    declared = options(model)
    assert {option.field for option in declared} == set(model.model_fields)
    for option in declared:
        assert len(option.help) > 8, option.name
        assert option.allowed, option.name
        assert option.section, option.name


def test_names_are_kebab_case_and_no_two_options_share_a_short_one():
    declared = options(VideoConfig)
    assert all("_" not in option.name for option in declared)
    assert {"from", "image-prompt", "octave-scale"} <= {option.name for option in declared}
    shorts = [option.short for option in declared if option.short]
    assert sorted(shorts) == sorted(set(shorts)) != []


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_allowed_values(model):
    assert model() == build_config(model)


def test_the_limits_of_a_number_are_told_in_words():
    allowed = {option.name: option.allowed for option in options(VideoConfig)}
    assert allowed["steps"] == "a whole number from 0 to 100000"
    assert allowed["lr"] == "a number above 0 up to 1"
    assert allowed["carry"] == "frame, delta, none"


CHANGED = {
    "prompt": ['a "quoted" café: at\tnight::1.5', "tab \\ and\nline\x7f"],
    "negative": ["text::0.5"],
    "image_prompt": ["a b/c.png::2"],
    "from_": ["a plain field"],
    "to": ["a field of flowers::3"],
    "guide": ["mini", "ViT-B-32:laion2b_s34b_b79k"],
    "steps": 7,
    "lr": 1e-05,
    "augment": False,
    "seed": 2**63 - 1,
    "flow_weights": "x.pth",
    "carry": "frame",
    "start": "0:01.1",
    "end": "1:02:03.5",
    "fps": "24000/1001",
    "size": "640x360",
    "crf": 18.5,
    "sound": False,
    "at": [("0", "ice"), ("1.5", 'a "storm": 2::0.5+bass')],
    "set_": ["strength=0:(0.1), 2s:(0.3)", "tv=8*bass"],
    "music": "a b/c.flac",
    "music_start": "1:02.5",
    "bpm": 98.5,
}


def test_toml_reads_back_as_the_same_options(tmp_path):
    config = build_config(VideoConfig, given=CHANGED)
    file = tmp_path / "c.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert build_config(VideoConfig, file=file) == config
    assert config.fps == Fraction(24000, 1001)
    assert config.start == Fraction(11, 10)


def test_a_time_finer_than_any_float_reads_back_too(tmp_path):
    """Else a run that begins there could not be resumed from its journal."""
    config = build_config(VideoConfig, given={"start": "0.12345678901234567"})
    file = tmp_path / "c.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert build_config(VideoConfig, file=file) == config
    with pytest.raises(ConfigError, match=r"--start: '1/0' is not allowed"):
        build_config(VideoConfig, given={"start": "1/0"})


@pytest.mark.parametrize("model", MODELS)
def test_toml_of_the_defaults_names_every_option(model, tmp_path):
    text = to_toml(model())
    file = tmp_path / "c.toml"
    file.write_text(text, encoding="utf-8")
    assert build_config(model, file=file) == model()
    named = re.findall(r"^(?:# )?([a-z0-9-]+) =", text, re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == {option.name for option in options(model)}


def test_the_command_line_overrides_the_file_and_the_file_the_default(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('steps = 3\nlr = 0.5\nprompt = ["from the file"]\n', encoding="utf-8")
    config = build_config(VideoConfig, file=file, given={"steps": 4, "prompt": ["typed"]})
    assert (config.steps, config.lr, config.prompt) == (4, 0.5, ["typed"])
    assert config.octaves == VideoConfig().octaves


def test_a_file_for_video_serves_images_too(tmp_path):
    file = tmp_path / "c.toml"
    config = build_config(VideoConfig, given=CHANGED)
    file.write_text(to_toml(config), encoding="utf-8")
    image = build_config(ImageConfig, file=file)
    shared = set(ImageConfig.model_fields) & set(VideoConfig.model_fields)
    assert image.model_dump() == config.model_dump(include=shared)


def message(
    given: Mapping[str, Any] | None = None,
    file: Path | None = None,
    model: type[Section] = VideoConfig,
) -> str:
    with pytest.raises(ConfigError) as raised:
        build_config(model, file=file, given=given)
    assert raised.value.exit_code == 2
    text = str(raised.value)
    assert "\n" not in text
    return text


COUNT = "a whole number from 0 to 100000"
TIME = "seconds up to 1e9, or h:mm:ss"
SIZE = "WIDTHxHEIGHT, WIDTH or source; 16 to 16384 a side"
RATE = "frames a second from 0.001 to 1000, as 25, 23.976 or 24000/1001"
WEIGHT = "TEXT or TEXT::WEIGHT, the weight above 0"


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("steps", "-3", COUNT),
        ("steps", "100001", COUNT),
        ("steps", "many", COUNT),
        ("steps", "2.5", COUNT),
        ("first_steps", "-1", COUNT),
        ("octaves", "0", "a whole number from 1 to 12"),
        ("octave_scale", "1", "a number from 1.05 to 4"),
        ("strength", "1.01", "a number from 0 to 1"),
        ("strength", "nan", "a number from 0 to 1"),
        ("tv", "inf", "a number from 0 to 1000"),
        ("lr", "0", "a number above 0 up to 1"),
        ("seed", "-1", f"a whole number from 0 to {2**63 - 1}"),
        ("carry", "both", "frame, delta, none"),
        ("flow", "DIS", "dis, farneback, raft-small, raft-large"),
        ("canvas", "fourier", "octaves, pyramid, spectrum"),
        ("cut_threshold", "0", "a number above 0 up to 255"),
        ("size", "0x5", SIZE),
        ("size", "15", SIZE),
        ("size", "640x16385", SIZE),
        ("size", "640x", SIZE),
        ("size", "big", SIZE),
        ("start", "-1", TIME),
        ("start", "1:2:3:4", TIME),
        ("end", "soon", TIME),
        ("fps", "0", RATE),
        ("fps", "24/0", RATE),
        ("fps", "1e9", RATE),
        ("device", "gpu", "auto, cpu, cuda, cuda:N or mps"),
        ("fps", "1e-9", "frames a second from 0.001 to 1000, as 25, 23.976 or 24000/1001"),
        ("crf", "64", "a number from 0 to 63"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(field, value, allowed):
    name = field.replace("_", "-")
    expected = f"--{name}: '{value}' is not allowed; allowed: {allowed}"
    assert message({field: value}) == expected


@pytest.mark.parametrize("field", ["prompt", "negative", "image_prompt", "to"])
@pytest.mark.parametrize("value", ["x::0", "x::-1", "x::heavy", "x::", "::2", "", "x::nan"])
def test_a_bad_weight_is_named(field, value):
    given = {field: ["fine", value]} | ({"from_": ["a", "b"]} if field == "to" else {})
    name = field.replace("_", "-")
    allowed = WEIGHT.replace("TEXT", "FILE") if field == "image_prompt" else WEIGHT
    assert message(given).startswith(f"--{name}: '{value}' is not allowed; allowed: {allowed}")


def test_no_guide_at_all_is_an_error():
    assert message({"guide": []}).startswith("--guide: '[]' is not allowed")


def test_a_bad_value_in_a_file_is_named_alike(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("octave-scale = 9\n", encoding="utf-8")
    expected = "--octave-scale: '9' is not allowed; allowed: a number from 1.05 to 4"
    assert message(file=file) == expected


def test_a_list_of_one_needs_no_brackets_in_a_file(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('prompt = "a reef"\nguide = "mini"\n', encoding="utf-8")
    config = build_config(VideoConfig, file=file)
    assert (config.prompt, config.guide) == (["a reef"], ["mini"])


@pytest.mark.parametrize("model", MODELS)
def test_an_unknown_key_in_a_file_is_named_with_all_that_are_known(model, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("step = 9\n", encoding="utf-8")
    text = message(file=file, model=model)
    assert text.startswith(
        f"configuration '{file}': unknown option 'step'; allowed: angle, at, attack, augment, "
    )
    assert ", steps, " in text


def test_an_unknown_name_given_by_code_is_named():
    assert message({"step": 9}).startswith(
        "unknown option 'step'; allowed: angle, at, attack, augment, "
    )


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path):
    missing, broken, binary = (tmp_path / name for name in ("none.toml", "b.toml", "x.toml"))
    broken.write_text("steps: 3\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe\x00")
    assert message(file=missing) == f"configuration '{missing}': No such file or directory"
    assert message(file=broken).startswith(f"configuration '{broken}' is not TOML: ")
    assert message(file=binary).startswith(f"configuration '{binary}' is not TOML: ")


def test_a_direction_needs_both_ends():
    expected = "--from stands 2 times and --to 1 times; a direction needs one of each"
    assert message({"from_": ["a", "b"], "to": ["c"]}) == expected


@pytest.mark.parametrize("end", ["1", "0:01", "0.5"])
def test_an_end_that_is_not_after_the_start_is_named(end):
    text = message({"start": "1", "end": end})
    assert text.startswith(f"--end {float(parse_seconds(end)):g} is not after --start 1; allowed:")


def test_shares_that_are_all_zero_are_an_error():
    shares = {"global_share": 0, "middle_share": 0, "local_share": 0}
    assert message(shares).endswith("at least one must be above 0")
    assert build_config(VideoConfig, given={**shares, "local_share": 0.1}).local_share == 0.1


def test_nothing_to_dream_of_is_an_error_but_any_kind_of_prompt_will_do():
    with pytest.raises(ConfigError, match=r"^no prompt; give at least one of --prompt TEXT"):
        VideoConfig().require_prompt()
    for given in (
        {"prompt": ["a"]},
        {"negative": ["a"]},
        {"image_prompt": ["a"]},
        {"from_": ["a"], "to": ["b"]},
    ):
        build_config(VideoConfig, given=given).require_prompt()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:02:03.5", Fraction(37235, 10)),
        ("2:03", Fraction(123)),
        ("12.1", Fraction(121, 10)),
        (" 7 ", Fraction(7)),
        (0.1, Fraction(1, 10)),
        ("90", Fraction(90)),
    ],
)
def test_times_are_read_exactly(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "rate"),
    [("24000/1001", Fraction(24000, 1001)), ("23.976", Fraction(23976, 1000)), (25, Fraction(25))],
)
def test_rates_are_read_exactly(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "body", "weight"),
    [
        ("a coral reef", "a coral reef", 1),
        ("a coral reef::1.5", "a coral reef", 1.5),
        ("a::b: c::1.5", "a::b: c", 1.5),
        ("time: 12:30", "time: 12:30", 1),
        (" spaced ::2", "spaced", 2),
    ],
)
def test_only_the_last_double_colon_separates_a_weight(text, body, weight):
    assert split_weight(text) == (body, weight)


@pytest.mark.parametrize("size", ["source", "640", "640x360", "16x16384"])
def test_sizes_have_three_forms(size):
    assert build_config(VideoConfig, given={"size": size.upper()}).size == size


def test_options_are_frozen_and_json_keeps_them_under_the_names_of_the_command_line():
    config = VideoConfig(prompt=["x"])
    with pytest.raises(ValueError, match="frozen"):
        config.steps = 3  # type: ignore[misc]
    dumped = config.model_dump(mode="json", by_alias=True)
    assert set(dumped) == {option.name for option in options(VideoConfig)}
    assert tomllib.loads(to_toml(config))["prompt"] == dumped["prompt"] == ["x"]


DEFAULTS = """
option             video      zoom       image      eval   sequence   dream
prompt             []         []         []         []     -          -
negative           []         []         []         []     -          -
image_prompt       []         []         []         []     -          -
from_              []         []         []         []     -          -
to                 []         []         []         []     -          -
device             auto       auto       auto       auto   -          -
guide              ['mini']   ['mini']   ['mini']   -      -          -
precision          auto       auto       auto       -      -          -
at                 []         []         -          -      -          -
lyrics             None       None       -          -      -          -
transition         2s         2s         -          -      -          -
set_               []         []         -          -      -          -
music              []         []         -          -      -          -
music_start        0          0          -          -      -          -
bpm                None       None       -          -      -          -
attack             1/50       1/50       -          -      -          -
release            3/10       3/10       -          -      -          -
steps              6          4          100        -      6          6
canvas             spectrum   spectrum   spectrum   -      spectrum   spectrum
spectrum_decay     1.25       1.0        1.25       -      1.25       1.25
colour_correlation 0.0        0.0        0.0        -      0.0        0.0
octaves            4          4          4          -      4          4
octave_scale       1.6        1.6        1.6        -      1.6        1.6
strength           0.18       0.18       0.3        -      0.18       0.18
lr                 0.04       0.04       0.04       -      0.04       0.04
cutouts            16         16         16         -      16         16
global_share       0.5        0.5        0.5        -      0.5        0.5
middle_share       0.25       0.25       0.25       -      0.25       0.25
local_share        0.25       0.25       0.25       -      0.25       0.25
local_size         0.5        0.2        0.5        -      0.5        0.5
cutout_noise       0.1        0.1        0.1        -      0.1        0.1
augment            True       True       True       -      True       True
normalize_gradient True       True       True       -      True       True
tv                 8.0        8.0        8.0        -      8.0        8.0
tv_of              difference difference difference -      difference difference
steady             0.0        0.0        0.0        -      0.0        0.0
hold               0.97       0.6        0.0        -      0.97        0.0
colour_drift       30.0       30.0       30.0       -      30.0       30.0
palette            None       None       None       -      None       None
palette_weight     10.0       10.0       10.0       -      10.0       10.0
palette_share      1.0        1.0        1.0        -      1.0        1.0
symmetry           none       none       none       -      none       none
seed               0          0          0          -      0          0
flow               dis        -          -          dis    dis        -
flow_weights       None       -          -          None   None       -
flow_size          960        -          -          -      960        -
cuts               True       -          -          True   True       -
cut_threshold      27.0       -          -          27.0   27.0       -
first_steps        40         60         -          -      40         -
carry              delta      -          -          -      delta      -
decay              1.0        -          -          -      1.0        -
catch_up           0.1        -          -          -      0.1        -
every              1          -          -          -      1          -
split              None       -          -          -      -          -
zoom               1.0        1.5        -          -      -          -
rotate             0.0        0.0        -          -      -          -
pan                (0.0,0.0)  (0.0,0.0)  -          -      -          -
pan_x              0.0        0.0        -          -      -          -
pan_y              0.0        0.0        -          -      -          -
angle              0.0        0.0        -          -      -          -
translation_x      0.0        0.0        -          -      -          -
translation_y      0.0        0.0        -          -      -          -
translation_z      0.0        0.0        -          -      -          -
rotation_3d_x      0.0        0.0        -          -      -          -
rotation_3d_y      0.0        0.0        -          -      -          -
rotation_3d_z      0.0        0.0        -          -      -          -
fov                70.0       70.0       -          -      -          -
per_frame          False      False      -          -      -          -
depth              None       -          -          -      -          -
depth_far          4.0        -          -          -      -          -
centre             (0.5,0.5)  (0.5,0.5)  -          -      -          -
ease               linear     linear     -          -      -          -
shutter            0.0        0.0        -          -      -          -
start              None       None       -          None   -          -
end                None       -          -          None   -          -
fps                None       24         -          None   -          -
size               source     source     source     source -          -
rate               25         -          -          -      -          -
seconds            None       8          -          -      -          -
input_format       None       -          -          -      -          -
mask               None       -          None         -      -          -
mask_invert        False      -          False      -      -          -
where              []         -          []         -      -          -
where_not          []         -          []         -      -          -
where_threshold    1.75       -          1.75       -      -          -
where_model        None       -          None       -      -          -
show_mask          False      -          False      -      -          -
mask_steers        True       -          True       -      -          -
deliver            dreamed    -          -          -      -          -
codec              None       None       -          -      -          -
crf                None       None       -          -      -          -
pix_fmt            None       None       -          -      -          -
output_format      nut        nut        -          -      -          -
metadata           True       True       True       -      -          -
report             False      False      False      -      -          -
sound              True       -          -          -      -          -
subtitles          True       -          -          -      -          -
loop_steps         -          250        -          -      -          -
loop               -          False      -          -      -          -
judge              -          -          -          None   -          -
"""
"""Each as text without blanks; a dash if a model lacks the option."""
TABLE = [line.split() for line in DEFAULTS.strip().splitlines()]


@pytest.mark.parametrize(
    ("column", "model"),
    list(
        enumerate(
            [VideoConfig, ZoomConfig, ImageConfig, EvalConfig, SequenceConfig, DreamConfig], 1
        )
    ),
)
def test_defaults_are_those_that_are_promised(column, model):
    promised = {row[0]: row[column] for row in TABLE[1:] if row[column] != "-"}
    assert promised == {name: str(value).replace(" ", "") for name, value in dict(model()).items()}
    assert promised == {
        option.field: str(option.default).replace(" ", "") for option in options(model)
    }


def _sections(model: type[Section]) -> list[type[Section]]:
    return [base for base in model.__mro__ if issubclass(base, Section)]


def test_each_option_is_declared_in_one_section():
    """Only a zoom's length and rate are other options than a clip's: they always have a value."""
    homes: dict[str, set[type[Section]]] = {}
    for model in MODELS:
        for section in _sections(model):
            for name in section.__annotations__.keys() & section.model_fields.keys():
                homes.setdefault(name, set()).add(section)
    assert {name for name, declared in homes.items() if len(declared) > 1} == {"seconds", "fps"}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_restates_options_that_it_has(model):
    for section in _sections(model):
        assert section.defaults.keys() | section.descriptions.keys() <= section.model_fields.keys()


def test_a_section_keeps_its_own_words_where_a_model_restates_them():
    helps = {
        model: {option.name: option.help for option in options(model)}["steps"]
        for model in (DreamConfig, VideoConfig, ZoomConfig, ImageConfig)
    }
    assert helps[VideoConfig] == helps[DreamConfig]
    assert len(set(helps.values())) == 3


@pytest.mark.parametrize(
    ("model", "titles"),
    [
        (VideoConfig, {"size": "Reading", "first-steps": "Motion", "metadata": "Writing"}),
        (
            ZoomConfig,
            {
                **dict.fromkeys(["loop", "loop-steps", "fps", "size", "start"], "Zoom"),
                **{"zoom": "Camera", "steps": "Dream", "crf": "Writing"},
            },
        ),
        (ImageConfig, {"size": "Image", "metadata": "Image", "steps": "Dream"}),
        (EvalConfig, {"size": "Judge", "judge": "Judge", "start": "Reading", "flow": "Motion"}),
    ],
)
def test_options_stand_under_the_title_of_their_section(model, titles):
    found = {option.name: option.section for option in options(model)}
    assert {name: found[name] for name in titles} == titles
    headings = [option.section for option in options(model)]
    changes = [
        title for title, before in zip(headings, [None, *headings], strict=False) if title != before
    ]
    assert len(changes) == len(set(changes))
