"""Kill runs at random moments, resume each time, and compare with runs left alone.

    python scripts/kills.py [--kills 100] [--kinds video,zoom,loop,pictures] [--signal KILL]

Each kind of film is killed so many times. After each kill what is done so far is peeked at, and
must have every finished frame. Each film is killed until it is done, then the next begins; the
guide is a fake one, so that there is time for many. Tells how far it is every ten kills and,
stopped by Ctrl-C or SIGTERM, what it has seen until then. Exits with 1 where anything differs.
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
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from torch import Tensor

from dreamvid import peek, read_image, write_image
from dreamvid.journal import folder_of, read_mark, read_state
from dreamvid.media import VideoReader
from dreamvid.media.image_sequence import find_images, is_pattern
from tests.dreamer import LOSSLESS, OPTIONS, Dreamer, Pauses, interrupted
from tests.media.clips import Clip, make, picture, uneven

FRAMES = 26
ZOOM = [*("-p", "red", "--octaves", "2", "--cutouts", "2", "--steps", "2", "--first-steps", "3")]
ZOOM += [*("--seconds", str(FRAMES), "--fps", "1", "--size", "64x48", "--zoom", "1.2")]
LOOP = ["--loop", "--loop-steps", "60", "--octave-scale", "1.4"]
KINDS = {
    "video": ("video", "%d.mkv", [*OPTIONS, *LOSSLESS]),
    "zoom": ("zoom", "%d.mkv", [*ZOOM, *LOSSLESS, "--rotate", "5"]),
    "loop": ("zoom", "%d.mkv", [*ZOOM, *LOSSLESS, *LOOP]),
    "pictures": ("video", "%d/%%d.png", OPTIONS),
}
"""Kind → its command, the name of its film number %d, and its options."""


@dataclass
class Count:
    """What has been seen so far of one kind."""

    kind: str
    kills: int = 0
    films: int = 0
    peeks: int = 0
    at: dict[int, int] = field(default_factory=dict)
    """Finished frames at a kill → how often."""
    differences: list[str] = field(default_factory=list)


def main() -> None:
    """Run until there were enough kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--signal", choices=["KILL", "TERM", "INT"], default="KILL")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    number = signal.Signals[f"SIG{arguments.signal}"]
    counts = [Count(kind) for kind in arguments.kinds.split(",")]
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name, suppress(KeyboardInterrupt):
        for count in counts:
            folder = Path(name) / count.kind
            folder.mkdir()
            try:
                run(folder, arguments.kills, number, arguments.seed, count)
            finally:
                tell(count)
    raise SystemExit(any(count.differences for count in counts))


def tell(count: Count) -> None:
    """All that has been seen of one kind."""
    spread = ", ".join(f"{frames}: {times}" for frames, times in sorted(count.at.items()))
    print(
        f"{count.kind}: {count.kills} kills in {count.films} films of {FRAMES} frames, "
        f"{count.peeks} peeks"
    )
    print(f"finished frames at a kill: {spread}")
    print("\n".join(count.differences) or "no difference", flush=True)


def run(folder: Path, kills: int, number: signal.Signals, seed: int, count: Count) -> None:
    """Kill films of one kind until there were `kills`, and compare them all."""
    command, name, options = KINDS[count.kind]
    source = source_of(folder, command)

    def arguments(out: Path) -> list[object]:
        out.parent.mkdir(exist_ok=True)
        return [command, source, out, *options, "-q", "--json", "--resume"]

    Dreamer(folder, *arguments(folder / (name % 10**6))).summary()  # to be warm
    begin = time.monotonic()
    whole = folder / (name % (10**6 + 1))
    wanted = Dreamer(folder, *arguments(whole)).summary()
    pauses = Pauses(seed, 0.05, 0.5 * (time.monotonic() - begin))
    while count.kills < kills:
        out = folder / (name % count.films)
        look = looking(out, folder / f"peek{out.suffix}", images_of(whole), count)
        told, _ = interrupted(folder, arguments(out), number, pauses, look)
        compare(count, told, wanted, images_of(out), images_of(whole))
        if folder_of(out).exists():
            count.differences.append(f"film {count.films}: its journal is still there")
        count.films += 1


def source_of(folder: Path, command: str) -> Path:
    """A clip, or a picture for a zoom."""
    if command == "zoom":
        write_image(folder / "in.png", picture(3))
        return folder / "in.png"
    times, clock = uneven(FRAMES), Fraction(1, 600)
    return make(folder / "in.mp4", Clip(times=times, time_base=clock, sound="aac"))


def compare(count: Count, told: Any, wanted: Any, images: Tensor, whole: Tensor) -> None:
    """Note where a film differs from the one left alone."""
    if told.get("digest", wanted["digest"]) != wanted["digest"]:
        count.differences.append(f"film {count.films}: the dreamed frames differ")
    if not torch.equal(images, whole):
        count.differences.append(f"film {count.films}: the decoded frames differ")


def images_of(path: Path) -> Tensor:
    """(N, 3, H, W)"""
    if is_pattern(path):
        return torch.stack([read_image(file) for file in find_images(path)])
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader])


def looking(out: Path, to: Path, wanted: Tensor, count: Count) -> Callable[[], None]:
    """A function to call after each kill, which peeks at `out`, into `to`."""
    to = to.with_name("peek%d.png") if is_pattern(out) else to

    def look() -> None:
        count.kills += 1
        if count.kills % 10 == 0:
            print(f"{count.kills} kills, {len(count.differences)} differences", flush=True)
        state = read_state(out)
        done = 0 if state is None else state.frames
        count.at[done] = count.at.get(done, 0) + 1
        if not done or read_mark(out):  # killed as the journal was being removed
            return
        for old in to.parent.glob("peek*"):
            old.unlink()
        peek(out, to, overwrite=True)
        count.peeks += 1
        if not torch.equal(images_of(to), wanted[:done]):
            count.differences.append(f"kill {count.kills}: the peek differs")

    return look


if __name__ == "__main__":
    main()
