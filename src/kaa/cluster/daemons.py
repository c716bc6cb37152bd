"""The processes of a cluster on this machine: starting them detached, finding them again, ending them.

A process is known by its pid file, which also holds when the kernel started it: a pid that was given out anew is never
taken for ours. What it says goes to its log; that it is ready it says through a pipe (`$KAA_READY_FD`).
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaa.base.clock import REAL
from kaa.cluster.home import Home

__all__ = ["COMPONENTS", "READY_FD", "Daemon", "DaemonFailed", "log_tail"]

READY_FD = "KAA_READY_FD"
COMPONENTS = ("server", "controllers", "agent", "simulated")
"""In the order they are started."""
LOG_BYTES_MAX = 10 * 1024 * 1024
TAIL_BYTES = 4096


class DaemonFailed(RuntimeError):
    """A process ended, or is not ready in time. The message says which, shows the end of its log, and what to do."""


@dataclass
class Daemon:
    """One process of a cluster, running or not."""

    home: Home
    name: str
    _ready: int | None = field(default=None, repr=False)

    @property
    def log_path(self) -> Path:
        """What it says."""
        return self.home.logs / f"{self.name}.log"

    @property
    def pid_path(self) -> Path:
        """Where its pid is."""
        return self.home.pids / f"{self.name}.pid"

    def running(self) -> int | None:
        """Its pid, whoever started it; None when it does not run."""
        try:
            pid, started = self.pid_path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _started_at(int(pid)) == started else None

    def start(self, arguments: Sequence[str]) -> None:
        """Start `kaa ARGUMENTS` detached from this process and its terminal; it must not be running."""
        self.home.logs.mkdir(parents=True, exist_ok=True)
        self.home.pids.mkdir(parents=True, exist_ok=True)
        _rotate(self.log_path)
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        # Arrays are small here, and threads that only wait cost memory each.
        environment = {
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            **os.environ,
            "KAA_HOME": str(self.home.root),
            READY_FD: str(theirs),
        }
        try:
            with self.log_path.open("ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "kaa", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    pass_fds=[theirs],
                    env=environment,
                )
        finally:
            os.close(theirs)
        child.returncode = 0  # it outlives us: nobody waits for it, and that is no mistake
        self.pid_path.write_text(f"{child.pid} {_started_at(child.pid)}\n")
        self._ready = ours

    def wait_ready(self, seconds: float, given_up: threading.Event | None = None) -> None:
        """Return when it has said that it is ready, or when the event says that nobody cares any more. For a process
        that another command started: at once.

        Raises DaemonFailed.
        """
        if self._ready is None:
            return
        deadline = REAL.monotonic() + seconds
        readable: list[int] = []
        try:
            while not readable and REAL.monotonic() < deadline and not (given_up and given_up.is_set()):
                readable = select.select([self._ready], [], [], min(0.2, max(0.0, deadline - REAL.monotonic())))[0]
            said = os.read(self._ready, 64) if readable else None
        finally:
            os.close(self._ready)
            self._ready = None
        if said or (given_up and given_up.is_set()):
            return
        what = f"is not ready after {seconds:g} s" if said is None else "has ended"
        raise DaemonFailed(f"kaa {self.name} {what}. The end of its log ({self.log_path}):\n{log_tail(self.log_path)}")

    def forget_ready(self) -> None:
        """Nobody waits for it any more."""
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None

    def stop(self, seconds: float = 10.0) -> bool:
        """Ask it to end, and after `seconds` end it. False when it did not run. Blocks."""
        pid = self.running()
        if pid is not None:
            for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    break
                if self._wait_gone(patience):
                    break
        self.pid_path.unlink(missing_ok=True)
        return pid is not None

    def _wait_gone(self, seconds: float) -> bool:
        deadline = REAL.monotonic() + seconds
        pause = threading.Event()
        while self.running() is not None:
            if REAL.monotonic() > deadline:
                return False
            pause.wait(0.005)
        return True


def _started_at(pid: int) -> str:
    """The kernel's start time of a process that lives, in its own unit; empty otherwise."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in ("Z", "X") else words[19]


def uptime_seconds(pid: int) -> float:
    """How long a process has been running."""
    started = _started_at(pid)
    if not started:
        return 0.0
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    return since_boot - int(started) / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid: int) -> int:
    """Its share of the memory it uses, shared pages divided among their users; 0 when it can't be read."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (empty)"


def _rotate(path: Path) -> None:
    """One older log is kept."""
    try:
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
    except OSError:
        pass
