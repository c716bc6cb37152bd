"""What a container runtime leaves on a machine, and taking it away: processes, mounts, cgroups, sockets.

Works from the kernel's own lists, so it also cleans up after a runtime that was killed. Nothing outside the given state
directory, socket and cgroup is touched.
"""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from kaa.base.clock import REAL
from kaa.base.log import Logger

__all__ = ["has_capability_sys_resource", "mounts_below", "remove_tree", "snapshotter_for", "sweep", "unmount"]

_log = Logger("remains")
_CGROUP = Path("/sys/fs/cgroup")
_SHIM_SOCKETS = Path("/run/containerd/s")
_CAP_SYS_RESOURCE = 24
KILL_SECONDS_MAX = 5.0


def has_capability_sys_resource() -> bool:
    """Whether we may lower an oom_score_adj. Many containers and sandboxes have root without it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def snapshotter_for(directory: Path) -> str:
    """`overlayfs`, or `native` where the directory is itself on an overlay, which can't carry another."""
    directory = directory.resolve()
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = _unescaped(left.split()[4])
        if len(point) >= len(best) and (directory.is_relative_to(point)):
            best, kind = point, right.split()[0]
    return "native" if kind == "overlay" else "overlayfs"


def _unescaped(text: str) -> str:
    return text.encode().decode("unicode_escape") if "\\" in text else text


def mounts_below(directory: Path) -> list[str]:
    """Mount points at or below it, the innermost first."""
    top = directory.resolve()
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = _unescaped(line.split()[4])
        if Path(point).is_relative_to(top):
            found.append(point)
    return found[::-1]


def sweep(state_dir: Path, socket: str, cgroup_root: str) -> None:
    """Take away what is left of a runtime that no longer runs. Idempotent; blocks up to a few seconds."""
    shim_sockets = _shim_sockets(state_dir)
    _kill({*_shims(socket), *_init_pids(state_dir), *_members(cgroup_root)})
    unmount(state_dir)
    _remove_cgroups(cgroup_root)
    for path in shim_sockets:
        path.unlink(missing_ok=True)
    for directory in (_SHIM_SOCKETS, _SHIM_SOCKETS.parent / "io.containerd.runtime.v2.task", _SHIM_SOCKETS.parent):
        try:
            directory.rmdir()  # only when empty: another containerd may live here
        except OSError:
            pass


def _shims(socket: str) -> Iterator[int]:
    """Shims are started with `-address OUR-SOCKET`."""
    wanted = socket.encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-address" in argv and wanted in argv:
                yield int(entry.name)


def _init_pids(state_dir: Path) -> Iterator[int]:
    for path in (state_dir / "state").glob("io.containerd.runtime.v2.task/*/*/init.pid"):
        try:
            pid = int(path.read_text())
            # The file may be old and the number another's: a container's first process is not in our pid namespace.
            if os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"):
                yield pid
        except (OSError, ValueError):
            continue


def _shim_sockets(state_dir: Path) -> list[Path]:
    found = []
    for path in (state_dir / "state").glob("io.containerd.runtime.v2.task/*/*/address"):
        try:
            socket = Path(path.read_text().strip().removeprefix("unix://"))
        except OSError:
            continue
        if socket.parent == _SHIM_SOCKETS:
            found.append(socket)
    return found


def _cgroup_dirs(root: str) -> list[Path]:
    """This cgroup in each hierarchy: one under version 2, one per controller under version 1."""
    name = root.strip("/")
    if not name:
        return []
    return [path for path in (_CGROUP / name, *(h / name for h in _CGROUP.iterdir() if h.is_dir())) if path.is_dir()]


def _members(root: str) -> Iterator[int]:
    for top in _cgroup_dirs(root):
        for directory, _, files in os.walk(top):
            if "cgroup.procs" in files:
                try:
                    yield from map(int, (Path(directory) / "cgroup.procs").read_text().split())
                except OSError:
                    continue


def _kill(pids: set[int]) -> None:
    pids.discard(os.getpid())
    pids.discard(0)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = REAL.monotonic() + KILL_SECONDS_MAX
    pause = threading.Event()  # we are in a thread, and processes end in real time
    while any(_alive(pid) for pid in pids) and REAL.monotonic() < deadline:
        pause.wait(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def unmount(directory: Path) -> None:
    """Unmount what is mounted at or below it, the innermost first."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    detach = 2  # MNT_DETACH: a mount that something still holds leaves the tree all the same
    for point in mounts_below(directory):
        if libc.umount2(os.fsencode(point), detach) != 0:
            _log.warning("could not unmount", path=point, error=os.strerror(ctypes.get_errno()))


def _remove_cgroups(root: str) -> None:
    for top in _cgroup_dirs(root):
        for directory, _, _ in os.walk(top, topdown=False):
            try:
                Path(directory).rmdir()
            except OSError as error:
                _log.warning("could not remove a cgroup", path=directory, error=str(error))


def remove_tree(directory: Path) -> None:
    """Remove a directory, after unmounting what is below it."""
    unmount(directory)
    shutil.rmtree(directory, ignore_errors=True)
