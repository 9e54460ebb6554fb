"""Evaluation of files: a result against its source, and a film as a loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dreamvid.config import EvalConfig, FlowConfig, PromptConfig, ReportConfig
from dreamvid.errors import MediaError
from dreamvid.evaluation.inputs import Inputs, Outputs
from dreamvid.events import Listener, Progress
from dreamvid.film.checks import config_of
from dreamvid.film.report import Reporter
from dreamvid.media.source import Source
from dreamvid.notebook import usual_listener

if TYPE_CHECKING:
    import torch

    from dreamvid.evaluation.accumulator import Evaluation, Judge
    from dreamvid.evaluation.sheet import ContactSheet
    from dreamvid.media.probing import VideoInfo
    from dreamvid.media.reader import FrameReader
    from dreamvid.motion.measure import LoopMeasure
    from dreamvid.types import Frame

Item = TypeVar("Item")

CLOCK_SLACK = Fraction(1, 1000)
"""Seconds by which the times of one moment may differ between two containers."""
STAGE = "measuring"


@dataclass(frozen=True)
class EvaluationResult:
    """The figures of a result against its source, and how they were measured."""

    conditions: Mapping[str, Any]
    """Source, result, width and height in pixels, flow, judge and prompts."""
    figures: Mapping[str, float | None]
    """Values by name, as `figures.FIGURES` explains them; None where one is not available."""
    series: Mapping[str, Sequence[float | None]]
    """Values over time by name, one per frame; None where a frame has none."""
    warnings: tuple[str, ...]


def evaluate(
    source: str | Path,
    result: str | Path,
    *,
    config: EvalConfig | None = None,
    listener: Listener | None = None,
    force: bool = False,
    sheet: str | Path | None = None,
    plot: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> EvaluationResult:
    """Measure a result, a video file, against the source that was dreamed on.

    The source's span and the prompts are those of the result's metadata where they are not given.
    `options` are fields of `EvalConfig` and override `config`. A guide may judge what it dreamed
    itself only with `force`. `sheet` (.png, .jpg …) and `plot` (.png) name pictures to write:
    frames of the source above those of the result, and the figures over time; existing ones are
    replaced only with `overwrite`. The listener gets `Message`, `Warned` and `Progress`.

    Raises DreamvidError: ConfigError for an option, MediaError for a file that cannot be read or
    written or a pair without a common frame, GuideError for a judge, DeviceError for a device.
    """
    config = config_of(EvalConfig, config, options)
    outputs = Outputs(_path(sheet), _path(plot), overwrite)
    inputs = Inputs.find(Path(source), Path(result), config, outputs)
    inputs.check_judge(force)
    return _evaluate(inputs, outputs, Reporter(listener or usual_listener()))


def evaluate_loop(
    film: str | Path,
    *,
    config: FlowConfig | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> LoopMeasure:
    """Measure how well a film joins its own beginning, and its zoom and rotation.

    `options` are fields of `FlowConfig` and override `config`; only `flow` and `flow_weights`
    matter. The listener gets `Warned` and `Progress`.

    Raises DreamvidError: ConfigError for an option, MediaError for a file that cannot be read or
    has fewer than two frames, GuideError for a flow network that is not available.
    """
    config = config_of(FlowConfig, config, options)
    source = Source.find(Path(film))
    reporter = Reporter(listener or usual_listener())

    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.measure import measure_loop

    with source.open(reporter.warn) as frames:
        backward = create_flow(config.flow, "cpu", config.flow_weights).backward
        try:
            return measure_loop(told(frames, frames.info.frame_count, reporter.tell), backward)
        except ValueError as error:
            raise MediaError(f"'{film}' cannot be measured: {error}") from None


def _path(name: str | Path | None) -> Path | None:
    return None if name is None else Path(name)


def _evaluate(inputs: Inputs, outputs: Outputs, reporter: Reporter) -> EvaluationResult:
    """Measure checked inputs and write the pictures."""
    from dreamvid.device import choose_device
    from dreamvid.evaluation.curves import write_curves
    from dreamvid.evaluation.sheet import ContactSheet
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.still import write_image

    contacts = None if outputs.sheet is None else ContactSheet(inputs.info.frame_count)
    device = choose_device(inputs.config.device)
    warn, size = reporter.warn, inputs.config.size
    with (
        VideoReader(inputs.result, size=size, device=device, on_warning=warn) as results,
        inputs.open_source(results.info, warn, device) as sources,
    ):
        evaluation = _measure(inputs, device, sources, results, contacts, reporter)
    if contacts is not None and outputs.sheet is not None:
        write_image(outputs.sheet, contacts.image(), overwrite=outputs.overwrite)
    if outputs.plot is not None:
        write_curves(outputs.plot, evaluation.series, overwrite=outputs.overwrite)
    return EvaluationResult(
        _conditions(inputs, results.info),
        evaluation.figures,
        dict(evaluation.series),
        tuple(reporter.warnings),
    )


def _measure(
    inputs: Inputs,
    device: torch.device,
    sources: FrameReader,
    results: FrameReader,
    contacts: ContactSheet | None,
    reporter: Reporter,
) -> Evaluation:
    """Measure every frame that has a partner. Raises MediaError where none has."""
    evaluation = create_evaluation(inputs.config, device, inputs.load_judge(device, reporter.tell))
    for pair in paired(inputs, sources, results, reporter):
        evaluation.add(*pair)
        if contacts is not None:
            contacts.add([frame.image for frame in pair])
    return evaluation


def create_evaluation(
    config: EvalConfig | ReportConfig, device: torch.device, judge: Judge | None = None
) -> Evaluation:
    """An evaluation by the flow and cuts of `config`. Raises GuideError."""
    from dreamvid.evaluation.accumulator import Evaluation
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector

    flow = create_flow(config.flow, device, config.flow_weights)
    is_cut = create_cut_detector(config.cut_threshold) if config.cuts else lambda *_: False
    return Evaluation(flow, is_cut, judge)


def paired(
    inputs: Inputs, sources: FrameReader, results: FrameReader, reporter: Reporter
) -> Iterator[tuple[Frame, Frame]]:
    """Yield the frames of source and result that are shown at one time, and report progress.

    Warns of those without a partner at the end. Raises MediaError where none has one.
    """
    from dreamvid.evaluation.pairs import match_frames

    alone: Counter[str] = Counter()
    tolerance = max(results.info.time_base / 2, CLOCK_SLACK)
    pairs = match_frames(inputs.view(sources, reporter.tell), results, tolerance, alone)
    done = 0
    for pair in told(pairs, results.info.frame_count, reporter.tell):
        done += 1
        yield pair
    _tell_unmatched(done, alone, reporter)


def _tell_unmatched(done: int, alone: Counter[str], reporter: Reporter) -> None:
    """Warn of frames without a partner. Raises MediaError where no frame has one."""
    if not done:
        raise MediaError(
            "no frame of the result is shown at the time of one of the source; "
            "--start tells where in the source the result begins"
        )
    if alone.total():
        rest = "; the source goes on where the result ends" if alone["rest"] else ""
        reporter.warn(
            f"frames are matched by their times: {alone['source']} of the source's and "
            f"{alone['result']} of the result's have no partner{rest}"
        )


def told(items: Iterable[Item], total: int | None, listener: Listener) -> Iterator[Item]:
    """Yield `items`, and report progress after each."""
    listener(Progress(STAGE, 0, total))
    for done, item in enumerate(items, 1):
        yield item
        listener(Progress(STAGE, done, total))


def _conditions(inputs: Inputs, result: VideoInfo) -> dict[str, Any]:
    """The conditions of `EvaluationResult`."""
    prompts = inputs.prompts.model_dump(
        mode="json", by_alias=True, include=set(PromptConfig.model_fields)
    )
    return {
        "source": str(inputs.source.path),
        "result": str(inputs.result),
        "width": result.width,
        "height": result.height,
        "flow": inputs.config.flow,
        "judge": inputs.config.judge,
        "prompts": prompts,
    }
