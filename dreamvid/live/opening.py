"""A session from its job: everything opened, and closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event as Flag
from typing import TYPE_CHECKING

import torch

from dreamvid.config import VideoConfig
from dreamvid.control.clock import Clock
from dreamvid.device import choose_device
from dreamvid.dream.step_graph import step_graphs
from dreamvid.film.listening import sound_of
from dreamvid.film.report import Reporter
from dreamvid.live.bus import Bus
from dreamvid.live.dreaming import Dreamer
from dreamvid.live.following import Follower
from dreamvid.live.job import LiveJob
from dreamvid.live.meaning import Meaning
from dreamvid.live.picture import Picture
from dreamvid.live.playing import Player
from dreamvid.live.session import Session
from dreamvid.media.mask import MaskReader
from dreamvid.media.probing import VideoInfo, parse_size
from dreamvid.motion.flow import create_flow, create_quick_flow
from dreamvid.motion.shots import create_cut_detector
from dreamvid.types import CutDetector, FlowEstimator

if TYPE_CHECKING:
    from torch import Tensor

SIDE, SIDE_ON_GPU = 320, 640
"""Longest side in pixels to dream at, where --size does not tell it."""
FLOW_SIDE = 320
"""Longest side in pixels at which quick flow is estimated."""
CUT_SIDE = 128
"""Longest side in pixels at which cuts are looked for."""
LONGEST_HEARD_S = 120
"""Seconds of sound that are analysed although no option asks for it: for the beat."""


@contextmanager
def open_session(job: LiveJob, reporter: Reporter) -> Iterator[Session]:
    """The session of `job`, ready to be shown. Raises DreamvidError."""
    config, stopped = job.config, Flag()
    device = choose_device(config.device)
    with ExitStack() as stack:
        size = _read_size(job, device)
        player = stack.enter_context(
            Player(job.source, reporter.warn, wait=stopped.wait, size=size, device=device)
        )
        picture = stack.enter_context(_picture(job, player.info, device, reporter))
        bus, repeats = _bus(job, player, reporter)
        meaning = Meaning(config, device, job.parts, reporter.warn)
        dreamer = stack.enter_context(Dreamer(step_graphs(device)))
        session = Session(
            job,
            player,
            picture,
            bus,
            meaning,
            dreamer,
            Follower(_flow(job, device), _cut_detector(config)),
            repeats=repeats,
            stopped=stopped,
        )
        stack.enter_context(_threads(device))
        stack.callback(session.close)
        yield session


def _read_size(job: LiveJob, device: torch.device) -> str:
    """The size to read at: the one to show, where that is known before the source is open."""
    config = job.config
    if config.deliver == "source":
        return "source"
    if config.size != "source" or not job.source.is_stored:
        return config.size
    height, width = _fitting(job.source.describe(), device)
    return f"{width}x{height}"


def _picture(job: LiveJob, info: VideoInfo, device: torch.device, reporter: Reporter) -> Picture:
    """The way of the frames that `info` describes."""
    config = job.config
    size = dreamed = None
    if config.size == "source":
        fitting = _fitting(info, device)
        size, dreamed = (None, fitting) if config.deliver == "source" else (fitting, None)
    elif config.deliver == "source":
        width, height = parse_size(config.size, info)
        dreamed = height, width
    height, width = size or (info.height, info.width)

    def open_mask() -> MaskReader:
        assert job.mask is not None
        return MaskReader(
            job.mask,
            (width, height),
            start=config.start,
            invert=config.mask_invert,
            on_warning=reporter.warn,
            device=device,
        )

    return Picture(
        config,
        info,
        size=size,
        dreamed=dreamed,
        open_mask=open_mask if job.mask is not None else None,
    )


def _fitting(info: VideoInfo, device: torch.device) -> tuple[int, int]:
    """(height, width) of frames that are no larger than can be dreamed quickly; even."""
    most = SIDE_ON_GPU if device.type == "cuda" else SIDE
    scale = min(1.0, most / max(info.width, info.height))
    if scale == 1:
        return info.height, info.width
    return max(16, 2 * round(info.height * scale / 2)), max(16, 2 * round(info.width * scale / 2))


def _bus(job: LiveJob, player: Player, reporter: Reporter) -> tuple[Bus, bool]:
    """The bus with the sound's beat, and whether that begins anew with each round."""
    config, info = job.config, player.info
    is_short = info.duration is not None and info.duration <= LONGEST_HEARD_S
    sound = sound_of(config, job.source, player, reporter.tell, always_listen=is_short)
    tempo = None
    if sound is not None and sound.bpm is not None:
        tempo = Clock(info.rate, None, sound.bpm, sound.beats)
    bus = Bus(config, info.rate, tempo=tempo, features=sound)
    return bus, sound is not None and config.sound_file is None


def _flow(job: LiveJob, device: torch.device) -> FlowEstimator:
    config = job.config
    if job.parts.flow is not None:
        return job.parts.flow
    if config.flow == "dis":
        return create_quick_flow(min(FLOW_SIDE, config.flow_size))
    return create_flow(config.flow, device, config.flow_weights, config.flow_size)


def _cut_detector(config: VideoConfig) -> CutDetector:
    """The detector of cuts, on smaller frames; one that finds none where it is switched off."""
    is_cut = create_cut_detector(config.cut_threshold)

    def is_cut_seen(current: Tensor, previous: Tensor) -> bool:
        stride = max(1, max(current.shape[1:]) // CUT_SIDE)
        return is_cut(current[:, ::stride, ::stride], previous[:, ::stride, ::stride])

    return is_cut_seen if config.cuts else lambda current, previous: False


@contextmanager
def _threads(device: torch.device) -> Iterator[None]:
    """One thread of torch's for showing, which must never wait for the dream's."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
