"""Optical flow, by OpenCV or by RAFT, under one convention: backward, pixels, (dx, dy).

Pictures below a backend's smallest side are enlarged first. RAFT is undefined below 128 pixels;
DIS there refuses the smallest ones and crashes the process, without an exception, on wide ones a
few dozen pixels high.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.errors import ConfigError, GuideError
from dreamvid.types import FlowEstimator, check_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LUMA = (0.299, 0.587, 0.114)
_RAFT_MIN_SIDE = 128  # pixels
_RAFT_STRIDE = 8  # RAFT's feature maps are this much smaller than the picture
_RAFT_UPDATES = 12

Backend = Callable[[Tensor, Tensor], Tensor]
"""(current, previous), both float32 (3, H, W) of its smallest side at least → backward flow."""


def create_flow(
    name: str, device: str | torch.device, weights: str | Path | None = None
) -> FlowEstimator:
    """The flow estimator of that name: dis, farneback, raft-small or raft-large.

    RAFT's network lives on `device`; its `weights` are a file of torchvision's parameters, or
    else downloaded by torchvision. OpenCV's estimators run on the CPU, wherever the frames are.
    Each takes any size, odd ones too, and gives the same flow for the same frames.

    Raises ConfigError for another name, or weights given to one that has none, and GuideError
    where RAFT's weights cannot be had. The estimator raises ValueError where its frames are no
    images of one size.
    """
    if name in _CLASSICAL:
        if weights is not None:
            raise ConfigError(
                f"--flow-weights '{weights}': --flow {name} has no weights; "
                f"allowed with {', '.join(_NETWORKS)}"
            )
        calculate, min_side = _CLASSICAL[name]
        return partial(_estimate, partial(_classical, calculate), min_side)
    if name in _NETWORKS:
        network = _load_raft(name, weights).to(device)
        return partial(_estimate, partial(_raft, network, torch.device(device)), _RAFT_MIN_SIDE)
    allowed = ", ".join([*_CLASSICAL, *_NETWORKS])
    raise ConfigError(f"--flow: '{name}' is not allowed; allowed: {allowed}")


def tof_flow(current: Tensor, previous: Tensor) -> Tensor:
    """Farnebäck's flow with the parameters of the tOF metric, under the convention of the others.

    Those of Chu et al., "Learning temporal coherence via self-supervision for GAN-based video
    generation" (TecoGAN, 2020). Raises ValueError where the frames are no images of one size.
    """
    backend = partial(_classical, partial(_farneback, levels=3, winsize=15, poly_sigma=1.2))
    return _estimate(backend, _CLASSICAL["farneback"][1], current, previous)


@torch.no_grad()
def _estimate(backend: Backend, min_side: int, current: Tensor, previous: Tensor) -> Tensor:
    """Check the frames, enlarge small ones, and give float32 (2, H, W) on current's device."""
    check_image(current)
    check_image(previous)
    if current.shape != previous.shape:
        raise ValueError(
            "flow runs between frames of one size, "
            f"not {tuple(current.shape)} and {tuple(previous.shape)}"
        )
    scale = math.ceil(min_side / min(current.shape[-2:]))
    pair = torch.stack([current, previous.to(current.device)]).float()  # (2, 3, H, W)
    if scale > 1:
        pair = F.interpolate(pair, scale_factor=scale, mode="bilinear")
    flow = backend(pair[0], pair[1])
    if scale > 1:
        # The mean over each pixel's block, and a vector as much shorter as the pixels are larger.
        flow = F.avg_pool2d(flow[None], scale)[0] / scale
    return flow.to(current.device)


def _classical(
    calculate: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    current: Tensor,
    previous: Tensor,
) -> Tensor:
    """Flow by one of OpenCV's functions on 8-bit grey."""
    flow = calculate(_grey(current), _grey(previous))  # (H, W, 2)
    return torch.from_numpy(flow).permute(2, 0, 1).contiguous()


def _grey(image: Tensor) -> NDArray[Any]:
    """(3, H, W) in [0, 1] → luma as uint8 (H, W)."""
    luma = torch.einsum("chw,c->hw", image.clamp(0, 1), image.new_tensor(_LUMA))
    return (luma * 255).round().byte().cpu().numpy()


def _dis(current: NDArray[Any], previous: NDArray[Any]) -> NDArray[Any]:
    """Kroeger et al., "Fast optical flow using dense inverse search" (2016).

    The medium preset, but down to full resolution: on Sintel's clean pair its error is 0.24 px
    rather than 0.34.
    """
    import cv2

    # One for each call: its buffers make it useless to two threads at once.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    flow: NDArray[Any] = dis.calc(current, previous, None)  # type: ignore[call-overload]
    return flow


def _farneback(
    current: NDArray[Any],
    previous: NDArray[Any],
    *,
    levels: int = 5,
    winsize: int = 25,
    poly_sigma: float = 1.1,
) -> NDArray[Any]:
    """Farnebäck, "Two-frame motion estimation based on polynomial expansion" (2003)."""
    import cv2

    flow: NDArray[Any] = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
        current,
        previous,
        None,
        pyr_scale=0.5,
        levels=levels,
        winsize=winsize,
        iterations=3,
        poly_n=5,
        poly_sigma=poly_sigma,
        flags=0,
    )
    return flow


def _raft(
    network: torch.nn.Module, device: torch.device, current: Tensor, previous: Tensor
) -> Tensor:
    """Flow by Teed and Deng, "RAFT: recurrent all-pairs field transforms for optical flow" (2020).

    Its memory grows with the fourth power of the side: 0.07 GB at 640 × 360, 5.6 GB at 1080p.
    """
    height, width = current.shape[-2:]
    padding = (0, -width % _RAFT_STRIDE, 0, -height % _RAFT_STRIDE)
    pair = torch.stack([current, previous]).to(device) * 2 - 1
    pair = F.pad(pair, padding, mode="replicate")
    flow: Tensor = network(pair[:1], pair[1:], num_flow_updates=_RAFT_UPDATES)[-1]
    return flow[0, :, :height, :width]


def _load_raft(name: str, file: str | Path | None) -> torch.nn.Module:
    """The network with its weights, on the CPU. Raises GuideError."""
    from torchvision.models import optical_flow

    builder = name.replace("-", "_")
    if file is None:
        enum = getattr(optical_flow, f"{builder.title()}_Weights").DEFAULT
        state = _download(name, enum)
    else:
        state = _read(name, Path(file))
    with torch.device("meta"):  # spares the random initialisation, and the global generator
        network: torch.nn.Module = getattr(optical_flow, builder)(weights=None)
    try:
        network.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, AttributeError):  # the last from keys that are no strings
        raise GuideError(
            f"--flow-weights '{file}' does not hold the parameters of {name}; allowed: "
            f"those of torchvision.models.optical_flow.{builder}, or try --flow dis"
        ) from None
    return network.float().eval().requires_grad_(False)


def _download(name: str, weights: Any) -> Mapping[str, Tensor]:
    """Torchvision's parameters, from its cache or the net. Raises GuideError."""
    try:
        # torch.hub announces what it fetches: on standard output, on standard error in its past.
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, HTTPException, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GuideError(
            f"--flow {name}: cannot download {weights.url} ({reason}); "
            "try --flow dis, or --flow-weights FILE with that file"
        ) from None
    return state


def _read(name: str, file: Path) -> Mapping[str, Tensor]:
    """Parameters from a file. Raises GuideError."""
    advice = f"allowed: a file of {name}'s parameters as torchvision saves them, or try --flow dis"
    if not file.is_file():
        raise GuideError(f"--flow-weights '{file}': there is no such file; {advice}")
    try:
        state: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise GuideError(f"--flow-weights '{file}': {error.strerror or error}; {advice}") from None
    except Exception:  # torch.load raises whatever the bytes provoke
        raise GuideError(f"--flow-weights '{file}' is no file of weights; {advice}") from None
    return state


# With the smallest side in pixels. Farnebäck's method is blinded by enlarging more than it needs.
_CLASSICAL = {"dis": (_dis, 128), "farneback": (_farneback, 32)}
_NETWORKS = ("raft-small", "raft-large")
