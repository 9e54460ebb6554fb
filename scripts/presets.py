"""Draw `samples/presets.jpg`: a second of the sample flight under each preset, a row each.

    python scripts/presets.py [--size WIDTH]

All follow one second of the sample loop, two beats; eight frames, from left to right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from dreamvid.cli.preset_files import BUILT_IN
from dreamvid.config import VideoConfig, build_config
from dreamvid.device import choose_device
from dreamvid.events import ignore
from dreamvid.film.listening import schedule_of
from dreamvid.film.sequence import dream_frames
from dreamvid.film.settings import scheduled_settings
from dreamvid.guide.objective import create_objectives
from dreamvid.media import write_image
from dreamvid.media.source import Source
from dreamvid.motion.flow import create_flow

SAMPLES = Path(__file__).parent.parent / "samples"
FLIGHT, LOOP = SAMPLES / "flight.mp4", SAMPLES / "loop.m4a"
GIVEN = {
    "prompt": ["a coral reef"],
    "music": str(LOOP),
    "music_start": 4,
    "end": 1,
    "fps": 8,
    "first_steps": 16,
}


def row(preset: Path, size: str) -> Tensor:
    """(3, H, 8·W): what this preset makes of a second."""
    config = build_config(VideoConfig, preset=preset, given={**GIVEN, "size": size})
    device = choose_device(config.device)
    source = Source.find(FLIGHT, config)
    with source.open(print) as reader:
        schedule, _ = schedule_of(config, source, reader, ignore)
        plan = scheduled_settings(schedule, create_objectives(config, device))
        flow = create_flow(config.flow, device, calm=True)
        frames = (frame.with_image(frame.image.to(device)) for frame in reader)
        dreamed = dream_frames(frames, plan, flow=flow, is_cut=lambda current, previous: False)
        return torch.cat([each.frame.image.cpu() for each in dreamed], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="144")
    size = parser.parse_args().size
    rows = []
    for preset in sorted(BUILT_IN.glob("*.toml")):
        rows.append(row(preset, size))
        print(preset.stem, flush=True)
    write_image(SAMPLES / "presets.jpg", torch.cat(rows, 1), overwrite=True)


if __name__ == "__main__":
    main()
