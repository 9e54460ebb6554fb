"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.setup import check_dream, load_objectives, metadata, note_similarity, start_device
from dreamvid.config import VideoConfig
from dreamvid.errors import ConfigError

if TYPE_CHECKING:
    import torch

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
            metavar="OUT", help="The result: .mp4, .mov, .mkv, .webm, .gif, or - for a pipe."
        ),
    ],
    config: VideoConfig,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    from dreamvid.media.files import STANDARD, check_output
    from dreamvid.media.source import check_source, open_frames, open_sound

    check_source(source, config)
    check_output(out, source, overwrite)
    if out == STANDARD:
        _check_standard_output(as_json)
    check_dream(config)

    from dreamvid.media.writer import VideoWriter

    report = Report(quiet, as_json)
    with (
        open_frames(source, config, report.warn) as reader,
        _closing(open_sound(source, config, reader, report.warn)) as sound,
        VideoWriter(
            out,
            reader.info,
            config,
            overwrite=overwrite,
            sound=sound,
            metadata=metadata(config, str(source)),
        ) as writer,
    ):
        device = start_device(config, report)
        shots = _dream(reader, writer, device, config, report)
    report.finish(out, shots=shots, guide=config.guide, device=str(device))


def _check_standard_output(as_json: bool) -> None:
    if as_json:
        raise ConfigError("--json writes to standard output, and so does - as OUT; allowed: one")
    if sys.stdout.isatty():
        raise ConfigError("- as OUT: standard output is a terminal; allowed: a pipe or a file")


@contextmanager
def _closing(sound: SoundSource | None) -> Iterator[SoundSource | None]:
    """Close it at the end, if there is one."""
    try:
        yield sound
    finally:
        if sound is not None:
            sound.close()


def _dream(
    reader: FrameReader,
    writer: VideoWriter,
    device: torch.device,
    config: VideoConfig,
    report: Report,
) -> int:
    """Run the loop and write what it yields; the number of shots."""
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.sequence import dream_frames

    flow = create_flow(config.flow, device, config.flow_weights)
    objectives = load_objectives(config, device)
    shots = 0
    dreamed_frames = dream_frames(
        (frame.with_image(frame.image.to(device)) for frame in reader),
        objectives,
        config,
        flow=flow,
        is_cut=create_cut_detector(config.cut_threshold),
    )
    with report.progress("dreaming", reader.info.frame_count) as progress:
        for dreamed in dreamed_frames:
            writer.write(dreamed.frame)
            shots += dreamed.begins_shot
            note_similarity(report, objectives, dreamed.source, dreamed.frame.image)
            progress.advance(f"similarity {report.before[-1]:.3f} -> {report.after[-1]:.3f}")
    return shots
