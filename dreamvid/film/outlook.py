"""The plan of a film: every number and prompt that changes with time, and what it will cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import VideoConfig, ZoomConfig, split_scene
from dreamvid.errors import ConfigError
from dreamvid.events import Listener
from dreamvid.film.budget import rise_of, step_budget, turn_of
from dreamvid.film.checks import check_prompts, config_of, with_own_colours
from dreamvid.film.report import Reporter
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.control.analysis import Sound
    from dreamvid.control.schedule import Schedule, Setting
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.source import Source
    from dreamvid.plot import Panel, Pictures
    from dreamvid.types import PromptWeights

TIMED_STEPS = 3
"""Timed gradient steps per octave."""
_GLIMPSES = 6
"""Frames of a plot that show masks."""
_LABEL = 24
"""Characters of a prompt in a plot's legend."""


@dataclass(frozen=True)
class Cost:
    """Time and memory that dreaming is expected to take."""

    seconds_per_step: float
    seconds: float
    memory: int | None
    """Peak memory in bytes, of the GPU or else of this process; None where it is not known."""


@dataclass(frozen=True)
class Outlook:
    """The settings of each frame of a film that is not dreamed yet."""

    source: str
    config: VideoConfig | ZoomConfig
    schedule: Schedule[Any]
    sound: Sound | None
    times: list[float]
    """Times of the frames, in seconds; where the rate varies, as if it did not."""
    settings: list[Setting[Any]]
    cost: Cost | None = None
    """Expected cost; None where it was not measured."""

    @property
    def curves(self) -> dict[str, list[float]]:
        """The values of all that varies, by its name in --set; the weight of --at as `at`."""
        curves = {
            name: [setting.values[name] for setting in self.settings]
            for name in (self.settings[0].values if self.settings else {})
        }
        if self.config.at:
            curves["at"] = [setting.prompts.mix_weight for setting in self.settings]
        return curves

    @property
    def shares(self) -> list[list[float]]:
        """The share of each --at at each frame, from 0 to 1; the prompts in the order of time."""
        shares = [[0.0] * len(self.settings) for _ in self.config.at]
        for frame, setting in enumerate(self.settings):
            if setting.prompts.mix is not None:
                mix = setting.prompts.mix
                shares[mix.first][frame] += 1 - mix.share
                shares[mix.second][frame] += mix.share
        return [shares[number] for number in self.schedule.order]

    @property
    def beats(self) -> list[float]:
        """Times in seconds of the beats that fall into the result."""
        end = self.times[-1] if self.times else 0.0
        return [beat for beat in self.schedule.clock.beats_until(end) if beat >= 0]

    @property
    def steps(self) -> int:
        """Gradient steps over the key frames of `--every`.

        Without the extra ones at cuts, for new ground and at other frames that strike.
        """
        assert isinstance(self.config, VideoConfig)  # a zoom is not planned
        settings = self.settings
        last = len(settings) - 1
        keys = sorted({*range(self.config.every, last, self.config.every), last} - {0})
        following = sum(
            _steps_between(settings[before], settings[key]) for before, key in pairwise([0, *keys])
        )
        return self.config.first_steps + following

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the plan, as `dreamvid plan --json` prints it."""
        clock, cost = self.schedule.clock, self.cost
        return {
            "source": self.source,
            "frames": len(self.times),
            "rate": None if clock.rate is None else float(clock.rate),
            "bpm": None if clock.bpm is None else round(clock.bpm, 3),
            "beats": [round(beat, 4) for beat in self.beats],
            "prompts": [
                {"time": time, "text": split_scene(text)[0], "shares": _rounded(shares)}
                for (time, text), shares in zip(self.schedule.scenes, self.shares, strict=True)
            ],
            "times": _rounded(self.times),
            "curves": {name: _rounded(values) for name, values in self.curves.items()},
            "steps": self.steps,
            "expected": None
            if cost is None
            else {
                "seconds_per_step": round(cost.seconds_per_step, 4),
                "seconds": round(cost.seconds, 1),
                "memory_bytes": cost.memory,
            },
        }


def plan(
    source: str | PathLike[str],
    *,
    config: VideoConfig | None = None,
    timing: bool = True,
    plot: str | PathLike[str] | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Outlook:
    """The plan of `dream_video` with these options, without dreaming a frame.

    With `timing` a few steps are dreamed on the first frame, to estimate the cost of the film.
    `plot` is a PNG file of the sound, the beats and all curves, and of masks on a few frames. Each
    option of `dreamvid video` is a keyword, on top of `config`. Raises ConfigError, MediaError,
    GuideError, DeviceError.
    """
    from dreamvid.film.listening import schedule_of

    reporter = Reporter(listener or usual_listener())
    config = config_of(VideoConfig, config, options)
    target = None if plot is None else Path(plot)
    found = _check(Path(source), config, target, overwrite)
    config = with_own_colours(config, found, str(source))
    with found.open(reporter.warn) as reader:
        schedule, sound = schedule_of(config, found, reader, reporter.tell, always_listen=True)
        times, settings = _look_ahead(schedule, reader)
        outlook = Outlook(str(source), config, schedule, sound, times, settings)
        cost = _time_steps(outlook, reader, reporter) if timing else None
    if target is not None:
        shown = _masks(Path(source), config, outlook, reporter) if config.has_mask else ()
        draw_outlook(target, outlook, overwrite, list(shown))
    return Outlook(str(source), config, schedule, sound, times, settings, cost)


def _check(source: Path, config: VideoConfig, plot: Path | None, overwrite: bool) -> Source:
    """The source, after checks of files and options; nothing heavy is loaded."""
    from dreamvid.media.files import check_output
    from dreamvid.media.source import Source
    from dreamvid.plot import PLOT_SUFFIXES

    found = Source.find(source, config)
    if found.kind == "pipe":
        raise ConfigError("plan looks ahead, which a pipe does not allow; allowed: a file")
    if plot is not None:
        check_output(plot, source, overwrite, PLOT_SUFFIXES)
    check_prompts(config)
    return found


def _look_ahead(
    schedule: Schedule[VideoConfig], reader: FrameReader
) -> tuple[list[float], list[Setting[VideoConfig]]]:
    """The time and the settings of each frame."""
    from dreamvid.film.view import USUAL_RATE

    info = reader.info
    if info.frame_count is None:
        raise ConfigError("the source does not say how long it is; allowed: with --end or --fps")
    rate = info.rate or USUAL_RATE
    times = [index / rate for index in range(info.frame_count)]
    settings = [schedule(moment, index) for index, moment in enumerate(times)]
    return [float(moment) for moment in times], settings


def _time_steps(outlook: Outlook, reader: FrameReader, reporter: Reporter) -> Cost:
    """The expected cost, from a few steps on the first frame, whose result is discarded."""
    import torch

    from dreamvid.device import choose_device

    config = outlook.config
    assert isinstance(config, VideoConfig)
    device = choose_device(config.device)
    frame = next(iter(reader)).image.to(device)
    each = time_step(config, frame, outlook.settings[0].prompts, reporter)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_memory()
    return Cost(each, each * outlook.steps, memory)


def time_step(
    config: VideoConfig, frame: Tensor, prompts: PromptWeights, reporter: Reporter
) -> float:
    """Seconds of a gradient step on a frame (3, H, W), on its device, from a few of them.

    Raises GuideError, MediaError.
    """
    import torch

    from dreamvid.dream.descent import descend
    from dreamvid.film.settings import load_objectives

    device = frame.device
    objectives = [each.at(prompts) for each in load_objectives(config, device, reporter)]
    seconds = []
    for steps in (config.octaves, TIMED_STEPS * config.octaves):  # as many in each octave
        started = time.perf_counter()
        descend(frame, objectives, config, steps=steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - started) / steps)
    return seconds[-1]  # the first warms up


def _peak_memory() -> int | None:
    """Peak memory of this process in bytes; None on Windows."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _masks(
    source: Path, config: VideoConfig, outlook: Outlook, reporter: Reporter
) -> Iterator[Tensor]:
    """A few frames (3, H, W) that show their masks, in order of time."""
    from dreamvid.film.clip import open_clip
    from dreamvid.film.job import VideoJob

    job = VideoJob.without_result(source, config)
    with open_clip(job, reporter) as clip:
        for frame in job.source.glimpses(_GLIMPSES, device=clip.device):
            index = round(frame.time * (clip.info.rate or 0))
            yield clip.with_masks_shown(frame, min(index, len(outlook.times) - 1))


def draw_outlook(
    path: Path, outlook: Outlook, overwrite: bool, shown: Sequence[Tensor] = ()
) -> None:
    """Draw sound, beats, prompts and all that varies into a PNG file.

    `shown` are frames (3, H, W) that show their masks, evenly spread over the film.

    Raises ConfigError where there is nothing to draw, MediaError where it cannot be written.
    """
    from dreamvid.plot import Pictures, write_plot

    panels: list[Panel | Pictures] = [*outlook_panels(outlook)]
    if shown:
        end = outlook.times[-1] + _step_of(outlook.times)
        panels.insert(0, Pictures("masks", shown, end))
    if not panels:
        raise ConfigError("--plot: there is neither sound nor anything that varies; allowed: --set")
    write_plot(path, panels, marks=outlook.beats, panel_height=1.4, overwrite=overwrite)


def outlook_panels(outlook: Outlook) -> list[Panel]:
    """The panels of sound, prompts and all that varies; empty where there is nothing to draw."""
    return [*_sound_panels(outlook), *_curve_panels(outlook)]


def _curve_panels(outlook: Outlook) -> list[Panel]:
    """The shares of the prompts over time, and each number that changes."""
    from dreamvid.plot import Line, Panel

    panels = []
    if outlook.config.at:
        lines = [
            Line(split_scene(text)[0][:_LABEL], outlook.times, shares)
            for (_, text), shares in zip(outlook.schedule.scenes, outlook.shares, strict=True)
        ]
        panels.append(Panel("prompts", lines, from_zero=True))
    return panels + [
        Panel(name, [Line(name, outlook.times, values)])
        for name, values in outlook.curves.items()
        if min(values) < max(values)
    ]


def _sound_panels(outlook: Outlook) -> list[Panel]:
    """The sounds and notes that are heard, each file's once."""
    if outlook.sound is None:
        return []
    heard = [("", outlook.sound), *outlook.sound.others]
    once = {id(sound.features): (prefix, sound) for prefix, sound in heard if sound.features}
    panels = []
    for prefix, sound in once.values():
        alone = replace(sound, others=())
        draw = _heard_panels if "rms" in alone.features else _note_panels
        panels += draw(alone, prefix.removesuffix("_"), outlook.times)
    return panels


def _heard_panels(sound: Sound, name: str, times: Sequence[float]) -> list[Panel]:
    """Loudness to both sides, as a waveform is drawn, and the features that are heard."""
    from dreamvid.control.names import FEATURES
    from dreamvid.plot import Line, Panel

    step = _step_of(times)
    heard = [sound(time, step) for time in times]
    fine = [time + part * step / 4 for time in times for part in range(4)]
    loud = [sound(time)["rms"] for time in fine]
    if not any(loud):
        return []
    wave = [
        Line("loudness", fine, loud, colour="tab:grey", filled=True),
        Line("", fine, [-value for value in loud], colour="tab:grey", filled=True),
    ]
    bands = {name: [values[name] for values in heard] for name in FEATURES[1:]}
    silent = [name for name, values in bands.items() if not any(values)]
    lines = [Line(name, times, values) for name, values in bands.items() if name not in silent]
    title = f"features; silent: {', '.join(silent)}" if silent else "features"
    if name:
        return [Panel(f"sound of {name}", wave), Panel(f"{name}: {title}", lines, from_zero=True)]
    return [Panel("sound and beats", wave), Panel(title, lines, from_zero=True)]


def _note_panels(score: Sound, name: str, times: Sequence[float]) -> list[Panel]:
    """The velocities of notes and drums, and the number of the note."""
    from dreamvid.plot import Line, Panel

    heard = [score(time, _step_of(times)) for time in times]
    curves = {
        name: [values[name] for values in heard]
        for name in score.features
        if not name.endswith("_smooth")
    }
    number = Line("note", times, curves.pop("note"))
    lines = [Line(each, times, values) for each, values in curves.items() if any(values)]
    title = f"notes of {name}" if name else "notes"
    return [Panel(title, lines, from_zero=True), Panel(f"{title}, by number", [number])]


def _steps_between(before: Setting[Any], key: Setting[Any]) -> int:
    """Gradient steps of a key frame after another, where all of it can be trusted."""
    rise = rise_of(key.config.strength, before.config.strength)
    turn = turn_of(key.prompts.changes, before.prompts.changes)
    return step_budget(key.config, rise=rise, turn=turn)


def _step_of(times: Sequence[float]) -> float:
    """Seconds from one frame to the next."""
    return times[1] - times[0] if len(times) > 1 else 0.04


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in values]
