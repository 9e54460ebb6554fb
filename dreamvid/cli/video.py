"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.schedule import schedule_of
from dreamvid.cli.setup import check_dream, load_objectives, mean_similarity, metadata
from dreamvid.config import ReadConfig, VideoConfig
from dreamvid.errors import ConfigError, MediaError

if TYPE_CHECKING:
    import torch

    from dreamvid.control.schedule import Schedule
    from dreamvid.delivery import Delivery
    from dreamvid.dream.guide import ClipObjective
    from dreamvid.media.frames import FrameWriter
    from dreamvid.media.mask import MaskReader
    from dreamvid.media.reader import FrameReader
    from dreamvid.media.sound import SoundSource
    from dreamvid.media.writer import VideoWriter


@command(VideoConfig)
def video(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A video, a picture, a folder, pattern (%04d, *) or .txt list of pictures, or - .",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The result: .mp4, .mov, .mkv, .webm, .gif, pictures (%05d.png, a folder) or -.",
        ),
    ],
    config: VideoConfig,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    _check(source, out, config, overwrite, as_json)

    from dreamvid.delivery import Delivery
    from dreamvid.device import choose_device
    from dreamvid.media.source import open_frames, open_writer

    report = Report(quiet, as_json)
    reading = (
        config if config.deliver == "dreamed" else config.model_copy(update={"size": "source"})
    )
    with (
        open_frames(source, reading, report.warn) as reader,
        _open_sound(source, config, reader, report) or nullcontext() as sound,
        _open_mask(config, reader, report) or nullcontext() as mask,
        open_writer(
            out,
            reader.info,
            config,
            overwrite=overwrite,
            sound=sound,
            metadata=metadata(config, str(source)),
        ) as writer,
    ):
        if reader.info.alpha and not writer.keeps_alpha:
            report.warn(
                f"'{out}' does not keep the alpha of '{source}'; --codec prores_ks in .mov, ffv1 "
                "in .mkv, libvpx-vp9 in .webm and PNG pictures do"
            )
        schedule, _ = schedule_of(config, source, reader, report)
        device = choose_device(config.device)
        delivery = Delivery(_dreamed_size(config, reader), mask.at if mask else None)
        shots = _dream(reader, writer, delivery, device, config, schedule, report)
    report.finish(out, shots=shots, guide=config.guide, device=str(device))


def _check(source: Path, out: Path, config: VideoConfig, overwrite: bool, as_json: bool) -> None:
    """Find what is wrong with files and options before anything heavy is loaded."""
    from dreamvid.media.files import STANDARD
    from dreamvid.media.source import check_result, check_source

    check_source(source, config)
    if config.mask is not None:
        check_source(Path(config.mask), ReadConfig())
    check_result(out, source, overwrite)
    if config.music is not None and out.resolve() == Path(config.music).resolve():
        raise MediaError(f"'{out}' is also --music; allowed: another name")
    if out == STANDARD and as_json:
        raise ConfigError("--json writes to standard output, and so does - as OUT; allowed: one")
    if out == STANDARD and sys.stdout.isatty():
        raise ConfigError("- as OUT: standard output is a terminal; allowed: a pipe or a file")
    check_dream(config)


def _open_sound(
    source: Path, config: VideoConfig, reader: FrameReader, report: Report
) -> SoundSource | None:
    from dreamvid.media.source import open_music, open_sound

    return open_music(config, report.warn) or open_sound(source, config, reader, report.warn)


def _open_mask(config: VideoConfig, reader: FrameReader, report: Report) -> MaskReader | None:
    from dreamvid.media.mask import MaskReader

    if config.mask is None:
        return None
    return MaskReader(
        Path(config.mask),
        (reader.info.width, reader.info.height),
        config,
        invert=config.mask_invert,
        on_warning=report.warn,
    )


def _dreamed_size(config: VideoConfig, reader: FrameReader) -> tuple[int, int] | None:
    """(height, width) to dream at, where the reader delivers the source's size."""
    from dreamvid.media.info import parse_size

    if config.deliver == "dreamed" or config.size == "source":
        return None
    width, height = parse_size(config.size, reader.info)
    return height, width


def _dream(
    reader: FrameReader,
    writer: VideoWriter | FrameWriter,
    delivery: Delivery,
    device: torch.device,
    config: VideoConfig,
    schedule: Schedule,
    report: Report,
) -> int:
    """Run the loop and write what it yields; the number of shots."""
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.plan import create_plan
    from dreamvid.sequence import dream_frames

    flow = create_flow(config.flow, device, config.flow_weights)
    objectives = load_objectives(config, device, report)
    shots = 0
    dreamed_frames = dream_frames(
        delivery.prepare(frame.with_image(frame.image.to(device)) for frame in reader),
        create_plan(schedule, objectives),
        flow=flow,
        is_cut=create_cut_detector(config.cut_threshold),
    )
    with report.progress("dreaming", reader.info.frame_count) as progress:
        for dreamed in dreamed_frames:
            writer.write(delivery.finish(dreamed.frame, dreamed.source))
            shots += dreamed.begins_shot
            then = cast("Sequence[ClipObjective]", dreamed.moment.objectives)
            before = mean_similarity(then, dreamed.source)
            after = mean_similarity(then, dreamed.frame.image)
            report.count(before, after)
            progress.advance(f"similarity {before:.3f} -> {after:.3f}")
    return shots
