"""How long a film takes with 1 to 1,000 workers, simulated from its shots and measured seconds.

    dreamvid shots film.mp4 -p "a coral reef" --json > shots.json
    python scripts/scale.py shots.json

Shots go to workers as `--workers` gives them: the longest first, each to whoever is free. Every
worker takes `--start` seconds before its first; one process takes `--alone` seconds to find the
cuts and to join. Without a file, the film is an invented music video. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Sequence
from pathlib import Path

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 250, 500, 1000)
INVENTED_SHOTS, INVENTED_FRAMES, SPREAD = 100, 4 * 60 * 24, 0.7


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shots", type=Path, nargs="?", help="What `dreamvid shots --json` tells.")
    parser.add_argument("--seconds-a-frame", type=float, default=1.0, help="Of the invented film.")
    parser.add_argument("--start", type=float, default=15.0)
    parser.add_argument("--alone", type=float, default=30.0)
    arguments = parser.parse_args()
    works = (
        invented_works(arguments.seconds_a_frame)
        if arguments.shots is None
        else read_works(arguments.shots)
    )
    print("\n".join(table(works, arguments.start, arguments.alone)))


def read_works(path: Path) -> list[float]:
    """Seconds of work of each shot, from the JSON of `dreamvid shots`."""
    told = json.loads(path.read_text(encoding="utf-8"))
    if told["seconds_per_step"] is None:
        raise SystemExit(f"'{path}' tells no seconds; allowed: dreamvid shots without --no-timing")
    return [shot["seconds"] for shot in told["shots"]]


def invented_works(seconds_a_frame: float) -> list[float]:
    """Seconds of work of each shot of four minutes with a hundred shots of log-normal lengths."""
    chance = random.Random(0)
    lengths = [chance.lognormvariate(0, SPREAD) for _ in range(INVENTED_SHOTS)]
    scale = INVENTED_FRAMES / sum(lengths)
    return [seconds_a_frame * scale * length for length in lengths]


def wall_time(works: Sequence[float], workers: int, start: float = 0, alone: float = 0) -> float:
    """Seconds from the command to the result, with the longest shots first."""
    free_at = [start] * min(workers, len(works))
    end = 0.0
    for work in sorted(works, reverse=True):
        begin = heapq.heappop(free_at)
        heapq.heappush(free_at, begin + work)
        end = max(end, begin + work)
    return alone + end


def table(works: Sequence[float], start: float, alone: float) -> list[str]:
    """The lines of a Markdown table."""
    one = wall_time(works, 1, start, alone)
    floor = alone + start + max(works)
    lines = [
        f"{len(works)} shots, {shown(sum(works))} of work; the longest shot takes "
        f"{shown(max(works))}, so that no number of workers is done before {shown(floor)}.",
        "",
        "| workers | wall time | times as fast | workers busy |",
        "|---:|---:|---:|---:|",
    ]
    for workers in WORKERS:
        took = wall_time(works, workers, start, alone)
        busy = sum(works) / (took * workers)
        lines.append(f"| {workers:,} | {shown(took)} | {one / took:.1f} | {busy:.0%} |")
    return lines


def shown(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


if __name__ == "__main__":
    main()
