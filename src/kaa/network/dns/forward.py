"""Names outside the cluster, asked of the host's resolvers.

A question goes on as it came, with another id, from a socket of its own (so that answers can't be guessed), to the
first resolver that is well; the next one follows after a timeout. Identical questions in flight share one answer.
"""

import asyncio
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from kaa.base import tasks
from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.network.dns.wire import Malformed, min_ttl, with_ttl_less

__all__ = ["Forwarder", "NoUpstream", "ResolvConf"]

_log = Logger("dns")
Upstream = tuple[str, int]
QUERY_SECONDS = 2.0
"""How long one resolver has to answer."""
UNWELL_SECONDS = 5.0
"""How long a resolver that did not answer is passed over. While all are, at most one question a second tries again."""
CONCURRENT_MAX = 1000
CACHE_MAX = 4096
POSITIVE_SECONDS_MAX, NEGATIVE_SECONDS_MAX = 30, 10


class NoUpstream(RuntimeError):
    """Nobody can be asked, or nobody answered: the client gets SERVFAIL."""


class ResolvConf:
    """The resolvers that a resolv.conf names, read again when the file changes."""

    def __init__(
        self, path: str | Path = "/etc/resolv.conf", *, never: Iterable[str] = (), clock: Clock = REAL
    ) -> None:
        """`never`: our own addresses; a resolv.conf that leads back to us must not make a loop."""
        self.path, self.never, self._clock = Path(path), frozenset(never), clock
        self._read: tuple[int, int] | None = None
        self._looked = -1e9
        self._found: tuple[Upstream, ...] = ()

    def upstreams(self) -> tuple[Upstream, ...]:
        """Those of now; empty when there is no file or nobody in it."""
        now = self._clock.monotonic()
        if now - self._looked < 5.0:
            return self._found
        self._looked = now
        try:
            status = os.stat(self.path)
            if (status.st_mtime_ns, status.st_size) != self._read:
                self._read = (status.st_mtime_ns, status.st_size)
                self._found = tuple(self._parse(self.path.read_text(errors="replace")))
        except OSError:
            self._read, self._found = None, ()
        return self._found

    def _parse(self, text: str) -> Iterable[Upstream]:
        for line in text.splitlines():
            words = line.split("#")[0].split(";")[0].split()
            if len(words) >= 2 and words[0] == "nameserver" and words[1] not in self.never:
                yield (words[1], 53)


@dataclass(slots=True)
class _Cached:
    answer: bytes
    at: float
    seconds: float


class _Exchange(asyncio.DatagramProtocol):
    """One question over UDP, and its answer."""

    def __init__(self, query: bytes, answer: "asyncio.Future[bytes]") -> None:
        self.query, self.answer = query, answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: asyncio's own datagram transport is no DatagramTransport by type.
        cast(asyncio.DatagramTransport, transport).sendto(self.query)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if _answers(self.query, data) and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(OSError(f"refused: {exc}"))


def _answers(query: bytes, data: bytes) -> bool:
    # The same id and question, without regard to case: some resolvers answer in lower case.
    end = query.index(0, 12) + 5
    return (
        len(data) >= end
        and data[:2] == query[:2]
        and data[2] & 0x80 != 0
        and (data[12:end] == query[12:end] or data[12:end].lower() == query[12:end].lower())
    )


class Forwarder:
    """Asks `upstreams()` and remembers what they said for a little while. Everything it holds is bounded."""

    def __init__(self, upstreams: Callable[[], Sequence[Upstream]], *, clock: Clock = REAL) -> None:
        self._upstreams, self._clock = upstreams, clock
        self._unwell: dict[Upstream, float] = {}
        self._last_try = -1e9
        self._cache: dict[tuple[bytes, bool], _Cached] = {}
        self._flying: dict[tuple[bytes, bool], asyncio.Task[bytes]] = {}
        self.failures = 0
        """Questions that nobody answered."""

    def cached(self, query: bytes, *, tcp: bool = False) -> bytes | None:
        """The remembered answer with its TTLs counted down, or None. Costs no task."""
        held = self._cache.get((query[2:], tcp))
        if held is None:
            return None
        age = self._clock.monotonic() - held.at
        if age >= held.seconds:
            del self._cache[query[2:], tcp]
            return None
        return query[:2] + with_ttl_less(held.answer, int(age))[2:]

    async def resolve(self, query: bytes, *, tcp: bool = False) -> bytes:
        """The answer to a whole query, with its id. Raises NoUpstream, within a few seconds at most."""
        if (known := self.cached(query, tcp=tcp)) is not None:
            return known
        key = (query[2:], tcp)
        task = self._flying.get(key)
        if task is None:
            if len(self._flying) >= CONCURRENT_MAX:
                raise NoUpstream(f"{CONCURRENT_MAX} questions are under way already")
            task = self._flying[key] = tasks.spawn(self._fly(key), name="dns-forward")
        answer = await asyncio.shield(task)
        if not answer:
            raise NoUpstream("no resolver of the host answered")
        return query[:2] + answer[2:]

    async def close(self) -> None:
        """Give up what is under way."""
        flying = list(self._flying.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    async def _fly(self, key: tuple[bytes, bool]) -> bytes:
        """Empty when nobody answered: an exception that no waiter is left to see would be logged as a fault."""
        try:
            answer = await self._ask(os.urandom(2) + key[0], tcp=key[1])
        finally:
            del self._flying[key]
        if answer:
            self._remember(key, answer)
        else:
            self.failures += 1
        return answer

    async def _ask(self, query: bytes, *, tcp: bool) -> bytes:
        now = self._clock.monotonic()
        known = self._upstreams()
        well = [u for u in known if self._unwell.get(u, -1e9) <= now]
        if not well and known and now - self._last_try >= 1.0:
            # All are unwell: this question finds out, the others of this second fail at once.
            self._last_try = now
            well = [min(known, key=lambda u: self._unwell.get(u, 0.0))]
        for upstream in well[:3]:
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    answer = await (_over_tcp if tcp else _over_udp)(upstream, query)
            except (OSError, TimeoutError, EOFError) as error:
                if upstream not in self._unwell:
                    _log.warning("a resolver does not answer; passing it over", resolver=upstream[0], error=repr(error))
                self._unwell[upstream] = self._clock.monotonic() + UNWELL_SECONDS
                continue
            self._unwell.pop(upstream, None)
            if answer[3] & 15 in (2, 5) and upstream != well[-1]:
                continue  # SERVFAIL or REFUSED: another one may know
            return answer
        return b""

    def _remember(self, key: tuple[bytes, bool], answer: bytes) -> None:
        code, truncated, answers = answer[3] & 15, answer[2] & 2, struct.unpack_from("!H", answer, 6)[0]
        if truncated or code not in (0, 3):
            return
        try:
            ttl = min_ttl(answer)
        except Malformed:
            return
        seconds = min(ttl or 0, POSITIVE_SECONDS_MAX if answers and not code else NEGATIVE_SECONDS_MAX)
        if seconds > 0:
            if len(self._cache) >= CACHE_MAX:
                self._cache.clear()
            self._cache[key] = _Cached(answer, self._clock.monotonic(), seconds)


async def _over_udp(upstream: Upstream, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Exchange(query, answer), remote_addr=upstream)
    try:
        return await answer
    finally:
        transport.close()


async def _over_tcp(upstream: Upstream, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
    if not _answers(query, answer):
        raise OSError("an answer to another question")
    return answer
