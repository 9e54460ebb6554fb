"""Conversion between FFmpeg's frames and tensors: matrix, range, depth and orientation.

swscale is used only for conversions that it does exactly: of the size and the chroma's resolution.
It converts the matrix in 8 bits (errors up to 4 of 1023 for 10 bits, and 2 of 255 after a round
trip in full range), so the matrix is applied here, in float32, on the device. What travels between
it and the host are code values, in one byte or two, not float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from dreamvid.errors import MediaError
from dreamvid.travel import empty_on_host, to_device, to_host

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RGB_MATRIX = 0
UNSPECIFIED = 2
BT709_MATRIX, BT601_MATRIX = 1, 6
FLOAT_DEPTH = 32
UNSPECIFIED_RANGE, LIMITED_RANGE, FULL_RANGE = 0, 1, 2
_HDR = {16: "PQ", 18: "HLG"}
"""Names of HDR transfer functions, by FFmpeg's AVColorTransferCharacteristic."""

_BT709, _BT601 = (0.2126, 0.0722), (0.299, 0.114)
_LUMA_WEIGHTS = {  # by FFmpeg's AVColorSpace: Kr and Kb
    1: _BT709,
    4: (0.30, 0.11),
    5: _BT601,
    6: _BT601,
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_CENTRED = {"flv1", "h263", "mjpeg", "mpeg1video", "vp8", "webp"}
"""Codecs with chroma samples at the centre of the pixels; other codecs have them on the left."""
_LEFT_UNSAID = {
    *("av1", "cfhd", "dnxhd", "ffv1", "ffvhuff", "huffyuv", "magicyuv", "prores", "rawvideo"),
    *("utvideo", "v210", "vp9"),
}
"""Codecs with left chroma whose decoders do not mark it; swscale would assume the centre."""
_DISPLAY_MATRIX = 6
_SIDE_DATA_KINDS = range(48)
"""FFmpeg's numbers of the kinds of side data; larger than needed, for later versions."""
_SCALING = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True)
class ColourTags:
    """Colour tags of a stream, in FFmpeg's numbers (unspecified: 2, or 0 for the range)."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = UNSPECIFIED_RANGE


def tags_of(frame: av.VideoFrame) -> ColourTags:
    """The tags of a decoded picture."""
    full = frame.format.name.startswith("yuvj")
    return ColourTags(
        int(frame.color_primaries),
        int(frame.color_trc),
        int(frame.colorspace),
        FULL_RANGE if full else int(frame.color_range),
    )


def refuse_hdr(tags: ColourTags, path: Path) -> None:
    """Raise MediaError for pictures in high dynamic range.

    Guides, flow and the strength of a dream assume SDR code values. Code values of PQ and HLG mean
    other brightnesses, and a dream on them would be wrong without an error.
    """
    if tags.transfer in _HDR:
        raise MediaError(
            f"'{path}' is HDR ({_HDR[tags.transfer]}, colour transfer {tags.transfer}); "
            "allowed: SDR; convert it first with a tone mapper (FFmpeg's zscale and tonemap)"
        )


def tags_for(tags: ColourTags, pix_fmt: str, height: int) -> ColourTags:
    """The tags to write with pictures of `pix_fmt`, for a source tagged `tags`.

    They are those of the source, except where the format leaves no choice: R'G'B' has no matrix,
    yuvj is full range. Where only the source is R'G'B', the tag is the usual matrix for `height`.
    """
    if av.VideoFormat(pix_fmt).is_rgb:
        return replace(tags, matrix=RGB_MATRIX, range=FULL_RANGE)
    if tags.matrix == RGB_MATRIX:
        matrix = BT709_MATRIX if height >= 720 else BT601_MATRIX
        tags = replace(tags, matrix=matrix, range=LIMITED_RANGE)
    return replace(tags, range=FULL_RANGE) if pix_fmt.startswith("yuvj") else tags


def bit_depth(pix_fmt: str) -> int:
    """Bits of the working format, 8 to 16; FLOAT_DEPTH for R'G'B' (not grey) in floating point."""
    form = av.VideoFormat(pix_fmt)
    if "f16" in pix_fmt or "f32" in pix_fmt:
        return FLOAT_DEPTH if form.is_rgb else 16
    return max(8, *(component.bits for component in form.components))


def has_alpha(pix_fmt: str) -> bool:
    """Whether pictures of the format may be transparent."""
    return any(component.is_alpha for component in av.VideoFormat(pix_fmt).components)


@dataclass(frozen=True)
class Orientation:
    """The change from a coded picture to the displayed one: first transposed, then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @property
    def rotation(self) -> int:
        """Rotation clockwise: 0, 90, 180 or 270 degrees; mirroring is ignored."""
        if self.transposed:
            return 90 if self.mirrored_x else 270
        return 180 if self.mirrored_y else 0


def is_transparent(frame: av.VideoFrame) -> bool:
    """Whether a stream that begins with this picture has alpha.

    The decoder of GIF always gives alpha, so for GIF the first picture must use it.
    """
    if not has_alpha(frame.format.name):
        return False
    if frame.format.name != "bgra":
        return True
    alpha = Converter("png").to_alpha(frame)
    return alpha is not None and float(alpha.min()) < 1


class Converter:
    """Conversion of one stream's pictures to tensors and back; keeps swscale's state.

    `codec` is FFmpeg's name of the stream's codec, which decides where 4:2:0 and 4:2:2 have their
    chroma samples: the two conventions differ by half a pixel. `turned` is the orientation of its
    pictures for display. Tensors of decoded pictures are made on `device`.
    """

    def __init__(
        self,
        codec: str,
        turned: Orientation | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self._codec, self._turned, self._device = codec, turned or Orientation(), device
        self._reformatter = VideoReformatter()
        self._siting: tuple[object, Graph] | None = None

    def to_tensor(self, frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Tensor:
        """A decoded picture as float32 (3, H, W), R'G'B' as coded, in [0, 1], without alpha.

        `size` is (width, height) as coded, before the orientation is applied. Raises MediaError
        for an unknown colour matrix.
        """
        depth = bit_depth(frame.format.name)
        rgb = frame.format.is_rgb
        sited = self._left_sited(frame) if self._codec in _LEFT_UNSAID else frame
        planar = self._reformat(sited, _working_format(rgb, depth), size)
        if rgb:
            image = self._read(planar, (2, 0, 1)) / _top(depth)  # G, B, R → R, G, B
        else:
            tags = tags_of(frame)
            weights = luma_weights(tags.matrix, frame.height)
            image = _mix(self._read(planar, (0, 1, 2)), *_decoding(weights, tags.range, depth))
        return orient(image, self._turned).clamp_(0, 1)

    def to_alpha(self, frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Tensor | None:
        """The alpha of a decoded picture as float32 (1, H, W) in [0, 1]; None where it has none."""
        if not has_alpha(frame.format.name):
            return None
        graph = filter_graph(frame, ("alphaextract", ""))
        graph.vpush(frame)
        grey = graph.vpull()
        name = grey.format.name
        depth = FLOAT_DEPTH if "f32" in name else bit_depth(name)
        grey = self._reformat(grey, name, size)
        alpha = self._read(grey, (0,)) / _top(depth)
        return orient(alpha, self._turned).clamp_(0, 1)

    def _read(self, frame: av.VideoFrame, order: Sequence[int]) -> Tensor:
        """The code values of these planes of a 4:4:4 picture: float32 (C, H, W), on the device."""
        import torch

        shape = len(order), frame.height, frame.width
        if _travels_to(self._device):
            levels = empty_on_host(shape, _dtype_of(frame), self._device)
        else:  # NumPy's memory comes in larger pages than torch's, which saves a fifth of the time
            levels = torch.from_numpy(np.empty(shape, np.float32))
        for plane, index in zip(_as_levels(levels), order, strict=True):
            plane[:] = _view(frame, index)
        return _to_float(to_device(levels, self._device), bit_depth(frame.format.name))

    def to_frame(
        self, image: Tensor, pix_fmt: str, tags: ColourTags, alpha: Tensor | None = None
    ) -> av.VideoFrame:
        """The picture in `pix_fmt`, coded by `tags`, of float32 (3, H, W), R'G'B' in [0, 1].

        `alpha` is (1, H, W) in [0, 1]; without it, a format with alpha is opaque.
        """
        import torch

        depth = bit_depth(pix_fmt)
        rgb = av.VideoFormat(pix_fmt).is_rgb
        image = image.detach().float().clamp(0, 1)
        if rgb:
            red, green, blue = image
            planes = torch.stack([green, blue, red]) * _top(depth)
        else:
            weights = luma_weights(tags.matrix, image.shape[1])
            planes = _mix(image, *_encoding(weights, tags.range, depth))
        clear = has_alpha(pix_fmt)
        if clear:
            shown = image.new_ones(1, *image.shape[1:]) if alpha is None else alpha.to(image)
            planes = torch.cat([planes, shown.clamp(0, 1) * _top(depth)])
        frame = _write_planes(planes, _working_format(rgb, depth, clear))
        if not rgb and self._codec not in _CENTRED:
            frame = self._left_sited(frame)
        frame = self._reformat(frame, pix_fmt)
        frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
        frame.colorspace, frame.color_range = tags.matrix, tags.range
        return frame

    def _reformat(
        self, frame: av.VideoFrame, pix_fmt: str, size: tuple[int, int] | None = None
    ) -> av.VideoFrame:
        width, height = size or (frame.width, frame.height)
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pix_fmt,
            interpolation=_SCALING,
            # Equal on both sides, so that swscale does not change the values, even of grey and
            # yuvj, and does not fail on a tag that it does not know.
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
        )

    def _left_sited(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same picture, marked as having its chroma on the left, which only a filter can do."""
        key = (frame.width, frame.height, frame.format.name)
        if self._siting is None or self._siting[0] != key:
            self._siting = key, filter_graph(frame, ("setparams", "chroma_location=left"))
        graph = self._siting[1]
        graph.vpush(frame)
        return graph.vpull()


def filter_graph(frame: av.VideoFrame, *filters: tuple[str, str]) -> Graph:
    """A chain of FFmpeg's filters (name, arguments), for pictures like `frame`."""
    graph = Graph()
    graph.threads = 1
    last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    for name, arguments in (*filters, ("buffersink", "")):
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    graph.configure()
    return graph


def luma_weights(matrix: int, height: int) -> tuple[float, float]:
    """The weights Kr and Kb of a matrix.

    Unspecified means BT.709 from 720 coded rows on and BT.601 below, for reading and writing.

    Raises MediaError for a matrix that is not of this kind (YCgCo, ICtCp).
    """
    if matrix in (UNSPECIFIED, RGB_MATRIX, 3):  # 3 is reserved
        return _BT709 if height >= 720 else _BT601
    if matrix not in _LUMA_WEIGHTS:
        raise MediaError(
            f"colour matrix {matrix} (FFmpeg's AVColorSpace) is not supported; "
            f"allowed: {', '.join(map(str, (RGB_MATRIX, UNSPECIFIED, *_LUMA_WEIGHTS)))}"
        )
    return _LUMA_WEIGHTS[matrix]


def _top(depth: int) -> int:
    """The code value of full R, G or B."""
    return 1 if depth == FLOAT_DEPTH else 2**depth - 1


def _working_format(rgb: bool, depth: int, alpha: bool = False) -> str:
    """The planar 4:4:4 format of the same depth; the same depth keeps swscale exact."""
    if depth == FLOAT_DEPTH:
        return "gbrapf32le" if alpha else "gbrpf32le"
    name = ("gbrap" if rgb else "yuva444p") if alpha else ("gbrp" if rgb else "yuv444p")
    return name + ("" if depth == 8 else f"{depth}le")


_Matrix = tuple[tuple[float, ...], ...]


@lru_cache(maxsize=16)
def _encoding(
    weights: tuple[float, float], colour_range: int, depth: int
) -> tuple[_Matrix, tuple[float, ...]]:
    """The 3 × 3 matrix and the offsets from R'G'B' in [0, 1] to Y', Cb, Cr code values."""
    kr, kb = weights
    luma = np.array([kr, 1 - kr - kb, kb])
    blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))
    red = (np.array([1, 0, 0]) - luma) / (2 * (1 - kr))
    unit = 2 ** (depth - 8)
    if colour_range == FULL_RANGE:
        scales, foot = np.full(3, 2**depth - 1), 0
    else:
        scales, foot = np.array([219, 224, 224]) * unit, 16 * unit
    matrix = np.stack([luma, blue, red]) * scales[:, None]
    return _rows(matrix), (foot, 128 * unit, 128 * unit)


@lru_cache(maxsize=16)
def _decoding(
    weights: tuple[float, float], colour_range: int, depth: int
) -> tuple[_Matrix, tuple[float, ...]]:
    """The inverse of `_encoding`."""
    matrix, offsets = _encoding(weights, colour_range, depth)
    inverse = np.linalg.inv(np.array(matrix))
    return _rows(inverse), tuple((-inverse @ np.array(offsets)).tolist())


def _rows(matrix: NDArray[np.float64]) -> _Matrix:
    return tuple(tuple(row) for row in matrix.tolist())


def _mix(planes: Tensor, matrix: _Matrix, offsets: tuple[float, ...]) -> Tensor:
    """`matrix @ planes + offsets` for (3, H, W), in float32 at any precision setting of matmul."""
    mixed = planes.new_empty(planes.shape)
    for target, row, offset in zip(mixed, matrix, offsets, strict=True):
        target.copy_(planes[0]).mul_(row[0])
        target.add_(planes[1], alpha=row[1]).add_(planes[2], alpha=row[2]).add_(offset)
    return mixed


def _dtype_of(frame: av.VideoFrame) -> torch.dtype:
    """The type in which a picture's code values travel.

    Those of 16 bits travel as int16 with the same bits: not every device computes with uint16.
    """
    import torch

    types = {"<f4": torch.float32, "u1": torch.uint8, "<u2": torch.int16}
    return types[_kind(frame)]


def _travels_to(device: torch.device | str) -> bool:
    """Whether pixels travel to get to a device; else they become float32 at once."""
    return str(device) != "cpu"


def _to_float(levels: Tensor, depth: int) -> Tensor:
    """Code values as float32, from the type in which they travel."""
    if depth == 16 and not levels.is_floating_point():
        levels = levels.int().bitwise_and_(0xFFFF)
    return levels.float()


def _to_levels(planes: Tensor, depth: int) -> Tensor:
    """Code values in float32 in the type in which they travel; rounded, but in floating point."""
    import torch

    if depth == FLOAT_DEPTH:
        return planes
    rounded = planes.round().clamp_(0, _top(depth))
    if depth == 8:
        return rounded.byte()
    return rounded.int().to(torch.int16) if depth == 16 else rounded.to(torch.int16)


def _as_levels(levels: Tensor) -> NDArray[np.generic]:
    """View of a host's code values in their own type."""
    array: NDArray[np.generic] = levels.numpy()
    return array.view("<u2") if array.dtype == np.int16 else array


def _write_planes(planes: Tensor, pix_fmt: str) -> av.VideoFrame:
    """A picture in a planar 4:4:4 format of code values (3 or 4, H, W), which are rounded."""
    _, height, width = planes.shape
    frame = av.VideoFrame(width, height, pix_fmt)
    levels = to_host(_to_levels(planes, bit_depth(pix_fmt)))
    for i, plane in enumerate(_as_levels(levels)):
        _view(frame, i)[:] = plane
    return frame


def _view(frame: av.VideoFrame, index: int) -> NDArray[np.generic]:
    """View of one plane, without the padding of its rows; writes change the frame."""
    plane = frame.planes[index]
    rows = np.frombuffer(plane, dtype=_kind(frame)).reshape(plane.height, -1)  # type: ignore[call-overload]
    view: NDArray[np.generic] = rows[:, : plane.width]
    return view


def _kind(frame: av.VideoFrame) -> str:
    """NumPy's name of the type of a picture's code values."""
    name = frame.format.name
    return "<f4" if "f32" in name else "u1" if bit_depth(name) == 8 else "<u2"


def orientation(frame: av.VideoFrame) -> Orientation:
    """The orientation in the display matrix of a film's frame, to the nearest quarter turn.

    Call it once a stream, not for every frame: PyAV's side data and their frame refer to each
    other, so that such frames stay in memory until the garbage collector runs.
    """
    matrix = _display_matrix(frame)
    if matrix is None:
        return Orientation()
    # Rows (a, b, u), (c, d, v), (x, y, w): a pixel (p, q) is shown at (a·p + c·q, b·p + d·q).
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
    return Orientation(mirrored_x=a < 0, mirrored_y=d < 0)


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    """The bytes of the display matrix, read from a copy that has no other side data.

    PyAV 18 must not see other side data: it frees their metadata twice (the ICC profile of a PNG
    file has some), and an unknown kind of side data hides all others.
    """
    others = [
        ("sidedata", f"mode=delete:type={number}")
        for number in _SIDE_DATA_KINDS
        if number != _DISPLAY_MATRIX
    ]
    graph = filter_graph(frame, *others)
    graph.vpush(frame)
    matrix: Any = graph.vpull().side_data.get("DISPLAYMATRIX")
    return None if matrix is None else bytes(matrix)


def orient(image: Tensor, how: Orientation) -> Tensor:
    """Apply an orientation to (3, H, W); the result is contiguous."""
    if how.transposed:
        image = image.transpose(1, 2)
    flips = [dim for dim, flip in ((2, how.mirrored_x), (1, how.mirrored_y)) if flip]
    return image.flip(flips) if flips else image.contiguous()
