"""Pictures whose motion is known."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

SHARED = Path(__file__).parents[3] / "shared"
EASY, MEDIUM = "sintel_clean_easy", "sintel_final_medium"
CLIP = SHARED / "clips" / "big_buck_bunny_480p_30s.mp4"
RAFT_SMALL = SHARED / "weights" / "raft_small_torchvision.pth"


def need(path: Path) -> Path:
    """`path`, or a skipped test where this checkout has no shared data beside it."""
    if not path.exists():
        pytest.skip(f"needs {path}, which is not there")
    return path


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth noise of three grains, (3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, height, width)
    for grain, weight in ((4, 0.4), (10, 0.6), (32, 1.0)):
        size = (height // grain + 2, width // grain + 2)
        noise = torch.rand(1, 3, *size, generator=generator) - 0.5
        image += weight * F.interpolate(noise, (height, width), mode="bicubic")
    return (image[0] + 0.5).clamp(0, 1)


def translated(height: int, width: int, dx: int, dy: int) -> tuple[Tensor, Tensor]:
    """(current, previous) with `current[:, y, x] = previous[:, y + dy, x + dx]` everywhere."""
    margin = max(abs(dx), abs(dy))
    whole = texture(height + 2 * margin, width + 2 * margin)
    top, left = margin + dy, margin + dx
    current = whole[:, top : top + height, left : left + width]
    previous = whole[:, margin : margin + height, margin : margin + width]
    return current, previous


def read_png(file: Path) -> Tensor:
    """(3, H, W) in [0, 1], red first."""
    pixels = cv2.imread(str(file))
    assert pixels is not None
    return torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1).float() / 255


def read_flo(file: Path) -> Tensor:
    """Middlebury's format: float32 202021.25, width, height, then (dx, dy) a pixel → (2, H, W)."""
    numbers = np.fromfile(file, np.float32)
    assert numbers[0] == 202021.25
    width, height = numbers[1:3].view(np.int32)
    return torch.from_numpy(numbers[3:].reshape(height, width, 2).copy()).permute(2, 0, 1)


@cache
def frames_of(scene: str) -> tuple[Tensor, Tensor]:
    """The (current, previous) frame of one of MPI-Sintel's pairs.

    Their flow is the forward one from frame 2 to frame 3, on frame 2's grid; so frame 2 is the
    current frame here, and frame 3 the previous one.
    """
    folder = need(SHARED / "clips" / scene)
    return read_png(folder / "frame_0002.png"), read_png(folder / "frame_0003.png")


@cache
def true_flow(scene: str) -> Tensor:
    """The backward flow of `frames_of` a scene, (2, H, W) in pixels."""
    return read_flo(SHARED / "clips" / scene / "flow_2_to_3.flo")
