"""The DNS server of a node: UDP and TCP on given addresses.

A question that was answered before, bit for bit but its id, is answered from a table of finished answers: no parsing,
no task. The table lives as long as the zone's epoch. Questions for other names cost a task each, bounded by the
forwarder.
"""

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from kaa.base.log import Logger
from kaa.base.tasks import Scope
from kaa.network.dns import wire
from kaa.network.dns.forward import Forwarder, NoUpstream
from kaa.network.dns.wire import Malformed, Query, encode, parse_query
from kaa.network.dns.zone import Answer, Zone
from kaa.network.netns import Netns

__all__ = ["DnsMetrics", "DnsServer"]

_log = Logger("dns")
FINISHED_MAX = 20_000
"""Finished answers that are kept; beyond it the table is begun anew."""
TURNS_MAX = 32
"""In how many orders the addresses of an answer take turns."""
TASKS_MAX = 2000
"""Questions for other names under way, waiting ones included; beyond it SERVFAIL at once."""
CONNECTIONS_MAX = 256
TCP_IDLE_SECONDS = 10.0


@dataclass(slots=True)
class DnsMetrics:
    """Counted since the server began."""

    queries: int = 0
    finished: int = 0
    """Answered from the table of finished answers."""
    forwarded: int = 0
    malformed: int = 0
    overflows: int = 0
    """Refused because too many were under way."""


class DnsServer:
    """Answers for `zone`, and forwards the rest.

    ```
    server = DnsServer(zone, forwarder)
    await server.start([("10.244.0.1", 10053)], netns=Netns("/run/netns/node-1"))
    ...
    await server.close()
    ```
    """

    def __init__(self, zone: Zone, forwarder: Forwarder | None = None) -> None:
        """Without a forwarder other names are refused."""
        self.zone, self.forwarder = zone, forwarder
        self.metrics = DnsMetrics()
        self.addresses: list[tuple[str, int]] = []
        """Where it listens, with the ports that were given for 0."""
        self._finished: dict[bytes, list[bytes]] = {}
        self._turn = 0
        self._epoch = -1
        self._scope = Scope("dns")
        self._running = 0
        self._connections = 0
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []

    async def start(self, addresses: Sequence[tuple[str, int]], *, netns: Netns | None = None) -> None:
        """Listen on these addresses over UDP and TCP, in the network namespace `netns`.

        An address may be one that the node does not have yet. Raises OSError when a port is taken.
        """
        loop = asyncio.get_running_loop()
        space = netns or Netns()
        try:
            for address, port in addresses:
                datagrams, stream = _listen(space, address, port)
                port = datagrams.getsockname()[1]
                datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
                self._transports.append(transport)
                self._servers.append(await asyncio.start_server(self._serve_stream, sock=stream))
                self.addresses.append((address, port))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening and give up what is under way."""
        for transport in self._transports:
            transport.close()
        for server in self._servers:
            server.close()
        self._transports, self._servers = [], []
        await self._scope.close()
        if self.forwarder is not None:
            await self.forwarder.close()

    # --- UDP ------------------------------------------------------------------------------------------------------

    def datagram(self, transport: asyncio.DatagramTransport, data: bytes, peer: object) -> None:
        """One query. On the loop: answers at once, or begins a task."""
        self.metrics.queries += 1
        if self._epoch != self.zone.epoch:
            self._finished.clear()
            self._epoch = self.zone.epoch
        turns = self._finished.get(data[2:])
        if turns is not None:
            self.metrics.finished += 1
            self._turn += 1
            transport.sendto(data[:2] + turns[self._turn % len(turns)], peer)  # type: ignore[arg-type]
            return
        try:
            query = parse_query(data)
        except Malformed as error:
            if (answer := self._malformed(error)) is not None:
                transport.sendto(answer, peer)  # type: ignore[arg-type]
            return
        answer = self._at_once(query, data, bytes_max=query.udp_bytes_max)
        if answer is not None:
            transport.sendto(answer, peer)  # type: ignore[arg-type]
        elif self._running >= TASKS_MAX:
            self.metrics.overflows += 1
            transport.sendto(encode(query, wire.SERVFAIL, authoritative=False), peer)  # type: ignore[arg-type]
        else:
            self._running += 1
            self._scope.spawn(self._later(transport, query, data, peer), name="query")

    async def _later(self, transport: asyncio.DatagramTransport, query: Query, data: bytes, peer: object) -> None:
        try:
            answer = await self._ask_others(query, data, bytes_max=query.udp_bytes_max, tcp=False)
            if not transport.is_closing():
                transport.sendto(answer, peer)  # type: ignore[arg-type]
        finally:
            self._running -= 1

    # --- TCP ------------------------------------------------------------------------------------------------------

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= CONNECTIONS_MAX:
            self.metrics.overflows += 1
            writer.close()
            return
        self._connections += 1
        try:
            # Begun by the listener, owned by our scope: closing the server ends it.
            await self._scope.spawn(self._stream(reader, writer), name="stream")
        except asyncio.CancelledError:
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            except (EOFError, OSError, TimeoutError):
                return
            self.metrics.queries += 1
            try:
                query = parse_query(data)
            except Malformed as error:
                answer = self._malformed(error)
                if answer is None:
                    return
            else:
                answer = self._at_once(query, data, bytes_max=65535)
                if answer is None:
                    answer = await self._ask_others(query, data, bytes_max=65535, tcp=True)
            try:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    writer.write(len(answer).to_bytes(2, "big") + answer)
                    await writer.drain()
            except (OSError, TimeoutError):
                return

    # --- answering ------------------------------------------------------------------------------------------------

    def _malformed(self, error: Malformed) -> bytes | None:
        self.metrics.malformed += 1
        if error.id is None:
            return None
        return error.id.to_bytes(2, "big") + bytes((0x80, wire.FORMERR)) + bytes(8)

    def _at_once(self, query: Query, data: bytes, *, bytes_max: int) -> bytes | None:
        """The answer that needs nobody else, or None."""
        if query.opcode != 0:
            return encode(query, wire.NOTIMP, authoritative=False)
        if query.edns_version:
            return encode(query, 16, authoritative=False)
        if query.klass != wire.CLASS_IN:
            return encode(query, wire.REFUSED, authoritative=False)
        name = query.name()
        if self.zone.covers(name):
            found = self.zone.answer(name, query.type)
            if found.chase is not None and self.forwarder is not None:
                return None
            return self._finish(query, found, data, bytes_max=bytes_max)
        if self.forwarder is None:
            return encode(query, wire.REFUSED, authoritative=False)
        return self.forwarder.cached(data, tcp=bytes_max == 65535)

    def _finish(self, query: Query, found: Answer, data: bytes, *, bytes_max: int) -> bytes:
        turns = _in_turns(found)
        made = [encode(query, t.rcode, t.records, t.authority, t.extra, bytes_max=bytes_max) for t in turns]
        if bytes_max != 65535:
            if len(self._finished) >= FINISHED_MAX:
                self._finished.clear()
            self._finished[data[2:]] = [answer[2:] for answer in made]
        self._turn += 1
        return made[self._turn % len(made)]

    async def _ask_others(self, query: Query, data: bytes, *, bytes_max: int, tcp: bool) -> bytes:
        assert self.forwarder is not None
        self.metrics.forwarded += 1
        try:
            name = query.name()
            if not self.zone.covers(name):
                return await self.forwarder.resolve(data, tcp=tcp)
            found = self.zone.answer(name, query.type)
            if found.chase is not None:
                asked = await self.forwarder.resolve(wire.question(found.chase, query.type, 0), tcp=tcp)
                found.records += wire.addresses_in(asked)
                found.rcode = asked[3] & 15 if asked[3] & 15 != wire.NXDOMAIN else wire.NOERROR
            return encode(query, found.rcode, found.records, found.authority, found.extra, bytes_max=bytes_max)
        except (NoUpstream, Malformed):
            return encode(query, wire.SERVFAIL, authoritative=False)


def _in_turns(found: Answer) -> list[Answer]:
    """The answer in every order that its addresses can take turns in, the first address differing each time."""
    count = len(found.records)
    if count < 2 or any(r.type not in (wire.A, wire.AAAA) for r in found.records):
        return [found]
    return [
        Answer(found.rcode, found.records[i:] + found.records[:i], found.authority, found.extra)
        for i in range(min(count, TURNS_MAX))
    ]


def _listen(space: Netns, address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets for UDP and TCP on one port; with port 0, on one that is free for both."""
    tries = 1 if port else 20
    while True:
        tries -= 1
        datagrams = space.listen(socket.SOCK_DGRAM, address, port)
        try:
            return datagrams, space.listen(socket.SOCK_STREAM, address, datagrams.getsockname()[1])
        except OSError as error:
            datagrams.close()
            # The kernel chose a port that is free for UDP only.
            if error.errno != errno.EADDRINUSE or not tries:
                raise


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: asyncio's own datagram transport is no DatagramTransport by type.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.server.datagram(self.transport, data, addr)

    def error_received(self, exc: Exception) -> None:
        _log.debug("an answer could not be sent", error=repr(exc))
