"""Options, each declared once in one section; a command's model is composed of sections.

A model states what it says differently (defaults, descriptions) in two tables of its own, so that
a function that needs only `DreamConfig` says so and still takes a whole `VideoConfig`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dreamvid.config.values import (
    Allowed,
    Area,
    Assignments,
    Colours,
    Device,
    Duration,
    Everywhere,
    Flag,
    Music,
    MusicFile,
    Pair,
    Place,
    Prompt,
    Rate,
    Scene,
    Seconds,
    Size,
    SymmetryName,
    Varies,
    WeightedFile,
    Words,
    check_share,
    kebab,
    parse_music,
    split_area,
    split_assignment,
    split_weight,
)
from dreamvid.errors import ConfigError, shown

SMALLEST_ROUND = 1.25
"""Factor by which a loop must zoom in all; below it, the picture is nothing but rings."""


class Section(BaseModel):
    """A group of options.

    `title` heads it in help texts and files; a section without one is headed by the title of the
    section or model that includes it. `defaults` and `descriptions` restate, by field name, those
    of the sections that a model is composed of.
    """

    model_config = ConfigDict(
        alias_generator=kebab,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        defer_build=True,  # until a model is used, with the defaults that it restates by then
    )
    title: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    descriptions: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, default in _restated(cls, "defaults").items():
            cls.model_fields[name].default = default
        for name, description in _restated(cls, "descriptions").items():
            cls.model_fields[name].description = description


def _restated(model: type[Section], table: str) -> dict[str, Any]:
    """The entries of `table` in a model and its sections; those of the model count most."""
    tables = [vars(base).get(table, {}) for base in reversed(model.__mro__)]
    return {name: value for each in tables for name, value in each.items()}


class PromptConfig(Section):
    title = "Prompts"

    prompt: Annotated[list[Prompt], Flag("-p")] = Field(
        [],
        description="Text that the picture shall mean, or an area of it, as fire@@left.png. "
        "Repeatable.",
    )
    negative: Annotated[list[Everywhere], Flag("-n")] = Field(
        [], description="Text that the picture shall not mean. Repeatable."
    )
    image_prompt: list[WeightedFile] = Field(
        [], description="Picture file whose meaning attracts. Repeatable."
    )
    from_: list[Words] = Field(
        [], description="Start of a direction between two texts; goes with --to. Repeatable."
    )
    to: list[Everywhere] = Field([], description="End of that direction. Repeatable.")

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.from_) != len(self.to):
            raise ValueError(
                f"--from stands {len(self.from_)} times and --to {len(self.to)} times; "
                "a direction needs one of each"
            )
        return self

    @property
    def areas(self) -> list[Area | None]:
        """The area of each of `prompt`; None for one that acts everywhere."""
        return [split_area(split_weight(text)[0])[1] for text in self.prompt]

    @property
    def file_areas(self) -> list[Area]:
        """The areas that are masks in files, each once."""
        return [area for area in dict.fromkeys(self.areas) if area is not None and area.is_of_file]

    @property
    def has_areas(self) -> bool:
        """Whether a prompt has an area."""
        return any(self.areas)

    @property
    def has_prompt(self) -> bool:
        """Whether a prompt of any kind is given."""
        return bool(self.prompt or self.negative or self.image_prompt or self.to)

    def require_prompt(self) -> None:
        """Raise ConfigError if no prompt of any kind is given."""
        if not self.has_prompt:
            raise ConfigError(
                "no prompt; give at least one of --prompt TEXT, --negative TEXT, "
                "--image-prompt FILE or --from TEXT --to TEXT"
            )


class DeviceConfig(Section):
    title = "Guide and device"

    device: Device = Field("auto", description="Device that computes; auto: the fastest present.")


class GuideConfig(DeviceConfig):
    title = "Guide and device"

    guide: Annotated[list[str], Flag("-g"), Field(min_length=1)] = Field(
        ["mini"],
        description="CLIP that guides the dream: mini, MODEL:TAG, MODEL:FILE or hf-hub:ORG/NAME. "
        "Repeat for an ensemble. `dreamvid guides` lists them.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Numbers that the guide computes with; auto: bfloat16 where it is known to be "
        "faster.",
    )


class TargetConfig(GuideConfig, PromptConfig):
    """Options of the prompts and of the guides that read them."""


class TimeConfig(PromptConfig):
    title = "Over time"

    at: list[Scene] = Field(
        [],
        description="Text that the picture shall mean from a time on, to the next. Repeatable.",
    )
    lyrics: str | None = Field(
        None, description="File of such texts: .srt, .vtt or .lrc; each stays until the next."
    )
    transition: Place = Field(
        "2s",
        description="Duration of the change from one --at to the next; half of it lies before "
        "the time.",
    )
    set_: Assignments = Field(
        [],
        description="Option that changes from frame to frame. It is set to a number, an expression "
        "or key frames; `dreamvid plan` shows the values. Repeatable.",
    )

    @property
    def has_prompt(self) -> bool:
        return bool(self.at or self.lyrics) or super().has_prompt


class DreamConfig(Section):
    title = "Dream"

    steps: Annotated[int, Varies()] = Field(
        6, ge=0, le=100_000, description="Gradient steps a frame, over all octaves."
    )
    canvas: Literal["octaves", "pyramid", "spectrum"] = Field(
        "spectrum",
        description="Dream as waves, which makes large shapes with any guide (spectrum), or as "
        "scales, one after another (octaves) or all at once (pyramid).",
    )
    spectrum_decay: float = Field(
        1.25,
        ge=0,
        le=3,
        description="Power of 1/frequency in --canvas spectrum; higher is smoother.",
    )
    colour_correlation: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Correlation of the dream's colours, from free (0) to that of photographs (1); "
        "for --canvas pyramid or spectrum.",
    )
    octaves: int = Field(
        4, ge=1, le=12, description="Number of scales in --canvas octaves and pyramid."
    )
    octave_scale: float = Field(
        1.6, ge=1.05, le=4, description="Ratio of sizes between two of these scales."
    )
    strength: Annotated[float, Varies()] = Field(
        0.18,
        ge=0,
        le=1,
        description="Largest RMS difference of a frame from its source; full range is 1.",
    )
    lr: Annotated[float, Varies()] = Field(
        0.04, gt=0, le=1, description="Learning rate at the start; it falls along a cosine."
    )
    cutouts: int = Field(
        16, ge=1, le=1024, description="Number of cutouts that the guide sees in each step."
    )
    global_share: Annotated[float, Varies()] = Field(
        0.5, ge=0, le=1, description="Share of cutouts that show the whole frame."
    )
    middle_share: Annotated[float, Varies()] = Field(
        0.25, ge=0, le=1, description="Share of cutouts that show the frame's middle."
    )
    local_share: Annotated[float, Varies()] = Field(
        0.25, ge=0, le=1, description="Share of cutouts that show a small part."
    )
    local_size: float = Field(
        0.5,
        ge=0.05,
        le=1,
        description="Side of the smallest local cutout, as a share of the frame's shorter side.",
    )
    cutout_noise: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Standard deviation of the noise on cutouts; more makes plainer shapes.",
    )
    augment: bool = Field(True, description="Mirror, jitter and add noise to the cutouts.")
    normalize_gradient: bool = Field(
        True,
        description="Scale the guide's gradient to unit RMS before other terms are added.",
    )
    tv: Annotated[float, Varies()] = Field(
        8.0, ge=0, le=1000, description="Weight of the masked total variation, which smooths."
    )
    tv_of: Literal["image", "difference"] = Field(
        "difference", description="Target of --tv: the image, or only its difference to the source."
    )
    steady: Annotated[float, Varies()] = Field(
        0.0,
        ge=0,
        le=1000,
        description="Weight of the penalty on trusted pixels that leave their warm start.",
    )
    hold: Annotated[float, Varies()] = Field(
        0.0, ge=0, le=1, description="Share of each step that trusted pixels do not take."
    )
    colour_drift: Annotated[float, Varies()] = Field(
        30.0,
        ge=0,
        le=1000,
        description="Weight of the penalty on drift of the dream's mean colour within a shot.",
    )
    palette: Colours | None = Field(
        None,
        description="Colours that the picture shall have, as #112233,#aabbcc, the main ones of a "
        "picture file, or 5 of the source's own.",
    )
    palette_weight: Annotated[float, Varies()] = Field(
        10.0,
        ge=0,
        le=1000,
        description="Weight of the pull towards the nearest colours of --palette in each step.",
    )
    palette_share: Annotated[float, Varies()] = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the way to these colours that the finished picture is moved.",
    )
    symmetry: SymmetryName = Field(
        "none",
        description="Make the picture symmetric: its left half mirrored, a quarter mirrored twice "
        "(quad), sectors of a circle, or four equal tiles.",
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Seed of all random numbers.")

    @model_validator(mode="after")
    def _some_cutouts(self) -> Self:
        if self.global_share + self.middle_share + self.local_share <= 0:
            raise ValueError(
                "the shares --global-share, --middle-share and --local-share are all 0; "
                "at least one must be above 0"
            )
        return self

    @model_validator(mode="after")
    def _some_colours(self) -> Self:
        if self.colour_correlation and self.canvas == "octaves":
            raise ValueError(
                f"--colour-correlation {self.colour_correlation:g} does nothing with --canvas "
                "octaves; allowed with --canvas pyramid, spectrum"
            )
        return self


class FlowConfig(Section):
    title = "Motion"

    flow: Literal["dis", "farneback", "raft-small", "raft-large"] = Field(
        "dis", description="Method of optical flow."
    )
    flow_weights: str | None = Field(
        None, description="File with RAFT's weights; without it torchvision downloads them."
    )
    cuts: bool = Field(True, description="Find cuts and start afresh at each.")
    cut_threshold: float = Field(
        27.0,
        gt=0,
        le=255,
        description="Change between two frames that makes a cut, in grey levels of 0 to 255.",
    )


class FirstFrameConfig(Section):
    first_steps: int = Field(
        40, ge=0, le=100_000, description="Gradient steps for the first frame of a shot."
    )


class MotionConfig(FirstFrameConfig, FlowConfig):
    title = "Motion"

    flow_size: int = Field(
        960,
        ge=128,
        le=100_000,
        description="Longest side in pixels at which motion is estimated; that of larger frames "
        "is scaled up.",
    )
    carry: Literal["frame", "delta", "none"] = Field(
        "delta",
        description="Picture carried along the flow: the dreamed frame, its difference to the "
        "source (delta), or none.",
    )
    decay: Annotated[float, Varies()] = Field(
        1.0, ge=0, le=1, description="Share of the carried delta that is kept in each frame."
    )
    catch_up: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of --first-steps that a frame gets on top of --steps if none of it "
        "can be trusted; in proportion if a part cannot.",
    )
    every: int = Field(
        1,
        ge=1,
        le=100,
        description="Distance in frames between those that are dreamed; the rest is blended.",
    )


class SplitConfig(Section):
    title = "Motion"

    split: Duration | None = Field(
        None,
        description="Cut shots that last longer into parts of about this time, which can be shared "
        "out; where two meet, they are blended.",
    )


class SequenceConfig(MotionConfig, DreamConfig):
    """Options of the loop over time."""

    defaults: ClassVar[Mapping[str, Any]] = {"hold": 0.97}


class SoundConfig(Section):
    title = "Sound"

    music: Music = Field(
        [],
        description="Sound file to follow instead of the source's own; the result gets the sound "
        "of the first. Others, and MIDI files, as drums=FILE. Repeatable.",
    )
    music_start: Seconds = Field(
        Fraction(0), description="Time in that file at which the result begins."
    )
    bpm: float | None = Field(
        None,
        ge=20,
        le=400,
        description="Approximate tempo in beats a minute; without it, found from the sound.",
    )
    attack: Seconds = Field(
        Fraction(1, 50), description="Time in which bass_smooth and the other _smooth values rise."
    )
    release: Seconds = Field(
        Fraction(3, 10), description="Time in which bass_smooth and the other _smooth values fall."
    )

    @model_validator(mode="after")
    def _something_to_start(self) -> Self:
        if not self.music and self.music_start:
            raise ValueError(
                f"--music-start {float(self.music_start):g} is given without --music; "
                "allowed with --music FILE"
            )
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        files = self.music_files
        names = [file.name for file in files if file.name]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"--music {name}=…: two have this name; allowed: one each")
        for kind in (True, False):
            for file in [file for file in files if file.is_midi == kind][1:]:
                if not file.name:
                    raise ValueError(
                        f"--music '{shown(file.path)}' is not the first and has no name; allowed: "
                        "NAME=FILE, as drums=FILE"
                    )
        return self

    @property
    def music_files(self) -> list[MusicFile]:
        """The files of --music."""
        return [parse_music(text) for text in self.music]

    @property
    def sound_file(self) -> MusicFile | None:
        """The file whose sound the result gets; None where it keeps its own."""
        return next((file for file in self.music_files if not file.is_midi), None)


class ScheduledConfig(DreamConfig, SoundConfig, TimeConfig):
    """Options that may change from frame to frame, and those that change them."""


class StartConfig(Section):
    start: Seconds | None = Field(None, description="Time in the source at which to begin.")


class SpanConfig(StartConfig):
    title = "Reading"

    end: Seconds | None = Field(None, description="Time in the source before which to end.")
    fps: Rate | None = Field(
        None, description="Frames a second; without it, the source's own times."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(
                f"--end {float(self.end):g} is not after --start {float(self.start):g}; "
                "allowed: any later time"
            )
        return self


class SizeConfig(Section):
    size: Size = Field("source", description="Size in pixels to dream and deliver at.")


class ReadConfig(SizeConfig, SpanConfig):
    title = "Reading"

    rate: Rate = Field(
        Fraction(25), description="Frames a second of pictures that are read as a film."
    )
    seconds: Seconds | None = Field(
        None, description="Time that a single picture as IN stays, or that a device is read."
    )
    input_format: str | None = Field(
        None,
        description="FFmpeg's name of the format on standard input (IN is -) or of a device (IN is "
        "its own name): v4l2, x11grab, avfoundation, dshow, gdigrab, lavfi.",
    )


class MaskConfig(PromptConfig):
    title = "Delivery"

    mask: str | None = Field(
        None, description="Picture or video file: white is dreamed, grey in part, black stays."
    )
    mask_invert: bool = Field(False, description="Dream where the mask is black instead.")
    where: list[Words] = Field(
        [],
        description="Dream only where the guide sees this, as sky; a mask from words. Repeatable.",
    )
    where_not: list[Words] = Field(
        [], description="Dream only where the guide does not see this, as face. Repeatable."
    )
    where_threshold: Annotated[float, Varies()] = Field(
        1.75,
        ge=-10,
        le=10,
        description="How clearly it must be seen, in standard deviations over other words; higher "
        "is less of the picture.",
    )
    where_model: str | None = Field(
        None,
        description="Folder of a CLIPSeg, as transformers saves one, that looks for such words "
        "instead of the guide; 3.5 times what it sees counts for --where-threshold.",
    )
    mask_steers: bool = Field(
        True,
        description="Draw cutouts where the mask is white, and measure strength there; without, it "
        "only hides the rest.",
    )
    show_mask: bool = Field(
        False, description="Show the masks instead of a dream: what they hide is dark and grey."
    )

    @model_validator(mode="after")
    def _something_to_invert(self) -> Self:
        if self.mask_invert and self.mask is None:
            raise ValueError("--mask-invert is given without --mask; allowed with --mask FILE")
        return self

    @model_validator(mode="after")
    def _something_to_find(self) -> Self:
        if self.where_model is not None and not self.has_words:
            raise ValueError(
                "--where-model is given without words to find; allowed with --where TEXT, "
                "--where-not TEXT or a prompt with such an area, as fire@@where:water"
            )
        return self

    @model_validator(mode="after")
    def _something_to_show(self) -> Self:
        if self.show_mask and not self.has_mask:
            raise ValueError(
                "--show-mask is given without a mask; allowed with --mask FILE, --where TEXT, "
                "--where-not TEXT or a prompt with an area, as fire@@left.png"
            )
        return self

    @property
    def has_mask(self) -> bool:
        """Whether a part of the picture is told from the rest."""
        return self.mask is not None or self.has_words or self.has_areas

    @property
    def has_words(self) -> bool:
        """Whether a mask is to be found by words."""
        areas = [area for area in self.areas if area is not None]
        return bool(self.where or self.where_not) or any(area.is_of_words for area in areas)


class DeliveryConfig(MaskConfig):
    title = "Delivery"

    deliver: Literal["dreamed", "source"] = Field(
        "dreamed",
        description="Size of the result: as dreamed, or the source's, onto which the dream's "
        "difference is scaled up.",
    )


IN_SPACE = (
    *("translation_x", "translation_y", "translation_z"),
    *("rotation_3d_x", "rotation_3d_y", "rotation_3d_z"),
)
"""Moves of a camera in three dimensions, by field."""
_STEPS = "1/200 of the scene's distance a frame, as in Deforum's 3D mode."


class CameraConfig(Section):
    title = "Camera"

    zoom: Annotated[float, Varies()] = Field(
        1.0, gt=0, le=100, description="Factor a second by which the camera magnifies."
    )
    rotate: Annotated[float, Varies()] = Field(
        0.0, ge=-3600, le=3600, description="Degrees a second by which it turns clockwise."
    )
    pan: Annotated[Pair, Allowed("two numbers as X,Y")] = Field(
        (0.0, 0.0), description="Frame widths right and heights down a second that the view moves."
    )
    pan_x: Annotated[float, Varies()] = Field(
        0.0,
        ge=-100,
        le=100,
        description="Frame widths a second that the view moves right, beside --pan; may change.",
    )
    pan_y: Annotated[float, Varies()] = Field(
        0.0,
        ge=-100,
        le=100,
        description="Frame heights a second that the view moves down, beside --pan; may change.",
    )
    angle: Annotated[float, Varies()] = Field(
        0.0,
        ge=-360,
        le=360,
        description="Degrees a frame by which it turns anticlockwise, beside --rotate, as in "
        "Deforum.",
    )
    translation_x: Annotated[float, Varies()] = Field(
        0.0, ge=-10_000, le=10_000, description=f"Steps to the right, {_STEPS}"
    )
    translation_y: Annotated[float, Varies()] = Field(
        0.0, ge=-10_000, le=10_000, description=f"Steps up, {_STEPS}"
    )
    translation_z: Annotated[float, Varies()] = Field(
        0.0, ge=-190, le=190, description=f"Steps ahead, {_STEPS}"
    )
    rotation_3d_x: Annotated[float, Varies()] = Field(
        0.0, ge=-80, le=80, description="Degrees a frame by which the camera turns up."
    )
    rotation_3d_y: Annotated[float, Varies()] = Field(
        0.0, ge=-80, le=80, description="Degrees a frame by which the camera turns right."
    )
    rotation_3d_z: Annotated[float, Varies()] = Field(
        0.0,
        ge=-360,
        le=360,
        description="Degrees a frame by which the camera rolls clockwise: the picture turns the "
        "other way.",
    )
    fov: Annotated[float, Varies()] = Field(
        70.0,
        ge=1,
        le=170,
        description="Angle of view of these moves, from top to bottom in degrees.",
    )
    per_frame: bool = Field(
        False,
        description="Count --zoom, --rotate and --pan by the frame, as Deforum does, instead of by "
        "the second.",
    )
    centre: Annotated[
        Pair, AfterValidator(check_share), Allowed("two shares from 0 to 1 as X,Y")
    ] = Field(
        (0.5, 0.5),
        description="Point about which it zooms and turns, in shares of width and height.",
    )
    ease: Literal["linear", "in", "out", "in-out"] = Field(
        "linear", description="Even motion, or slow at the beginning, the end or both."
    )
    shutter: float = Field(
        0.0, ge=0, le=360, description="Shutter angle in degrees: 180 blurs half a frame's motion."
    )

    @property
    def whole_pan(self) -> tuple[float, float]:
        """Frame widths right and heights down a second, of all options together."""
        return self.pan[0] + self.pan_x, self.pan[1] + self.pan_y

    @property
    def moves_in_space(self) -> bool:
        """Whether it moves in three dimensions, as far as no schedule says otherwise."""
        return any(getattr(self, name) for name in IN_SPACE)


class DepthConfig(CameraConfig):
    title = "Camera"

    depth: str | None = Field(
        None,
        description="Picture, folder or film of how near everything is, bright is near; without it "
        "the scene is flat.",
    )
    depth_far: float = Field(
        4.0,
        ge=1,
        le=1000,
        description="How many times as far away black is as white.",
    )

    @model_validator(mode="after")
    def _something_far(self) -> Self:
        if self.depth is not None and self.shutter:
            raise ValueError(
                f"--shutter {self.shutter:g}: a scene with --depth is not blurred; allowed with "
                "--depth: 0"
            )
        return self


class MetadataConfig(Section):
    metadata: bool = Field(True, description="Write prompts and options into the result.")
    report: bool = Field(
        False, description="Make a page about the result beside it: dream.html of dream.mp4."
    )


class EncodeConfig(MetadataConfig):
    title = "Writing"

    codec: str | None = Field(None, description="FFmpeg's name of the video encoder, as libx264.")
    crf: float | None = Field(
        None, ge=0, le=63, description="Quality of the encoder; lower is better."
    )
    pix_fmt: str | None = Field(None, description="Pixel format of the result, as yuv420p.")
    output_format: Literal["nut", "rawvideo", "matroska", "mp4"] = Field(
        "nut", description="Format on standard output (OUT is -); mp4 is fragmented."
    )


class WriteConfig(EncodeConfig):
    title = "Writing"

    sound: bool = Field(True, description="Copy the source's sound.")
    subtitles: bool = Field(True, description="Copy the source's subtitles, if OUT can hold them.")


class VideoConfig(
    WriteConfig,
    DeliveryConfig,
    ReadConfig,
    DepthConfig,
    SplitConfig,
    SequenceConfig,
    ScheduledConfig,
    TargetConfig,
):
    """All options of `dreamvid video`."""


class ImageConfig(MetadataConfig, MaskConfig, SizeConfig, DreamConfig, TargetConfig):
    """All options of `dreamvid image`."""

    title = "Image"
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 100, "strength": 0.3}
    descriptions: ClassVar[Mapping[str, str]] = {
        "steps": "Gradient steps, over all octaves.",
        "strength": "Largest RMS difference of the picture from IN; full range is 1.",
        "size": "Size in pixels to dream at; needed for grey and noise.",
        "mask": "Picture file: white is dreamed, grey in part, black stays.",
    }


class JudgeConfig(Section):
    title = "Judge"

    judge: str | None = Field(
        None,
        description="CLIP that scores the result, named like a guide; not one that dreamed it.",
    )


class EvalConfig(JudgeConfig, SizeConfig, SpanConfig, FlowConfig, DeviceConfig, PromptConfig):
    """All options of `dreamvid eval`. The span of the source is that of the result's metadata."""

    title = "Judge"
    descriptions: ClassVar[Mapping[str, str]] = {
        "size": "Size in pixels to measure at; source: the result's own.",
    }


class ReportConfig(JudgeConfig, FlowConfig, DeviceConfig):
    """All options of `dreamvid report` and `dreamvid compare`."""

    title = "Judge"
    descriptions: ClassVar[Mapping[str, str]] = {
        "cuts": "Find cuts, across which nothing is measured.",
    }


class ScoreConfig(SpanConfig, TargetConfig):
    """All options of `dreamvid score`."""

    title = "Score"

    words: int = Field(
        0, ge=0, le=100, description="Number of words to name that are nearest to each picture."
    )
    less: str | None = Field(
        None, description="Picture file; words are then nearest to what others have more of."
    )


class FilmConfig(FirstFrameConfig, StartConfig, SizeConfig):
    """Options of a film that a camera makes of one picture.

    Its length and rate are always known, so `seconds` and `fps` are options of its own.
    """

    title = "Zoom"

    loop: bool = Field(False, description="Make the film join its own beginning.")
    loop_steps: int = Field(
        250, ge=0, le=100_000, description="Gradient steps for the whole of a loop."
    )
    seconds: Duration = Field(Fraction(8), description="Length of the film.")
    fps: Rate = Field(Fraction(24), description="Frames a second.")

    @property
    def frame_count(self) -> int:
        """Number of frames in `seconds`, at least 1."""
        return max(1, round(self.seconds * self.fps))


class ZoomConfig(FilmConfig, EncodeConfig, CameraConfig, ScheduledConfig, TargetConfig):
    """All options of `dreamvid zoom`."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "zoom": 1.5,
        "steps": 4,
        "first_steps": 60,
        "hold": 0.6,
        "local_size": 0.2,
        "spectrum_decay": 1.0,
    }
    descriptions: ClassVar[Mapping[str, str]] = {
        "steps": "Gradient steps a frame, without --loop.",
        "first_steps": "Gradient steps for the first frame, without --loop.",
        "hold": "Share of each step that frames after the first do not take, in all pixels.",
        "start": "Time of the frame to begin with, if IN is a video.",
        "size": "Size of the film in pixels; needed for grey and noise.",
    }

    @model_validator(mode="after")
    def _everywhere(self) -> Self:
        if self.has_areas:
            raise ValueError(
                "--prompt TEXT@@AREA: a zoom leaves every area behind; allowed in `dreamvid video` "
                "and `dreamvid image`"
            )
        return self

    @model_validator(mode="after")
    def _closes(self) -> Self:
        if not self.loop:
            return self
        self._check_constant()
        whole = self.zoom ** float(self.seconds)
        if not SMALLEST_ROUND <= max(whole, 1 / whole) <= 1e12 or self.frame_count < 2:
            raise ValueError(
                f"--zoom {self.zoom:g} for {float(self.seconds):g} s is a factor of {whole:.4g} in "
                f"all; allowed with --loop: {SMALLEST_ROUND} to 1e12, inwards or outwards, over "
                "two frames or more"
            )
        by_frame = [name for name in ("angle", *IN_SPACE, "per_frame") if getattr(self, name)]
        if by_frame:
            raise ValueError(
                f"--{kebab(by_frame[0])}: a loop joins itself only under zoom and rotate; allowed "
                "with --loop: --zoom, --rotate"
            )
        if any(self.whole_pan):
            raise ValueError(
                f"--pan {self.whole_pan[0]:g},{self.whole_pan[1]:g} leaves the beginning behind; "
                "allowed with --loop: 0,0"
            )
        if self.canvas == "pyramid":
            raise ValueError(
                f"--canvas {self.canvas}: a loop is dreamed on a texture of its own; "
                "allowed with --loop: spectrum, octaves"
            )
        if self.ease in ("in", "out"):
            raise ValueError(
                f"--ease {self.ease} ends at another speed than it begins; "
                "allowed with --loop: linear, in-out"
            )
        return self

    def _check_constant(self) -> None:
        for name, _ in map(split_assignment, self.set_):
            if name in varying(type(self)):
                raise ValueError(
                    f"--set {name}: a loop is one picture under an even camera; "
                    "allowed with --loop: weights, as prompt1"
                )


CommandConfig = VideoConfig | ZoomConfig | ImageConfig
"""All options of a command that makes a result."""
COMMANDS: dict[str, type[CommandConfig]] = {
    "video": VideoConfig,
    "zoom": ZoomConfig,
    "image": ImageConfig,
}
"""The options of each command that makes a result."""
MODELS = (VideoConfig, ImageConfig, ZoomConfig, EvalConfig, ReportConfig, ScoreConfig)
"""Models of the commands that take a configuration file."""


def varying(model: type[Section]) -> dict[str, str]:
    """Options of `model` that may change from frame to frame: name → field."""
    return {
        kebab(name): name
        for name, field in model.model_fields.items()
        if any(isinstance(mark, Varies) for mark in field.metadata)
    }


def limits(model: type[Section], field: str) -> tuple[float, float]:
    """The least and the greatest value of a number of `model`; an open limit counts as its own."""
    marks = model.model_fields[field].metadata
    bounds = {
        name: float(getattr(mark, name))
        for mark in marks
        for name in ("ge", "gt", "le")
        if getattr(mark, name, None) is not None
    }
    return bounds.get("ge", bounds.get("gt", -math.inf)), bounds.get("le", math.inf)


def command_of(config: CommandConfig) -> str:
    """Name of the command whose options these are."""
    return next(name for name, kind in COMMANDS.items() if isinstance(config, kind))
