"""`dreamvid video`: dream a whole clip."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dreamvid.cli.options import command
from dreamvid.cli.report import AsJson, Overwrite, Quiet, Report
from dreamvid.cli.setup import check_dream, load_objectives, metadata, note_similarity, start_device
from dreamvid.config import VideoConfig

if TYPE_CHECKING:
    import torch

    from dreamvid.media.reader import VideoReader
    from dreamvid.media.writer import VideoWriter


@command(VideoConfig)
def video(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A video file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The result: .mp4, .mov or .mkv.")],
    config: VideoConfig,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dream a video clip; its times and sound stay."""
    from dreamvid.media.files import check_input, check_output

    check_input(source)
    check_output(out, source, overwrite)
    check_dream(config)

    from dreamvid.media.reader import VideoReader
    from dreamvid.media.sound import SoundSource
    from dreamvid.media.writer import VideoWriter

    report = Report(quiet, as_json)
    with (
        VideoReader(
            source,
            start=config.start,
            end=config.end,
            rate=config.fps,
            size=config.size,
            on_warning=report.warn,
        ) as reader,
        closing(
            SoundSource(
                source,
                config.start,
                config.end,
                origin=reader.origin,
                on_warning=report.warn,
            )
        ) as sound,
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


def _dream(
    reader: VideoReader,
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
