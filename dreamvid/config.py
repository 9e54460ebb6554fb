"""Every option and its default, declared once.

The models below are the single source for the command line (names, help, limits, defaults), for
configuration files (TOML) and for the metadata of results (JSON): an option has one name in all
of them, in kebab case. Sections are mixed into one flat model per command, so that a function
that needs only `DreamConfig` says so and still takes a whole `VideoConfig`.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from dreamvid.errors import ConfigError

WEIGHT_SEPARATOR = "::"
DEVICES = "auto, cpu, cuda, cuda:N or mps"
SLOWEST_RATE, FASTEST_RATE = Fraction(1, 1000), 1000


@dataclass(frozen=True)
class Flag:
    """Marks a field with its short spelling on the command line."""

    short: str


@dataclass(frozen=True)
class Allowed:
    """What a field takes, in words, where the type alone does not say it."""

    words: str


@dataclass(frozen=True)
class Varies:
    """Marks a field whose value may change from frame to frame, by --set."""


def _kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def parse_seconds(value: object) -> Fraction:
    """Seconds from a number, `"2.5s"`, `"m:ss"` or `"h:mm:ss.fff"`; exact. Raises ValueError."""
    if isinstance(value, Fraction) and value >= 0:
        return value
    if re.fullmatch(r"\d+/0*[1-9]\d*", str(value)):  # as `_shortest` writes what no float holds
        return Fraction(str(value))
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?", str(value).strip())
    if match is None:
        raise ValueError("not a time")
    hours, minutes, seconds = (Fraction(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def parse_duration(value: object) -> Fraction:
    """As `parse_seconds`, above 0."""
    seconds = parse_seconds(value)
    if not seconds:
        raise ValueError("nothing")
    return seconds


def parse_pair(value: object) -> tuple[float, float]:
    """Two numbers from `"X,Y"` or a pair of them. Raises ValueError."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise ValueError("not a pair")
    x, y = (float(part) for part in parts)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("not numbers")
    return x, y


def _check_share(pair: tuple[float, float]) -> tuple[float, float]:
    if not all(0 <= share <= 1 for share in pair):
        raise ValueError("outside")
    return pair


@dataclass(frozen=True)
class Position:
    """A place in time, in one of its units."""

    value: Fraction
    unit: Literal["seconds", "frames", "beats", "bars"]


_UNITS: dict[str, Literal["frames", "beats", "bars"]] = {"f": "frames", "b": "beats", "bar": "bars"}


def parse_position(value: object) -> Position:
    """Seconds as `parse_seconds` has them, or `"48f"`, `"16b"`, `"4bar"`. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(f|b|bar)", str(value).strip())
    if match is None:
        return Position(parse_seconds(value), "seconds")
    return Position(Fraction(match[1]), _UNITS[match[2]])


def parse_rate(value: object) -> Fraction:
    """Frames a second from a number, `"23.976"` or `"24000/1001"`; exact. Raises ValueError."""
    try:
        rate = Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        raise ValueError("not a rate") from None
    if not SLOWEST_RATE <= rate <= FASTEST_RATE:
        raise ValueError("out of range")
    return rate


def split_weight(text: str) -> tuple[str, float]:
    """Split `"a coral reef::1.5"` into its text and weight (1 where none stands).

    Only a double colon separates, so that colons in a prompt stay colons. Raises ValueError
    where what follows it is not a number above 0, or where no text is left.
    """
    body, separator, tail = text.rpartition(WEIGHT_SEPARATOR)
    if not separator:
        body, tail = text, "1"
    try:
        weight = float(tail)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf or not body.strip():
        raise ValueError("not a weighted prompt")
    return body.strip(), weight


def split_scene(text: str) -> tuple[str, str]:
    """Split `"a storm::0.5 + bass"` into its text and the expression of its weight ("1").

    Raises ValueError where either is empty.
    """
    body, separator, tail = text.rpartition(WEIGHT_SEPARATOR)
    if not separator:
        body, tail = text, "1"
    if not body.strip() or not tail.strip():
        raise ValueError("not a weighted prompt")
    return body.strip(), tail.strip()


def _parse_scene(value: object) -> tuple[str, str]:
    """A time and a text, from a pair or from one string with a blank between them."""
    pair = value.split(maxsplit=1) if isinstance(value, str) else value
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ValueError("not a time and a text")
    time, text = (str(part).strip() for part in pair)
    parse_position(time)
    split_scene(text)
    return time, text


def split_assignment(text: str) -> tuple[str, str]:
    """Split `"local-share = 0.5 + bass"` into its name, in kebab case, and its expression.

    Raises ValueError where either is empty.
    """
    name, separator, expression = text.partition("=")
    if not separator or not name.strip() or not expression.strip():
        raise ValueError("not an assignment")
    return name.strip().replace("_", "-"), expression.strip()


def _parse_assignments(value: object) -> list[str]:
    """`NAME=EXPRESSION` each, from a list or a table; of two for one name the later counts."""
    pairs = dict(split_assignment(str(text)) for text in _assignments_of(value))
    return [f"{name}={expression}" for name, expression in pairs.items()]


def _check_position(value: object) -> str:
    parse_position(value)
    return str(value).strip()


def check_device_name(name: str) -> str:
    """Give back what can name a device, there or not. Raises ValueError for anything else."""
    if re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) is None:
        raise ValueError("not a device")
    return name


def _check_weighted(text: str) -> str:
    split_weight(text)
    return text


def _check_size(value: object) -> str:
    text = str(value).strip().lower()
    match = re.fullmatch(r"source|(\d+)(?:x(\d+))?", text)
    if match is None or any(not 16 <= int(side) <= 16384 for side in match.groups() if side):
        raise ValueError("not a size")
    return text


Seconds = Annotated[
    Fraction,
    BeforeValidator(parse_seconds),
    PlainSerializer(lambda value: _shortest(value), return_type=float | str),
    Allowed("seconds or h:mm:ss"),
]
Rate = Annotated[
    Fraction,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda value: _shortest(value), return_type=float | str),
    Allowed("frames a second from 0.001 to 1000, as 25, 23.976 or 24000/1001"),
]
Weighted = Annotated[
    str,
    AfterValidator(_check_weighted),
    Allowed("TEXT or TEXT::WEIGHT, the weight above 0"),
]
POSITION_WORDS = "2.5, 1:02.5, 48f (frames), 16b (beats) or 4bar"
Scene = Annotated[
    tuple[str, str],
    BeforeValidator(_parse_scene),
    Allowed(
        f"TIME TEXT or TIME TEXT::WEIGHT, the time in seconds or a unit, as {POSITION_WORDS}; "
        "the weight an expression"
    ),
]
Assignments = Annotated[
    list[str],
    BeforeValidator(lambda value: _parse_assignments(value)),
    Allowed("NAME=EXPRESSION, as strength=0.1+0.3*bass"),
]
Place = Annotated[str, BeforeValidator(_check_position), Allowed(f"seconds, as {POSITION_WORDS}")]
WeightedFile = Annotated[
    str, AfterValidator(_check_weighted), Allowed("FILE or FILE::WEIGHT, the weight above 0")
]
Device = Annotated[str, AfterValidator(check_device_name), Allowed(DEVICES)]
Size = Annotated[
    str, BeforeValidator(_check_size), Allowed("WIDTHxHEIGHT, WIDTH or source; 16 to 16384 a side")
]

Duration = Annotated[
    Fraction,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda value: _shortest(value), return_type=float | str),
    Allowed("seconds or h:mm:ss above 0"),
]
Pair = Annotated[
    tuple[float, float],
    BeforeValidator(parse_pair),
    PlainSerializer(lambda pair: f"{pair[0]:.15g},{pair[1]:.15g}", return_type=str),
]


def _shortest(value: Fraction) -> float | str:
    """A number that parses back to the same Fraction, or its `p/q`."""
    return float(value) if Fraction(str(float(value))) == value else str(value)


class Section(BaseModel):
    """A group of options. `title` heads it in help texts and files."""

    model_config = ConfigDict(
        alias_generator=_kebab,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
    )
    title: ClassVar[str] = ""


class PromptConfig(Section):
    title = "Prompts"

    prompt: Annotated[list[Weighted], Flag("-p")] = Field(
        [], description="What the picture shall mean. Repeatable."
    )
    negative: Annotated[list[Weighted], Flag("-n")] = Field(
        [], description="What it shall not mean. Repeatable."
    )
    image_prompt: list[WeightedFile] = Field(
        [], description="A picture file whose meaning attracts. Repeatable."
    )
    from_: list[str] = Field(
        [], description="Start of a direction between two texts; goes with --to. Repeatable."
    )
    to: list[Weighted] = Field([], description="End of that direction. Repeatable.")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.from_) != len(self.to):
            raise ValueError(
                f"--from stands {len(self.from_)} times and --to {len(self.to)} times; "
                "a direction needs one of each"
            )
        return self

    def require_prompt(self) -> None:
        """Raise ConfigError where there is nothing to dream of."""
        if not (self.prompt or self.negative or self.image_prompt or self.to):
            raise ConfigError(
                "no prompt; give at least one of --prompt TEXT, --negative TEXT, "
                "--image-prompt FILE or --from TEXT --to TEXT"
            )


class DeviceConfig(Section):
    title = "Guide and device"

    device: Device = Field("auto", description="Where to compute.")


class GuideConfig(DeviceConfig):
    title = "Guide and device"

    guide: Annotated[list[str], Flag("-g"), Field(min_length=1)] = Field(
        ["mini"],
        description="The CLIP that judges: mini, MODEL:TAG, MODEL:FILE or hf-hub:ORG/NAME. "
        "Repeat for an ensemble. `dreamvid guides` lists them.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Numbers the guide reckons with; auto: bfloat16 where that is known to be "
        "faster.",
    )


class TargetConfig(GuideConfig, PromptConfig):
    """What is dreamed of, and who judges it."""


class TimeConfig(PromptConfig):
    title = "Over time"

    at: list[Scene] = Field(
        [],
        description="What the picture shall mean from a time on, until the next; "
        "--prompt holds all the while. Repeatable.",
    )
    transition: Place = Field(
        "2s", description="How long the change from one --at to the next takes, half before it."
    )

    set_: Assignments = Field(
        [],
        description="An option that changes from frame to frame: a number, an expression of time "
        "and sound, or key frames; `dreamvid plan` shows the values. Repeatable.",
    )

    def require_prompt(self) -> None:
        if not self.at:
            super().require_prompt()


class DreamConfig(Section):
    title = "Dream"

    steps: Annotated[int, Varies()] = Field(
        6, ge=0, le=100_000, description="Gradient steps a frame, over all octaves."
    )
    octaves: int = Field(4, ge=1, le=12, description="Scales, dreamed from coarse to fine.")
    octave_scale: float = Field(1.6, ge=1.05, le=4, description="Size ratio between two octaves.")
    strength: Annotated[float, Varies()] = Field(
        0.18, ge=0, le=1, description="RMS distance from the source that a frame may reach."
    )
    lr: Annotated[float, Varies()] = Field(
        0.03, gt=0, le=1, description="Step size at the start of each octave."
    )
    optimizer: Literal["adam", "momentum"] = Field("adam", description="Rule of descent.")
    cutouts: int = Field(16, ge=1, le=1024, description="Windows shown to the guide a step.")
    global_share: Annotated[float, Varies()] = Field(
        0.25, ge=0, le=1, description="Share that see the whole frame."
    )
    middle_share: Annotated[float, Varies()] = Field(
        0.25, ge=0, le=1, description="Share that see its middle."
    )
    local_share: Annotated[float, Varies()] = Field(
        0.5, ge=0, le=1, description="Share that see a small part."
    )
    local_size: float = Field(
        0.5, ge=0.05, le=1, description="Side of the smallest part, over the frame's shorter side."
    )
    augment: bool = Field(True, description="Mirror, jitter and noise the cutouts.")
    normalize_gradient: bool = Field(
        True, description="Bring the guide's gradient to unit RMS before other terms are added."
    )
    tv: Annotated[float, Varies()] = Field(
        8.0, ge=0, le=1000, description="Weight of the masked total variation."
    )
    tv_of: Literal["image", "difference"] = Field(
        "difference", description="What it smooths: the image, or only what was dreamed."
    )
    steady: Annotated[float, Varies()] = Field(
        0.0, ge=0, le=1000, description="Weight that holds trusted pixels to their warm start."
    )
    hold: Annotated[float, Varies()] = Field(
        0.0, ge=0, le=1, description="Share of each step that trusted pixels do not take."
    )
    colour_drift: Annotated[float, Varies()] = Field(
        30.0,
        ge=0,
        le=1000,
        description="Weight that keeps the mean colour of what is dreamed from drifting in a shot.",
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of all randomness.")

    @model_validator(mode="after")
    def _some_cutouts(self) -> Self:
        if self.global_share + self.middle_share + self.local_share <= 0:
            raise ValueError(
                "the shares --global-share, --middle-share and --local-share are all 0; "
                "at least one must be above 0"
            )
        return self


class FlowConfig(Section):
    title = "Motion"

    flow: Literal["dis", "farneback", "raft-small", "raft-large"] = Field(
        "dis", description="Optical flow."
    )
    flow_weights: str | None = Field(
        None, description="File with RAFT's weights; else torchvision downloads them."
    )
    cuts: bool = Field(True, description="Find cuts and start afresh at each.")
    cut_threshold: float = Field(
        27.0, gt=0, le=255, description="Content change, 0 to 255, that makes a cut."
    )


class MotionConfig(FlowConfig):
    title = "Motion"

    first_steps: int = Field(
        40, ge=0, le=100_000, description="Gradient steps for the first frame of a shot."
    )
    carry: Literal["frame", "delta", "none"] = Field(
        "delta",
        description="What is carried along the flow: the dreamed frame, what the dream added, "
        "or nothing.",
    )
    decay: Annotated[float, Varies()] = Field(
        1.0, ge=0, le=1, description="Share of the carried delta that is kept."
    )
    catch_up: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of --first-steps that a frame gets on top of --steps where none of it "
        "can be trusted; in proportion where a part cannot.",
    )
    every: int = Field(
        1, ge=1, le=100, description="Dream every so many frames and blend those between."
    )


class SequenceConfig(MotionConfig, DreamConfig):
    """What the loop over time reads."""

    hold: Annotated[float, Varies()] = Field(
        0.9, ge=0, le=1, description="Share of each step that trusted pixels do not take."
    )


class SoundConfig(Section):
    title = "Sound"

    music: str | None = Field(
        None, description="Sound file to follow instead of the source's own; the result gets it."
    )
    music_start: Seconds = Field(Fraction(0), description="Where in it the result begins.")
    bpm: float | None = Field(
        None, ge=20, le=400, description="About the tempo; else it is guessed from the sound."
    )
    attack: Seconds = Field(
        Fraction(1, 50), description="Seconds in which bass_smooth and its like rise."
    )
    release: Seconds = Field(
        Fraction(3, 10), description="Seconds in which bass_smooth and its like fall."
    )

    @model_validator(mode="after")
    def _something_to_start(self) -> Self:
        if self.music is None and self.music_start:
            raise ValueError(
                f"--music-start {float(self.music_start):g} is given without --music; "
                "allowed with --music FILE"
            )
        return self


class ScheduledConfig(DreamConfig, SoundConfig, TimeConfig):
    """What may change from frame to frame, with what changes it."""


class SpanConfig(Section):
    title = "Reading"

    start: Seconds | None = Field(None, description="Begin here.")
    end: Seconds | None = Field(None, description="End before this time.")
    fps: Rate | None = Field(None, description="Frames a second; else the source's own times.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(
                f"--end {float(self.end):g} is not after --start {float(self.start):g}; "
                "allowed: any later time"
            )
        return self


class ReadConfig(SpanConfig):
    title = "Reading"

    size: Size = Field("source", description="Size to dream and deliver at.")
    rate: Rate = Field(
        Fraction(25), description="Frames a second of pictures that are read as a film."
    )
    seconds: Seconds | None = Field(
        None, description="How long a single picture as IN stays, or a device is read."
    )
    input_format: str | None = Field(
        None,
        description="FFmpeg's name of the format on standard input, where IN is -, or of a device: "
        "v4l2, x11grab, avfoundation, dshow, gdigrab, lavfi; IN is what it calls its own.",
    )


class DeliveryConfig(Section):
    title = "Delivery"

    mask: str | None = Field(
        None, description="Picture or video file: white is dreamed, grey in part, black stays."
    )
    mask_invert: bool = Field(False, description="Dream what is black instead.")
    deliver: Literal["dreamed", "source"] = Field(
        "dreamed",
        description="Size of the result: as dreamed, or the source's, onto which the dream's "
        "difference is scaled up.",
    )

    @model_validator(mode="after")
    def _something_to_invert(self) -> Self:
        if self.mask_invert and self.mask is None:
            raise ValueError("--mask-invert is given without --mask; allowed with --mask FILE")
        return self


class CameraConfig(Section):
    title = "Camera"

    zoom: Annotated[float, Varies()] = Field(
        1.0, gt=0, le=100, description="Factor a second by which what is seen grows."
    )
    rotate: Annotated[float, Varies()] = Field(
        0.0, ge=-3600, le=3600, description="Degrees a second by which it turns clockwise."
    )
    pan: Annotated[Pair, Allowed("two numbers as X,Y")] = Field(
        (0.0, 0.0), description="Frame widths right and heights down a second that the view moves."
    )
    centre: Annotated[
        Pair, AfterValidator(_check_share), Allowed("two shares from 0 to 1 as X,Y")
    ] = Field((0.5, 0.5), description="Point about which it zooms and turns.")
    ease: Literal["linear", "in", "out", "in-out"] = Field(
        "linear", description="Even motion, or slow at the beginning, the end or both."
    )
    shutter: float = Field(
        0.0, ge=0, le=360, description="Shutter angle in degrees: 180 blurs half a frame's motion."
    )


class EncodeConfig(Section):
    title = "Writing"

    codec: str | None = Field(None, description="FFmpeg's name of the video encoder, as libx264.")
    crf: float | None = Field(
        None, ge=0, le=63, description="Quality of the encoder; lower is better."
    )
    pix_fmt: str | None = Field(None, description="Pixel format of the result, as yuv420p.")
    output_format: Literal["nut", "rawvideo", "matroska", "mp4"] = Field(
        "nut", description="Format on standard output, where OUT is -; mp4 is fragmented."
    )
    metadata: bool = Field(True, description="Write prompts and options into the result.")


class WriteConfig(EncodeConfig):
    title = "Writing"

    sound: bool = Field(True, description="Copy the source's sound.")
    subtitles: bool = Field(True, description="Copy its subtitles, where the file can hold them.")


class VideoConfig(
    WriteConfig,
    DeliveryConfig,
    ReadConfig,
    CameraConfig,
    SequenceConfig,
    ScheduledConfig,
    TargetConfig,
):
    """All options of `dreamvid video`."""


class ImageConfig(DreamConfig, TargetConfig):
    """All options of `dreamvid image`."""

    steps: int = Field(100, ge=0, le=100_000, description="Gradient steps, over all octaves.")
    strength: float = Field(
        0.3, ge=0, le=1, description="RMS distance from IN that the picture may reach."
    )
    size: Size = Field("source", description="Size to dream at; needed for grey and noise.")
    metadata: bool = Field(True, description="Write prompts and options into the result.")


class EvalConfig(SpanConfig, FlowConfig, DeviceConfig, PromptConfig):
    """All options of `dreamvid eval`. What of the source is read is what the result says."""

    title = "Judge"

    judge: str | None = Field(
        None,
        description="The CLIP that scores the result, named as a guide; not one that dreamed it.",
    )
    size: Size = Field("source", description="Size to measure at; source: the result's own.")


SMALLEST_ROUND = 1.25
"""Factor that a loop must zoom in all: less, and the picture is nothing but rings."""


class ZoomConfig(EncodeConfig, CameraConfig, ScheduledConfig, TargetConfig):
    """All options of `dreamvid zoom`."""

    zoom: Annotated[float, Varies()] = Field(
        1.5, gt=0, le=100, description="Factor a second by which what is seen grows."
    )
    steps: Annotated[int, Varies()] = Field(
        4, ge=0, le=100_000, description="Gradient steps a frame, without --loop."
    )
    hold: Annotated[float, Varies()] = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of each step that no frame after the first takes: all pixels are known.",
    )
    local_size: float = Field(
        0.2, ge=0.05, le=1, description="Side of the smallest part, over the frame's shorter side."
    )
    first_steps: int = Field(
        60, ge=0, le=100_000, description="Gradient steps for the first frame, without --loop."
    )
    loop_steps: int = Field(
        250, ge=0, le=100_000, description="Gradient steps for all of a loop, however long."
    )
    loop: bool = Field(False, description="Make the film join its own beginning.")
    seconds: Duration = Field(Fraction(8), description="Length of the film.")
    fps: Rate = Field(Fraction(24), description="Frames a second.")
    start: Seconds | None = Field(None, description="Which frame of a video as IN.")
    size: Size = Field("source", description="Size of the film; needed for grey and noise.")

    @property
    def frame_count(self) -> int:
        """How many frames `seconds` are."""
        return max(1, round(self.seconds * self.fps))

    @model_validator(mode="after")
    def _closes(self) -> Self:
        if not self.loop:
            return self
        for name, _ in map(split_assignment, self.set_):
            if name in varying(type(self)):
                raise ValueError(
                    f"--set {name}: a loop is one picture under an even camera; "
                    "allowed with --loop: weights, as prompt1"
                )
        whole = self.zoom ** float(self.seconds)
        if not SMALLEST_ROUND <= max(whole, 1 / whole) <= 1e12 or self.frame_count < 2:
            raise ValueError(
                f"--zoom {self.zoom:g} for {float(self.seconds):g} s is a factor of {whole:.4g} in "
                f"all; allowed with --loop: {SMALLEST_ROUND} to 1e12, inwards or outwards, over "
                "two frames or more"
            )
        if any(self.pan):
            raise ValueError(
                f"--pan {self.pan[0]:g},{self.pan[1]:g} leaves the beginning behind; "
                "allowed with --loop: 0,0"
            )
        if self.ease in ("in", "out"):
            raise ValueError(
                f"--ease {self.ease} ends at another speed than it begins; "
                "allowed with --loop: linear, in-out"
            )
        return self


MODELS = (VideoConfig, ImageConfig, ZoomConfig, EvalConfig)
"""One for each command that takes a configuration file."""


Config = TypeVar("Config", bound=Section)


def build_config(
    model: type[Config],
    *,
    file: Path | None = None,
    preset: Path | None = None,
    given: Mapping[str, Any] | None = None,
) -> Config:
    """The effective options: `given` (by field name) over `file` over `preset` over the defaults.

    What is set to vary counts one by one, and gives way to a plain value in a layer above. Raises
    ConfigError with one line that names the option,
    its value and what is allowed.
    """
    layers = [_layer(model, path) for path in (preset, file) if path is not None]
    layers.append({_kebab(name): value for name, value in (given or {}).items()})
    values = {name: value for layer in layers for name, value in layer.items()}
    if "set" in values:
        values["set"] = _assignments_over(layers)
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(_one_line(model, error)) from None


def _assignments_over(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `layers`, the topmost last, set to vary, but for what one above it makes constant."""
    kept: list[str] = []
    for layer in layers:
        kept = [text for text in kept if text.partition("=")[0].strip() not in layer]
        kept += _assignments_of(layer.get("set", []))
    return kept


def _layer(model: type[Section], file: Path) -> dict[str, Any]:
    """What a file says of the options of `model`; one text stands for a list of it."""
    is_list = {option.name: option.is_list for option in options(model)}
    return {
        key: [value] if is_list[key] and isinstance(value, str) else value
        for key, value in read_toml(file).items()
        if key in is_list
    }


def _assignments_of(value: Any) -> list[str]:
    """What a file has under `set`, as the command line has it; left as it is where it is wrong."""
    if isinstance(value, Mapping):
        return [f"{name}={expression}" for name, expression in value.items()]
    return list(value) if isinstance(value, list) else [str(value)]


def varying(model: type[Section]) -> dict[str, str]:
    """The options of `model` that may change from frame to frame: name → field."""
    return {
        _kebab(name): name
        for name, field in model.model_fields.items()
        if any(isinstance(mark, Varies) for mark in field.metadata)
    }


def varied(config: Config, values: Mapping[str, float]) -> Config:
    """`config` with other values, by field name, for the options that vary.

    Those that are whole numbers are rounded. Raises ConfigError where one is not allowed, in the
    words of --set, which names them.
    """
    model = type(config)
    whole = {name for name in values if model.model_fields[name].annotation is int}
    given = {name: round(value) if name in whole else value for name, value in values.items()}
    try:
        return model.model_validate({**dict(config), **given})
    except ValidationError as error:
        raise ConfigError(_one_line(model, error, "--set ")) from None


def read_toml(file: Path) -> dict[str, Any]:
    """The keys and values of a configuration file, whose keys must be options of some command."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration '{file}': {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration '{file}' is not TOML: {error}") from None
    known = {option.name for model in MODELS for option in options(model)}
    for key in values:
        if key not in known:
            raise ConfigError(
                f"configuration '{file}': unknown option '{key}'; "
                f"allowed: {', '.join(sorted(known))}"
            )
    return values


def to_toml(config: Section) -> str:
    """The options as TOML with a comment each, to be read back by `build_config`."""
    values = config.model_dump(mode="json", by_alias=True)
    lines: list[str] = []
    heading = None
    for option in options(type(config)):
        if option.section != heading:
            heading = option.section
            lines += ["", f"## {heading}"]
        value = values[option.name]
        entry = f"# {option.name} =" if value is None else f"{option.name} = {_toml_value(value)}"
        lines += [f"# {option.help} Allowed: {option.allowed}.", entry]
    return "\n".join(lines[1:]) + "\n"


def _toml_value(value: Any) -> str:
    """JSON is TOML for strings, numbers, booleans and flat lists of them, but for U+007F."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class Option:
    """What help texts, files and errors say about one field of a model."""

    field: str
    name: str
    short: str | None
    section: str
    help: str
    allowed: str
    default: Any
    is_flag: bool
    is_list: bool


def options(model: type[Section]) -> list[Option]:
    """The options of `model`, section by section, in the order they are declared."""
    homes: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Section):
            for name in base.__annotations__:
                homes.setdefault(name, base.title or "Image")
    return [
        _option(name, model.model_fields[name], homes[name])
        for name in homes
        if name in model.model_fields
    ]


def _option(name: str, field: FieldInfo, section: str) -> Option:
    default = field.get_default()
    shorts = [mark.short for mark in field.metadata if isinstance(mark, Flag)]
    return Option(
        field=name,
        name=_kebab(name),
        short=shorts[0] if shorts else None,
        section=section,
        help=field.description or "",
        allowed=_allowed(field.annotation, field.metadata),
        default=default,
        is_flag=isinstance(default, bool),
        is_list=isinstance(default, list),
    )


_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _allowed(annotation: Any, marks: list[Any]) -> str:
    """In words, what a field of this type and with these constraints takes."""
    words = [mark.words for mark in marks if isinstance(mark, Allowed)]
    if words:
        return words[0]
    arguments = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, arguments))
    if get_origin(annotation) is Annotated:
        return _allowed(annotation.__origin__, list(annotation.__metadata__))
    if arguments:  # a list or an optional of one kind
        return _allowed(arguments[0], marks)
    return _KINDS[annotation] + _bounds(marks)


def _bounds(marks: list[Any]) -> str:
    limits = {
        name: f"{getattr(mark, name):.15g}"
        if isinstance(getattr(mark, name), float)
        else getattr(mark, name)
        for mark in marks
        for name in ("ge", "gt", "le")
        if getattr(mark, name, None) is not None
    }
    words = {"ge": "from", "gt": "above", "le": "to" if "ge" in limits else "up to"}
    return "".join(f" {words[name]} {limits[name]}" for name in words if name in limits)


def _one_line(model: type[Section], error: ValidationError, prefix: str = "--") -> str:
    """The first complaint, as `--steps: -3 is not allowed; allowed: …`."""
    first = error.errors()[0]
    if not first["loc"]:  # a rule between options, which words itself
        return str(first["ctx"]["error"])
    names = {option.name: option for option in options(model)}
    option = names.get(str(first["loc"][0]))
    if option is None:
        return f"unknown option '{first['loc'][0]}'; allowed: {', '.join(sorted(names))}"
    return f"{prefix}{option.name}: '{first['input']}' is not allowed; allowed: {option.allowed}"
