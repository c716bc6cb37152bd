"""Container logs as the runtime writes them (CRI format): reading, tailing, following.

A line is `<RFC 3339 time> <stdout|stderr> <F|P> <text>`; P is a piece of a line that goes on in the next one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kaa.base.clock import Clock, parse_seconds

__all__ = ["LogOptions", "last_lines", "parse_line", "read_logs", "tail_offset"]

BLOCK_BYTES = 64 * 1024
POLL_SECONDS = 0.1
LINE_BYTES_MAX = 1024 * 1024
_LINES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is wanted. None and 0: no bound."""

    follow: bool = False
    tail_lines: int | None = None
    since: float = 0.0
    timestamps: bool = False
    bytes_max: int | None = None
    stream: str = ""
    """`stdout`, `stderr`, or "" for both."""


def parse_line(line: bytes) -> tuple[bytes, bytes, bool, bytes] | None:
    """(time, stream, whole, text with its newline when whole); None for a line that isn't one."""
    parts = line.split(b" ", 3)
    if len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
        return None
    at, stream, tag, text = parts
    whole = not tag.startswith(b"P")
    return at, stream, whole, text if whole else text.rstrip(b"\n")


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines begin, found by reading blocks from the end."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    position, found = end, 0
    while position > 0:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        at = len(block)
        # The newline that ends the last line is not one that separates two.
        if position + at == end and block.endswith(b"\n"):
            at -= 1
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == lines:
                return position + at + 1
    return 0


def last_lines(path: Path, lines: int, bytes_max: int) -> str:
    """The end of a log as text, for a container's termination message; "" if it can't be read."""
    try:
        with open(path, "rb") as file:
            file.seek(tail_offset(file, lines))
            texts = [parsed[3] for line in file.readlines() if (parsed := parse_line(line)) is not None]
    except OSError:
        return ""
    return b"".join(texts)[-bytes_max:].decode("utf-8", "replace")


class _Renderer:
    """Lines into what the reader gets."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._stream = options.stream.lower().encode()
        self._left = options.bytes_max
        self._past = options.since <= 0
        self._begun: dict[bytes, bool] = {}

    @property
    def full(self) -> bool:
        """The reader has all it asked for."""
        return self._left is not None and self._left <= 0

    def render(self, line: bytes) -> bytes:
        """What of the line to send."""
        parsed = parse_line(line)
        if parsed is None:
            return b""
        at, stream, whole, text = parsed
        if self._stream and stream != self._stream:
            return b""
        if not self._past:
            try:
                if parse_seconds(at.decode()) < self._options.since:
                    return b""
            except ValueError:
                return b""
            self._past = True
        if self._options.timestamps and not self._begun.get(stream):
            text = at + b" " + text
        self._begun[stream] = not whole
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text


async def read_logs(path: Path, options: LogOptions, clock: Clock, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log's bytes. When following, until the container no longer runs and all has been read; a file that was
    rotated away is read to its end, then the new one from its beginning. Raises FileNotFoundError at the start."""
    renderer = _Renderer(options)
    file = _open(path)
    try:
        if options.tail_lines is not None:
            # Looking back over many lines may take long; reads of the file come only after it.
            near = options.tail_lines <= _LINES_AT_ONCE
            at = (
                tail_offset(file, options.tail_lines)
                if near
                else await asyncio.to_thread(tail_offset, file, options.tail_lines)
            )
            file.seek(at)
        rest = b""
        while not renderer.full:
            # Asked before reading: what was written until the container ended is then read below.
            going = options.follow and running()
            block = file.read(BLOCK_BYTES)
            if block:
                *lines, rest = (rest + block).split(b"\n")
                out = b"".join([renderer.render(line + b"\n") for line in lines])
                if len(rest) > LINE_BYTES_MAX:
                    rest = b""
                if out:
                    yield out
                await clock.sleep(0)
                continue
            if not options.follow:
                break
            if (newer := _rotated(path, file)) is not None:
                file.close()
                file, rest = newer, b""
                continue
            if not going:
                break
            await clock.sleep(POLL_SECONDS)
        if rest and not renderer.full and (out := renderer.render(rest)):
            yield out
    finally:
        file.close()


def _open(path: Path) -> BinaryIO:
    return open(path, "rb")


def _rotated(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that took this one's place, if one has."""
    try:
        if os.stat(path).st_ino == os.fstat(file.fileno()).st_ino:
            return None
        return _open(path)
    except FileNotFoundError:
        return None
