"""What `Caller` and `InProcess` share: the face of a `Transport`, with its time limits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from kaa.http.api import Header, Reply, StreamReply, TimedOut, Upgraded
from kaa.http.websocket import WebSocket, connect

__all__ = ["Ask", "BaseTransport", "fields_of"]

Self = TypeVar("Self", bound="BaseTransport")


@dataclass(slots=True)
class Ask:
    """One request to send; `path` is percent-encoded."""

    method: str
    path: str
    query: str
    headers: Sequence[Header]
    body: bytes


class BaseTransport:
    """An `api.Transport` but for the exchanges: `_call`, `_stream`, `_upgrade` and `close`."""

    _where = ""
    """The address, for messages."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> Reply:
        """See `api.Transport.call`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._call(Ask(method, path, query, headers, body))
        except TimeoutError:
            raise self._timed_out(method, path, timeout_seconds) from None

    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        body: bytes = b"",
        timeout_seconds: float = 60.0,
    ) -> StreamReply:
        """See `api.Transport.stream`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._stream(Ask(method, path, query, headers, body))
        except TimeoutError:
            raise self._timed_out(method, path, timeout_seconds) from None

    async def upgrade(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[Header] = (),
        protocol: str,
        timeout_seconds: float = 60.0,
    ) -> Upgraded:
        """See `api.Transport.upgrade`."""
        asking = (("Connection", "Upgrade"), ("Upgrade", protocol), *headers)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._upgrade(Ask(method, path, query, asking, b""), protocol)
        except TimeoutError:
            raise self._timed_out(method, path, timeout_seconds) from None

    async def websocket(
        self, path: str, subprotocols: Sequence[str] = (), headers: Sequence[Header] = (), *, query: str = ""
    ) -> WebSocket:
        """A WebSocket at `path`; raises UpgradeRefused with the server's answer if it says no."""
        return await connect(self, path, subprotocols=subprotocols, headers=headers, query=query)

    async def close(self) -> None:
        """See `api.Transport.close`."""
        raise NotImplementedError

    async def _call(self, ask: Ask) -> Reply:
        raise NotImplementedError

    async def _stream(self, ask: Ask) -> StreamReply:
        raise NotImplementedError

    async def _upgrade(self, ask: Ask, protocol: str) -> Upgraded:
        raise NotImplementedError

    def _timed_out(self, method: str, path: str, seconds: float) -> TimedOut:
        return TimedOut(f"{method} {path} at {self._where}: no answer in {seconds:g} s")

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def fields_of(headers: Sequence[Header]) -> dict[str, str]:
    """Headers as a mapping of lower-case names, repeated ones joined."""
    fields: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields
