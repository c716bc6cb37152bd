"""Events as lines of a file, which is exchanged for a new one when it is large; or on standard output."""

import asyncio
import datetime
import gzip
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kaa.base.clock import Clock
from kaa.server.audit.event import Record, render

__all__ = ["LogFile", "Rotation"]

STDOUT = "-"
_STAMP = "%Y-%m-%dT%H-%M-%S.%f"


@dataclass(frozen=True)
class Rotation:
    """When a log file is exchanged, and how long old ones are kept. 0: the file's size is 100 MB, others no limit."""

    size_mb_max: int = 0
    backups_max: int = 0
    age_days_max: int = 0
    compress: bool = False


class LogFile:
    """`path` is where lines go now; older ones are beside it: `audit-2026-01-02T03-04-05.678.log`."""

    name = "log"

    def __init__(self, path: str, rotation: Rotation, clock: Clock) -> None:
        self._path = None if path == STDOUT else Path(path)
        self._rotation = rotation
        self._clock = clock
        self._bytes_max = (rotation.size_mb_max or 100) * 1024 * 1024
        self._descriptor = -1
        self._size = 0
        if self._path is not None:
            self._open(self._path)

    async def write(self, records: Sequence[Record]) -> None:
        await asyncio.to_thread(self._write, records)

    async def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, records: Sequence[Record]) -> None:
        lines = [render(each) + b"\n" for each in records]
        if self._path is None:
            sys.stdout.buffer.write(b"".join(lines))
            sys.stdout.buffer.flush()
            return
        if self._descriptor < 0:
            self._open(self._path)
        start, size = 0, self._size
        for at, line in enumerate(lines):
            if size + len(line) > self._bytes_max and size:
                self._put(b"".join(lines[start:at]))
                self._rotate(self._path)
                start, size = at, self._size
            size += len(line)
        self._put(b"".join(lines[start:]))

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = os.write(self._descriptor, view)
            self._size += done
            view = view[done:]

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o744)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self, path: Path) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        now = self._clock.now()
        while (old := path.with_name(f"{path.stem}-{self._stamp(now)}{path.suffix}")).exists():
            now += 0.001  # a second exchange within a millisecond
        path.rename(old)
        self._open(path)
        if self._rotation.compress:
            into = os.open(f"{old}.gz", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with old.open("rb") as plain, open(into, "wb") as file, gzip.open(file, "wb") as packed:
                shutil.copyfileobj(plain, packed)
            old.unlink()
        self._forget(path, now)

    def _stamp(self, at: float) -> str:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime(_STAMP)[:-3]

    def _forget(self, path: Path, now: float) -> None:
        """Remove what is too old, or too much."""
        found: list[tuple[float, Path]] = []
        for each in path.parent.glob(f"{path.stem}-*{path.suffix}*"):
            stamp = each.name.removesuffix(".gz").removesuffix(path.suffix).removeprefix(f"{path.stem}-")
            try:
                at = datetime.datetime.strptime(f"{stamp}000", _STAMP).replace(tzinfo=datetime.UTC).timestamp()
            except ValueError:
                continue  # somebody else's file
            found.append((at, each))
        found.sort(reverse=True)
        keep, age = self._rotation.backups_max, self._rotation.age_days_max
        for number, (at, each) in enumerate(found):
            if (keep and number >= keep) or (age and now - at > age * 86400):
                each.unlink(missing_ok=True)
