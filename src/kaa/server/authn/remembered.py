"""What authenticators that take their time have found out, kept for a while and bounded; each question is put once."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.server.request import User

__all__ = ["Found", "Remembered"]

KEPT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """Whose token it is, for how long that counts, and what went wrong."""

    user: User | None
    ttl_seconds: float
    error: str = ""


class Remembered:
    """An authenticator of tokens with a memory. Tokens themselves are not kept, only their digests."""

    def __init__(self, ask: Callable[[str], Awaitable[Found]], clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._kept: OrderedDict[bytes, tuple[float, Found]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Found]] = {}
        self._scope = Scope("authentication")

    def __call__(self, token: str) -> Found | Awaitable[Found]:
        """What is known of a token."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        kept = self._kept.get(digest)
        if kept is not None and kept[0] > self._clock.monotonic():
            return kept[1]
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = self._scope.spawn(self._find_out(token, digest), name="ask")
        return asyncio.shield(task)

    async def _find_out(self, token: str, digest: bytes) -> Found:
        try:
            found = await self._ask(token)
        finally:
            self._asking.pop(digest, None)
        if found.ttl_seconds > 0:
            self._kept[digest] = (self._clock.monotonic() + found.ttl_seconds, found)
            self._kept.move_to_end(digest)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return found

    async def close(self) -> None:
        """Ask no more."""
        await self._scope.close()
