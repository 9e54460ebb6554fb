"""Detection of cuts. Stateless, so that a resumed run finds the same cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional as F

from dreamvid.travel import to_host
from dreamvid.types import CutDetector, check_image

if TYPE_CHECKING:
    from torch import Tensor

BgrImage = NDArray[np.uint8]
"""(H, W, 3), channels in OpenCV's order."""

_WIDTH = 256  # pixels; enough to see a change of content


def create_cut_detector(threshold: float) -> CutDetector:
    """Create a detector of hard cuts: a shot begins where `content_change` reaches `threshold`.

    `threshold` lies between 0 and 255.
    """

    def is_cut(current: Tensor, previous: Tensor) -> bool:
        return content_change(current, previous) >= threshold

    return is_cut


def content_change(current: Tensor, previous: Tensor) -> float:
    """Mean change of hue, saturation and value between two frames (3, H, W) in [0, 1]: 0 to 255.

    This is the score of PySceneDetect's `ContentDetector`, new for each pair and on shrunk frames,
    but at most the mean change of the colours themselves. Hue and saturation are noise in dark
    frames, so that a fade from black would otherwise count as many cuts.
    Raises ValueError unless the frames are two images of one size.
    """
    if current.shape != previous.shape:
        raise ValueError(
            "frames are compared at one size, "
            f"not {tuple(current.shape)} and {tuple(previous.shape)}"
        )
    before, after = _thumbnail(previous), _thumbnail(current)
    visible = np.abs(after.astype(np.int16) - before).mean()
    return min(_content_score(after, before), float(visible))


def _content_score(after: BgrImage, before: BgrImage) -> float:
    """PySceneDetect's score of the second of two images."""
    from scenedetect import ContentDetector, FrameTimecode, StatsManager

    detector = ContentDetector()
    detector.stats_manager = StatsManager()
    times = [FrameTimecode(number, fps=25.0) for number in range(2)]
    for time, image in zip(times, (before, after), strict=True):
        detector.process_frame(time, image)
    (score,) = detector.stats_manager.get_metrics(times[1], [ContentDetector.FRAME_SCORE_KEY])
    return float(score)


def _thumbnail(image: Tensor) -> BgrImage:
    """An image (3, H, W) in [0, 1], shrunk to a width of at most `_WIDTH` pixels."""
    check_image(image)
    height, width = image.shape[-2:]
    if width > _WIDTH:
        size = max(1, round(height * _WIDTH / width)), _WIDTH
        image = F.interpolate(image[None], size=size, mode="area")[0]
    levels = (image.detach().clamp(0, 1) * 255).round().byte()
    return to_host(levels.flip(0).permute(1, 2, 0).contiguous()).numpy()
