"""Reading and writing of one picture file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.video.codeccontext import VideoCodecContext

from dreamvid.config import split_weight
from dreamvid.media.colour import (
    BT601_MATRIX,
    FULL_RANGE,
    LIMITED_RANGE,
    UNSPECIFIED,
    ColourTags,
    Converter,
    refuse_hdr,
    tags_of,
)
from dreamvid.media.encoders import LAMBDA_PER_QUANTISER
from dreamvid.media.files import check_input, check_output, media_errors, write_whole
from dreamvid.media.probing import VideoInfo, no_picture, parse_size
from dreamvid.media.profiles import JPEG_SEGMENT, PLAIN, PictureTags, read_tags, to_srgb
from dreamvid.media.webp import decode_frames, is_animation
from dreamvid.types import check_image

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class _Format:
    """The encoding of one kind of picture file."""

    codec: str
    pix_fmt: str
    tags: ColourTags = field(default_factory=ColourTags)
    options: Mapping[str, str] = field(default_factory=dict)
    quantiser: int | None = None


_JPEG = _Format("mjpeg", "yuvj444p", ColourTags(matrix=BT601_MATRIX, range=FULL_RANGE), quantiser=2)
_WEBP = _Format(
    "libwebp", "yuv420p", ColourTags(matrix=BT601_MATRIX, range=LIMITED_RANGE), {"quality": "95"}
)
_TIFF = _Format("tiff", "rgb24")
_FORMATS = {
    suffix: form
    for suffix, form in {
        ".png": _Format("png", "rgb24"),
        ".jpg": _JPEG,
        ".jpeg": _JPEG,
        ".webp": _WEBP,
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".bmp": _Format("bmp", "bgr24"),
    }.items()
    if form.codec in av.codecs_available
}

IMAGE_SUFFIXES = tuple(_FORMATS)
ALPHA_SUFFIXES = (".png", ".tif", ".tiff")
READABLE_SUFFIXES = (*IMAGE_SUFFIXES, ".avif", ".jp2", ".ppm", ".tga")
"""Extensions of the files in a folder that count as pictures."""


def read_image(path: Path, *, size: str = "source") -> Tensor:
    """A picture file as float32 (3, H, W), sRGB R'G'B' in [0, 1].

    FFmpeg must be able to read the file; only the first of several pictures is read. It is turned
    by its EXIF orientation, its colour profile is applied, and alpha is dropped. `size` is
    "source", "WIDTHxHEIGHT" or "WIDTH".
    Raises MediaError where the file cannot be read or is HDR.
    """
    still = Still.decode(Path(path))
    width, height = still.size
    if size != "source":
        width, height = parse_size(size, VideoInfo(width, height))
    return still.to_tensor((width, height))


def read_weighted(texts: Sequence[str]) -> list[Tensor]:
    """The pictures, as `read_image` reads them, of options like `FILE` or `FILE::WEIGHT`."""
    return [read_image(Path(split_weight(text)[0])) for text in texts]


@dataclass(frozen=True)
class Still:
    """One decoded picture of a file."""

    path: Path
    frame: av.VideoFrame
    tags: PictureTags = PLAIN

    @classmethod
    def decode(cls, path: Path) -> Still:
        """The first picture of a file. Raises MediaError where it cannot be read or is HDR."""
        frame = _decode_first(path)
        refuse_hdr(tags_of(frame), path)
        if frame.colorspace == UNSPECIFIED:
            frame.colorspace = BT601_MATRIX  # the default of JPEG and WebP at any size
        return cls(path, frame, read_tags(path))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as displayed."""
        return self._turned((self.frame.width, self.frame.height))

    def to_tensor(self, size: tuple[int, int], device: torch.device | str = "cpu") -> Tensor:
        """The picture as float32 (3, H, W), sRGB R'G'B' in [0, 1]; `size` is (width, height).

        The size is the displayed one. Raises MediaError where the pixel format cannot be converted.
        """
        with media_errors(f"'{self.path}': {self.frame.format.name} cannot be converted"):
            image = self._converter(device).to_tensor(self.frame, self._turned(size))
        return to_srgb(image, self.tags.profile)

    def to_alpha(self, size: tuple[int, int], device: torch.device | str = "cpu") -> Tensor | None:
        """The alpha as float32 (1, H, W) in [0, 1]; None where the format has none.

        `size` is (width, height) as displayed.
        """
        return self._converter(device).to_alpha(self.frame, self._turned(size))

    def _converter(self, device: torch.device | str) -> Converter:
        # All formats of picture files with subsampled chroma have it in the centre, like JPEG.
        return Converter("mjpeg", self.tags.orientation, device)

    def _turned(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[::-1] if self.tags.orientation.transposed else size


def _decode_first(path: Path) -> av.VideoFrame:
    check_input(path)
    if is_animation(path):
        return next(decode_frames(path))
    with (
        media_errors(f"'{path}' cannot be read; allowed: a picture that FFmpeg can read"),
        # An open file, because FFmpeg takes a percent sign in a picture's name for a pattern.
        path.open("rb") as file,
        av.open(file, "r", metadata_errors="replace") as container,
    ):
        if container.streams.video:
            for frame in container.decode(video=0):
                return frame
    raise no_picture(path)


def write_image(
    path: Path,
    image: Tensor,
    *,
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
    alpha: Tensor | None = None,
) -> None:
    """Write float32 (3, H, W), R'G'B' in [0, 1], as 8 bits, in the format of the extension.

    Only PNG and TIFF keep `alpha`, (1, H, W) in [0, 1].
    Only PNG (as text chunks) and JPEG (as comments `key=value`) keep `metadata`.
    The file appears when it is complete. Raises MediaError where it cannot be written, ValueError
    for a tensor that is no image.
    """
    path = Path(path)
    check_output(path, overwrite=overwrite, suffixes=IMAGE_SUFFIXES)
    write_whole(path, encode_image(path, image, metadata=metadata, alpha=alpha), overwrite)


def encode_image(
    path: Path,
    image: Tensor,
    *,
    metadata: Mapping[str, str] | None = None,
    alpha: Tensor | None = None,
) -> bytes:
    """The content of the file that `write_image` writes to `path`, one of `IMAGE_SUFFIXES`.

    Raises MediaError where it cannot be encoded, ValueError for a tensor that is no image.
    """
    return encode_picture(path, to_picture(path, image, alpha), metadata or {})


def to_picture(path: Path, image: Tensor, alpha: Tensor | None = None) -> av.VideoFrame:
    """The picture of float32 (3, H, W) that the encoder of `path` is given.

    `alpha` is (1, H, W), as of `write_image`. Raises MediaError where it cannot be converted,
    ValueError for a tensor that is no image.
    """
    check_image(image)
    with media_errors(f"'{path}' cannot be written"):
        return _to_picture(image, _FORMATS[path.suffix.lower()], alpha)


def encode_picture(path: Path, picture: av.VideoFrame, metadata: Mapping[str, str]) -> bytes:
    """The content of the file `path` that shows the picture of `to_picture`.

    Raises MediaError where it cannot be encoded.
    """
    with media_errors(f"'{path}' cannot be written"):
        return _with_metadata(_encode(picture, _FORMATS[path.suffix.lower()]), metadata)


def encode_jpeg(image: Tensor, quantiser: int = 5) -> bytes:
    """float32 (3, H, W), R'G'B' in [0, 1], as JPEG for a screen.

    `quantiser` is FFmpeg's, from 2, the best, to 31. Raises MediaError where it cannot be encoded.
    """
    with media_errors("the picture cannot be encoded"):
        return _encode(_to_picture(image, _JPEG), replace(_JPEG, quantiser=quantiser))


def _to_picture(image: Tensor, form: _Format, alpha: Tensor | None = None) -> av.VideoFrame:
    keeps_alpha = alpha is not None and form.codec in ("png", "tiff")
    pix_fmt = "rgba" if keeps_alpha else form.pix_fmt
    return Converter("mjpeg").to_frame(image, pix_fmt, form.tags, alpha)


def _encode(frame: av.VideoFrame, form: _Format) -> bytes:
    context = av.CodecContext.create(form.codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.time_base = Fraction(1, 25)
    context.colorspace, context.color_range = form.tags.matrix, form.tags.range
    context.options = dict(form.options)
    if form.quantiser is not None:
        context.qscale, context.global_quality = True, form.quantiser * LAMBDA_PER_QUANTISER
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    if data.startswith(b"\x89PNG"):
        head = 8 + 25  # the signature and the IHDR chunk
        return data[:head] + b"".join(map(_text_chunk, metadata.items())) + data[head:]
    if data.startswith(b"\xff\xd8"):
        comments = (f"{key}={value}".encode() for key, value in metadata.items())
        return data[:2] + b"".join(map(_comment, comments)) + data[2:]
    return data


def _text_chunk(entry: tuple[str, str]) -> bytes:
    """An iTXt chunk: uncompressed UTF-8 under a Latin-1 keyword of at most 79 bytes."""
    keyword = entry[0].encode("latin-1", "replace")[:79]
    body = b"iTXt" + keyword + b"\0\0\0\0\0" + entry[1].encode()
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _comment(text: bytes) -> bytes:
    """COM segments of JPEG; a long text is split into several."""
    parts = [text[i : i + JPEG_SEGMENT] for i in range(0, len(text), JPEG_SEGMENT)]
    return b"".join(b"\xff\xfe" + struct.pack(">H", len(part) + 2) + part for part in parts)
