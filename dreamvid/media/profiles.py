"""Orientation (EXIF) and colour profile (ICC) of picture files.

Pillow reads both from the headers. FFmpeg gives them as side data of frames, which PyAV 18 frees
twice where the side data have metadata, like the profiles of PNG files.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dreamvid.media.colour import Orientation
from dreamvid.travel import to_device, to_host

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform
    from torch import Tensor

UPRIGHT = Orientation()
_ORIENTATION_TAG = 0x0112
_BY_EXIF = {
    2: Orientation(mirrored_x=True),
    3: Orientation(mirrored_x=True, mirrored_y=True),
    4: Orientation(mirrored_y=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, mirrored_x=True),
    7: Orientation(transposed=True, mirrored_x=True, mirrored_y=True),
    8: Orientation(transposed=True, mirrored_y=True),
}
JPEG_SEGMENT = 65_533
"""Bytes that a segment's length of 16 bits leaves for its content."""
_SAME_WITHIN = 2
"""Largest difference from sRGB, in levels of 255, of the colours of a profile taken as sRGB."""


@dataclass(frozen=True)
class PictureTags:
    """Orientation and colour profile of a picture file."""

    orientation: Orientation = UPRIGHT
    profile: bytes | None = None
    """An ICC profile; None means sRGB."""


PLAIN = PictureTags()
"""Tags of an upright picture in sRGB."""


def read_tags(path: Path) -> PictureTags:
    """The tags of a picture file; the defaults where Pillow cannot read it or they are damaged."""
    from PIL import Image

    try:
        with warnings.catch_warnings():  # harmless here: about size and damaged EXIF data
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                # The base class's method, because PNG's own decodes the whole picture first.
                exif = Image.Image.getexif(picture)
                turned = _BY_EXIF.get(exif.get(_ORIENTATION_TAG, 1), UPRIGHT)
                return PictureTags(turned, picture.info.get("icc_profile"))
    except Exception:  # Pillow's plugins raise all kinds of exceptions for files of other formats
        return PLAIN


def read_texts(path: Path) -> dict[str, str]:
    """The texts in a PNG file by their keywords, or the first comment, `key=value`, of a JPEG file.

    Empty where there are none, or Pillow cannot read the file.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                segments = getattr(picture, "applist", [])
                entries = [(str(key), text) for key, text in picture.info.items()]
    except Exception:  # as above
        return {}
    texts = {key: text for key, text in entries if isinstance(text, str)}
    comment = b""
    for part in (content for name, content in segments if name == "COM"):
        comment += part
        if len(part) < JPEG_SEGMENT:  # others follow, FFmpeg's among them
            break
    key, separator, text = comment.decode("utf-8", "replace").partition("=")
    return texts | ({key: text} if separator else {})


def to_srgb(image: Tensor, profile: bytes | None) -> Tensor:
    """Convert float32 (3, H, W) in [0, 1], R'G'B' of `profile`, to sRGB, through 8 bits.

    The image is unchanged where the profile is sRGB, is damaged, or is not for R'G'B'.
    """
    transform = None if profile is None else _transform(profile)
    if transform is None:
        return image

    import torch

    levels = (image * 255).round().byte().permute(1, 2, 0).contiguous()
    converted = to_device(
        torch.from_numpy(_apply(transform, to_host(levels).numpy())), image.device
    )
    return converted.permute(2, 0, 1).float().div_(255).contiguous()


@lru_cache(maxsize=4)
def _transform(profile: bytes) -> ImageCmsTransform | None:
    """A transform from `profile` to sRGB, relative colorimetric; None where nothing changes."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    change = np.abs(_apply(transform, colours).astype(int) - colours)
    return transform if change.max() > _SAME_WITHIN else None


def _apply(transform: ImageCmsTransform, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`levels` (H, W, 3), 8 bits, converted by `transform`."""
    from PIL import Image

    return np.array(transform.apply(Image.fromarray(levels)))
