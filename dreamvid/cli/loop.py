"""How well a film joins its own beginning, and what its camera did."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from dreamvid.errors import MediaError


def tell_loop(file: Path, *, as_json: bool, flow: str = "dis", weights: str | None = None) -> None:
    """Measure the film in `file` as a loop and print the figures, as lines or one JSON object.

    Raises MediaError for what is no film of two frames or more.
    """
    from dreamvid.media.reader import VideoReader
    from dreamvid.motion.flow import create_flow
    from dreamvid.motion.measure import measure_loop

    with VideoReader(file) as frames:
        try:
            measure = measure_loop(frames, create_flow(flow, "cpu", weights).backward)
        except ValueError as error:
            raise MediaError(f"'{file}' cannot be measured: {error}") from None
    if as_json:
        print(json.dumps({"file": str(file), **asdict(measure)}, ensure_ascii=False))
        return
    print(f"frames  {measure.frames} in {measure.seconds:.3f} s")
    print(f"join    {measure.join:.3f} of the median step between neighbours")
    print(f"zoom    {measure.zoom:.4f} a second")
    print(f"rotate  {measure.rotate:.3f} degrees a second, clockwise")
