"""The page on which a session is seen and played, served to browsers."""

from __future__ import annotations

import asyncio
import html
import json
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from dreamvid.errors import ConfigError, DreamvidError, MediaError, shown
from dreamvid.live.commands import COMMANDS, Commands
from dreamvid.live.session import Session, Shown
from dreamvid.media.still import encode_jpeg

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

LOCAL = "127.0.0.1"
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
PAGE = Path(__file__).parent / "page"
STATUS_S = 0.1
"""Seconds from one status to the next."""
UNSEEN = 2
"""Frames that may be on their way to a browser; it gets the newest once it has drawn one."""
LONGEST_MESSAGE = 16_384
"""Bytes of a message from a browser."""
REFUSED = 4403
"""WebSocket's code for a page of another site."""
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Page:
    """A page at `host` and `port` (0: any free one); `on_ready` is called with its address.

    On another host than this machine the address holds a token, without which nobody gets in.
    """

    presets: Mapping[str, Path] = field(default_factory=dict)
    host: str = LOCAL
    port: int = 0
    on_ready: Callable[[str], None] = lambda address: None

    @contextmanager
    def __call__(self, session: Session) -> Iterator[str]:
        """Serve the page of `session`. Raises ConfigError where it cannot, or a part is missing."""
        try:
            import uvicorn
        except ImportError as error:
            raise ConfigError(
                f"the page needs {error.name}, which is not installed: pip install "
                "'dreamvid[live]'; allowed without it: --no-page"
            ) from None
        token = None if self.host == LOCAL else secrets.token_urlsafe(16)
        with _listen(self.host, self.port) as listening:
            port = listening.getsockname()[1]
            name = self.host if self.host not in ("0.0.0.0", "::") else socket.gethostname()
            address = f"http://{name}:{port}/" + ("" if token is None else f"{token}/")
            watch = _Watch(session)
            server = uvicorn.Server(
                uvicorn.Config(
                    create_app(Commands(session, self.presets), watch, token),
                    log_config=None,
                    lifespan="off",
                    ws="websockets-sansio",
                    ws_max_size=LONGEST_MESSAGE,
                    timeout_graceful_shutdown=1,
                )
            )
            thread = Thread(target=server.run, args=([listening],), name="page", daemon=True)
            thread.start()
            try:
                self.on_ready(address)
                yield address
            finally:
                server.should_exit = True
                thread.join(_PATIENCE_S)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        reason = error.strerror or error
        raise ConfigError(
            f"--host {host} --port {port}: {reason}; allowed: an address of this machine, and a "
            "free port"
        ) from None
    return listening


class _Watch:
    """The newest frame of a session, as JPEG where somebody looks."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._encoded: tuple[int, bool, bytes] | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        session.watchers.append(self._wake)

    def _wake(self, shown: Shown) -> None:
        for loop, event in tuple(self._waiting):
            loop.call_soon_threadsafe(event.set)

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set with each frame."""
        entry = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.add(entry)
        try:
            yield entry[1]
        finally:
            self._waiting.discard(entry)

    def message(self, with_source: bool) -> tuple[int, bytes] | None:
        """Index of the newest frame, and its message: length of the dream, dream, source."""
        shown = self.session.newest
        if shown is None:
            return None
        known = self._encoded
        if known is None or known[:2] != (shown.index, with_source):
            dream = encode_jpeg(shown.frame.image.cpu())
            source = encode_jpeg(shown.source.image.cpu()) if with_source else b""
            message = len(dream).to_bytes(4, "big") + dream + source
            known = self._encoded = shown.index, with_source, message
        return known[0], known[2]


def create_app(commands: Commands, watch: _Watch, token: str | None) -> Starlette:
    """The page as an application; everything lies beneath the token, where there is one."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    async def connect(websocket: WebSocket) -> None:
        if not _is_welcome(websocket.headers, token):
            await websocket.close(REFUSED)
            return
        await websocket.accept()
        await _Visit(websocket, commands, watch).stay()

    async def addresses(request: Request) -> Response:
        return HTMLResponse(address_page(commands.session))

    routes = [
        WebSocketRoute("/socket", connect),
        Route("/addresses", addresses),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    return Starlette(routes=routes if token is None else [Mount(f"/{token}", routes=routes)])


def _is_welcome(headers: Mapping[str, str], token: str | None) -> bool:
    """Whether a page of this server, or a program on this machine, wants to connect.

    Browsers tell whose page it is. A site may give its own name this machine's address, so
    without a token the name must be this machine's too.
    """
    host = headers.get("host", "")
    if token is None and host.rpartition(":")[0] not in LOCAL_NAMES:
        return False
    return headers.get("origin", f"http://{host}") == f"http://{host}"


class _Visit:
    """One browser: frames and figures go there, and what is played comes from there."""

    def __init__(self, websocket: WebSocket, commands: Commands, watch: _Watch) -> None:
        self._websocket, self._commands, self._watch = websocket, commands, watch
        self._session = commands.session
        self._unseen = 0
        self._wants_source = False

    async def stay(self) -> None:
        """Serve it until it leaves."""
        from starlette.websockets import WebSocketDisconnect

        tasks = [asyncio.create_task(each()) for each in (self._send_frames, self._send_status)]
        try:
            await self._receive()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has left, in the middle of a message perhaps
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            answer = await self._answer(message.get("text"))
            if answer is not None:
                await self._websocket.send_text(json.dumps({"error": answer}))

    async def _answer(self, text: str | None) -> str | None:
        """Do what a message asks; one line where that is not allowed."""
        try:
            message = json.loads(text or "")
        except (ValueError, RecursionError):
            message = None
        if not (isinstance(message, list) and message and isinstance(message[0], str)):
            return "a message is not allowed; allowed: [NAME, VALUE …] in JSON"
        name, *given = message
        if name == "seen":
            self._unseen = max(0, self._unseen - 1)
        elif name == "source":
            self._wants_source = bool(given and given[0])
        else:
            try:
                await asyncio.to_thread(self._commands.do, name, given)
            except DreamvidError as error:
                return shown(error)
        return None

    async def _send_frames(self) -> None:
        sent = -1
        with self._watch.waiting() as new:
            while True:
                await new.wait()
                new.clear()
                if self._unseen >= UNSEEN:
                    continue
                try:
                    found = self._watch.message(self._wants_source)
                except MediaError:
                    continue  # one picture less
                if found is not None and found[0] != sent:
                    sent, message = found
                    self._unseen += 1
                    await self._websocket.send_bytes(message)

    async def _send_status(self) -> None:
        await self._websocket.send_text(json.dumps(self._greeting()))
        while True:
            await self._websocket.send_text(json.dumps(status(self._session)))
            await asyncio.sleep(STATUS_S)

    def _greeting(self) -> dict[str, Any]:
        info = self._session.info
        return {
            "source": Path(self._session.job.source_name).name,
            "size": [info.width, info.height],
            "presets": list(self._commands.presets),
        }


def status(session: Session) -> dict[str, Any]:
    """What holds at this moment, for a page: numbers, prompts, beat and figures."""
    bus = session.bus
    tempo = bus.tempo
    return {
        "numbers": [asdict(number) for number in bus.numbers],
        "values": bus.played,
        "held": sorted(bus.held),
        "following": sorted(bus.following),
        "bpm": tempo.bpm,
        "beat": tempo.beat(session.elapsed()),
        "figures": asdict(session.figures),
        "recording": session.is_recording,
        "lines": session.lines,
    }


def address_page(session: Session) -> str:
    """A page of all OSC addresses, with ranges and defaults and a line to paste."""
    rows = [
        (
            f"/{number.name}",
            f"{number.least:g} to {number.most:g}",
            f"{number.default:g}",
            number.help,
        )
        for number in session.bus.numbers
    ]
    rows += [(f"/{name}", each.arguments, "", each.help) for name, each in COMMANDS.items()]
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    head = "<tr><th>address</th><th>takes</th><th>now from</th><th>what it does</th></tr>"
    return (
        "<!doctype html><meta charset=utf-8><title>dreamvid: addresses</title>"
        "<link rel=stylesheet href=style.css><body class=list><h1>Addresses</h1>"
        "<p>For OSC, with a second number for the seconds that a change takes. An address without "
        "a value is answered with its value.</p>"
        f"<table>{head}{lines}</table>"
    )
