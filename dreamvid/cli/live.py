"""`dreamvid live`: play a source, and dream on it while it is played."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dreamvid.cli.checks import check_pipe
from dreamvid.cli.display import AsJson, Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.preset_files import preset_files
from dreamvid.cli.stopping import stopping
from dreamvid.config import VideoConfig


def _port(words: str) -> Any:
    return typer.Option(metavar="PORT", help=words, min=0, max=65535)


@command(VideoConfig)
def live(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A video, which is played in a loop, a picture, - , or a camera or screen of "
            "--input-format.",
        ),
    ],
    config: VideoConfig,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A film of all that is shown, or - for a pipe."),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Serve the page on which it is played.")
    ] = True,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    host: Annotated[
        str,
        typer.Option(
            help="Address for page and OSC; another than this machine's own lets "
            "others in, the page with a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, _port("Port of the page; 0: any.")] = 0,
    osc: Annotated[int | None, _port("Listen for OSC on this UDP port.")] = None,
    midi: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT", help="Listen to this MIDI input, a part of its name, or any."
        ),
    ] = None,
    midi_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=ACTION",
            help="What a controller or note plays: cc1=strength:0:0.4, note36=cross:2, or a TOML "
            "file of such lines. Repeatable.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for takes and stills.")
    ] = Path(),
    record: Annotated[bool, typer.Option("--record", help="Record a take from the start.")] = False,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time after which it ends; otherwise Ctrl-C.", min=0),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show a source at its own rate, and dream on it as fast as that goes."""
    from dreamvid.live.performance import Surface, play

    display = Display(quiet, as_json)
    surfaces: list[Surface] = []
    if page:
        from dreamvid.live.server import Page

        surfaces.append(Page(preset_files(), host, port, partial(_show_page, display, browser)))
    if osc is not None:
        from dreamvid.live.osc import Osc

        surfaces.append(Osc(osc, host, preset_files()))
    if midi is not None:
        from dreamvid.live.midi import USUAL_MAP, Midi, parse_map

        surfaces.append(Midi(midi, parse_map(midi_map or USUAL_MAP), preset_files()))
    if out is not None:
        check_pipe(out, as_json)
    with stopping(display) as listener:
        performance = play(
            source,
            config=config,
            out=out,
            overwrite=overwrite,
            folder=folder,
            duration=duration,
            record=record,
            surfaces=surfaces,
            listener=listener,
        )
    if as_json:
        print(json.dumps(performance.to_json()))


def _show_page(display: Display, browser: bool, address: str) -> None:
    """Tell the page's address, and open it."""
    display.say(f"playing at {address}")
    if browser:
        import webbrowser

        webbrowser.open(address)
