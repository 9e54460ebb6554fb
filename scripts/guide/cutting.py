"""Things cut out of their photographs, so that no thing is learned with the sky behind it."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

SIDE = 160
"""Of the photograph that is cut, the longer one, in pixels."""
_RIM = 0.04
"""Of the width and the height: what is taken for background."""
_ROUNDS = 6
_LEAST, _MOST = 0.1, 0.8
"""Shares of a photograph that are believed to be a thing."""
_PIECE = 0.1
"""Of the largest piece: smaller ones are taken for background."""


def cut_out(photograph: Image.Image) -> Image.Image | None:
    """What differs from the rim, the rest transparent; None where that is too little or too much.

    By GrabCut (Rother et al., 2004), from the colours of the rim and of all within it.
    """
    scale = SIDE / max(photograph.size)
    size = (round(photograph.width * scale), round(photograph.height * scale))
    image = photograph.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    thing = _larger_pieces(_grabbed(np.asarray(image)))
    if not _LEAST <= thing.mean() <= _MOST:
        return None
    image.putalpha(Image.fromarray(cv2.GaussianBlur(thing * np.uint8(255), (3, 3), 0)))
    return image


def _grabbed(rgb: np.ndarray) -> np.ndarray:
    """(H, W) uint8: 1 where a thing is, without specks."""
    height, width = rgb.shape[:2]
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    down, right = round(height * _RIM), round(width * _RIM)
    mask[down : height - down, right : width - right] = cv2.GC_PR_FGD
    cv2.setRNGSeed(0)
    ground, thing = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, mask, nowhere, ground, thing, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    is_thing = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.morphologyEx(is_thing, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def _larger_pieces(thing: np.ndarray) -> np.ndarray:
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(thing)
    areas = facts[1:, cv2.CC_STAT_AREA]
    kept = [n for n in range(1, count) if facts[n, cv2.CC_STAT_AREA] >= _PIECE * areas.max()]
    return np.isin(pieces, kept).astype(np.uint8)
