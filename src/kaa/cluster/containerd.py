"""A containerd of our own: its configuration, its process, and its end.

It is a daemon beside Kaa, not a child that dies with it: containers must survive a restart, and a crash, of every Kaa
process. A later Kaa finds it by its pid file and adopts it.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.cluster import cni, remains
from kaa.cluster.preflight import find_program
from kaa.kubelet.cri import api
from kaa.kubelet.cri.grpc import GrpcRuntime

__all__ = ["Containerd", "ContainerdFailed", "ContainerdSettings"]

_log = Logger("containerd")

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
EMPTY_SECONDS_MAX = 60.0
SOCKET_PATH_MAX = 100
"""The kernel's 108 bytes less `.ttrpc` and its end."""
PARALLEL_REMOVALS = 8

# Not built into this cluster's needs; each costs start time, memory, or a warning line.
_DISABLED = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.nri.v1.nri",
)


class ContainerdFailed(RuntimeError):
    """It did not start or stop; the message holds the last lines of its log."""


@dataclass(frozen=True)
class ContainerdSettings:
    """Where it lives and what it may do."""

    state_dir: Path
    """Everything it has is below: content, snapshots, sockets, log. Keep it short: the socket's path is bounded."""
    cni_conf_dir: Path
    """Where the pod network's configuration is written (see `kaa.cluster.cni`)."""
    cgroup_root: str = ""
    """The cgroup (`/kaa-1234`) under which the kubelet puts this node's pods; removed with them on delete."""
    sandbox_image: str = "registry.k8s.io/pause:3.10.1"
    """What holds a pod's namespaces; loaded before the first pod."""
    registries: Mapping[str, str] = field(default_factory=dict)
    """Registry host -> URL to ask instead: mirrors, and plain-HTTP registries on loopback (`localhost:5000` ->
    `http://127.0.0.1:5000`)."""
    downloads_max: int = 3
    """Layers fetched at a time, per pull."""
    log_line_bytes_max: int = 16384
    """Longer container log lines are split."""
    systemd_cgroup: bool = False
    """Let systemd make the cgroups. Off: Kaa's pods are under a root of their own that nothing else manages."""
    prefix: Sequence[str] = ()
    """Put before the command, to start it in a node's namespaces: `nsenter --net=... --mount=... --`."""


class Containerd:
    """One containerd instance. `start` and `stop` are idempotent."""

    def __init__(self, settings: ContainerdSettings, clock: Clock = REAL) -> None:
        self.settings = settings
        self._clock = clock
        self.dir = settings.state_dir
        self.socket = str(self.dir / "c.sock")
        self.log_path = self.dir / "containerd.log"
        self._pid_path = self.dir / "containerd.pid"
        self._config_path = self.dir / "config.toml"
        self._child: subprocess.Popen[bytes] | None = None

    def config(self) -> str:
        """Its configuration file. Version 2 of the format is read by 1.6 and 1.7, and migrated by 2.x."""
        s = self.settings
        quoted = json.dumps  # a JSON string is a TOML string
        snapshotter = remains.snapshotter_for(self.dir)
        runc = {"Root": quoted(str(self.dir / "runc")), "SystemdCgroup": _bool(s.systemd_cgroup)}
        if path := find_program("runc"):
            runc["BinaryName"] = quoted(path)
        lines = [
            "version = 2",
            f"root = {quoted(str(self.dir / 'root'))}",
            f"state = {quoted(str(self.dir / 'state'))}",
            f"disabled_plugins = {json.dumps([*_DISABLED, _unused_snapshotter(snapshotter)])}",
            "[grpc]",
            f"  address = {quoted(self.socket)}",
            "[timeouts]",
            # A pod's end asks the shim for its state; the default of ten seconds holds a start up when a shim is stuck.
            '  "io.containerd.timeout.shim.cleanup" = "5s"',
            '[plugins."io.containerd.grpc.v1.cri"]',
            f"  sandbox_image = {quoted(s.sandbox_image)}",
            "  disable_tcp_service = true",
            '  stream_server_address = "127.0.0.1"',
            '  stream_server_port = "0"',
            f"  restrict_oom_score_adj = {_bool(not remains.has_capability_sys_resource())}",
            "  tolerate_missing_hugetlb_controller = true",
            # Ours to take away with the rest, not in the machine's /run/netns.
            "  netns_mounts_under_state_dir = true",
            f"  max_concurrent_downloads = {s.downloads_max}",
            f"  max_container_log_line_size = {s.log_line_bytes_max}",
            '[plugins."io.containerd.grpc.v1.cri".containerd]',
            f"  snapshotter = {quoted(snapshotter)}",
            '  default_runtime_name = "runc"',
            '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]',
            '  runtime_type = "io.containerd.runc.v2"',
            '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]',
            *(f"  {key} = {value}" for key, value in runc.items()),
            '[plugins."io.containerd.grpc.v1.cri".cni]',
            f"  bin_dir = {quoted(cni.plugin_dir() or cni.BIN_DIRS[0])}",
            f"  conf_dir = {quoted(str(s.cni_conf_dir))}",
            '[plugins."io.containerd.grpc.v1.cri".registry]',
            f"  config_path = {quoted(str(self.dir / 'registries'))}",
        ]
        return "\n".join(lines) + "\n"

    def running(self) -> int | None:
        """The pid of our containerd, whoever started it; None if it does not run."""
        try:
            pid = int(self._pid_path.read_text())
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            # The pid may be another's by now; a process is ours if its command line names our configuration.
            if str(self._config_path).encode() not in argv:
                return None
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    async def start(self) -> bool:
        """Start it, or adopt the one that runs; True if it was adopted. Returns when its CRI answers.

        Raises ContainerdFailed.
        """
        if len(self.socket) > SOCKET_PATH_MAX:
            raise ContainerdFailed(f"the path {self.socket} is too long for a socket; choose a shorter state directory")
        adopted = self.running() is not None
        if not adopted:
            self._launch()
        await self._answers()
        return adopted

    def _launch(self) -> None:
        program = find_program("containerd")
        if program is None:
            raise ContainerdFailed("containerd is not installed; run: apt-get install -y containerd runc")
        self.dir.mkdir(parents=True, exist_ok=True)
        self.settings.cni_conf_dir.mkdir(parents=True, exist_ok=True)
        self._write_registries()
        self._config_path.write_text(self.config())
        # containerd finds its shim and runc's helpers by PATH.
        path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [*self.settings.prefix, program, "--config", str(self._config_path), "--log-level", "warn"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                env={**os.environ, "PATH": path, "NOTIFY_SOCKET": ""},
            )
        self._pid_path.write_text(str(self._child.pid))

    def _write_registries(self) -> None:
        directory = self.dir / "registries"
        for host, url in self.settings.registries.items():
            (directory / host).mkdir(parents=True, exist_ok=True)
            (directory / host / "hosts.toml").write_text(
                f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'
                + ("" if url.startswith("https://") else "  skip_verify = true\n")
            )
        directory.mkdir(exist_ok=True)

    async def _answers(self) -> None:
        deadline = self._clock.monotonic() + START_SECONDS_MAX
        while True:
            # A new channel each time: gRPC waits longer and longer between its own tries.
            if os.path.exists(self.socket):  # noqa: ASYNC240 - one stat
                runtime = GrpcRuntime(self.socket)
                try:
                    await runtime.version()
                    return
                except api.RuntimeFailed as error:
                    reason = error.message
                finally:
                    await runtime.close()
            else:
                reason = "its socket is not there"
            if self._child is not None and self._child.poll() is not None:
                raise ContainerdFailed(f"containerd ended at once:\n{self._log_tail()}")
            if self._clock.monotonic() > deadline:
                raise ContainerdFailed(f"containerd does not answer ({reason}):\n{self._log_tail()}")
            await self._clock.sleep(0.005)

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-10:])
        except OSError:
            return "(no log)"

    async def stop(self, *, delete: bool = False) -> None:
        """End the daemon. Containers run on, unless `delete`: then they, their mounts, namespaces, cgroups, images and
        the state directory are gone."""
        if delete and self.running() is not None:
            try:
                await asyncio.wait_for(self._remove_all(), EMPTY_SECONDS_MAX)
            except (TimeoutError, api.RuntimeFailed) as error:
                _log.warning("could not remove the pods in order; taking them down", error=str(error))
        await self._end_process()
        if delete:
            await asyncio.to_thread(remains.sweep, self.dir, self.socket, self.settings.cgroup_root)
            shutil.rmtree(self.dir, ignore_errors=True)

    async def _remove_all(self) -> None:
        runtime = GrpcRuntime(self.socket)
        slots = asyncio.Semaphore(PARALLEL_REMOVALS)

        async def remove(sandbox_id: str) -> None:
            async with slots:
                await runtime.stop_sandbox(sandbox_id)
                await runtime.remove_sandbox(sandbox_id)

        try:
            results = await asyncio.gather(
                *(remove(sandbox.id) for sandbox in await runtime.list_sandboxes()), return_exceptions=True
            )
        finally:
            await runtime.close()
        for result in results:
            if isinstance(result, BaseException):
                _log.warning("a pod was not removed in order", error=str(result))

    async def _end_process(self) -> None:
        pid = self.running()
        if pid is None:
            return
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS_MAX), (signal.SIGKILL, STOP_SECONDS_MAX)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break
            deadline = self._clock.monotonic() + seconds
            while self.running() is not None and self._clock.monotonic() < deadline:
                await self._clock.sleep(0.01)
            if self.running() is None:
                break
        if self._child is not None:
            self._child.poll()  # reap it, if it was our child
            self._child = None
        self._pid_path.unlink(missing_ok=True)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _unused_snapshotter(used: str) -> str:
    return "io.containerd.snapshotter.v1." + ("native" if used == "overlayfs" else "overlayfs")
