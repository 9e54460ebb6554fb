"""`dreamvid eval`: how well a result holds still, keeps its source and means its prompt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.setup import METADATA_KEY
from dreamvid.config import (
    EvalConfig,
    PromptConfig,
    ReadConfig,
    VideoConfig,
    build_config,
    options,
    split_assignment,
    split_weight,
)
from dreamvid.errors import ConfigError, GuideError, MediaError
from dreamvid.guide.names import parse_guide

if TYPE_CHECKING:
    import torch

    from dreamvid.cli.sheet import ContactSheet
    from dreamvid.evaluation.figures import Evaluation
    from dreamvid.guide.objective import ClipObjective
    from dreamvid.media.info import VideoInfo
    from dreamvid.media.reader import FrameReader
    from dreamvid.types import Frame

CLOCK_SLACK = Fraction(1, 1000)
"""Seconds by which times of one moment may differ between containers, however fine their clocks."""


@command(EvalConfig)
def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="What was dreamed on; with --loop, the film.")
    ],
    config: EvalConfig,
    result: Annotated[
        Path | None, typer.Argument(metavar="RESULT", help="A video file made of it.")
    ] = None,
    loop: Annotated[
        bool,
        typer.Option(
            "--loop", help="Measure one film alone: how it joins its beginning, zoom and rotation."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Let a guide judge what it dreamed itself.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the figures over time into this PNG file.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write frames of SOURCE above those of RESULT: .png, .jpg …")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure a result against its source: coherence, content, and a judge's gain.

    The span of SOURCE and the prompts are those that RESULT's metadata tell, where not given.
    """
    if loop:
        _tell_loop(source, result, config, plot, sheet, as_json)
        return
    if result is None:
        raise ConfigError("RESULT is missing; allowed without it: --loop")
    seen, recipe = _check(source, result, config, plot, sheet, overwrite)
    prompts = _prompts(config, recipe)
    _check_judge(config, prompts, recipe, force)

    from dreamvid.cli.sheet import ContactSheet
    from dreamvid.device import choose_device
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import write_image

    report = Report(quiet, as_json)
    contacts = ContactSheet(seen.frame_count)
    with (
        VideoReader(result, size=config.size, on_warning=report.warn) as results,
        _open_source(source, results.info, config, recipe, report) as sources,
    ):
        device = choose_device(config.device)
        judge = _load_judge(config, prompts, recipe, device, report)
        seen_frames = _seen(source, sources, recipe, report)
        evaluation = _measure(seen_frames, results, config, judge, device, contacts, report)
    if sheet is not None:
        write_image(sheet, contacts.image(), overwrite=overwrite)
    if plot is not None:
        _draw(plot, evaluation, overwrite)
    conditions = {
        "source": str(source),
        "result": str(result),
        "width": results.info.width,
        "height": results.info.height,
        "flow": config.flow,
        "judge": config.judge,
        "prompts": prompts.model_dump(
            mode="json", by_alias=True, include=set(PromptConfig.model_fields)
        ),
    }
    _tell(conditions, evaluation, report)


def _tell_loop(
    film: Path,
    result: Path | None,
    config: EvalConfig,
    plot: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    from dreamvid.cli.loop import tell_loop
    from dreamvid.media.source import check_source

    for given, name in ((result, "RESULT"), (plot, "--plot"), (sheet, "--sheet")):
        if given is not None:
            raise ConfigError(f"{name} '{given}' is of no use to --loop; allowed: FILE alone")
    check_source(film, ReadConfig())
    tell_loop(film, flow=config.flow, weights=config.flow_weights, as_json=as_json)


# What is checked before anything heavy is loaded.


def _check(
    source: Path,
    result: Path,
    config: EvalConfig,
    plot: Path | None,
    sheet: Path | None,
    overwrite: bool,
) -> tuple[VideoInfo, VideoConfig | None]:
    """What the result says of itself and of the options that made it."""
    from dreamvid.cli.plot import PLOT_SUFFIXES
    from dreamvid.media.files import STANDARD, check_output
    from dreamvid.media.info import probe
    from dreamvid.media.source import check_source
    from dreamvid.media.still import IMAGE_SUFFIXES

    for path in (source, result):
        if path == STANDARD:
            raise ConfigError("'-' cannot be measured; allowed: files, which can be read twice")
    check_source(source, ReadConfig())
    for out, suffixes in ((plot, PLOT_SUFFIXES), (sheet, IMAGE_SUFFIXES)):
        if out is not None:
            check_output(out, source, overwrite, suffixes)
    if plot is not None and plot == sheet:
        raise ConfigError(f"--plot and --sheet are both '{plot}'; allowed: two files")
    seen = probe(result)
    return seen, _recipe(result, seen)


def _recipe(result: Path, seen: VideoInfo) -> VideoConfig | None:
    """The options that made the result; None where its metadata do not tell.

    Raises ConfigError for one of `dreamvid zoom`.
    """
    try:
        told = dict(json.loads(seen.metadata[METADATA_KEY])["options"])
        known = {option.name for option in options(VideoConfig)}
        recipe = VideoConfig(**{name: value for name, value in told.items() if name in known})
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    if "loop" in told:
        raise ConfigError(
            f"'{result}' was made by `dreamvid zoom`, so no source has its frames; "
            "allowed: `dreamvid eval --loop` with it alone"
        )
    return recipe


def _prompts(config: EvalConfig, recipe: VideoConfig | None) -> PromptConfig:
    """Those given, or else those of the recipe."""
    if recipe is None or any(getattr(config, name) for name in PromptConfig.model_fields):
        return config
    return recipe


def _check_judge(
    config: EvalConfig, prompts: PromptConfig, recipe: VideoConfig | None, force: bool
) -> None:
    from dreamvid.media.files import check_input

    if config.judge is None:
        return
    parse_guide(config.judge)
    if _identity(config.judge) in map(_identity, _guides(recipe)) and not force:
        raise ConfigError(
            f"--judge: '{config.judge}' dreamed this result and would praise it; allowed: another "
            "model, or --force"
        )
    prompts.require_prompt()
    for weighted in prompts.image_prompt:
        check_input(Path(split_weight(weighted)[0]))


def _guides(recipe: VideoConfig | None) -> list[str]:
    """Those that dreamed the result; none where its metadata do not tell."""
    return recipe.guide if recipe is not None and "guide" in recipe.model_fields_set else []


def _identity(guide: str) -> tuple[str, str | None]:
    """The same for two names of one guide."""
    try:
        name = parse_guide(guide)
    except GuideError:
        return guide, None
    if name.model.startswith("local-dir:"):
        return str(Path(name.model.removeprefix("local-dir:")).resolve()), None
    if name.pretrained is not None and Path(name.pretrained).is_file():
        return name.model, str(Path(name.pretrained).resolve())
    return name.model, name.pretrained


# Source, result and judge.


def _open_source(
    source: Path,
    result: VideoInfo,
    config: EvalConfig,
    recipe: VideoConfig | None,
    report: Report,
) -> FrameReader:
    """What was dreamed on, at the result's size; its span as told, or else by the recipe.

    Raises MediaError where the two differ in shape, and not because that was asked for.
    """
    from dreamvid.media.source import open_frames

    span = {"start", "end", "fps"}
    told = {}
    if recipe is not None:
        told = recipe.model_dump(mode="json", include=span | {"rate", "seconds"})
    told |= config.model_dump(mode="json", include=span, exclude_none=True)
    reading = build_config(ReadConfig, given=told)
    reader = open_frames(source, reading, report.warn)
    if (reader.info.width, reader.info.height) == (result.width, result.height):
        return reader
    reader.close()
    if "x" not in config.size and (recipe is None or "x" not in recipe.size):
        _check_shape(source, reader.info, result)
    size = f"{result.width}x{result.height}"
    return open_frames(source, reading.model_copy(update={"size": size}), report.warn)


def _check_shape(source: Path, theirs: VideoInfo, ours: VideoInfo) -> None:
    """Allows for a height that was rounded to an even number."""
    shape = theirs.height / (theirs.width * theirs.sample_aspect_ratio)
    expected = ours.width * ours.sample_aspect_ratio * shape
    if abs(expected - ours.height) > 2:
        raise MediaError(
            f"the result is {ours.width}x{ours.height}, and '{source}' of {theirs.width}x"
            f"{theirs.height} has another shape; allowed: the source of this result"
        )


def _load_judge(
    config: EvalConfig,
    prompts: PromptConfig,
    recipe: VideoConfig | None,
    device: torch.device,
    report: Report,
) -> ClipObjective | None:
    from dreamvid.guide.loading import load_clip
    from dreamvid.guide.objective import create_objective
    from dreamvid.media.still import read_image

    if config.judge is None:
        report.say("no --judge, so no gain: what the dream means is not measured")
        return None
    if not _guides(recipe):
        report.warn("the result does not tell which guide dreamed it; the judge must be another")
    images = [read_image(Path(split_weight(text)[0])) for text in prompts.image_prompt]
    return create_objective(load_clip(config.judge, device), prompts, images)


def _seen(
    source: Path, sources: FrameReader, recipe: VideoConfig | None, report: Report
) -> Iterator[Frame]:
    """The source's frames through the camera that the result was seen through, if it moved."""
    from dreamvid.cli.clip import View
    from dreamvid.cli.schedule import schedule_of

    if recipe is None:
        return iter(sources)
    # Of all that varies the camera alone is of interest, and sound is heard for it alone.
    course = [each for each in recipe.set_ if split_assignment(each)[0] in ("zoom", "rotate")]
    filmed = recipe.model_copy(update={"set_": course, "at": []})
    schedule, _ = schedule_of(filmed, source, sources, report)
    return map(View.of(filmed, sources, schedule).frame, sources)


def _measure(
    sources: Iterator[Frame],
    results: FrameReader,
    config: EvalConfig,
    judge: ClipObjective | None,
    device: torch.device,
    contacts: ContactSheet,
    report: Report,
) -> Evaluation:
    """Every frame that has a partner. Raises MediaError where none has."""
    from dreamvid.evaluation.figures import Evaluation, match_frames
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector

    evaluation = Evaluation(
        create_flow(config.flow, device, config.flow_weights),
        create_cut_detector(config.cut_threshold) if config.cuts else lambda *_: False,
        judge,
    )
    tolerance = max(results.info.time_base / 2, CLOCK_SLACK)
    alone: Counter[str] = Counter()
    with report.progress("measuring", results.info.frame_count) as progress:
        for pair in match_frames(sources, results, tolerance, alone):
            evaluation.add(*(frame.with_image(frame.image.to(device)) for frame in pair))
            contacts.add([frame.image for frame in pair])
            progress.advance("")
    if not evaluation.figures["frames"]:
        raise MediaError(
            "no frame of the result is shown at the time of one of the source; "
            "--start tells where in the source the result begins"
        )
    if alone.total():
        rest = "; the source goes on where the result ends" if alone["rest"] else ""
        report.warn(
            f"frames are matched by their times: {alone['source']} of the source's and "
            f"{alone['result']} of the result's have no partner{rest}"
        )
    return evaluation


# What is told.


def _draw(path: Path, evaluation: Evaluation, overwrite: bool) -> None:
    """The figures over time."""
    from dreamvid.cli.plot import Line, Panel, write_plot

    series = evaluation.series
    times = [time for time in series["time"] if time is not None]
    cuts = [time for time, value in zip(times, series["fdb"], strict=True) if value is None][1:]
    colours = [
        Line(f"{name} {colour}", times, series[f"{name}_{colour}"], f"tab:{colour}", faint)
        for colour in ("red", "green", "blue")
        for name, faint in (("result", False), ("source", True))
    ]
    titles = {
        "dream_warp_error": "dream warp error",
        "tof": "distance of the motion from the source's (tOF), pixels",
        "sharpness": "gradient energy over the source's",
    }
    panels = [
        Panel(title, [Line("", times, series[name])], from_zero=True)
        for name, title in titles.items()
    ]
    panels.append(Panel("mean colour", colours))
    if "judge_after" in series:
        judged = [
            Line("result", times, series["judge_after"], "tab:blue"),
            Line("source", times, series["judge_before"], "tab:blue", faint=True),
        ]
        panels.insert(0, Panel("judge's similarity to the prompts", judged))
    write_plot(path, panels, marks=cuts, overwrite=overwrite)


def _tell(conditions: dict[str, Any], evaluation: Evaluation, report: Report) -> None:
    """One JSON object on standard output, or a line a figure."""
    from dreamvid.evaluation.figures import FIGURES

    figures = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in evaluation.figures.items()
    }
    if report.as_json:
        told = conditions | figures | {"warnings": report.warnings}
        print(json.dumps(told, ensure_ascii=False))
        return
    width = max(map(len, FIGURES))
    for name, value in figures.items():
        shown = "–" if value is None else f"{value:.4g}"
        print(f"{name:{width}}  {shown:>10}  {FIGURES[name]}")
