"""The page on which a session is seen and played, or a film watched, served to browsers."""

from __future__ import annotations

import asyncio
import html
import json
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from dreamvid.errors import ConfigError, DreamvidError, MediaError, shown
from dreamvid.live.commands import COMMANDS, Argument, Commands
from dreamvid.live.session import Session
from dreamvid.media.still import encode_jpeg

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket
    from torch import Tensor

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


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame to show."""

    index: int
    dream: Tensor
    """(3, H, W)."""
    source: Tensor
    """(3, H, W), perhaps of another size."""


class Stage(Protocol):
    """What a page shows, and what may be done on it; all but `watch` by any thread."""

    @property
    def newest(self) -> Pair | None:
        """The newest frame."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` with each new frame."""

    def greeting(self) -> dict[str, Any]:
        """What a page is told once."""

    def status(self) -> dict[str, Any]:
        """What holds at this moment."""

    def addresses(self) -> str:
        """A page, in HTML, of all that may be done."""

    def do(self, name: str, given: Sequence[Argument]) -> None:
        """Do what a page asks for. Raises DreamvidError, in one line."""


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
        stage = _Playing(Commands(session, self.presets))
        with serve(stage, self.host, self.port, "--no-page") as address:
            self.on_ready(address)
            yield address


@contextmanager
def serve(stage: Stage, host: str, port: int, without: str) -> Iterator[str]:
    """Serve the page of `stage`; its address. `without` is how to go without it.

    Raises ConfigError where it cannot, or a part is missing.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed: pip install "
            f"'dreamvid[live]'; allowed without it: {without}"
        ) from None
    token = None if host == LOCAL else secrets.token_urlsafe(16)
    with _listen(host, port) as listening:
        name = host if host not in ("0.0.0.0", "::") else socket.gethostname()
        address = f"http://{name}:{listening.getsockname()[1]}/"
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(stage, token),
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
            yield address + ("" if token is None else f"{token}/")
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
    """The newest frame of a stage, as JPEG where somebody looks."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._encoded: tuple[int, bool, bytes] | None = None
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        stage.watch(self._wake)

    def _wake(self) -> None:
        for loop, event in tuple(self._waiting):
            loop.call_soon_threadsafe(event.set)

    @contextmanager
    def waking(self, event: asyncio.Event) -> Iterator[None]:
        """Set an event of the running loop with each frame."""
        entry = asyncio.get_running_loop(), event
        self._waiting.add(entry)
        try:
            yield
        finally:
            self._waiting.discard(entry)

    def message(self, with_source: bool) -> tuple[int, bytes] | None:
        """Index of the newest frame, and its message: length of the dream, dream, source."""
        newest = self._stage.newest
        if newest is None:
            return None
        known = self._encoded
        if known is None or known[:2] != (newest.index, with_source):
            dream = encode_jpeg(newest.dream.cpu())
            source = encode_jpeg(newest.source.cpu()) if with_source else b""
            message = len(dream).to_bytes(4, "big") + dream + source
            known = self._encoded = newest.index, with_source, message
        return known[0], known[2]


def create_app(stage: Stage, token: str | None) -> Starlette:
    """The page as an application; everything lies beneath the token, where there is one."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    watch = _Watch(stage)

    async def connect(websocket: WebSocket) -> None:
        if not _is_welcome(websocket.headers, token):
            await websocket.close(REFUSED)
            return
        await websocket.accept()
        await _Visit(websocket, stage, watch).stay()

    async def addresses(request: Request) -> Response:
        return HTMLResponse(stage.addresses())

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

    def __init__(self, websocket: WebSocket, stage: Stage, watch: _Watch) -> None:
        self._websocket, self._stage, self._watch = websocket, stage, watch
        self._unseen = 0
        self._wants_source = False
        self._may_send = asyncio.Event()
        self._may_send.set()

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
            self._may_send.set()
        elif name == "source":
            self._wants_source = bool(given and given[0])
            self._may_send.set()
        else:
            try:
                await asyncio.to_thread(self._stage.do, name, given)
            except DreamvidError as error:
                return shown(error)
        return None

    async def _send_frames(self) -> None:
        sent = None
        with self._watch.waking(self._may_send):
            while True:
                await self._may_send.wait()
                self._may_send.clear()
                if self._unseen >= UNSEEN:
                    continue
                wanted = self._wants_source
                try:
                    found = self._watch.message(wanted)
                except MediaError:
                    continue  # one picture less
                if found is not None and (found[0], wanted) != sent:
                    sent = found[0], wanted
                    self._unseen += 1
                    await self._websocket.send_bytes(found[1])

    async def _send_status(self) -> None:
        await self._websocket.send_text(json.dumps(self._stage.greeting()))
        while True:
            await self._websocket.send_text(json.dumps(self._stage.status()))
            await asyncio.sleep(STATUS_S)


class _Playing:
    """A session as a page has it."""

    def __init__(self, commands: Commands) -> None:
        self._commands, self._session = commands, commands.session
        self.do = commands.do

    @property
    def newest(self) -> Pair | None:
        shown = self._session.newest
        return None if shown is None else Pair(shown.index, shown.frame.image, shown.source.image)

    def watch(self, wake: Callable[[], None]) -> None:
        self._session.watchers.append(lambda shown: wake())

    def greeting(self) -> dict[str, Any]:
        info = self._session.info
        return {
            "source": Path(self._session.job.source_name).name,
            "size": [info.width, info.height],
            "presets": list(self._commands.presets),
        }

    def status(self) -> dict[str, Any]:
        session, bus = self._session, self._session.bus
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

    def addresses(self) -> str:
        return address_page(self._session)


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
