"""What this machine has, what will be slow on it, and what to do about that."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "open_clip_torch", "av", "opencv-python-headless", "numpy")
EXTRAS = {
    "transformers": "guides with tokenizers of their own, as SigLIP's, and --where-model: pip "
    "install transformers",
    "ray": "--workers: pip install 'dreamvid[farm]'",
}
"""Package → what it is for, and how to get it."""
LITTLE_MEMORY, LITTLE_DISK = 4e9, 5e9
"""Bytes of memory, and of free disk in this folder, below which that is told."""
SLOW_STEP_S = 0.25
"""Seconds of a step with the built-in guide above which a machine counts as slow."""


@dataclass(frozen=True)
class Finding:
    """One thing about this machine."""

    name: str
    value: str
    advice: str = ""
    """What to do about it; empty where nothing is amiss."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings, for a report of a bug."""

    findings: tuple[Finding, ...]

    @property
    def advice(self) -> list[str]:
        """What could be better, a line each."""
        return [f"{each.name}: {each.advice}" for each in self.findings if each.advice]

    def to_json(self) -> list[dict[str, Any]]:
        """A JSON array of all findings."""
        return [asdict(each) for each in self.findings]


def diagnose(*, timing: bool = True, network: bool = True) -> Diagnosis:
    """Look at this machine, from the current folder.

    With `timing` a few gradient steps are made, with `network` the model hub is asked whether it
    answers. Nothing is written.
    """
    found = [*_versions(), *_device(), *_machine(), *_media()]
    found += _guides(network)
    if timing:
        found.append(_step())
    return Diagnosis(tuple(found))


def _versions() -> Iterator[Finding]:
    yield Finding("dreamvid", version("dreamvid"))
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    for name, purpose in EXTRAS.items():
        if find_spec(name) is None:
            yield Finding(name, f"not there; needed for {purpose}")
        else:
            yield Finding(name, _version_of(name))


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "there"


def _device() -> Iterator[Finding]:
    import torch

    from dreamvid.device import choose_device, choose_precision

    device = choose_device("auto")
    precision = str(choose_precision("auto", device, is_convolutional=True)).removeprefix("torch.")
    yield Finding("precision of the built-in guide", precision)
    if device.type == "cuda":
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            yield Finding(f"cuda:{number}", f"{card.name}, {card.total_memory / 1e9:.1f} GB")
        return
    advice = ""
    if device.type == "cpu" and _has_nvidia_card():
        built = (
            "for the CPU alone" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"
        )
        advice = f"there is an NVIDIA card, which torch, built {built}, does not find: its driver"
    yield Finding("device", device.type, advice)


def _has_nvidia_card() -> bool:
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def _machine() -> Iterator[Finding]:
    import torch

    threads = torch.get_num_threads()
    yield Finding("processors", f"{os.cpu_count()}, of which torch uses {threads}")
    memory = _memory()
    if memory is not None:
        advice = "a smaller --size; an encoder of 4K alone takes gigabytes"
        yield Finding("memory", f"{memory / 1e9:.1f} GB", advice if memory < LITTLE_MEMORY else "")
    free = shutil.disk_usage(".").free
    advice = "a run keeps its frames beside OUT until it is whole"
    yield Finding("free here", f"{free / 1e9:.1f} GB", advice if free < LITTLE_DISK else "")


def _memory() -> float | None:
    """Bytes of memory; None where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None


def _media() -> Iterator[Finding]:
    from dreamvid.media.encoders import ffmpeg_version, usual_encoders

    there = usual_encoders()
    yield Finding("FFmpeg's libavcodec", ffmpeg_version())
    advice = "" if "libx264" in there else "libx264 is missing, which .mp4 needs: pip install av"
    yield Finding("encoders", ", ".join(there), advice)


def _guides(network: bool) -> Iterator[Finding]:
    from dreamvid.guide.hub import cached_repositories, hub_answers
    from dreamvid.guide.names import KNOWN

    cached = cached_repositories()
    names = [guide.name for guide in KNOWN if guide.repository in cached]
    yield Finding("guides on this machine", ", ".join(["mini", *names]))
    if network:
        advice = "" if names else "only --guide mini, or weights in a file: --guide MODEL:FILE"
        answers = hub_answers()
        yield Finding(
            "model hub", "answers" if answers else "does not answer", "" if answers else advice
        )


def _step() -> Finding:
    """The time of a gradient step at 640×360 with the built-in guide."""
    import torch

    from dreamvid.config import ImageConfig
    from dreamvid.device import choose_device
    from dreamvid.dream.descent import descend
    from dreamvid.guide.objective import create_objectives

    config = ImageConfig(prompt=["a coral reef"])
    device = choose_device("auto")
    objectives = create_objectives(config, device)
    image = torch.full((3, 360, 640), 0.5, device=device)
    seconds = []
    for steps in (2, 6):  # the first warms up
        began = time.perf_counter()
        float(descend(image, objectives, config, steps=steps).sum())
        seconds.append((time.perf_counter() - began) / steps)
    each = seconds[-1]
    advice = ""
    if each > SLOW_STEP_S:
        advice = (
            "--every 4 --steps 4 and a smaller --size with --deliver source are many times as fast"
        )
    return Finding("a step at 640x360 with mini", f"{1000 * each:.0f} ms", advice)
