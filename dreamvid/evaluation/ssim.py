"""Structural similarity of two images (SSIM)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)
_WINDOW_RADIUS = 5  # pixels
_WINDOW_SIGMA = 1.5
_STABILISERS = (0.01**2, 0.03**2)  # C₁ and C₂ for a range of 1


def structural_similarity(image: Tensor, reference: Tensor) -> Tensor:
    """SSIM of the luma (Rec. 601) of two images (3, H, W) in [0, 1]; a scalar in [−1, 1].

    Both sides are at least 11 pixels. Method of Wang, Bovik, Sheikh and Simoncelli, "Image quality
    assessment: from error visibility to structural similarity" (2004): Gaussian windows of
    11 × 11 with σ = 1.5 wherever a whole one fits, K₁ = 0.01, K₂ = 0.03. The downsampling of
    their later implementation is left out.
    """
    x, y = (_luma(picture) for picture in (image, reference))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _windowed(
        torch.stack([x, y, x.square(), y.square(), x * y])
    )
    covariance = mean_xy - mean_x * mean_y
    variances = mean_xx - mean_x.square() + mean_yy - mean_y.square()
    c1, c2 = _STABILISERS
    luminance: Tensor = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure: Tensor = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean()


def _luma(image: Tensor) -> Tensor:
    """(3, H, W) → (H, W)."""
    return torch.einsum("chw,c->hw", image, image.new_tensor(_LUMA))


def _windowed(maps: Tensor) -> Tensor:
    """Gaussian means of (N, H, W) in all whole windows: (N, H − 10, W − 10)."""
    offsets = torch.arange(-_WINDOW_RADIUS, _WINDOW_RADIUS + 1).to(maps)
    kernel = torch.exp(-0.5 * (offsets / _WINDOW_SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    rows = F.conv2d(maps[:, None], kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]
