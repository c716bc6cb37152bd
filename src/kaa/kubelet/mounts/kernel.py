"""The kernel's mount table: the one place that mounts and unmounts. Calls take microseconds; they are made in place."""

import ctypes
import os
import stat
from pathlib import Path

from kaa.base.log import Logger

__all__ = ["bind", "mount_tmpfs", "mounts_below", "open_beneath", "unmount", "unmount_below"]

_log = Logger("kubelet")
_libc = ctypes.CDLL(None, use_errno=True)
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC = 2, 4, 4096, 16384
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {source} on {target}: {os.strerror(number)}", target)


def mount_tmpfs(target: Path, *, size_bytes: int = 0, mode: int = 0o777) -> None:
    """A file system in memory at `target`, which exists; nothing if there is one already. Raises OSError."""
    if os.path.ismount(target):
        return
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    _mount("tmpfs", str(target), "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def bind(source: str, target: Path) -> None:
    """The file or directory `source` at `target`, which exists and is of the same type. Raises OSError."""
    _mount(source, str(target), "", _MS_BIND | _MS_REC)


def unmount(target: Path | str) -> None:
    """Take a mount away, at once, whoever still uses it. No error if there is none."""
    if _libc.umount2(str(target).encode(), _MNT_DETACH | _UMOUNT_NOFOLLOW):
        number = ctypes.get_errno()
        if number not in (2, 22):  # ENOENT, EINVAL: not a mount (any more)
            raise OSError(number, f"unmount {target}: {os.strerror(number)}", str(target))


def mounts_below(directory: Path) -> list[str]:
    """Mount points in `directory`, deepest first. The kernel's table knows no symbolic links, so they are resolved."""
    prefix = os.path.realpath(directory) + "/"
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            point = line.split(" ", 5)[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
            if point.startswith(prefix):
                found.append(point)
    return sorted(found, key=len, reverse=True)


def unmount_below(directory: Path) -> None:
    """Take away every mount in `directory`. Raises OSError."""
    for point in mounts_below(directory):
        unmount(point)


def open_beneath(root: Path, relative: str, *, create: bool) -> int:
    """A path descriptor of `relative` in `root`, following no symbolic link that could lead out of it.

    Missing directories are made when `create`. The caller closes the descriptor. Raises OSError; ELOOP or ENOTDIR when
    a link is in the way (a container may have put it there).
    """
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in [each for each in relative.split("/") if each and each != "."]:
            if part == "..":
                raise OSError(22, f"subPath {relative!r} must not contain '..'")
            try:
                deeper = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            except FileNotFoundError:
                if not create:
                    raise
                os.mkdir(part, 0o750, dir_fd=at)
                deeper = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            if stat.S_ISLNK(os.fstat(deeper).st_mode):
                deeper = _follow_within(root, at, part, deeper)
            os.close(at)
            at = deeper
    except BaseException:
        os.close(at)
        raise
    return at


def _follow_within(root: Path, at: int, part: str, link: int) -> int:
    """The target of a link when it stays in `root` (config map keys are links); ELOOP when it doesn't."""
    os.close(link)
    here = os.readlink(f"/proc/self/fd/{at}")
    target = os.path.realpath(os.path.join(here, part))
    inside = os.path.realpath(root)
    if target != inside and not target.startswith(inside + "/"):
        raise OSError(40, f"subPath leads out of the volume through the link {part!r}")
    return os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
