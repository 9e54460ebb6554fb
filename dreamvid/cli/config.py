"""`dreamvid config`: the effective options, to be read back."""

from __future__ import annotations

from dreamvid.cli.options import command
from dreamvid.config import VideoConfig, to_toml


@command(VideoConfig)
def config(config: VideoConfig) -> None:
    """Print the effective options as TOML, for --config."""
    print(to_toml(config), end="")
