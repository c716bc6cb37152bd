"""How a TLS listener lets connections in: each one is counted, and its first byte seen, before TLS begins.

So a client that speaks plain HTTP is told so, a silent one costs no TLS state, handshakes are bounded with all other
connections, and each handshake uses the certificates of that moment.
"""

import asyncio
import socket
from collections.abc import Callable

from kaa.base import tasks
from kaa.base.log import Logger
from kaa.http.tls import TlsServer

__all__ = ["Door"]

_log = Logger("http")
_HANDSHAKE = 0x16  # the content type of a TLS handshake record
_ACCEPTS_AT_ONCE = 64
_EXHAUSTED_SECONDS = 0.2  # before accepting again, when the process has no descriptor left
_SHUTDOWN_SECONDS = 5.0  # for a client to answer TLS's goodbye
#: Go's net/http answers in these words.
_PLAIN = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Door:
    """Accepts on a bound socket, which it owns from `open` on.

    `protocol` makes the protocol of a connection whose handshake is done; `room` says whether one more connection may
    come in, given how many are still at the door.
    """

    def __init__(
        self,
        listening: socket.socket,
        tls: TlsServer,
        protocol: Callable[[], asyncio.Protocol],
        room: Callable[[int], bool],
        handshake_seconds: float,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._protocol = protocol
        self._room = room
        self._handshake_seconds = handshake_seconds
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._greeting: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self) -> None:
        """Begin to accept."""
        self._listening.listen(1024)
        self._open = True
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept no more; those at the door are sent away."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for each in tuple(self._silent):
            self._send_away(each)
        for task in self._greeting:
            task.cancel()

    async def wait_closed(self) -> None:
        """Until nobody is at the door."""
        if self._greeting:
            await asyncio.wait(set(self._greeting), timeout=1.0)

    def _reopen(self) -> None:
        if self._open:
            self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                arrived, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("cannot accept connections; trying again soon", error=str(error))
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_EXHAUSTED_SECONDS, self._reopen)
                return
            waiting = len(self._silent) + len(self._greeting)
            if not self._room(waiting):
                _log.warning("connection refused: too many are open", at_the_door=waiting)
                arrived.close()
                continue
            arrived.setblocking(False)
            self._look(arrived)

    def _look(self, arrived: socket.socket) -> None:
        try:
            first = arrived.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            if arrived not in self._silent:
                limit = self._loop.call_later(self._handshake_seconds, self._send_away, arrived)
                self._silent[arrived] = limit
                self._loop.add_reader(arrived, self._look, arrived)
            return
        except OSError:
            first = b""
        self._forget(arrived)
        if first and first[0] == _HANDSHAKE:
            task = tasks.spawn(self._greet(arrived), name="http/handshake")
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)
            return
        if first.isalpha():
            try:
                arrived.recv(65536)  # unread bytes would make the close a reset, and the answer would be lost
                arrived.send(_PLAIN)
            except OSError:
                pass
        arrived.close()

    async def _greet(self, arrived: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                arrived,
                ssl=self._tls.context,
                ssl_handshake_timeout=self._handshake_seconds,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            _log.debug("TLS handshake failed", error=str(error))
            arrived.close()
        except asyncio.CancelledError:
            arrived.close()

    def _forget(self, arrived: socket.socket) -> None:
        limit = self._silent.pop(arrived, None)
        if limit is not None:
            limit.cancel()
            self._loop.remove_reader(arrived)

    def _send_away(self, arrived: socket.socket) -> None:
        self._forget(arrived)
        arrived.close()
