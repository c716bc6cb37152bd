"""One node's kubelet, put together."""

import asyncio

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.base.retry import Backoff
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.kinds.views import Pod, Service
from kaa.kubelet import hardware
from kaa.kubelet.amounts import whole
from kaa.kubelet.cgroups import Cgroups, NoCgroups
from kaa.kubelet.cri import api
from kaa.kubelet.dns import parse_resolv_conf
from kaa.kubelet.images import Images
from kaa.kubelet.logrotate import rotate_logs
from kaa.kubelet.mounts import kernel
from kaa.kubelet.mounts.objects import ObjectCache
from kaa.kubelet.node import NodeAgent
from kaa.kubelet.parts import Events, Parts
from kaa.kubelet.pods import Pods
from kaa.kubelet.probes import Probes
from kaa.kubelet.settings import Settings
from kaa.runtime.timers import Timers

__all__ = ["Kubelet"]

_log = Logger("kubelet")


class Kubelet:
    """Runs the pods of one node until its `run` is cancelled; then the containers run on, for the next kubelet."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        runtime: api.Runtime,
        events: Events,
        settings: Settings,
        *,
        clock: Clock = REAL,
    ) -> None:
        """`informers` belong to the node's process and are started here; `events` records events with
        `source.component` kubelet and the node's name as host."""
        self.client, self.informers, self.runtime, self.events = client, informers, runtime, events
        self.settings, self.clock = settings, clock
        self.parts: Parts | None = None
        """Set once `run` has asked the runtime what it is."""
        self.pods: Pods | None = None
        self.node: NodeAgent | None = None
        self.ready = asyncio.Event()
        """The node is registered and its pods are being run."""

    async def run(self) -> None:
        """Until cancelled. Raises what an eternal task of it raises."""
        settings = self.settings
        settings.pods_dir.mkdir(parents=True, exist_ok=True)
        if settings.manage_mounts:
            settings.memory_dir.mkdir(mode=0o700, exist_ok=True)
            kernel.mount_tmpfs(settings.memory_dir, mode=0o700)
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        machine = hardware.measure(settings.root_dir)
        version, features = await self._runtime_facts()
        cgroups: NoCgroups = NoCgroups()
        if settings.manage_cgroups:
            real = Cgroups(settings.cgroup_root)
            real.setup()
            cgroups = real
        timers = Timers(self.clock, "kubelet")
        self.node = node = NodeAgent(
            settings, self.client, self.runtime, version, machine, self.clock, self.events.event
        )
        async with Scope("kubelet") as scope:
            services = self.informers.of(Service)
            pods_informer = self.informers.of(Pod, fields=f"spec.nodeName={settings.node_name}")
            await self.informers.start(scope)
            self.parts = parts = Parts(
                settings=settings,
                client=self.client,
                runtime=self.runtime,
                features=features,
                clock=self.clock,
                timers=timers,
                events=self.events,
                images=Images(
                    self.runtime,
                    self.events.event,
                    self.clock,
                    pulls_max=settings.pulls_max,
                    prefer_local=settings.prefer_local_images,
                ),
                probes=Probes(self.runtime, self.events.event, self.clock, timers, self._probed),
                cgroups=cgroups,
                objects=ObjectCache(self.client, self.clock, scope),
                services=lambda: services.lister.all(),
                allocatable=node.allocatable,
                memory_capacity=whole(node.capacity["memory"]),
                resolver=parse_resolv_conf(_text(settings)),
                starts=asyncio.Semaphore(settings.starts_max),
                container_starts=asyncio.Semaphore(settings.starts_max),
                writes=asyncio.Semaphore(settings.status_writes_max),
            )
            self.pods = pods = Pods(parts, pods_informer)
            try:
                await node.register()
                scope.spawn(node.keep_lease(), name="lease", eternal=True)
                scope.spawn(node.keep_status(), name="node-status", eternal=True)
                await pods_informer.wait_synced()
                await services.wait_synced()
                await pods.start(scope)
                scope.spawn(
                    rotate_logs(
                        self.runtime,
                        pods.running_logs,
                        self.clock,
                        bytes_max=settings.log_bytes_max,
                        files_max=settings.log_files_max,
                    ),
                    name="log-rotation",
                    eternal=True,
                )
                self.ready.set()
                await scope.wait()
            finally:
                pods.close()
                parts.probes.close()
                timers.close()

    def _probed(self, uid: str) -> None:
        if self.pods is not None:
            self.pods.wake(uid)

    async def _runtime_facts(self) -> tuple[api.Version, api.Features]:
        backoff = Backoff(first_seconds=0.05, seconds_max=2.0)
        while True:
            try:
                return await self.runtime.version(), await self.runtime.features()
            except api.RuntimeFailed as error:
                _log.warning("container runtime does not answer; trying again", error=error.message)
                await self.clock.sleep(backoff.next_seconds())


def _text(settings: Settings) -> str:
    try:
        return settings.resolv_conf.read_text()
    except OSError:
        return ""
