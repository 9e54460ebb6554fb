"""Decoding by a card's own unit, NVDEC, where that gives the same pictures.

The standards of H.264, HEVC and VP9 fix every bit of a picture, but formats, tags and drivers may
differ. So the first pictures of a file are decoded both ways, and unless they are equal, in all
that is read of a picture, the host decodes. A process compares a file once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import av
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from numpy.typing import NDArray

from dreamvid.errors import MediaError
from dreamvid.media.colour import ColourTags, Orientation, orientation, tags_of
from dreamvid.media.files import open_input
from dreamvid.media.marks import mark_of
from dreamvid.media.probing import picture_stream

if TYPE_CHECKING:
    import torch

CODECS = ("h264", "hevc", "vp9")
PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
"""Formats of NVDEC, and those of FFmpeg's own decoders that hold the same code values."""
COMPARED = 8
"""Number of pictures that are decoded both ways."""


class CardDecoder:
    """The decoder of a CUDA device, for files that `can_decode` has found to be the same there."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = device
        # The context is torch's own: a second one would take hundreds of megabytes.
        self._settings = HWAccel("cuda", options={"current_ctx": "1"})

    def open(self, path: Path) -> InputContainer:
        """The file, its pictures decoded by the card. Raises MediaError, or an error of FFmpeg."""
        import torch

        with torch.cuda.device(self._device):
            torch.cuda.mem_get_info()  # makes its context this thread's
            return open_input(path, hwaccel=self._settings)

    def can_decode(self, path: Path) -> bool:
        """Whether the card gives the host's pictures, by the first ones of a file."""
        try:
            with open_input(path) as plain:
                stream = picture_stream(plain, path)
                context = stream.codec_context
                is_known = context.name in CODECS and context.pix_fmt in PLANAR.values()
                if not is_known or stream.metadata.get("alpha_mode") == "1":
                    return False
                expected = list(_facts(plain, path))
            with self.open(path) as fast:
                return list(_facts(fast, path)) == expected
        except (MediaError, av.FFmpegError, OSError, RuntimeError, ValueError):
            return False


def card_decoder(path: Path, device: torch.device | str) -> CardDecoder | None:
    """The decoder of `device` for the pictures of a file; None where the host is to decode them."""
    if not str(device).startswith("cuda") or "cuda" not in hwdevices_available():
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    is_same = _can_decode(str(device), path.absolute(), status.st_size, status.st_mtime_ns)
    return CardDecoder(device) if is_same else None


@lru_cache(maxsize=256)
def _can_decode(device: str, path: Path, size: int, modified_ns: int) -> bool:
    """The verdict on a file of this size, last changed then, remembered for the process."""
    return CardDecoder(device).can_decode(path)


def as_decoded_by_host(frame: av.VideoFrame) -> av.VideoFrame:
    """A picture of NVDEC in the format of FFmpeg's own decoders, with the same code values."""
    planar = PLANAR.get(frame.format.name)
    if planar is None:
        return frame
    made = frame.reformat(format=planar)  # all that is told of it; of P010, some wrong values
    shift = 6 if planar == "yuv420p10le" else 0  # P010 has its 10 bits at the top of 16
    luma, pairs = planes_of(frame)
    for target, values in zip(planes_of(made), (luma, pairs[:, ::2], pairs[:, 1::2]), strict=True):
        np.right_shift(values, shift, out=target)
    return made


def planes_of(frame: av.VideoFrame) -> list[NDArray[Any]]:
    """Views of the planes of a picture in 4:2:0; blue and red in turn where they share one."""
    dtype = "u1" if frame.format.name in ("nv12", "yuv420p") else "<u2"
    views: list[NDArray[Any]] = []
    for plane in frame.planes:
        rows = np.frombuffer(cast(Any, plane), dtype).reshape(plane.height, -1)
        is_shared = len(frame.planes) == 2 and len(views) == 1
        views.append(rows[:, : plane.width * (2 if is_shared else 1)])
    return views


_Facts = tuple[int, int, str, int | None, bool, ColourTags, Orientation]


def _facts(container: InputContainer, path: Path) -> Iterator[_Facts]:
    """All that is read of the first pictures of a file."""
    stream = picture_stream(container, path)
    stream.thread_type = "AUTO"  # as the reader's
    for decoded in islice(container.decode(stream), COMPARED):
        frame = as_decoded_by_host(decoded)
        whole = frame.format.name.replace("420", "444")
        yield (
            mark_of(frame),
            mark_of(frame.reformat(format=whole)),  # which tells where chroma samples are
            frame.format.name,
            frame.pts,
            frame.interlaced_frame,
            tags_of(frame),
            orientation(frame),
        )
