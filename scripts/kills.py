"""Kill a run at random moments, resume it each time, and compare it with one left alone.

    python scripts/kills.py [--kills 200] [--signal KILL] [--seed 0]

After each kill what is done so far is peeked at, and must have every finished frame. Each clip is
killed until it is done, then the next begins; the guide is a fake one, so that there is time for
many. Tells how far it is every ten kills and, stopped by Ctrl-C or SIGTERM, what it has seen until
then. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from torch import Tensor

from dreamvid.journal import peek, read_state
from dreamvid.media import VideoReader
from tests.dreamer import LOSSLESS, OPTIONS, Dreamer, Pauses, interrupted
from tests.media.clips import Clip, make, uneven

FRAMES = 26


@dataclass
class Count:
    """What has been seen so far."""

    kills: int = 0
    clips: int = 0
    peeks: int = 0
    at: dict[int, int] = field(default_factory=dict)
    """Finished frames at a kill → how often."""
    differences: list[str] = field(default_factory=list)


def main() -> None:
    """Run until there were enough kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--signal", choices=["KILL", "TERM", "INT"], default="KILL")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    number = signal.Signals[f"SIG{arguments.signal}"]
    count = Count()
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name, suppress(KeyboardInterrupt):
        run(Path(name), arguments.kills, number, arguments.seed, count)
    tell(count)
    raise SystemExit(bool(count.differences))


def tell(count: Count) -> None:
    """All that has been seen."""
    spread = ", ".join(f"{frames}: {times}" for frames, times in sorted(count.at.items()))
    print(f"{count.kills} kills in {count.clips} clips of {FRAMES} frames, {count.peeks} peeks")
    print(f"finished frames at a kill: {spread}")
    print("\n".join(count.differences) or "no difference", flush=True)


def run(folder: Path, kills: int, number: signal.Signals, seed: int, count: Count) -> None:
    """Kill clips until there were `kills`, and compare them all."""
    times, clock = uneven(FRAMES), Fraction(1, 600)
    source = make(folder / "in.mp4", Clip(times=times, time_base=clock, sound="aac"))
    whole = folder / "whole.mkv"
    options = [*OPTIONS, *LOSSLESS, "-q", "--json", "--resume"]
    Dreamer(folder, "video", source, folder / "warm.mkv", *options).summary()
    begin = time.monotonic()
    wanted = Dreamer(folder, "video", source, whole, *options).summary()
    pauses = Pauses(seed, 0.05, 0.5 * (time.monotonic() - begin))
    while count.kills < kills:
        out = folder / f"{count.clips}.mkv"
        video = ["video", source, out, *options]
        look = looking(out, images_of(whole), count)
        told, _ = interrupted(folder, video, number, pauses, look)
        if told.get("digest", wanted["digest"]) != wanted["digest"]:
            count.differences.append(f"clip {count.clips}: the dreamed frames differ")
        if not torch.equal(images_of(out), images_of(whole)):
            count.differences.append(f"clip {count.clips}: the decoded frames differ")
        count.clips += 1


def images_of(path: Path) -> Tensor:
    """(N, 3, H, W)"""
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader])


def looking(out: Path, wanted: Tensor, count: Count) -> Callable[[], None]:
    """What is to be done after each kill."""

    def look() -> None:
        count.kills += 1
        if count.kills % 10 == 0:
            print(f"{count.kills} kills, {len(count.differences)} differences", flush=True)
        state = read_state(out)
        done = 0 if state is None else state.frames
        count.at[done] = count.at.get(done, 0) + 1
        if not done or out.exists():  # killed as the journal was being removed
            return
        to = out.with_name("peek.mkv")
        peek(out, to, overwrite=True)
        count.peeks += 1
        if not torch.equal(images_of(to), wanted[:done]):
            count.differences.append(f"kill {count.kills}: the peek differs")

    return look


if __name__ == "__main__":
    main()
