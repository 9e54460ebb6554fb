"""Reading of a result and its source, once: all that a page shows is taken on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dreamvid.config import (
    EvalConfig,
    ImageConfig,
    VideoConfig,
    ZoomConfig,
    build_config,
)
from dreamvid.device import choose_device
from dreamvid.errors import GuideError, MediaError
from dreamvid.evaluation.inputs import Inputs
from dreamvid.evaluation.run import create_evaluation, paired, told
from dreamvid.film.blank import blank_image, blank_name
from dreamvid.film.report import Reporter
from dreamvid.guide.loading import load_clip
from dreamvid.guide.objective import create_objective, create_objectives
from dreamvid.media.probing import VideoInfo, probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.source import Source
from dreamvid.media.still import read_image, read_weighted
from dreamvid.reporting.course import course_of
from dreamvid.reporting.facts import duration
from dreamvid.reporting.footage import (
    LONGEST_SIDE,
    MEASURED_SIDE,
    Footage,
    Meaning,
    fit,
    fitted,
    show_picture,
)
from dreamvid.reporting.run import Findings, Subject
from dreamvid.types import Frame

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.guide.objective import ClipObjective, FilmObjective


def look_at_video(subject: Subject, config: VideoConfig, reporter: Reporter) -> Findings:
    """Look at a clip beside its source. Raises DreamvidError."""
    info = probe(subject.result)
    width = _shown_width(info)
    measuring = build_config(EvalConfig, base=subject.measuring, given={"size": str(width)})
    source = Source.find(Path(subject.source), config)
    inputs = Inputs(source, subject.result, info, config, measuring)
    course = course_of(subject.source, config, reporter)
    device = choose_device(measuring.device)
    evaluation = create_evaluation(measuring, device, _judge(subject, device))
    schedule = None if course is None else course.schedule
    meaning = _meaning(subject, device, reporter, schedule, info.frame_count)
    with (
        VideoReader(
            subject.result, size=str(width), device=device, on_warning=reporter.warn
        ) as results,
        inputs.open_source(results.info, reporter.warn, device) as sources,
    ):
        footage = Footage(results.info, has_source=True)
        for source_frame, frame in paired(inputs, sources, results, reporter):
            footage.add(source_frame.image, frame)
            meaning.add(source_frame.image, frame)
            small = _measured(source_frame), _measured(frame)
            evaluation.add(*small)
    return Findings(
        footage.finish(subject.result),
        evaluation.figures,
        _about(info, subject.result),
        _size_of(small[1].image),
        meaning,
        dict(evaluation.series),
        course,
    )


def look_at_zoom(subject: Subject, config: ZoomConfig, reporter: Reporter) -> Findings:
    """Look at a zoom, and at the picture that it begins with. Raises DreamvidError."""
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.measure import measure_loop

    info = probe(subject.result)
    course = course_of(subject.source, config, reporter)
    measuring = subject.measuring
    device = choose_device(measuring.device)
    schedule = None if course is None else course.schedule
    meaning = _meaning(subject, device, reporter, schedule, info.frame_count)
    width = str(_shown_width(info))
    with VideoReader(subject.result, size=width, on_warning=reporter.warn) as results:
        first = _first_picture(subject, config, results.info)
        footage = Footage(results.info, has_source=first is not None, is_still=True)
        flow = create_flow(measuring.flow, "cpu", measuring.flow_weights)

        def watched() -> Iterator[Frame]:
            for frame in told(results, results.info.frame_count, reporter.tell):
                footage.add(first, frame)
                meaning.add(None, _on(device, frame))
                yield _measured(frame)

        try:
            measure = asdict(measure_loop(watched(), flow.backward))
        except ValueError as error:
            raise MediaError(f"'{subject.result}' cannot be measured: {error}") from None
    wanted = ("frames", "join", "zoom", "rotate") if config.loop else ("frames", "zoom", "rotate")
    return Findings(
        footage.finish(subject.result),
        {name: measure[name] for name in wanted},
        _about(info, subject.result),
        "x".join(map(str, reversed(fit(info.height, info.width, MEASURED_SIDE)))),
        meaning,
        course=course,
    )


def look_at_picture(subject: Subject, config: ImageConfig, reporter: Reporter) -> Findings:
    """Look at a picture beside its source. Raises DreamvidError."""
    device = choose_device(subject.measuring.device)
    source, result = _pair(subject, config, device)
    meaning = _meaning(subject, device, reporter, None, 1)
    meaning.add(source, Frame(result, Fraction(0)))
    about = {"size": f"{result.shape[2]}×{result.shape[1]} pixels", "bytes": _bytes(subject.result)}
    return Findings(
        show_picture(source, result),
        _figures_of(subject, source, result),
        about,
        _size_of(result),
        meaning,
    )


def measure_picture(subject: Subject, config: ImageConfig) -> Mapping[str, float | None]:
    """The figures of a picture beside its source. Raises DreamvidError."""
    device = choose_device(subject.measuring.device)
    return _figures_of(subject, *_pair(subject, config, device))


def _pair(subject: Subject, config: ImageConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """A picture's source and the picture, (3, H, W), at the size of the picture."""
    result = read_image(subject.result).to(device)
    size, blank = _size_of(result), blank_name(subject.source)
    if blank is None:
        return read_image(Path(subject.source), size=size).to(device), result
    return blank_image(blank, size, config.seed).to(device), result


def _figures_of(subject: Subject, source: Tensor, result: Tensor) -> Mapping[str, float | None]:
    """The figures that a single pair of pictures has."""
    device = result.device
    evaluation = create_evaluation(subject.measuring, device, _judge(subject, device))
    evaluation.add(Frame(source, Fraction(0)), Frame(result, Fraction(0)))
    of_films = ("frames", "cuts", "colour_drift")
    return {name: value for name, value in evaluation.figures.items() if name not in of_films}


def _shown_width(info: VideoInfo) -> int:
    """Width in pixels of the small copy of a film, whose pixels are square."""
    width = round(info.width * info.sample_aspect_ratio)
    shown = fit(info.height, width, LONGEST_SIDE)[1]
    return shown + shown % 2


def _first_picture(subject: Subject, config: ZoomConfig, info: VideoInfo) -> Tensor | None:
    """The picture (3, H, W) that a zoom begins with, at the size of `info`; None for a blank."""
    if blank_name(subject.source) is not None:
        return None
    reading = VideoConfig(start=config.start, size=f"{info.width}x{info.height}")
    with Source.find(Path(subject.source), reading).open(lambda text: None) as reader:
        return next(iter(reader)).image


def _judge(subject: Subject, device: torch.device) -> ClipObjective | None:
    """The judge with the prompts; None where none was named. Raises GuideError, MediaError."""
    if subject.measuring.judge is None:
        return None
    images = read_weighted(subject.config.image_prompt)
    return create_objective(load_clip(subject.measuring.judge, device), subject.config, images)


def _meaning(
    subject: Subject,
    device: torch.device,
    reporter: Reporter,
    schedule: Schedule[Any] | None,
    total: int | None,
) -> Meaning:
    """What tells the similarity of `total` frames; nothing where a guide is not there any more."""
    objectives: Sequence[FilmObjective] = ()
    try:
        images = read_weighted(subject.config.image_prompt)
        if subject.config.has_prompt:
            objectives = create_objectives(subject.config, device, images)
    except (GuideError, MediaError) as error:
        reporter.warn(f"the similarity to the prompts is not known: {error}")
    return Meaning(objectives, schedule, total)


def _on(device: torch.device, frame: Frame) -> Frame:
    return frame.with_image(frame.image.to(device))


def _measured(frame: Frame) -> Frame:
    """A frame at the size at which it is measured."""
    return replace(frame, image=fitted(frame.image, MEASURED_SIDE), alpha=None)


def _size_of(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"


def _about(info: VideoInfo, result: Path) -> Mapping[str, str]:
    """What a film's file is."""
    rate = "" if info.rate is None else f", {float(info.rate):.4g} frames a second"
    length = "" if info.duration is None else f", {duration(float(info.duration))}"
    frames = "" if info.frame_count is None else f", {info.frame_count} frames"
    return {
        "size": f"{info.width}×{info.height} pixels",
        "length": f"{length}{frames}{rate}".removeprefix(", "),
        "encoded as": ", ".join([info.codec, *(track.codec for track in info.sound)]),
        "bytes": _bytes(result),
    }


def _bytes(result: Path) -> str:
    size = result.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
