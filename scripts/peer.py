"""Results as another program sees them: mediainfo against what dreamvid says of its own files.

python scripts/peer.py            (Debian: apt-get install mediainfo)

Makes clips of different kinds, passes them through the writer, and compares duration, rate, size,
frame count, colour tags, tracks of sound and subtitles, and chapters. Exit status 1 where they
differ.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch
from av.audio.stream import AudioStream
from av.packet import Packet

from dreamvid.config import WriteConfig
from dreamvid.media.colour import ColourTags
from dreamvid.media.probing import Chapter, VideoInfo, probe
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter
from dreamvid.types import Frame

COUNT = 50
BASE = VideoInfo(192, 128, rate=Fraction(25), time_base=Fraction(1, 25))
BT709, BT601, BT2020 = ColourTags(1, 1, 1, 1), ColourTags(6, 6, 6, 1), ColourTags(9, 14, 9, 1)
NTSC = Fraction(30_000, 1001)
CHAPTERS = (Chapter(Fraction(0), Fraction(1)), Chapter(Fraction(1), Fraction(2)))
KINDS: dict[str, tuple[VideoInfo, WriteConfig]] = {
    "plain.mp4": (replace(BASE, colour=BT709), WriteConfig()),
    "ntsc.mov": (replace(BASE, rate=NTSC, time_base=1 / NTSC, colour=BT601), WriteConfig()),
    "wide.mkv": (replace(BASE, colour=BT2020), WriteConfig(pix_fmt="yuv420p10le")),
    "hevc.mp4": (replace(BASE, colour=BT709), WriteConfig(codec="libx265")),
    "vp9.webm": (replace(BASE, colour=BT709), WriteConfig()),
    "av1.mkv": (replace(BASE, colour=BT709), WriteConfig(codec="libsvtav1")),
    "prores.mov": (replace(BASE, colour=BT709), WriteConfig(codec="prores_ks")),
    "ffv1.mkv": (replace(BASE, colour=BT709), WriteConfig(codec="ffv1")),
    "pixels.mp4": (replace(BASE, sample_aspect_ratio=Fraction(4, 3)), WriteConfig()),
    "chapters.mp4": (replace(BASE, chapters=CHAPTERS), WriteConfig()),
    **{f"tracks.{suffix}": (BASE, WriteConfig()) for suffix in ("mp4", "mov", "mkv", "webm")},
}
LANGUAGES = ("ger", "eng")
SHORT = {"ger": "de", "eng": "en"}
"""As mediainfo has them."""
MATRICES = {1: "BT.709", 6: "BT.601", 9: "BT.2020 non-constant"}
CODECS = {"h264": "AVC", "hevc": "HEVC", "vp9": "VP9", "av1": "AV1", "prores": "ProRes"}


def main() -> None:
    """Make, ask both, compare, tell."""
    if shutil.which("mediainfo") is None:
        sys.exit("mediainfo is not installed")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (info, config) in KINDS.items():
            path = Path(folder) / name
            make(path, info, config)
            differences = compare(path)
            wrong += len(differences)
            print(f"{name:14} {'agrees' if not differences else '; '.join(differences)}")
    sys.exit(min(wrong, 1))


def make(path: Path, info: VideoInfo, config: WriteConfig) -> None:
    """Two seconds of a ramp that grows brighter."""
    ramp = torch.linspace(0.1, 0.8, info.width).expand(3, info.height, info.width)
    with (
        _tracks(path) if path.stem == "tracks" else nullcontext() as beside,
        VideoWriter(path, info, config, sound=beside) as writer,
    ):
        for index in range(COUNT):
            writer.write(Frame(ramp + 0.002 * index, index * info.time_base))


def _tracks(path: Path) -> SoundSource:
    """Two tracks of sound and two of subtitles, in languages of their own."""
    source = path.with_name("source.mkv")
    with av.open(str(source), "w") as container:
        sounds = [container.add_stream("aac", rate=48_000, layout="stereo") for _ in LANGUAGES]
        texts = [container.add_mux_stream("subrip") for _ in LANGUAGES]
        for sound, text, language in zip(sounds, texts, LANGUAGES, strict=True):
            assert isinstance(sound, AudioStream)
            sound.metadata["language"] = text.metadata["language"] = language
        for text in texts:
            packet: Packet[Any] = Packet(b"a <i>text</i>")
            packet.pts = packet.dts = 500
            packet.duration, packet.time_base, packet.stream = 1000, Fraction(1, 1000), text
            container.mux(packet)
        for begin in range(0, 2 * 48_000, 1024):
            silence = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate, silence.pts = 48_000, begin
            silence.time_base = Fraction(1, 48_000)
            for sound in sounds:
                container.mux(sound.encode(silence))
        for sound in sounds:
            container.mux(sound.encode(None))
    return SoundSource(source, on_warning=lambda message: None)


def compare(path: Path) -> list[str]:
    """What mediainfo and dreamvid see differently in a file."""
    ours, tracks = probe(path), ask(path)
    theirs = next(track for track in tracks if track["@type"] == "Video")
    rate = float(ours.rate or 0)
    pairs: dict[str, tuple[Any, Any]] = {
        "codec": (CODECS.get(ours.codec, ours.codec.upper()), theirs["Format"]),
        "width": (ours.width, int(theirs["Width"])),
        "height": (ours.height, int(theirs["Height"])),
        "rate": (round(rate, 2), round(float(theirs["FrameRate"]), 2)),
        "frames": (COUNT, int(theirs.get("FrameCount", COUNT))),
        "shape": (
            round(float(ours.sample_aspect_ratio), 3),
            round(float(theirs["PixelAspectRatio"]), 3),
        ),
        "matrix": (
            MATRICES.get(ours.colour.matrix, "none"),
            theirs.get("matrix_coefficients", "none"),
        ),
        "chapters": (bool(ours.chapters), any(track["@type"] == "Menu" for track in tracks)),
    }
    sounds = [track for track in tracks if track["@type"] == "Audio"]
    texts = [track for track in tracks if track["@type"] == "Text"]
    pairs["sound"] = (
        [(track.rate, track.channels, SHORT.get(track.language or "")) for track in ours.sound],
        [(int(t["SamplingRate"]), int(t["Channels"]), t.get("Language")) for t in sounds],
    )
    pairs["subtitles"] = (
        [SHORT.get(track.language or "") for track in ours.subtitles],
        [track.get("Language") for track in texts],
    )
    if path.stem == "tracks" and not len(sounds) == len(texts) == len(LANGUAGES):
        pairs["tracks"] = (len(LANGUAGES), (len(sounds), len(texts)))
    # Matroska's header tells how long the whole file is, and of no track.
    of_all = path.suffix in (".mkv", ".webm")
    seconds = float(tracks[0]["Duration"] if of_all else theirs["Duration"])
    differences = [f"{key}: {a} and {b}" for key, (a, b) in pairs.items() if a != b]
    if abs(seconds - float(ours.duration or 0)) > 0.002:
        differences.append(f"duration: {float(ours.duration or 0):.4f} and {seconds:.4f}")
    return differences


def ask(path: Path) -> list[dict[str, Any]]:
    """mediainfo's tracks of a file."""
    command = ["mediainfo", "--Output=JSON", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tracks: list[dict[str, Any]] = json.loads(told)["media"]["track"]
    return tracks


if __name__ == "__main__":
    main()
