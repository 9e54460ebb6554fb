"""Numbers and commands by OSC, from lighting desks, phones and other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from dreamvid.errors import ConfigError, DreamvidError, shown
from dreamvid.live.commands import COMMANDS, Commands
from dreamvid.live.session import Session

if TYPE_CHECKING:
    from pythonosc.osc_server import BlockingOSCUDPServer

LOCAL = "127.0.0.1"
ERROR = "/error"
"""Address of the answer to what is not allowed: one line."""


@dataclass(frozen=True)
class Osc:
    """An OSC server on UDP `port` of `host`.

    The addresses are the names of numbers and commands: `/strength 0.3`, `/cross 2 4`. A number's
    address is answered with its value, also where it is sent without one.
    """

    port: int
    host: str = LOCAL
    presets: Mapping[str, Path] = field(default_factory=dict)

    @contextmanager
    def __call__(self, session: Session) -> Iterator[int]:
        """Listen for `session`; its port. Raises ConfigError where it cannot."""
        try:
            from pythonosc.dispatcher import Dispatcher
            from pythonosc.osc_server import BlockingOSCUDPServer
        except ImportError:
            raise ConfigError(
                "--osc needs python-osc, which is not installed: pip install 'dreamvid[live]'; "
                "allowed: without --osc"
            ) from None
        commands = Commands(session, self.presets)
        dispatcher = Dispatcher()

        def answer(client: tuple[str, int], address: str, *given: Any) -> None:
            reply, *values = _answered(commands, address, given)
            _send(server, client, reply, values)

        dispatcher.set_default_handler(answer, needs_reply_address=True)
        try:
            server = BlockingOSCUDPServer((self.host, self.port), dispatcher)
        except OSError as error:
            raise ConfigError(
                f"--osc {self.port}: {error.strerror or error}; allowed: a free port"
            ) from None
        with server:
            thread = Thread(target=server.serve_forever, name="osc", daemon=True)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()


def _answered(commands: Commands, address: str, given: tuple[Any, ...]) -> list[Any]:
    """The address and the values of the answer to a message."""
    name = address.removeprefix("/")
    try:
        if given or name in COMMANDS:
            commands.do(name, given)
        if name in COMMANDS:
            return [address, *given]
        number = commands.session.bus.value(name)
    except DreamvidError as error:
        return [ERROR, shown(error)]
    return [address, float(given[0]) if given else number]


def _send(
    server: BlockingOSCUDPServer, client: tuple[str, int], address: str, values: list[Any]
) -> None:
    from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

    message = OscMessageBuilder(address)
    try:
        for value in values:
            message.add_arg(value)
        server.socket.sendto(message.build().dgram, client)
    except (BuildError, ValueError, OSError):
        return  # nobody is there any more, or what was sent cannot be sent back
