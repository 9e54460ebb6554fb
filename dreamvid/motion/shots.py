"""Shots: where the film cuts. Stateless, so that a resumed run decides as an unbroken one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from dreamvid.types import CutDetector, check_image

if TYPE_CHECKING:
    from torch import Tensor

Picture = NDArray[np.uint8]
"""(H, W, 3), blue first, as OpenCV has it."""

_WIDTH = 256  # pixels; a change of content shows as well here as at full size


def create_cut_detector(threshold: float) -> CutDetector:
    """A detector of hard cuts: a new shot begins where `content_change` reaches `threshold`."""

    def is_cut(current: Tensor, previous: Tensor) -> bool:
        return content_change(current, previous) >= threshold

    return is_cut


def content_change(current: Tensor, previous: Tensor) -> float:
    """How much of the picture changed, 0 to 255: the mean distance of hue, saturation and value.

    (3, H, W) twice, in [0, 1]. This is the score of PySceneDetect's `ContentDetector`, fresh for
    each pair and on shrunk frames, but at most the mean distance of the colours themselves: in
    the dark, hue and saturation are noise, and a fade from black would be a row of cuts.
    Raises ValueError where the frames are no images of one size.
    """
    if current.shape != previous.shape:
        raise ValueError(
            "frames are compared at one size, "
            f"not {tuple(current.shape)} and {tuple(previous.shape)}"
        )
    before, after = _thumbnail(previous), _thumbnail(current)
    visible = np.abs(after.astype(np.int16) - before).mean()
    return min(_content_score(after, before), float(visible))


def _content_score(after: Picture, before: Picture) -> float:
    """What PySceneDetect notes in its statistics for the second of two pictures."""
    from scenedetect import ContentDetector, FrameTimecode, StatsManager

    detector = ContentDetector()
    detector.stats_manager = StatsManager()
    times = [FrameTimecode(number, fps=25.0) for number in range(2)]
    for time, picture in zip(times, (before, after), strict=True):
        detector.process_frame(time, picture)
    (score,) = detector.stats_manager.get_metrics(times[1], [ContentDetector.FRAME_SCORE_KEY])
    return float(score)


def _thumbnail(image: Tensor) -> Picture:
    """(3, H, W) in [0, 1] → a picture at most `_WIDTH` wide."""
    check_image(image)
    height, width = image.shape[-2:]
    if width > _WIDTH:
        size = max(1, round(height * _WIDTH / width)), _WIDTH
        image = F.interpolate(image[None], size=size, mode="area")[0]
    levels = (image.detach().clamp(0, 1) * 255).round().byte()
    return levels.flip(0).permute(1, 2, 0).contiguous().cpu().numpy()
