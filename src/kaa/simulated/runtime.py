"""A container runtime without containers: the CRI line answered from memory.

Sandboxes get addresses from a range, images are there unless a fault says otherwise, and containers run until they are
stopped or their plan ends them. The plan is in the pod's annotations (see `kaa.simulated.plans`).

All waiting is on the given clock: one timer task for all containers, none per container.
"""

import fnmatch
import ipaddress
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from kaa.base.clock import REAL, Clock
from kaa.kubelet.cri import api
from kaa.simulated.faults import Faults
from kaa.simulated.plans import command_outcome, plan_of, start_error
from kaa.simulated.timers import Timers
from kaa.simulated.watchers import Watchers

__all__ = ["SimulatedRuntime", "SimulatedSettings"]

_SIGKILL_CODE, _SIGTERM_CODE = 137, 143


@dataclass(frozen=True)
class SimulatedSettings:
    """How the runtime behaves."""

    pod_cidr: str = "10.244.0.0/24"
    """Where sandboxes get their addresses; the first one is the bridge's, as in a real pod network."""
    sandbox_seconds: float = 0.0
    """How long a sandbox takes to start."""
    start_seconds: float = 0.0
    """How long a container takes to start."""
    pull_seconds: float = 0.0
    """How long a pull takes."""
    images_present: bool = True
    """Whether every image is there already; otherwise it must be pulled first."""
    image_bytes: int = 2_000_000
    """The size of each image."""
    capacity_bytes: int = 100 << 30
    """The size of the disk they are on."""
    cpu_nano_cores: int = 1_000_000
    """What each running container seems to use, of processors."""
    memory_bytes: int = 4 << 20
    """The same of memory."""


@dataclass(slots=True)
class _Sandbox:
    id: str
    config: api.SandboxConfig
    created_at: int
    ip: str
    handler: str
    state: api.SandboxState = api.SandboxState.READY
    containers: "dict[str, _Container]" = field(default_factory=dict)


@dataclass(slots=True)
class _Container:
    id: str
    sandbox: _Sandbox
    config: api.ContainerConfig
    created_at: int
    state: api.ContainerState = api.ContainerState.CREATED
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    resources: api.ContainerResources | None = None


class SimulatedRuntime:
    """See `api.Runtime`. Errors by plan come from `faults`."""

    def __init__(self, settings: SimulatedSettings | None = None, clock: Clock = REAL) -> None:
        self.settings = settings or SimulatedSettings()
        self.faults = Faults(clock=clock)
        self._clock = clock
        self._timers = Timers(clock)
        self._watchers = Watchers()
        self._sandboxes: dict[str, _Sandbox] = {}
        self._by_metadata: dict[api.SandboxMetadata, str] = {}
        self._containers: dict[str, _Container] = {}
        self._pulled: dict[str, api.Image] = {}
        self._serial = 0
        network = ipaddress.ip_network(self.settings.pod_cidr)
        first = int(network.network_address)
        self._next_ip, self._last_ip = first + 2, int(network.broadcast_address) - 1
        self._address = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
        self._free_ips: deque[int] = deque()

    def _now(self) -> int:
        return int(self._clock.now() * 1e9)

    def _id(self) -> str:
        # Counted, not random: two runs with one seed give the same ids.
        self._serial += 1
        return f"{self._serial:064x}"

    # What the runtime is

    async def version(self) -> api.Version:
        """See Runtime."""
        await self.faults.strike("version")
        return api.Version("0.1.0", "simulated", "1", "v1")

    async def status(self) -> api.RuntimeStatus:
        """See Runtime."""
        await self.faults.strike("status")
        return api.RuntimeStatus(
            (api.RuntimeCondition("RuntimeReady", True), api.RuntimeCondition("NetworkReady", True))
        )

    async def features(self) -> api.Features:
        """See Runtime."""
        return api.Features(
            events=True,
            user_namespaces=True,
            recursive_read_only_mounts=True,
            image_volumes=True,
            sandbox_stats=True,
            supplemental_groups_policy=True,
            stop_signal=True,
            update_sandbox_resources=True,
            cgroup_driver="cgroupfs",
        )

    # Sandboxes

    async def run_sandbox(self, config: api.SandboxConfig, runtime_handler: str = "") -> str:
        """See Runtime."""
        await self.faults.strike("run_sandbox", config.metadata.name)
        if config.metadata in self._by_metadata:
            raise api.RuntimeFailed(f"a sandbox for {config.metadata} is there already", "already_exists")
        id_ = self._by_metadata[config.metadata] = self._id()
        try:
            if self.settings.sandbox_seconds:
                await self._clock.sleep(self.settings.sandbox_seconds)
            host = config.linux.security.namespaces.network is api.NamespaceMode.NODE
            sandbox = _Sandbox(id_, config, self._now(), "" if host else self._take_ip(), runtime_handler)
        except BaseException:
            del self._by_metadata[config.metadata]
            raise
        self._sandboxes[id_] = sandbox
        self._tell(api.EventKind.STARTED, id_, id_)
        return id_

    def _take_ip(self) -> str:
        # Fresh addresses first, then those given back longest ago: a stale reference then rarely hits another pod.
        if self._next_ip <= self._last_ip:
            number, self._next_ip = self._next_ip, self._next_ip + 1
        elif self._free_ips:
            number = self._free_ips.popleft()
        else:
            raise api.RuntimeFailed(f"no addresses are left in {self.settings.pod_cidr}", "resource_exhausted")
        return str(self._address(number))

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """See Runtime."""
        await self.faults.strike("stop_sandbox", sandbox_id)
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.state is not api.SandboxState.READY:
            return
        for container in sandbox.containers.values():
            self._end(container, _SIGKILL_CODE)
        sandbox.state = api.SandboxState.NOT_READY
        if sandbox.ip:
            self._free_ips.append(int(self._address(sandbox.ip)))
            sandbox.ip = ""
        self._tell(api.EventKind.STOPPED, sandbox_id, sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """See Runtime."""
        await self.faults.strike("remove_sandbox", sandbox_id)
        await self.stop_sandbox(sandbox_id)
        sandbox = self._sandboxes.pop(sandbox_id, None)
        if sandbox is None:
            return
        for container in list(sandbox.containers.values()):
            self._forget(container)
        self._by_metadata.pop(sandbox.config.metadata, None)
        self._tell(api.EventKind.DELETED, sandbox_id, sandbox_id)

    def _sandbox(self, sandbox_id: str) -> _Sandbox:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            raise api.NotFound(f"sandbox {sandbox_id!r} is not there")
        return sandbox

    async def sandbox_status(self, sandbox_id: str) -> api.SandboxStatus:
        """See Runtime."""
        await self.faults.strike("sandbox_status", sandbox_id)
        s = self._sandbox(sandbox_id)
        return api.SandboxStatus(
            id=s.id,
            metadata=s.config.metadata,
            state=s.state,
            created_at=s.created_at,
            ips=(s.ip,) if s.ip else (),
            namespaces=s.config.linux.security.namespaces,
            labels=s.config.labels,
            annotations=s.config.annotations,
            runtime_handler=s.handler,
        )

    async def list_sandboxes(self, labels: Mapping[str, str] | None = None) -> list[api.Sandbox]:
        """See Runtime."""
        await self.faults.strike("list_sandboxes")
        return [
            api.Sandbox(s.id, c.metadata, s.state, s.created_at, c.labels, c.annotations, s.handler)
            for s in self._sandboxes.values()
            for c in (s.config,)
            if _carries(c.labels, labels)
        ]

    async def update_sandbox_resources(
        self, sandbox_id: str, overhead: api.ContainerResources | None, resources: api.ContainerResources | None
    ) -> None:
        """See Runtime."""
        await self.faults.strike("update_sandbox_resources", sandbox_id)
        self._sandbox(sandbox_id)

    # Containers

    async def create_container(self, sandbox_id: str, config: api.ContainerConfig, sandbox: api.SandboxConfig) -> str:
        """See Runtime."""
        await self.faults.strike("create_container", config.metadata.name)
        owner = self._sandbox(sandbox_id)
        if owner.state is not api.SandboxState.READY:
            raise api.RuntimeFailed(f"sandbox {sandbox_id!r} is not ready")
        if await self.image_status(config.image.image) is None:
            raise api.NotFound(f"image {config.image.image!r} is not there")
        if any(c.config.metadata == config.metadata for c in owner.containers.values()):
            raise api.RuntimeFailed(f"a container for {config.metadata} is there already", "already_exists")
        container = _Container(self._id(), owner, config, self._now())
        self._containers[container.id] = owner.containers[container.id] = container
        self._tell(api.EventKind.CREATED, container.id, sandbox_id)
        return container.id

    async def start_container(self, container_id: str) -> None:
        """See Runtime."""
        container = self._container(container_id)
        await self.faults.strike("start_container", container.config.metadata.name)
        if container.state is not api.ContainerState.CREATED:
            raise api.RuntimeFailed(f"container {container_id!r} is in the state {container.state.name}")
        if self.settings.start_seconds:
            await self._clock.sleep(self.settings.start_seconds)
        if error := start_error(container.config, container.sandbox.config):
            container.state, container.reason, container.message = api.ContainerState.EXITED, "StartError", error
            container.exit_code, container.finished_at = 128, self._now()
            raise api.RuntimeFailed(error)
        container.state, container.started_at = api.ContainerState.RUNNING, self._now()
        self._tell(api.EventKind.STARTED, container_id, container.sandbox.id)
        plan = plan_of(container.config, container.sandbox.config)
        if plan is not None:
            container.message = plan.message
            self._timers.after(plan.seconds, lambda: self._end(container, plan.exit_code))

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """See Runtime. Simulated processes heed SIGTERM at once."""
        await self.faults.strike("stop_container", container_id)
        container = self._containers.get(container_id)
        if container is not None:
            self._end(container, _SIGTERM_CODE if timeout_seconds > 0 else _SIGKILL_CODE)

    def _end(self, container: _Container, code: int) -> None:
        if container.state is api.ContainerState.CREATED:
            container.started_at = 0
        elif container.state is not api.ContainerState.RUNNING:
            return
        container.state, container.exit_code, container.finished_at = api.ContainerState.EXITED, code, self._now()
        container.reason = "Completed" if code == 0 else "Error"
        self._tell(api.EventKind.STOPPED, container.id, container.sandbox.id, code)

    async def remove_container(self, container_id: str) -> None:
        """See Runtime."""
        await self.faults.strike("remove_container", container_id)
        container = self._containers.get(container_id)
        if container is not None:
            self._end(container, _SIGKILL_CODE)
            self._forget(container)

    def _forget(self, container: _Container) -> None:
        self._containers.pop(container.id, None)
        container.sandbox.containers.pop(container.id, None)
        self._tell(api.EventKind.DELETED, container.id, container.sandbox.id)

    def _container(self, container_id: str) -> _Container:
        container = self._containers.get(container_id)
        if container is None:
            raise api.NotFound(f"container {container_id!r} is not there")
        return container

    async def list_containers(
        self, sandbox_id: str = "", labels: Mapping[str, str] | None = None
    ) -> list[api.Container]:
        """See Runtime."""
        await self.faults.strike("list_containers")
        if sandbox_id:
            owner = self._sandboxes.get(sandbox_id)
            found = owner.containers if owner else {}
        else:
            found = self._containers
        return [
            api.Container(
                id=c.id,
                sandbox_id=c.sandbox.id,
                metadata=c.config.metadata,
                image=c.config.image,
                image_ref=_image_id(c.config.image.image),
                state=c.state,
                created_at=c.created_at,
                labels=c.config.labels,
                annotations=c.config.annotations,
                image_id=_image_id(c.config.image.image),
            )
            for c in found.values()
            if _carries(c.config.labels, labels)
        ]

    async def container_status(self, container_id: str) -> api.ContainerStatus:
        """See Runtime."""
        await self.faults.strike("container_status", container_id)
        c = self._container(container_id)
        config = c.config
        return api.ContainerStatus(
            id=c.id,
            metadata=config.metadata,
            state=c.state,
            created_at=c.created_at,
            started_at=c.started_at,
            finished_at=c.finished_at,
            exit_code=c.exit_code,
            image=config.image,
            image_ref=_image_id(config.image.image),
            reason=c.reason,
            message=c.message,
            labels=config.labels,
            annotations=config.annotations,
            mounts=config.mounts,
            log_path=f"{c.sandbox.config.log_directory}/{config.log_path}" if config.log_path else "",
            resources=c.resources or config.linux.resources,
            image_id=_image_id(config.image.image),
        )

    async def update_container_resources(self, container_id: str, resources: api.ContainerResources) -> None:
        """See Runtime."""
        await self.faults.strike("update_container_resources", container_id)
        self._container(container_id).resources = resources

    def _running(self, container_id: str) -> _Container:
        container = self._container(container_id)
        if container.state is not api.ContainerState.RUNNING:
            raise api.RuntimeFailed(f"container {container_id!r} does not run")
        return container

    async def exec_sync(self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0) -> api.ExecResult:
        """See Runtime. Knows `true`, `false`, `echo`, `sleep` and `sh -c "exit N"`; any other command succeeds and
        prints nothing."""
        await self.faults.strike("exec_sync", container_id)
        self._running(container_id)
        known = command_outcome(argv)
        if known is None:
            return api.ExecResult(" ".join(argv[1:]).encode() + b"\n" if argv[:1] == ["echo"] else b"")
        seconds, code = known.seconds, known.exit_code
        if seconds:
            await self._clock.sleep(min(seconds, timeout_seconds or seconds))
            if timeout_seconds and seconds > timeout_seconds:
                raise api.DeadlineExceeded(f"the command ran longer than {timeout_seconds:g}s")
        return api.ExecResult(exit_code=code)

    async def exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> str:
        """Refused: there is no process to talk to."""
        self._running(container_id)
        raise api.Unsupported("a simulated container has no process to run a command in; use a node with containers")

    async def attach(
        self, container_id: str, *, tty: bool = False, stdin: bool = False, stdout: bool = True, stderr: bool = True
    ) -> str:
        """Refused: there is no process to talk to."""
        self._running(container_id)
        raise api.Unsupported("a simulated container has no process to attach to; use a node with containers")

    async def port_forward(self, sandbox_id: str, ports: Sequence[int] = ()) -> str:
        """Refused: there is no network behind a simulated pod's address."""
        self._sandbox(sandbox_id)
        raise api.Unsupported("nothing listens in a simulated pod; use a node with containers")

    async def reopen_log(self, container_id: str) -> None:
        """See Runtime; there is no log."""
        self._running(container_id)

    # Statistics

    async def container_stats(self, container_id: str) -> api.ContainerStats:
        """See Runtime."""
        return self._stats(self._container(container_id))

    async def list_container_stats(self) -> list[api.ContainerStats]:
        """See Runtime."""
        return [self._stats(c) for c in self._containers.values() if c.state is api.ContainerState.RUNNING]

    async def list_sandbox_stats(self) -> list[api.SandboxStats]:
        """See Runtime."""
        found = []
        for s in self._sandboxes.values():
            if s.state is api.SandboxState.READY:
                stats = [self._stats(c) for c in s.containers.values() if c.state is api.ContainerState.RUNNING]
                now, memory = self._now(), self.settings.memory_bytes * len(stats)
                used = sum(c.cpu.usage_core_nanoseconds or 0 for c in stats if c.cpu)
                found.append(
                    api.SandboxStats(
                        id=s.id,
                        metadata=s.config.metadata,
                        labels=s.config.labels,
                        annotations=s.config.annotations,
                        cpu=api.CpuUsage(now, used, self.settings.cpu_nano_cores * len(stats)),
                        memory=api.MemoryUsage(now, memory, None, memory, memory, 0, 0),
                        processes=len(stats) + 1,
                        containers=stats,
                    )
                )
        return found

    def _stats(self, c: _Container) -> api.ContainerStats:
        now, memory = self._now(), self.settings.memory_bytes
        seconds = (now - c.started_at) / 1e9 if c.started_at else 0.0
        return api.ContainerStats(
            api.ContainerAttributes(c.id, c.config.metadata, c.config.labels, c.config.annotations),
            api.CpuUsage(now, int(seconds * self.settings.cpu_nano_cores), self.settings.cpu_nano_cores),
            api.MemoryUsage(now, memory, None, memory, memory, 0, 0),
            api.FilesystemUsage(now, "/", 0, 0),
        )

    # Images

    async def list_images(self) -> list[api.Image]:
        """See Runtime. Those that were pulled."""
        await self.faults.strike("list_images")
        return list(self._pulled.values())

    async def image_status(self, ref: str) -> api.Image | None:
        """See Runtime."""
        await self.faults.strike("image_status", ref)
        if any(fnmatch.fnmatchcase(ref, pattern) for pattern in self.faults.images_missing):
            return None
        found = self._pulled.get(_image_id(ref))
        return found or (self._image(ref) if self.settings.images_present else None)

    def _image(self, ref: str) -> api.Image:
        return api.Image(_image_id(ref), (ref.removeprefix("sim:"),), (), self.settings.image_bytes)

    async def pull_image(self, ref: str, auth: api.Auth | None = None, sandbox: api.SandboxConfig | None = None) -> str:
        """See Runtime."""
        await self.faults.strike("pull_image", ref)
        if self.settings.pull_seconds:
            await self._clock.sleep(self.settings.pull_seconds)
        if any(fnmatch.fnmatchcase(ref, pattern) for pattern in self.faults.images_missing):
            raise api.ImagePullFailed(f'failed to resolve reference "{ref}": not found', "not_found")
        image = self._pulled[_image_id(ref)] = self._image(ref)
        return image.id

    async def remove_image(self, ref: str) -> None:
        """See Runtime."""
        await self.faults.strike("remove_image", ref)
        self._pulled.pop(_image_id(ref), None)

    async def image_fs_info(self) -> list[api.ImageFilesystem]:
        """See Runtime."""
        used = sum(image.size for image in self._pulled.values())
        return [api.ImageFilesystem("/", used, len(self._pulled), self._now())]

    # Events

    def _tell(self, kind: api.EventKind, container_id: str, sandbox_id: str, code: int | None = None) -> None:
        if self._watchers:
            self._watchers.tell(api.RuntimeEvent(kind, container_id, sandbox_id, self._now(), code))

    def events(self) -> AsyncIterator[api.RuntimeEvent]:
        """See Runtime."""
        return self._watchers.events()

    async def close(self) -> None:
        """See Runtime. Containers do not outlive it: their plans stop."""
        await self._timers.close()
        self._watchers.close()


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return not wanted or all(labels.get(key) == value for key, value in wanted.items())


def _image_id(ref: str) -> str:
    return ref if ref.startswith("sim:") else f"sim:{ref}"
