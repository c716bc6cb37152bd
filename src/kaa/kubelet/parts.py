"""What the workers of a node share."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from kaa.base.clock import Clock
from kaa.client.client import Client
from kaa.kinds.views import Pod, Service
from kaa.kubelet import names
from kaa.kubelet.cgroups import NoCgroups
from kaa.kubelet.cri import api
from kaa.kubelet.dns import Resolver
from kaa.kubelet.downward import PodFacts
from kaa.kubelet.images import Images
from kaa.kubelet.mounts.objects import ObjectCache
from kaa.kubelet.probes import Probes
from kaa.kubelet.settings import Settings
from kaa.kubelet.status import Host
from kaa.runtime.timers import Timers

__all__ = ["Events", "Parts"]

Json = dict[str, Any]


class Events(Protocol):
    """Where events go; `kaa.runtime.events.Recorder` is one."""

    def event(self, about: Json, type_: str, reason: str, message: str) -> None:
        """Record one event about an object reference. Never blocks, never raises."""


@dataclass(slots=True)
class Parts:
    """Shared by all workers; made once by `Kubelet`."""

    settings: Settings
    client: Client
    runtime: api.Runtime
    features: api.Features
    clock: Clock
    timers: Timers
    events: Events
    images: Images
    probes: Probes
    cgroups: NoCgroups
    objects: ObjectCache
    services: Callable[[], Iterable[Service]]
    """Every service of the cluster, from a cache."""
    allocatable: dict[str, str] = field(default_factory=dict)
    """The node's, for the downward API."""
    memory_capacity: int = 1
    resolver: Resolver = field(default_factory=Resolver)
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(10))
    """Held while a sandbox is made."""
    container_starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(5))
    """Held while a container is made: apart from sandboxes, so that the first pods of many are ready soon."""
    writes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    """Held while a status is written."""
    owners: dict[str, str] = field(default_factory=dict)
    """Sandbox or container id -> pod uid, of everything the workers have seen."""

    @property
    def host(self) -> Host:
        """What a pod's status says of this node."""
        return Host(self.settings.node_ip)

    def facts(self, pod_ips: tuple[str, ...] = ()) -> PodFacts:
        """What the downward API says of this node."""
        return PodFacts(pod_ips, self.settings.node_ip, self.settings.node_name, self.allocatable)

    def event(self, pod: Pod, type_: str, reason: str, message: str, container: str = "") -> None:
        """An event about a pod, or a container of it."""
        about = names.container_ref(pod, container) if container else names.pod_ref(pod)
        self.events.event(about, type_, reason, message)
