"""Files that change all at once: a payload in a directory of its own, reached through the link `..data`.

`<dir>/key` is a link to `..data/key`, and `..data` to `..<time>`; a change makes a new time-stamped directory and
renames a new `..data` over the old one, so that a reader sees the old files or the new ones and nothing in between.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kaa.base import ids
from kaa.base.clock import Clock

__all__ = ["File", "write_atomically"]

_DATA, _NEXT = "..data", "..data_tmp"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a payload. `mode` are its permission bits; `owner` is None for root."""

    data: bytes
    mode: int = 0o644
    owner: int | None = None


def write_atomically(directory: Path, payload: Mapping[str, File], clock: Clock, *, group: int | None = None) -> bool:
    """Make `directory` hold exactly `payload` (relative paths); True if something changed. Raises OSError, or
    ValueError for a path that leaves the directory."""
    for path in payload:
        parts = path.split("/")
        if path.startswith(("/", "..")) or ".." in parts or not path:
            raise ValueError(f"invalid path {path!r}: it must be relative and stay in the volume")
    current = directory / _DATA
    if current.is_symlink() and _same(current, payload, group):
        return False
    old = os.readlink(current) if current.is_symlink() else ""
    stamp = f"..{clock.now():.9f}".replace(".", "_").replace("__", "..", 1) + f".{ids.suffix(4)}"
    fresh = directory / stamp
    fresh.mkdir(mode=0o755)
    os.chmod(fresh, 0o755)
    for path, file in payload.items():
        target = fresh / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_bytes(file.data)
        os.chmod(target, _mode(file, group))
        if group is not None or file.owner is not None:
            os.chown(target, file.owner if file.owner is not None else -1, group if group is not None else -1)
    if group is not None:
        for each in (fresh, *(p for p in fresh.rglob("*") if p.is_dir())):
            os.chown(each, -1, group)
            os.chmod(each, 0o2775)
    following = directory / _NEXT
    following.unlink(missing_ok=True)
    following.symlink_to(stamp)
    os.rename(following, current)
    _link_names(directory, payload)
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _mode(file: File, group: int | None) -> int:
    return file.mode | 0o440 if group is not None else file.mode


def _same(current: Path, payload: Mapping[str, File], group: int | None) -> bool:
    found = {str(each.relative_to(current)) for each in current.rglob("*") if not each.is_dir()}
    if found != set(payload):
        return False
    for path, file in payload.items():
        target = current / path
        status = target.stat()
        if status.st_size != len(file.data) or status.st_mode & 0o7777 != _mode(file, group):
            return False
        if target.read_bytes() != file.data:
            return False
    return True


def _link_names(directory: Path, payload: Mapping[str, File]) -> None:
    wanted = {path.split("/", 1)[0] for path in payload}
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for entry in os.scandir(directory):
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in wanted:
            os.unlink(entry.path)
