"""gzip for large answers, for clients that ask for it.

Only bodies above 128 KiB are worth it: below, compressing costs more than sending. The work is done in a thread, which
leaves the loop to others (zlib lets go of the interpreter's lock), at the fastest level: the others save little more.
Streams of events are never compressed.
"""

import asyncio
import zlib
from collections.abc import Awaitable
from functools import lru_cache
from inspect import isawaitable

from kaa.http.api import Answer, Response

__all__ = ["LARGE_BYTES", "squeezed", "takes_gzip"]

#: Bodies above this are compressed; the original's threshold.
LARGE_BYTES = 128 * 1024
_LEVEL = 1
#: The window of 32 KiB, in gzip's framing.
_GZIP = zlib.MAX_WBITS | 16


@lru_cache(maxsize=64)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether the client says so in plain: a `gzip` with parameters does not count (as in the original)."""
    return any(each.strip() == "gzip" for each in accept_encoding.split(","))


def squeezed(accept_encoding: str, answer: Answer | Awaitable[Answer]) -> Answer | Awaitable[Answer]:
    """The answer, compressed where the client takes that and it is large."""
    if not accept_encoding or not takes_gzip(accept_encoding):
        return answer
    if isawaitable(answer):
        return _when_made(answer)
    return _compressed(answer) if _large(answer) else answer


async def _when_made(coming: Awaitable[Answer]) -> Answer:
    answer = await coming
    return await _compressed(answer) if _large(answer) else answer


def _large(answer: Answer) -> bool:
    return isinstance(answer, Response) and answer.length > LARGE_BYTES


async def _compressed(answer: Answer) -> Answer:
    assert isinstance(answer, Response)
    pieces = [answer.body] if isinstance(answer.body, bytes) else list(answer.body)
    body = await asyncio.to_thread(_compress, pieces)
    headers = (*answer.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    return Response(answer.status, body, answer.content_type, headers)


def _compress(pieces: list[bytes]) -> list[bytes]:
    squeezer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    made = [squeezer.compress(piece) for piece in pieces]
    made.append(squeezer.flush())
    return [piece for piece in made if piece]
