"""`kaa up`: a cluster on this machine, in the background.

Everything that can be started at once is: each part waits by itself for those it needs. What is running already is left
alone, so it is safe to repeat; what a killed Kaa has left behind, containers above all, is adopted.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaa.base.clock import REAL
from kaa.cluster.choices import NoChoice, choose_address, choose_state, settle_ports
from kaa.cluster.daemons import COMPONENTS, Daemon, DaemonFailed
from kaa.cluster.home import ClusterState, Home
from kaa.cluster.preflight import Missing, preflight
from kaa.cluster.settings import UpOptions

__all__ = ["CannotRun", "Report", "UpFailed", "up"]

#: Options of `kaa up` that name files of the API server's.
SERVER_FILES = ("encryption_provider_config", "audit_policy_file", "audit_log_path")

Say = Callable[[str, float], None]
"""Told each step that is done, and how long it took."""


class UpFailed(RuntimeError):
    """The cluster is not up; the message says why, and what to do."""


class CannotRun(UpFailed):
    """The machine lacks something that containers need."""


@dataclass(frozen=True)
class Report:
    """What there is now."""

    state: ClusterState
    made: bool
    """It was not there before."""
    started: tuple[str, ...]
    """The parts that were started; the others were running."""
    seconds: float


def up(home: Home, options: UpOptions, say: Say) -> Report:
    """Bring the cluster up, and wait until it is usable. Blocks. Raises UpFailed, home.Busy."""
    began = REAL.monotonic()
    with home.locked():
        try:
            return _Up(home, options, say, began).run()
        except (NoChoice, DaemonFailed, OSError, ValueError) as error:
            raise UpFailed(str(error)) from error


class _Up:
    def __init__(self, home: Home, options: UpOptions, say: Say, began: float) -> None:
        self.home, self.options, self._say, self._began = home, options, say, began
        known = home.load()
        self.made = known is None
        self.state = known or choose_state(home, options)
        self.daemons = {name: Daemon(home, name) for name in COMPONENTS}
        self.started: list[str] = []
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def say(self, what: str, since: float) -> None:
        with self._lock:
            self._say(what, REAL.monotonic() - since)

    def run(self) -> Report:
        state, home = self.state, self.home
        self._check_options()
        if state.containers and (missing := preflight()):
            raise CannotRun(_what_is_missing(missing))
        running = [name for name, daemon in self.daemons.items() if daemon.running()]
        state.node_ip = choose_address(state)
        settle_ports(state, home, running=running, exact=self.options.secure_port if self.made else 0)
        home.save(state)
        if state.containers:
            home.short(state)
        if state.node_ip == state.bridge_ip:
            from kaa.cluster.node import node_of

            node_of(home, state).ensure_bridge()
        if self.made:
            self.say(f"cluster {state.id} laid out in {home.root}", self._began)
        self._start("server", _server_arguments(home, state))
        try:
            asyncio.run(self._assemble())
        except BaseExceptionGroup as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
        finally:
            for daemon in self.daemons.values():
                daemon.forget_ready()
        return Report(state, self.made, tuple(self.started), REAL.monotonic() - self._began)

    def _check_options(self) -> None:
        state, options = self.state, self.options
        self._remember_files()
        if self.made:
            return
        for name, wanted, has in (
            ("--service-cluster-ip-range", options.service_cluster_ip_range, state.service_cidr),
            ("--cluster-cidr", options.cluster_cidr, state.pod_cidr),
            ("--node-name", options.node_name, state.node_name),
            ("--secure-port", options.secure_port, state.secure_port),
        ):
            if wanted and wanted != has:
                raise NoChoice(f"this cluster was made with {name} {has}; to change it: kaa down --delete")
        if options.simulated and state.containers:
            raise NoChoice(
                "this cluster has a node with containers; to add simulated ones: kaa node add --simulated "
                f"{options.simulated}; to begin anew: kaa down --delete"
            )
        if options.simulated:
            state.simulated_nodes = options.simulated

    def _remember_files(self) -> None:
        """Files that the API server reads: they are named once, and count for every later start."""
        for name in SERVER_FILES:
            given: Path | None = getattr(self.options, name)
            if given is None:
                continue
            path = str(given.expanduser().absolute())
            if name != "audit_log_path" and not Path(path).is_file():
                raise NoChoice(f"--{name.replace('_', '-')} {path}: there is no such file")
            if self.state.options.get(name) == path:
                continue
            if self.daemons["server"].running() is not None:
                raise NoChoice(f"--{name.replace('_', '-')} counts from the next start: kaa down, then this again")
            self.state.options[name] = path

    def _start(self, name: str, arguments: list[str]) -> None:
        daemon = self.daemons[name]
        if daemon.running() is None:
            daemon.start(arguments)
            self.started.append(name)

    async def _assemble(self) -> None:
        state, home = self.state, self.home
        async with asyncio.TaskGroup() as group:
            if state.containers:
                group.create_task(self._giving_up(self._containers()))
            await asyncio.to_thread(self._identities)
            self._start("controllers", _controllers_arguments(home, state))
            if state.containers:
                self._start("agent", _agent_arguments(home, state))
            if state.simulated_nodes:
                self._start("simulated", simulated_arguments(home, state))
            if self.options.wait > 0:
                await asyncio.to_thread(self._wait)

    async def _giving_up(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException:
            self._given_up.set()
            raise

    def _identities(self) -> None:
        from kaa.cluster import certificates

        state, home, began = self.state, self.home, REAL.monotonic()
        server = f"https://127.0.0.1:{state.secure_port}"
        certificates.ensure_parts(home.pki, server)
        if state.containers:
            certificates.ensure_node(home.pki, server, state.node_name, [state.node_ip, "127.0.0.1"])
        certificates.ensure_admin(home.pki, server, home.kubeconfig)
        if self.made:
            self.say("certificates made", began)

    async def _containers(self) -> None:
        from kaa.cluster.builtin_images import builtin_images
        from kaa.cluster.containerd import ContainerdFailed
        from kaa.cluster.images import ImageError
        from kaa.cluster.node import node_of

        node, began = node_of(self.home, self.state), REAL.monotonic()
        try:
            node.network.write()
            adopted = await node.containerd.start()
            self.say("containerd adopted" if adopted else "containerd runs", began)
            if not adopted:
                self.started.append("containerd")
            images, began = await asyncio.to_thread(builtin_images), REAL.monotonic()
            missing = await node.images.missing(list(images))
            if missing:
                await node.images.load_images({name: images[name] for name in missing})
                self.say(f"{len(missing)} images loaded", began)
        except (ContainerdFailed, ImageError) as error:
            raise UpFailed(str(error)) from error

    def _wait(self) -> None:
        deadline = self._began + self.options.wait
        for name, done in (
            ("server", f"API ready at https://{self.state.node_ip}:{self.state.secure_port}"),
            ("controllers", "controllers and scheduler work"),
            ("agent", f"node {self.state.node_name} is Ready"),
            ("simulated", f"{self.state.simulated_nodes} simulated nodes are Ready"),
        ):
            if name in self.started:
                self.daemons[name].wait_ready(deadline - REAL.monotonic(), self._given_up)
                self.say(done, self._began)


def _what_is_missing(missing: list[Missing]) -> str:
    import re

    lines = [f"  - {each.what}: {each.why}" for each in missing]
    matches = [re.match(r"apt-get install -y (\S+)", each.mend_command) for each in missing]
    packages = sorted({match.group(1) for match in matches if match})
    others = [each.mend_command for each in missing if not each.mend_command.startswith("apt-get")]
    mend = [*dict.fromkeys(others), *([f"apt-get install -y {' '.join(packages)}"] if packages else [])]
    return "\n".join(
        [
            "this machine can't run containers yet. Missing:",
            *lines,
            "To mend it:",
            *(f"  {command}" for command in mend),
            "Or ask for a cluster without containers: kaa up --simulated 3",
        ]
    )


def _server_arguments(home: Home, state: ClusterState) -> list[str]:
    arguments = [
        "server",
        f"--data-dir={home.data}",
        f"--cert-dir={home.pki}",
        f"--kubeconfig-out={home.kubeconfig}",
        f"--secure-port={state.secure_port}",
        f"--advertise-address={state.node_ip}",
        f"--service-cluster-ip-range={state.service_cidr}",
        # The Node authorizer leaves what nodes write to this: without it one node could speak for another.
        "--enable-admission-plugins=NodeRestriction",
    ]
    if state.containers:
        arguments.append(f"--cluster-dns-endpoint={state.node_name}={state.bridge_ip}:{state.dns_port}")
        if state.bridge_ip != state.node_ip:
            arguments.append(f"--tls-san={state.bridge_ip}")
    files = {name: state.options[name] for name in SERVER_FILES if state.options.get(name)}
    if "audit_policy_file" in files:
        files.setdefault("audit_log_path", str(home.logs / "audit.log"))
    if "encryption_provider_config" in files:
        arguments.append("--encryption-provider-config-automatic-reload=true")
    return [*arguments, *(f"--{name.replace('_', '-')}={path}" for name, path in files.items())]


def _controllers_arguments(home: Home, state: ClusterState) -> list[str]:
    return [
        "controllers",
        f"--kubeconfig={home.pki / 'controllers.kubeconfig'}",
        f"--scheduler-kubeconfig={home.pki / 'scheduler.kubeconfig'}",
        f"--root-ca-file={home.pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={home.pki / 'ca.crt'}",
        f"--cluster-signing-key-file={home.pki / 'ca.key'}",
        f"--cluster-cidr={state.pod_cidr}",
    ]


def _agent_arguments(home: Home, state: ClusterState) -> list[str]:
    name = state.node_name
    socket = home.short(state) / "node" / "c" / "c.sock"
    return [
        "agent",
        f"--kubeconfig={home.pki / f'node-{name}.kubeconfig'}",
        f"--node-name={name}",
        f"--node-ip={state.node_ip}",
        f"--cluster-id={state.id}",
        f"--root-dir={home.node}",
        f"--container-runtime-endpoint={socket}",
        f"--cgroup-root={state.cgroup_root}",
        f"--port={state.kubelet_port}",
        f"--tls-cert-file={home.pki / f'node-{name}-serving.crt'}",
        f"--tls-private-key-file={home.pki / f'node-{name}-serving.key'}",
        f"--client-ca-file={home.pki / 'ca.crt'}",
        f"--pod-cidr={state.node_pod_cidr}",
        f"--cluster-cidr={state.pod_cidr}",
        f"--service-cluster-ip-range={state.service_cidr}",
        f"--cluster-dns={state.dns_ip}",
        f"--dns-listen={state.bridge_ip}:{state.dns_port}",
        f"--proxy-mode={state.proxy_mode}",
    ]


def simulated_arguments(home: Home, state: ClusterState) -> list[str]:
    """How the simulated nodes are started."""
    return [
        "simulated-nodes",
        f"--kubeconfig={home.pki / 'simulated.kubeconfig'}",
        f"--nodes={state.simulated_nodes}",
    ]
