"""Reading and writing of frames and sound. The only package that imports av."""

from dreamvid.media.colour import ColourTags
from dreamvid.media.files import check_output
from dreamvid.media.probing import SoundTrack, VideoInfo, probe
from dreamvid.media.reader import VideoReader
from dreamvid.media.still import IMAGE_SUFFIXES, read_image, write_image
from dreamvid.media.tracks import SoundSource
from dreamvid.media.writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "ColourTags",
    "SoundSource",
    "SoundTrack",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "check_output",
    "probe",
    "read_image",
    "write_image",
]
