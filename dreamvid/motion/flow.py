"""Optical flow by OpenCV or RAFT. `dreamvid.types.FlowEstimator` defines signs and units.

Frames below a backend's smallest side are enlarged first. RAFT is undefined below 128 pixels. DIS
refuses very small frames, and on wide frames that are a few dozen pixels high it crashes the
process without an exception. Large frames can be shrunk first: the work grows with the number of
pixels, and RAFT's with its square, but motion is mostly smooth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from torch import Tensor
from torch.nn import functional as F

from dreamvid.errors import ConfigError, GuideError
from dreamvid.motion.calm import calmed, evenly_lit, luma
from dreamvid.motion.warp import scaled
from dreamvid.travel import to_device, to_host
from dreamvid.types import check_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RAFT_MIN_SIDE = 128  # pixels
_RAFT_STRIDE = 8  # RAFT's feature maps are this much smaller than the picture
_RAFT_UPDATES = 12

Backend = Callable[[Tensor, Tensor], Sequence[Tensor]]
"""(current frames, previous frames), both float32 (N, 3, H, W) → N backward flows (2, H, W).

No side is smaller than the backend's smallest side. The flows share no memory, so that one flow
does not keep the memory of the others.
"""


@dataclass(frozen=True)
class OpticalFlow:
    """A `FlowEstimator` that adds checks and resizing to a backend.

    It takes frames of any size, and gives the same flow for the same frames. Raises ValueError
    unless the frames are two images of one size.
    """

    backend: Backend
    min_side: int
    """Smallest side of a frame, in pixels, that the backend can take."""
    max_side: int | None = None
    """Longest side of a frame, in pixels, at which motion is estimated; the flow of larger frames
    is that of shrunk ones, scaled up. None for no limit."""
    is_calm: bool = False
    """Whether the backend sees frames in one light, and its flow is calmed (`motion.calm`)."""

    @torch.no_grad()
    def __call__(self, current: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Backward and forward flow: float32 (2, H, W) each, on the device of `current`."""
        frames = _pair(current, previous)
        small = self._shrunk(frames)
        if self.is_calm:
            small = torch.stack(evenly_lit(small[0], small[1]))
        backward, forward = self._estimate(small, small.flip(0))
        if self.is_calm:
            backward, forward = calmed(small[0], small[1], backward, forward)
        size = current.shape[1], current.shape[2]
        return scaled(backward, size), scaled(forward, size)

    @torch.no_grad()
    def backward(self, current: Tensor, previous: Tensor) -> Tensor:
        """The backward flow alone, (2, H, W), in half the time; never calmed, that takes both."""
        small = self._shrunk(_pair(current, previous))
        (backward,) = self._estimate(small[:1], small[1:])
        return scaled(backward, (current.shape[1], current.shape[2]))

    def _shrunk(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) within the longest side; no side falls below the smallest one."""
        sides = frames.shape[-2:]
        if self.max_side is None or max(sides) <= self.max_side:
            return frames
        scale = max(self.max_side / max(sides), self.min_side / min(sides))
        if scale >= 1:
            return frames
        size = [round(scale * side) for side in sides]
        return F.interpolate(frames, size, mode="bilinear", antialias=True)

    def _estimate(self, currents: Tensor, previous: Tensor) -> list[Tensor]:
        """The backward flow of each of N pairs, at their size and on their device."""
        scale = math.ceil(self.min_side / min(currents.shape[-2:]))
        if scale == 1:
            flows = self.backend(currents, previous)
        else:
            enlarged = (
                F.interpolate(frames, scale_factor=scale, mode="bilinear")
                for frames in (currents, previous)
            )
            # The mean over each pixel's block, in pixels of the original frames.
            flows = [F.avg_pool2d(flow[None], scale)[0] / scale for flow in self.backend(*enlarged)]
        return [to_device(flow, currents.device) for flow in flows]


def create_flow(
    name: str,
    device: str | torch.device,
    weights: str | Path | None = None,
    max_side: int | None = None,
    *,
    calm: bool = False,
) -> OpticalFlow:
    """Create the flow estimator `name`: dis, farneback, raft-small or raft-large.

    `max_side` is the longest side in pixels at which motion is estimated, by default any. With
    `calm`, OpenCV's estimators see frames in one light, and are calmed where nothing shows motion;
    RAFT is left as it is, for it does as much by itself.

    RAFT runs on `device`. Its `weights` are a file of torchvision's parameters; without a file,
    they are downloaded. OpenCV's estimators run on the CPU, for frames on any device.

    Raises ConfigError for another name, or for weights given to an estimator that has none, and
    GuideError where RAFT's weights are not available.
    """
    if name in _CLASSICAL:
        if weights is not None:
            raise ConfigError(
                f"--flow-weights '{weights}': --flow {name} has no weights; "
                f"allowed with {', '.join(_NETWORKS)}"
            )
        calculate, min_side = _CLASSICAL[name]
        return OpticalFlow(partial(_classical, calculate), min_side, max_side, calm)
    if name in _NETWORKS:
        network, where = load_raft(name, weights).to(device), torch.device(device)
        dtype = torch.float16 if where.type == "cuda" else torch.float32
        backend = partial(raft, network, where, dtype)
        return OpticalFlow(backend, _RAFT_MIN_SIDE, max_side)
    allowed = ", ".join([*_CLASSICAL, *_NETWORKS])
    raise ConfigError(f"--flow: '{name}' is not allowed; allowed: {allowed}")


def create_quick_flow(max_side: int) -> OpticalFlow:
    """DIS at its fast preset, for motion while it happens: some milliseconds a pair.

    `max_side` is the longest side in pixels at which motion is estimated.
    """
    return OpticalFlow(partial(_classical, _quick_dis), _CLASSICAL["dis"][1], max_side)


def tof_flow(current: Tensor, previous: Tensor) -> Tensor:
    """Backward flow (2, H, W) in pixels by Farnebäck's method, with the tOF metric's parameters.

    Source of the metric: Chu et al., "Learning temporal coherence via self-supervision for
    GAN-based video generation" (TecoGAN, 2020). Raises ValueError unless the frames are two images
    of one size.
    """
    backend = partial(_classical, partial(_farneback, levels=3, winsize=15, poly_sigma=1.2))
    return OpticalFlow(backend, _CLASSICAL["farneback"][1]).backward(current, previous)


def _pair(current: Tensor, previous: Tensor) -> Tensor:
    """Two frames as float32 (2, 3, H, W), on the device of `current`. Raises ValueError."""
    check_image(current)
    check_image(previous)
    if current.shape != previous.shape:
        raise ValueError(
            "flow runs between frames of one size, "
            f"not {tuple(current.shape)} and {tuple(previous.shape)}"
        )
    return torch.stack([current.detach(), previous.detach().to(current.device)]).float()


def _classical(
    calculate: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    currents: Tensor,
    previous: Tensor,
) -> list[Tensor]:
    """Flows by one of OpenCV's functions, computed on 8-bit grey images."""
    flows = (
        calculate(_grey(one), _grey(other)) for one, other in zip(currents, previous, strict=True)
    )
    return [torch.from_numpy(flow).permute(2, 0, 1).contiguous() for flow in flows]  # (H, W, 2)


def _grey(image: Tensor) -> NDArray[Any]:
    """Luma of an image (3, H, W) in [0, 1]: uint8 (H, W)."""
    return to_host((luma(image.clamp(0, 1))[0] * 255).round().byte()).numpy()


def _dis(current: NDArray[Any], previous: NDArray[Any]) -> NDArray[Any]:
    """Flow by Kroeger et al., "Fast optical flow using dense inverse search" (2016).

    This is the medium preset, but refined up to full resolution, which lowers the error on Sintel's
    clean pair from 0.34 px to 0.24 px.
    """
    import cv2

    # A new object for each call, since its buffers are not safe between threads.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    flow: NDArray[Any] = dis.calc(current, previous, None)  # type: ignore[call-overload]
    return flow


def _quick_dis(current: NDArray[Any], previous: NDArray[Any]) -> NDArray[Any]:
    """DIS up to half the resolution: a fifth of `_dis`'s time, its error a tenth higher."""
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1)
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
    """Flow by Farnebäck, "Two-frame motion estimation based on polynomial expansion" (2003)."""
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


def raft(
    network: torch.nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    currents: Tensor,
    previous: Tensor,
) -> list[Tensor]:
    """Flows by Teed and Deng, "RAFT: recurrent all-pairs field transforms for optical flow" (2020).

    Memory for each pair grows with the fourth power of the side: 0.07 GB at 640 × 360, 5.6 GB at
    1080p. The network autocasts to `dtype`, as its authors' does for mixed precision.
    """
    height, width = currents.shape[-2:]
    padding = (0, -width % _RAFT_STRIDE, 0, -height % _RAFT_STRIDE)
    padded = (
        F.pad(frames.to(device) * 2 - 1, padding, mode="replicate")
        for frames in (currents, previous)
    )
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        flows: Tensor = network(*padded, num_flow_updates=_RAFT_UPDATES)[-1].float()
    return [flow[:, :height, :width].clone() for flow in flows]


def load_raft(name: str, file: str | Path | None) -> torch.nn.Module:
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
    """Torchvision's parameters, from torch.hub's cache or downloaded. Raises GuideError."""
    try:
        # torch.hub.load_state_dict_from_url would announce the download on standard output.
        file = _cached(weights.url)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _, _, hash_prefix = file.stem.rpartition("-")
            torch.hub.download_url_to_file(weights.url, str(file), hash_prefix, progress=False)
        state: Mapping[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, HTTPException, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GuideError(
            f"--flow {name}: cannot download {weights.url} ({reason}); "
            "try --flow dis, or --flow-weights FILE with that file"
        ) from None
    return state


def _cached(url: str) -> Path:
    """Path of the file in torch.hub's cache for `url`."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


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


# Function and smallest side in pixels. Farnebäck's method finds less in strongly enlarged frames.
_CLASSICAL = {"dis": (_dis, 128), "farneback": (_farneback, 32)}
_NETWORKS = ("raft-small", "raft-large")
