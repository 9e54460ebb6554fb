"""The choice of a video encoder, its pixel format, options and padding."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec.codec import Codec, UnknownCodecError, find_best_pix_fmt_of_list
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext

from dreamvid.config import WriteConfig
from dreamvid.errors import MediaError
from dreamvid.media.colour import ColourTags, has_alpha, tags_for
from dreamvid.media.containers import Container
from dreamvid.media.files import reason
from dreamvid.media.probing import VideoInfo

_SVT_LOG = "SVT_LOG"
DEFAULT_PIX_FMT = "yuv420p"
_PIX_FMT = {"mjpeg": "yuvj420p", "rawvideo": "rgb24", "gif": "pal8"}
"""Pixel formats of encoders that list the default but refuse it, or usually have another."""

_WITH_ALPHA = ("yuva444p10le", "yuva420p", "rgba", "argb", "bgra")
"""Pixel formats with alpha, best first; every encoder with alpha takes one of them."""

THREADS = 4
"""Number of threads; fixed, because the result of x264 depends on it."""

_DEFAULT_CRF = {"libx264": 17, "libx264rgb": 17, "libx265": 19, "libsvtav1": 24, "libvpx-vp9": 24}
_HIGHEST_CRF = {"libx264": 51, "libx264rgb": 51, "libx265": 51}  # larger ones are clamped silently
_FIXED_QUANTISER = {"mpeg4": 3, "mpeg2video": 3, "mjpeg": 3}  # starved at their default bit rate
_HARDWARE = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
_HARDWARE_SIZE = 320, 240
"""A size (width, height) that all hardware encoders take, if the hardware is present."""
_COMMON_CODECS = (*_DEFAULT_CRF, "ffv1", "prores_ks", *_FIXED_QUANTISER, *_HARDWARE)
_OPTIONS = {
    "libx264": {"x264-params": "mbtree=0"},  # with it, results differ from run to run
    "libx264rgb": {"x264-params": "mbtree=0"},
    "libx265": {"x265-params": "log-level=error"},  # otherwise it writes to stderr
}
LAMBDA_PER_QUANTISER = 118
"""FF_QP2LAMBDA, the unit of `global_quality`."""

USUAL = ("libx264", "libx265", "libvpx-vp9", "prores_ks", "ffv1", "gif", "h264_nvenc")
"""Encoders that a build of FFmpeg may have or not."""


def find_codec(config: WriteConfig, container: Container, output: OutputContainer) -> Codec:
    """The video encoder of `config`, or the container's default.

    Raises MediaError where there is no such encoder, or where `output` cannot hold it.
    """
    name = config.codec or container.codec
    try:
        codec = Codec(name, "w")
    except UnknownCodecError:
        codec = None
    if codec is None or codec.type != "video":
        raise MediaError(f"--codec '{name}' is no video encoder here; allowed: {_fitting(output)}")
    if codec.name not in output.supported_codecs:
        raise MediaError(
            f"--codec {name}: {container.format} cannot hold it; allowed: {_fitting(output)}"
        )
    return codec


def _fitting(output: OutputContainer) -> str:
    """The names of the well-known encoders that are available and that `output` can hold."""
    held = output.supported_codecs
    names = [
        name
        for name in _COMMON_CODECS
        if name in held
        and name in av.codecs_available
        and (name not in _HARDWARE or _opens(Codec(name, "w"), DEFAULT_PIX_FMT, *_HARDWARE_SIZE))
    ]
    return ", ".join(names) + ", or another of FFmpeg's"


def choose_pix_fmt(codec: Codec, config: WriteConfig, alpha: bool = False) -> str:
    """The pixel format of `config`, or the encoder's nearest to yuv420p.

    With `alpha`, the default has alpha if possible. Raises MediaError where the encoder does not
    take the format of `config`.
    """
    formats = [form.name for form in codec.video_formats or [] if form.components]
    if config.pix_fmt is None:
        wanted = _PIX_FMT.get(codec.name, DEFAULT_PIX_FMT)
        clear = [name for name in _WITH_ALPHA if name in formats] if alpha else []
        if clear:
            return clear[0]
        if not formats or wanted in formats:
            return wanted
        best, _ = find_best_pix_fmt_of_list(formats, wanted)
        return best.name if best else formats[0]
    if config.pix_fmt not in formats:
        raise MediaError(
            f"--pix-fmt '{config.pix_fmt}' is not for {codec.name}; allowed: {', '.join(formats)}"
        )
    return config.pix_fmt


def encoder_options(codec: Codec, config: WriteConfig) -> dict[str, str]:
    """Options for the encoder. Raises MediaError for a --crf that it does not take."""
    options = dict(_OPTIONS.get(codec.name, {}))
    has_crf = any(
        option.name == "crf" for option in codec.create("video").supported_options.private
    )
    if config.crf is not None and not has_crf:
        raise MediaError(
            f"--crf {config.crf:g}: {codec.name} has no such option; "
            f"allowed with --codec {', '.join(_DEFAULT_CRF)}"
        )
    highest = _HIGHEST_CRF.get(codec.name, math.inf)
    if config.crf is not None and config.crf > highest:
        raise MediaError(f"--crf {config.crf:g}: allowed with {codec.name}: 0 to {highest:g}")
    crf = config.crf if config.crf is not None else _DEFAULT_CRF.get(codec.name)
    if crf is not None:
        options["crf"] = f"{crf:g}"
    return options


def set_quality(context: VideoCodecContext) -> None:
    """Set a good fixed quantiser on encoders that have a quantiser but no crf."""
    quantiser = _FIXED_QUANTISER.get(context.name)
    if quantiser is not None:
        context.qscale = True
        context.global_quality = quantiser * LAMBDA_PER_QUANTISER


def padding(codec: Codec, pix_fmt: str, width: int, height: int) -> tuple[int, int]:
    """Columns and rows to add so that the encoder takes the size; (0, 0) if it already does."""
    form = av.VideoFormat(pix_fmt, 64, 64)
    columns = -width % (64 // form.chroma_width(64))
    rows = -height % (64 // form.chroma_height(64))
    if (columns or rows) and not _opens(codec, pix_fmt, width, height):
        return columns, rows
    return 0, 0


def _opens(codec: Codec, pix_fmt: str, width: int, height: int) -> bool:
    context = codec.create("video")
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.rate, context.options = 25, dict(_OPTIONS.get(codec.name, {}))  # type: ignore[assignment]
    try:
        with quiet_svt(codec.name):
            context.open()
    except av.FFmpegError:
        return False
    return True


@contextmanager
def quiet_svt(encoder: str) -> Iterator[None]:
    """Keep SVT-AV1's messages, apart from errors, off stderr while the encoder is opened.

    The library reads its log level only from the environment (`svtav1-params` has no such option),
    when a process first opens it. A level that the user has set is kept.
    """
    if encoder != "libsvtav1" or _SVT_LOG in os.environ:
        yield
        return
    os.environ[_SVT_LOG] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SVT_LOG, None)


@dataclass(frozen=True)
class Encoding:
    """A video encoder with all its settings, chosen and checked."""

    codec: Codec
    options: dict[str, str]
    pix_fmt: str
    clock: Fraction
    """Length of a tick in seconds."""
    info: VideoInfo
    padding: tuple[int, int]
    """Columns and rows to add to a frame."""
    tags: ColourTags
    container: Container

    @classmethod
    def choose(
        cls, config: WriteConfig, info: VideoInfo, container: Container, output: OutputContainer
    ) -> Encoding:
        """The encoding of `config` for `output`, a file of the kind `container`.

        Raises MediaError where codec, pixel format, quality and container do not go together.
        """
        codec = find_codec(config, container, output)
        options = encoder_options(codec, config)
        alpha = info.alpha and container.holds_alpha(codec.canonical_name)
        pix_fmt = choose_pix_fmt(codec, config, alpha)
        added = padding(codec, pix_fmt, info.width, info.height)
        return cls(
            codec=codec,
            options=options,
            pix_fmt=pix_fmt,
            clock=container.clock_for(info.time_base),
            info=info,
            padding=added,
            tags=tags_for(info.colour, pix_fmt, info.height + added[1]),
            container=container,
        )

    @property
    def keeps_alpha(self) -> bool:
        """Whether the result keeps the alpha of frames."""
        return has_alpha(self.pix_fmt) and self.container.holds_alpha(self.codec.canonical_name)

    @property
    def rate(self) -> Fraction:
        """Frames a second; a default where the source has no rate."""
        return self.info.rate or Fraction(25)

    def configure(self, context: VideoCodecContext) -> None:
        """Set everything except the options on an encoder that is not open yet."""
        columns, rows = self.padding
        context.width, context.height = self.info.width + columns, self.info.height + rows
        context.pix_fmt = self.pix_fmt
        context.time_base = self.clock
        context.sample_aspect_ratio = self.info.sample_aspect_ratio
        context.thread_count = THREADS
        context.thread_type = "AUTO"
        if self.container.begins_at_zero:
            context.max_b_frames = 0  # their delay would shift all times
        set_quality(context)
        if self.codec.canonical_name == "hevc" and self.container.is_isom:
            context.codec_tag = "hvc1"  # the only tag that Apple's players know
        context.color_primaries, context.color_trc = self.tags.primaries, self.tags.transfer
        context.colorspace, context.color_range = self.tags.matrix, self.tags.range

    def start(self, context: VideoCodecContext) -> None:
        """Open a configured encoder. Raises MediaError where it cannot encode such frames."""
        try:
            with quiet_svt(context.name):
                context.open()
        except av.FFmpegError as error:
            raise MediaError(
                f"--codec {context.name} cannot encode {context.width}x{context.height} "
                f"{self.pix_fmt}: {reason(error)}; "
                "allowed: another --codec, --pix-fmt or --size"
            ) from error

    def create(self) -> VideoCodecContext:
        """An open encoder without a file. Raises MediaError where it cannot encode."""
        context = self.codec.create("video")
        context.options = dict(self.options)
        context.framerate = self.rate
        context.flags |= Flags.global_header  # needed by all containers that take joined packets
        self.configure(context)
        self.start(context)
        return context


def usual_encoders() -> list[str]:
    """Those of the usual encoders that this FFmpeg has."""
    return [name for name in USUAL if name in av.codecs_available]


def ffmpeg_version() -> str:
    """The version of FFmpeg's libavcodec."""
    return ".".join(map(str, av.library_versions["libavcodec"]))
