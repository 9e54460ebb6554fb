"""Dreaming a clip from its first frame or from where it was stopped; for `video` and `resume`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from dreamvid.cli.report import Report
from dreamvid.cli.setup import load_objectives, metadata, note_similarity, start_device
from dreamvid.cli.stopping import Stopper, stopping
from dreamvid.config import VideoConfig

if TYPE_CHECKING:
    import torch

    from dreamvid.journal import Journal
    from dreamvid.media.reader import VideoReader


def dream_clip(
    source: Path,
    out: Path,
    config: VideoConfig,
    report: Report,
    *,
    overwrite: bool = False,
    resume: bool = False,
    force: bool = False,
) -> None:
    """Dream `source` into `out`, or go on with that, and say what was made."""
    from dreamvid.journal import Journal, Run
    from dreamvid.media.reader import VideoReader
    from dreamvid.media.sound import SoundSource

    with (
        stopping(report) as stopper,
        VideoReader(
            source,
            start=config.start,
            end=config.end,
            rate=config.fps,
            size=config.size,
            on_warning=report.warn,
        ) as reader,
        closing(SoundSource(source, config.start, config.end)) as sound,
        Journal(
            out,
            Run.of(source, config),
            reader.info,
            sound=sound,
            metadata=metadata(config, str(source)),
            overwrite=overwrite,
            resume=resume,
            force=force,
        ) as journal,
    ):
        _skip_finished(reader, journal, report, force)
        device = start_device(config, report)
        _dream(reader, journal, device, config, report, stopper)
        journal.finish(reader.is_cut_short)
    report.finish(out, digest=journal.state.digest, guide=config.guide, device=str(device))


def _skip_finished(reader: VideoReader, journal: Journal, report: Report, force: bool) -> None:
    carry = journal.carry()
    if carry is None:
        return
    reader.skip_past(journal.state.time, None if force else carry.source)
    report.tally.update(journal.state.tally)
    report.say(f"going on after {journal.state.frames} frames")


def _dream(
    reader: VideoReader,
    journal: Journal,
    device: torch.device,
    config: VideoConfig,
    report: Report,
    stopper: Stopper,
) -> None:
    """Run the loop and write what it yields."""
    from dreamvid.dream.optimise import Chunks
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.shots import create_cut_detector
    from dreamvid.sequence import dream_frames

    flow = create_flow(config.flow, device, config.flow_weights)
    objectives = load_objectives(config, device)
    carry = journal.carry()
    dreamed_frames = dream_frames(
        (frame.with_image(frame.image.to(device)) for frame in reader),
        objectives,
        config,
        flow=flow,
        is_cut=create_cut_detector(config.cut_threshold),
        carry=None if carry is None else carry.to(device),
        chunks=Chunks(report.note_chunk),
        on_step=stopper.check,
    )
    stopper.is_patient = True
    with report.progress("dreaming", reader.info.frame_count, report.tally.frames) as progress:
        for dreamed in dreamed_frames:
            image = dreamed.frame.image
            note = note_similarity(report, objectives, dreamed.source, image)
            report.tally.note_frame(dreamed)
            journal.write(dreamed.frame, dreamed.carry, report.tally.facts())
            progress.advance(note)
            stopper.check()
