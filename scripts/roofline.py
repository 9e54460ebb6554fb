"""Where the time of a dream step must go on a card, counted and not measured.

    python scripts/roofline.py [--json] [--bfloat16 790] [--float32 60] [--bandwidth 3] [--bus 25]
        [--peak-share 1] [--launch-us 5] [--steps 10] [--guides mini …]

Counts operators, floating-point operations and bytes of one step on meta tensors
(`scripts/counting.py`), and divides by the rates of a card: TFLOP/s of products in bfloat16,
TFLOP/s of everything else, TB/s of its memory. The defaults are an H100's. Every operator takes
the longer of its two times, and nothing is fused: a floor for eager PyTorch. `--peak-share 0.2`
assumes that products reach a fifth of their rate. Beside it stands the time in which the host
launches the operators one by one, which a graph saves. The last tables tell what travels between
host and device for a frame at 1080p, outside its steps (`scripts/journeys.py`), by a bus of so many
GB/s.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

import journeys
from counting import CASES, Card, Count, count_step, guide_on_meta, total

PIX_FMTS = ("yuv420p", "yuv420p10le")


def main() -> None:
    """Count all cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bfloat16", type=float, default=790, help="TFLOP/s")
    parser.add_argument("--float32", type=float, default=60, help="TFLOP/s")
    parser.add_argument("--bandwidth", type=float, default=3, help="TB/s")
    parser.add_argument("--bus", type=float, default=25, help="GB/s")
    parser.add_argument("--peak-share", type=float, default=1, help="of both TFLOP/s")
    parser.add_argument("--launch-us", type=float, default=5, help="of one operator, on the host")
    parser.add_argument("--steps", type=int, default=10, help="of a frame")
    parser.add_argument("--guides", nargs="+", default=["mini", "ViT-B-32", "ViT-L-14"])
    arguments = parser.parse_args()
    peak = arguments.peak_share * 1e12
    card = Card(arguments.bfloat16 * peak, arguments.float32 * peak, arguments.bandwidth * 1e12)
    figures = dict(count_all(arguments.guides, card))
    moved = {f"1920x1080 {form}": journeys.journeys(form) for form in PIX_FMTS}
    if arguments.json:
        cases = {case: told(counts, arguments) for case, counts in figures.items()}
        travels = {
            case: {part: asdict(journey) for part, journey in parts.items()}
            for case, parts in moved.items()
        }
        print(json.dumps({**cases, "travels": travels}))
        return
    for case, counts in figures.items():
        print("\n".join(table(case, counts, arguments)), end="\n\n")
    for case, parts in moved.items():
        print("\n".join(travel_table(case, parts, arguments.bus)), end="\n\n")


def count_all(guides: list[str], card: Card) -> Iterator[tuple[str, dict[str, Count]]]:
    """The counts by part of every case of these guides."""
    chosen = (case for case in CASES if case.guide in guides)
    for guide, cases in groupby(chosen, lambda case: case.guide):
        objective = guide_on_meta(guide)
        for case in cases:
            yield str(case), count_step(case, objective, card)


def told(counts: Mapping[str, Count], arguments: argparse.Namespace) -> dict[str, Any]:
    """A case's counts by part and in all, and what follows from them."""
    whole = total(counts.values())
    rest = [count.largest for part, count in counts.items() if part != "tower"]
    return {
        "parts": {part: asdict(count) for part, count in counts.items()},
        "all": asdict(whole),
        "cutouts_flop_share": counts["cutouts"].flops / whole.flops,
        "largest_outside_tower": max(rest),
        "step_ms": 1e3 * whole.seconds,
        "frame_ms": 1e3 * whole.seconds * arguments.steps,
        "launch_ms": 1e-3 * whole.operators * arguments.launch_us,
    }


def table(case: str, counts: Mapping[str, Count], arguments: argparse.Namespace) -> Iterator[str]:
    """A case's counts in Markdown."""
    whole = total(counts.values())
    yield f"{case}, a step"
    yield "| | operators | GFLOP | MB | largest MB | ms at least | share |"
    yield "|---|---|---|---|---|---|---|"
    for part, count in {**counts, "all": whole}.items():
        share = count.seconds / whole.seconds
        yield (
            f"| {part} | {count.operators} | {count.flops / 1e9:.1f} | {count.bytes / 1e6:.0f} "
            f"| {count.largest / 1e6:.0f} | {1e3 * count.seconds:.2f} | {share:.0%} |"
        )
    facts = told(counts, arguments)
    yield (
        f"{arguments.steps} steps: {facts['frame_ms']:.1f} ms at least; launched one by one, "
        f"{facts['launch_ms'] * arguments.steps:.1f} ms of the host"
    )


def travel_table(case: str, parts: Mapping[str, journeys.Journey], bus: float) -> Iterator[str]:
    """What travels for a frame in Markdown; `bus` in GB/s."""
    yield f"{case}, a frame, outside its steps"
    yield "| | MB up | MB down | ms at least |"
    yield "|---|---|---|---|"
    for part, each in {**parts, "all": journeys.whole(parts)}.items():
        milliseconds = 1e-6 * (each.up + each.down) / bus
        yield f"| {part} | {each.up / 1e6:.1f} | {each.down / 1e6:.1f} | {milliseconds:.2f} |"


if __name__ == "__main__":
    main()
