"""Where the time of a dream step must go on a card, counted and not measured.

    python scripts/roofline.py [--json] [--bfloat16 790] [--float32 60] [--bandwidth 3]
        [--peak-share 1] [--launch-us 5] [--steps 10] [--guides mini …]

Counts operators, floating-point operations and bytes of one step on meta tensors
(`scripts/counting.py`), and divides by the rates of a card: TFLOP/s of products in bfloat16,
TFLOP/s of everything else, TB/s of its memory. The defaults are an H100's. Every operator takes
the longer of its two times, and nothing is fused: a floor for eager PyTorch. `--peak-share 0.2`
assumes that products reach a fifth of their rate. Beside it stands the time in which the host
launches the operators one by one, which a graph saves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

from counting import CASES, Card, Count, count_step, guide_on_meta, total


def main() -> None:
    """Count all cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bfloat16", type=float, default=790, help="TFLOP/s")
    parser.add_argument("--float32", type=float, default=60, help="TFLOP/s")
    parser.add_argument("--bandwidth", type=float, default=3, help="TB/s")
    parser.add_argument("--peak-share", type=float, default=1, help="of both TFLOP/s")
    parser.add_argument("--launch-us", type=float, default=5, help="of one operator, on the host")
    parser.add_argument("--steps", type=int, default=10, help="of a frame")
    parser.add_argument("--guides", nargs="+", default=["mini", "ViT-B-32", "ViT-L-14"])
    arguments = parser.parse_args()
    peak = arguments.peak_share * 1e12
    card = Card(arguments.bfloat16 * peak, arguments.float32 * peak, arguments.bandwidth * 1e12)
    figures = dict(count_all(arguments.guides, card))
    if arguments.json:
        print(json.dumps({case: told(counts, arguments) for case, counts in figures.items()}))
        return
    for case, counts in figures.items():
        print("\n".join(table(case, counts, arguments)), end="\n\n")


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


if __name__ == "__main__":
    main()
