"""`kaa down`: stop a cluster; with `delete`, leave nothing of it."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from kaa.base.clock import REAL
from kaa.base.log import Logger
from kaa.cluster.daemons import COMPONENTS, Daemon
from kaa.cluster.home import ClusterState, Home
from kaa.cluster.settings import DownOptions

__all__ = ["down", "leftovers"]

_log = Logger("down")
Say = Callable[[str, float], None]
PARALLEL = 16


def down(home: Home, options: DownOptions, say: Say) -> bool:
    """Stop everything; False when there was no cluster. Blocks. Raises home.Busy."""
    if not home.root.exists():
        return False
    with home.locked():
        state = home.load()
        if state is None:
            return False
        # The API goes last, so that the others can say goodbye to it.
        began = REAL.monotonic()
        stopped = [name for name in reversed(COMPONENTS) if Daemon(home, name).stop()]
        if stopped:
            say(f"stopped {', '.join(reversed(stopped))}", REAL.monotonic() - began)
        if state.containers:
            _stop_node(home, state, options, say)
        if options.delete:
            began = REAL.monotonic()
            home.forget_short(state)
            _delete(home, state)
            say(f"deleted {home.root}", REAL.monotonic() - began)
    return True


def _stop_node(home: Home, state: ClusterState, options: DownOptions, say: Say) -> None:
    from kaa.cluster import remains
    from kaa.cluster.node import node_of

    began = REAL.monotonic()
    node = node_of(home, state)
    if node.containerd.running() is not None:
        count = asyncio.run(_stop_containers(node.containerd.socket, options.grace))
        if count:
            say("stopped 1 pod" if count == 1 else f"stopped {count} pods", REAL.monotonic() - began)
    began = REAL.monotonic()
    asyncio.run(node.containerd.stop(delete=options.delete))
    if not options.delete:
        # Shims whose pods were not stopped in time must not outlive the cluster.
        remains.sweep(node.containerd.dir, node.containerd.socket, state.cgroup_root)
    _remove_rules(state)
    node.network.remove()
    remains.unmount(home.node)
    say("stopped containerd; links, rules and mounts are gone", REAL.monotonic() - began)


async def _stop_containers(socket: str, grace: float) -> int:
    """Ask every container to end, wait, and take the pods' networks down; how many pods there were."""
    from kaa.kubelet.cri import api
    from kaa.kubelet.cri.grpc import GrpcRuntime

    runtime = GrpcRuntime(socket)
    slots = asyncio.Semaphore(PARALLEL)

    async def each(call: Callable[[], Awaitable[None]]) -> None:
        async with slots:
            try:
                await call()
            except api.RuntimeFailed as error:
                _log.warning("not stopped in order; it will be killed", error=error.message)

    try:
        async with asyncio.timeout(grace + 20.0):
            containers = [c for c in await runtime.list_containers() if c.state == api.ContainerState.RUNNING]
            await asyncio.gather(*(each(partial(runtime.stop_container, c.id, int(grace))) for c in containers))
            sandboxes = [s for s in await runtime.list_sandboxes() if s.state == api.SandboxState.READY]
            await asyncio.gather(*(each(partial(runtime.stop_sandbox, s.id)) for s in sandboxes))
            return len(sandboxes)
    except (TimeoutError, api.RuntimeFailed) as error:
        _log.warning("pods are taken down without asking", error=str(error))
        return 0
    finally:
        await runtime.close()


def _remove_rules(state: ClusterState) -> None:
    from kaa.network.addresses import ServiceRoute
    from kaa.network.backend import BackendUnsupported, ProxySettings, choose
    from kaa.network.netns import Netns

    settings = ProxySettings(cluster_id=state.id)
    for mode in ("nftables", "iptables"):
        if state.proxy_mode in ("auto", mode):
            try:
                choose(settings, mode).cleanup()
            except BackendUnsupported:
                continue
    ServiceRoute(Netns(), (), state.service_link).remove()


def _delete(home: Home, state: ClusterState) -> None:
    """The directory; only what Kaa made in it, for KAA_HOME may be a directory that has other things in it."""
    from kaa.cluster.remains import remove_tree

    remove_tree(home.node)
    for path in (home.pki, home.data, home.logs, home.pids):
        shutil.rmtree(path, ignore_errors=True)
    for file in (home.kubeconfig, home.state_path, home.root / ".lock"):
        file.unlink(missing_ok=True)
    try:
        home.root.rmdir()
    except OSError:
        pass  # something that isn't ours


def leftovers(home: Home, state: ClusterState) -> list[str]:
    """What is still on the machine of a cluster that was deleted; empty when nothing is. For checks and tests."""
    found = [str(path) for path in (home.root, Path("/run/kaa") / state.id) if path.exists() or path.is_symlink()]
    short = f"/run/kaa/{state.id}"
    for argv, words in (
        (["cat", "/proc/self/mountinfo"], (str(home.root), short)),
        (["ip", "-o", "link"], (f"kaa-{state.id}", state.service_link)),
        (["ip", "route", "show", "table", "all"], (f"kaa-{state.id}", state.service_link)),
        (["nft", "list", "tables"], (state.id,)),
        (["iptables", "-t", "nat", "-S"], (state.id,)),
        (["find", "/sys/fs/cgroup", "-maxdepth", "2", "-name", f"*{state.id}*"], (state.id,)),
    ):
        output = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30).stdout
        found += [line.strip() for line in output.splitlines() if any(word in line for word in words)]
    return found + _processes((str(home.root), short))


def _processes(words: tuple[str, ...]) -> list[str]:
    """Programs whose command line has one of the words; whoever asks, and its parents, are not meant."""
    asking, pid = {1}, os.getpid()
    while pid not in asking and pid > 0:
        asking.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in asking:
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in line for word in words):
            found.append(f"{entry.name} {line.strip()}")
    return found
