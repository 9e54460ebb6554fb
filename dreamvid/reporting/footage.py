"""What a page shows of a result: a small film beside its source, and a few moments of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dreamvid.dream.octaves import resize
from dreamvid.evaluation.sheet import spread
from dreamvid.film.settings import mean_similarities
from dreamvid.media.probing import VideoInfo
from dreamvid.media.small import SmallFilm
from dreamvid.media.still import encode_jpeg

if TYPE_CHECKING:
    from torch import Tensor

    from dreamvid.control.schedule import Schedule
    from dreamvid.guide.objective import FilmObjective
    from dreamvid.types import Frame

LONGEST_SIDE = 640
"""Pixels of the longer side of what is shown."""
MEASURED_SIDE = 320
"""Pixels of the longer side of what is measured."""
MOMENTS = 8
MOMENT_WIDTH = 320
"""Pixels."""
JUDGED = 48
"""Number of frames whose similarity to the prompts is measured."""
PICTURE_QUANTISER, MOMENT_QUANTISER = 3, 7


@dataclass(frozen=True)
class Moment:
    """One frame of a result, and of its source, as JPEG."""

    time: float
    source: bytes | None
    result: bytes


@dataclass(frozen=True)
class Shown:
    """A small copy of a result: one film or picture, with the source above the result."""

    mime: str
    data: bytes
    width: int
    height: int
    """Pixels of the result alone."""
    has_source: bool
    seconds: float = 0.0
    has_sound: bool = False
    moments: tuple[Moment, ...] = ()

    @property
    def is_film(self) -> bool:
        return self.mime.startswith("video")


class Footage:
    """Frames of a film, of which a small copy and a few moments are kept."""

    def __init__(self, info: VideoInfo, has_source: bool, is_still: bool = False) -> None:
        """Prepare for frames as `info` describes them; with their sources or without.

        Where the source is one picture, `is_still`, moments do not repeat it.
        """
        self._info, self._has_source, self._is_still = info, has_source, is_still
        height = info.height + info.height % 2
        stacked = replace(info, height=2 * height if has_source else height, alpha=False)
        self._film, self._height = SmallFilm(stacked), height
        self._wanted = spread(info.frame_count or MOMENTS, MOMENTS)
        self._count = 0
        self._end = Fraction(0)
        self._moments: list[Moment] = []

    def add(self, source: Tensor | None, frame: Frame) -> None:
        """Add the next frame of the result, and what it was dreamed on, of the same size."""
        images = [frame.image] if source is None else [source, frame.image]
        even = [_even(image, self._height) for image in images]
        self._film.add(replace(frame, image=torch.cat(even, 1), alpha=None))
        if self._count in self._wanted:
            above = None if source is None or self._is_still else _small(source)
            self._moments.append(Moment(float(frame.time), above, _small(frame.image)))
        self._count += 1
        self._end = frame.time + (frame.duration or 0)

    def finish(self, sound: Path | None) -> Shown:
        """All that is shown, with the sound of the file `sound`. Raises MediaError."""
        info = self._info
        data = self._film.finish(sound)
        return Shown(
            "video/mp4",
            data,
            info.width,
            info.height,
            self._has_source,
            float(self._end),
            bool(info.sound),
            tuple(self._moments),
        )


def show_picture(source: Tensor | None, result: Tensor) -> Shown:
    """A small copy of a picture (3, H, W), below its source of the same size."""
    images = [fitted(image, LONGEST_SIDE) for image in (source, result) if image is not None]
    height, width = images[-1].shape[1:]
    data = encode_jpeg(torch.cat(images, 1), PICTURE_QUANTISER)
    return Shown("image/jpeg", data, width, height, len(images) > 1)


class Meaning:
    """The similarity to the prompts of a few frames, as the guides that dreamed them see it."""

    def __init__(
        self,
        objectives: Sequence[FilmObjective],
        schedule: Schedule[Any] | None,
        total: int | None,
    ) -> None:
        """Prepare for `total` frames, the weights of whose prompts are those of `schedule`."""
        self._objectives, self._schedule = objectives, schedule
        self._wanted = spread(total or JUDGED, JUDGED)
        self._count = 0
        self.times: list[float] = []
        self.before: list[float] = []
        """Of the sources; empty where there are none."""
        self.after: list[float] = []

    @torch.no_grad()
    def add(self, source: Tensor | None, frame: Frame) -> None:
        """Look at the next frame, if it is one of the few."""
        index, self._count = self._count, self._count + 1
        if index not in self._wanted or not self._objectives:
            return
        objectives = list(self._objectives)
        if self._schedule is not None:
            prompts = self._schedule(frame.time, index).prompts
            objectives = [each.at(prompts) for each in objectives]
        images = [frame.image] if source is None else [source, frame.image]
        seen = mean_similarities(objectives, images)
        self.times.append(float(frame.time))
        self.before += seen[:-1]
        self.after.append(seen[-1])


def fitted(image: Tensor, longest: int) -> Tensor:
    """(3, H, W), made smaller where its longer side has more than `longest` pixels."""
    size = fit(image.shape[1], image.shape[2], longest)
    return image if size == tuple(image.shape[1:]) else resize(image, size).clamp(0, 1)


def fit(height: int, width: int, longest: int) -> tuple[int, int]:
    """(height, width) in the same shape, whose longer side has at most `longest` pixels."""
    share = min(1.0, longest / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def _small(image: Tensor) -> bytes:
    return encode_jpeg(fitted(image, MOMENT_WIDTH), MOMENT_QUANTISER)


def _even(image: Tensor, height: int) -> Tensor:
    """(3, H, W) with its last row repeated up to `height`."""
    return torch.cat([image, image[:, -1:].expand(-1, height - image.shape[1], -1)], 1)
