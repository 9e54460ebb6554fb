"""Options of the commands that serve a page, and how it is told and opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.display import Display
from dreamvid.events import Listener

LOCAL = "127.0.0.1"
"""The address of this machine alone."""

Watch = Annotated[bool, typer.Option("--watch", help="Show the film on a page while it is made.")]
Browser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
]
Host = Annotated[
    str,
    typer.Option(
        help="Address of the page; another than this machine's own lets others in, with a token."
    ),
]
Port = Annotated[
    int, typer.Option(metavar="PORT", help="Port of the page; 0: any.", min=0, max=65535)
]


def show_page(display: Display, verb: str, browser: bool, address: str) -> None:
    """Tell the page's address, and open it."""
    display.say(f"{verb} at {address}")
    if browser:
        import webbrowser

        webbrowser.open(address)


@dataclass(frozen=True)
class Watching:
    """The page of --watch, with its options."""

    display: Display
    wanted: bool
    browser: bool
    host: str
    port: int

    @contextmanager
    def __call__(self, listener: Listener, source: Path | str, out: Path) -> Iterator[Listener]:
        """The listener of a film from `source` to `out`, with a page where that is wanted."""
        if not self.wanted:
            yield listener
            return
        from dreamvid.live.watching import watched

        with watched(
            listener,
            f"{Path(source).name} → {out.name}",
            host=self.host,
            port=self.port,
            on_ready=partial(show_page, self.display, "watched", self.browser),
        ) as both:
            yield both
