"""`dreamvid live`: play a source, and dream on it while it is played."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dreamvid.cli.checks import check_pipe
from dreamvid.cli.display import AsJson, Display, Overwrite, Quiet
from dreamvid.cli.options import command
from dreamvid.cli.pages import LOCAL, Browser, Port, show_page
from dreamvid.cli.preset_files import preset_files
from dreamvid.cli.stopping import stopping
from dreamvid.config import VideoConfig


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
    browser: Browser = True,
    host: Annotated[
        str,
        typer.Option(
            help="Address for page and OSC; another than this machine's own lets "
            "others in, the page with a token."
        ),
    ] = LOCAL,
    port: Port = 0,
    osc: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Listen for OSC on this UDP port.", min=0, max=65535),
    ] = None,
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
    camera: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Send all to this virtual camera, or any."),
    ] = None,
    ndi: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Send all into the network by NDI, under this name."),
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

        tell = partial(show_page, display, "playing", browser)
        surfaces.append(Page(preset_files(), host, port, tell))
    if osc is not None:
        from dreamvid.live.osc import Osc

        surfaces.append(Osc(osc, host, preset_files()))
    if midi is not None:
        from dreamvid.live.midi import USUAL_MAP, Midi, parse_map

        surfaces.append(Midi(midi, parse_map(midi_map or USUAL_MAP), preset_files()))
    if camera is not None:
        from dreamvid.live.sinks import Camera

        surfaces.append(Camera(camera))
    if ndi is not None:
        from dreamvid.live.sinks import Ndi

        surfaces.append(Ndi(ndi))
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
