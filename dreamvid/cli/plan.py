"""`dreamvid plan`: what `dreamvid video` would do, without dreaming a frame."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import Overwrite, Quiet, Report
from dreamvid.cli.schedule import schedule_of
from dreamvid.cli.setup import check_dream, load_objectives
from dreamvid.config import VideoConfig, split_scene
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    from dreamvid.control.schedule import Schedule, Setting
    from dreamvid.control.sound import Sound
    from dreamvid.media.reader import FrameReader

ROWS = 25
"""Of the table, at most."""
TIMED_STEPS = 3
WIDTH = 9


@dataclass(frozen=True)
class Outlook:
    """What will hold at each frame."""

    config: VideoConfig
    schedule: Schedule[VideoConfig]
    sound: Sound | None
    times: list[float]
    """Of the frames, in seconds; where the rate varies, as if it did not."""
    settings: list[Setting[VideoConfig]]

    @property
    def curves(self) -> dict[str, list[float]]:
        """All that varies, by its name in --set; the weight of --at as `at`."""
        curves = {
            name: [setting.values[name] for setting in self.settings]
            for name in (self.settings[0].values if self.settings else {})
        }
        if self.config.at:
            curves["at"] = [setting.prompts.mix_weight for setting in self.settings]
        return curves

    @property
    def shares(self) -> list[list[float]]:
        """How much of each --at, in their order, holds at each frame, from 0 to 1."""
        shares = [[0.0] * len(self.settings) for _ in self.config.at]
        for frame, setting in enumerate(self.settings):
            if setting.prompts.mix is not None:
                mix = setting.prompts.mix
                shares[mix.first][frame] += 1 - mix.share
                shares[mix.second][frame] += mix.share
        return shares

    @property
    def beats(self) -> list[float]:
        """Those that fall into the result, in seconds."""
        end = self.times[-1] if self.times else 0.0
        return [beat for beat in self.schedule.clock.beats_until(end) if beat >= 0]

    @property
    def steps(self) -> int:
        """Gradient steps over all key frames; what cuts and new ground add is not known."""
        each = [setting.config.steps for setting in self.settings]
        last = len(each) - 1
        keys = {*range(self.config.every, last, self.config.every), last} - {0}
        following: int = sum(each[key] for key in keys)
        return self.config.first_steps + following


@dataclass(frozen=True)
class Cost:
    """What dreaming is expected to take."""

    seconds_per_step: float
    seconds: float
    memory: int | None
    """Bytes, at most, of this process or of the GPU; None where that is not told."""


@command(VideoConfig)
def plan(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="What `dreamvid video` would be given.")
    ],
    config: VideoConfig,
    plot: Annotated[
        Path | None, typer.Option(help="Draw sound, beats and all curves into this PNG file.")
    ] = None,
    timing: Annotated[
        bool, typer.Option(help="Time a few steps, to tell what the whole will take.")
    ] = True,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all of it as one JSON object instead.")
    ] = False,
) -> None:
    """Show every number and prompt that changes with time, and what dreaming would take."""
    _check(source, config, plot, overwrite)

    from dreamvid.media.source import open_frames

    report = Report(quiet, as_json)
    with open_frames(source, config, report.warn) as reader:
        schedule, sound = schedule_of(config, source, reader, report, curious=True)
        outlook = _look_ahead(config, schedule, sound, reader)
        cost = _time_steps(outlook, reader, report) if timing else None
    if plot is not None:
        _draw(plot, outlook, overwrite)
    if as_json:
        print(json.dumps(_facts(source, outlook, cost), ensure_ascii=False))
    else:
        print("\n".join(_lines(source, outlook, cost)))


def _check(source: Path, config: VideoConfig, plot: Path | None, overwrite: bool) -> None:
    from dreamvid.media.files import STANDARD, check_output
    from dreamvid.media.source import check_source
    from dreamvid.plot import PLOT_SUFFIXES

    check_source(source, config)
    if source == STANDARD:
        raise ConfigError("plan looks ahead, which standard input does not allow; allowed: a file")
    if plot is not None:
        check_output(plot, source, overwrite, PLOT_SUFFIXES)
    check_dream(config)


def _look_ahead(
    config: VideoConfig,
    schedule: Schedule[VideoConfig],
    sound: Sound | None,
    reader: FrameReader,
) -> Outlook:
    info = reader.info
    if info.frame_count is None:
        raise ConfigError("the source does not say how long it is; allowed: with --end or --fps")
    rate = info.rate or Fraction(25)
    times = [index / rate for index in range(info.frame_count)]
    settings = [schedule(moment, index) for index, moment in enumerate(times)]
    return Outlook(config, schedule, sound, [float(moment) for moment in times], settings)


def _time_steps(outlook: Outlook, reader: FrameReader, report: Report) -> Cost:
    """Dream a few steps on the first frame, of which nothing is kept."""
    import torch

    from dreamvid.device import choose_device
    from dreamvid.dream.descent import descend

    config = outlook.config
    device = choose_device(config.device)
    frame = next(iter(reader)).image.to(device)
    everything = outlook.settings[0].prompts
    objectives = [each.at(everything) for each in load_objectives(config, device, report)]
    seconds = []
    for steps in (config.octaves, TIMED_STEPS * config.octaves):  # as many in each octave
        started = time.perf_counter()
        descend(frame, objectives, config, steps=steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append((time.perf_counter() - started) / steps)
    each = seconds[-1]  # the first warms up
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _most_memory()
    return Cost(each, each * outlook.steps, memory)


def _most_memory() -> int | None:
    """Bytes that this process has had at most."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


# Telling it


def _facts(source: Path, outlook: Outlook, cost: Cost | None) -> dict[str, Any]:
    clock = outlook.schedule.clock
    return {
        "source": str(source),
        "frames": len(outlook.times),
        "rate": None if clock.rate is None else float(clock.rate),
        "bpm": None if clock.bpm is None else round(clock.bpm, 3),
        "beats": [round(beat, 4) for beat in outlook.beats],
        "prompts": [
            {"time": time, "text": split_scene(text)[0], "shares": _rounded(shares)}
            for (time, text), shares in zip(
                outlook.schedule.scenes, _in_order(outlook), strict=True
            )
        ],
        "times": _rounded(outlook.times),
        "curves": {name: _rounded(values) for name, values in outlook.curves.items()},
        "steps": outlook.steps,
        "expected": None
        if cost is None
        else {
            "seconds_per_step": round(cost.seconds_per_step, 4),
            "seconds": round(cost.seconds, 1),
            "memory_bytes": cost.memory,
        },
    }


def _in_order(outlook: Outlook) -> list[list[float]]:
    """The shares of --at in the order of their times."""
    return [outlook.shares[number] for number in outlook.schedule.order]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in values]


def _lines(source: Path, outlook: Outlook, cost: Cost | None) -> list[str]:
    clock, times = outlook.schedule.clock, outlook.times
    rate = "" if clock.rate is None else f" at {float(clock.rate):.5g} a second"
    lines = [f"{source}: {len(times)} frames{rate}"]
    if clock.bpm is not None:
        first = f", the first at {outlook.beats[0]:.3f} s" if outlook.beats else ""
        lines.append(f"tempo: {clock.bpm:.2f} beats a minute, {len(outlook.beats)} beats{first}")
    elif outlook.sound is not None:
        lines.append("tempo: none found")
    lines += _prompt_lines(outlook)
    lines += _table(outlook)
    if cost is not None:
        lines += ["", _cost_line(outlook, cost)]
    return lines


def _prompt_lines(outlook: Outlook) -> list[str]:
    always = [*outlook.config.prompt, *outlook.config.to]
    lines = [f"  always      {text}" for text in always]
    lines += [f"  {time:8.3f} s  {split_scene(text)[0]}" for time, text in outlook.schedule.scenes]
    return ["", "prompts", *lines]


def _table(outlook: Outlook) -> list[str]:
    """Some frames evenly spread, and the range over all of them."""
    curves = outlook.curves
    if not curves:
        return ["", "no number varies (--set NAME=EXPRESSION)"]
    columns = ["frame", "seconds", *(["beat"] if outlook.beats else []), *curves]
    widths = [max(WIDTH, len(name) + 2) for name in columns]

    def row(cells: Sequence[str]) -> str:
        return "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))

    count = len(outlook.times)
    every = max(1, -(-count // ROWS))
    lines = ["", row(columns)]
    for frame in range(0, count, every):
        time = outlook.times[frame]
        beat = [f"{outlook.schedule.clock.beat(time):.2f}"] if outlook.beats else []
        values = [f"{values[frame]:.4g}" for values in curves.values()]
        lines.append(row([str(frame), f"{time:.3f}", *beat, *values]))
    blank = [""] * (len(columns) - len(curves) - 1)
    for name, measure in {"lowest": min, "highest": max}.items():
        lines.append(row([name, *blank, *(f"{measure(values):.4g}" for values in curves.values())]))
    return lines


def _cost_line(outlook: Outlook, cost: Cost) -> str:
    minutes, seconds = divmod(round(cost.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    memory = "" if cost.memory is None else f", {cost.memory / 2**30:.1f} GiB of memory"
    return (
        f"expected: {outlook.steps} steps of {cost.seconds_per_step:.3g} s, "
        f"{hours}:{minutes:02}:{seconds:02} in all, and more at cuts{memory}"
    )


def _draw(path: Path, outlook: Outlook, overwrite: bool) -> None:
    from dreamvid.plot import Line, Panel, write_plot

    panels = _sound_panels(outlook)
    if outlook.config.at:
        lines = [
            Line(split_scene(text)[0][:24], outlook.times, shares)
            for (_, text), shares in zip(outlook.schedule.scenes, _in_order(outlook), strict=True)
        ]
        panels.append(Panel("prompts", lines, from_zero=True))
    panels += [
        Panel(name, [Line(name, outlook.times, values)]) for name, values in outlook.curves.items()
    ]
    if not panels:
        raise ConfigError("--plot: there is neither sound nor anything that varies; allowed: --set")
    write_plot(path, panels, marks=outlook.beats, panel_height=1.4, overwrite=overwrite)


def _sound_panels(outlook: Outlook) -> list[Any]:
    """Loudness to both sides, as a waveform is drawn, and the features as frames meet them."""
    from dreamvid.control.schedule import FEATURES
    from dreamvid.plot import Line, Panel

    sound, times = outlook.sound, outlook.times
    if sound is None:
        return []
    step = times[1] - times[0] if len(times) > 1 else 0.04
    heard = [sound(time, step) for time in times]
    fine = [time + part * step / 4 for time in times for part in range(4)]
    loud = [sound(time)["rms"] for time in fine]
    wave = [
        Line("loudness", fine, loud, colour="tab:grey"),
        Line("", fine, [-value for value in loud], colour="tab:grey"),
    ]
    bands = [Line(name, times, [values[name] for values in heard]) for name in FEATURES[1:]]
    return [Panel("sound and beats", wave), Panel("features", bands, from_zero=True)]
