"""A real API server in memory and one kubelet on a simulated runtime: what flows are tested in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.inprocess import InProcess
from kaa.kinds.views import Pod
from kaa.kubelet.cri import api
from kaa.kubelet.kubelet import Kubelet
from kaa.kubelet.mounts import kernel
from kaa.kubelet.settings import Settings
from kaa.meta.errors import StatusError
from kaa.server.server import ApiServer, ServerSettings
from kaa.simulated.runtime import SimulatedRuntime
from kaa.store.memory import MemoryStore

Json = dict[str, Any]
NODE = "node-a"


@dataclass
class Heard:
    """Events, as they were recorded."""

    events: list[tuple[str, str, str, str]] = field(default_factory=list)

    def event(self, about: Json, type_: str, reason: str, message: str) -> None:
        self.events.append((about["name"], type_, reason, message))

    def of(self, reason: str) -> list[str]:
        return [message for _, _, each, message in self.events if each == reason]

    @property
    def reasons(self) -> list[str]:
        return [reason for name, _, reason, _ in self.events if name != NODE]


@dataclass
class World:
    """What a test has to do with."""

    client: Client
    runtime: Any
    settings: Settings
    heard: Heard
    kubelet: Kubelet | None = None
    _task: "asyncio.Task[None] | None" = None
    _scope: Scope | None = None

    async def start(self) -> None:
        """Start a kubelet (another one after `kill`)."""
        self.kubelet = Kubelet(self.client, Informers(self.client), self.runtime, self.heard, self.settings)
        self._task = asyncio.create_task(self.kubelet.run())
        ready = asyncio.create_task(self.kubelet.ready.wait())
        await asyncio.wait({ready, self._task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            ready.cancel()
            self._task.result()
        assert ready.done()

    async def kill(self) -> None:
        """Stop the kubelet where it is; containers run on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def create(self, name: str, *, namespace: str = "default", **spec: Any) -> Json:
        """A pod on the node. `metadata` may be among the keywords."""
        metadata = {"name": name, "namespace": namespace, **spec.pop("metadata", {})}
        spec.setdefault("nodeName", NODE)
        spec.setdefault("terminationGracePeriodSeconds", 1)
        return await self.client.create(Pod.resource, {"metadata": metadata, "spec": spec})

    async def pod(self, name: str, namespace: str = "default") -> Json:
        return await self.client.get_json(Pod.resource, name, namespace)

    async def until(
        self, name: str, holds: Callable[[Json], Any], *, seconds: float = 10, namespace: str = "default"
    ) -> Json:
        """The pod once something holds of it."""
        obj: Json = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    obj = await self.pod(name, namespace)
                    if holds(obj):
                        return obj
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{name} never got there: {obj.get('status')}\n{self.heard.events}") from None

    async def until_gone(self, name: str, *, seconds: float = 10, namespace: str = "default") -> None:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.pod(name, namespace)
                except StatusError as error:
                    if error.code != 404:
                        raise
                    return
                await asyncio.sleep(0.01)

    async def delete(self, name: str, **options: Any) -> None:
        await self.client.delete(Pod.resource, name, namespace="default", **options)

    async def settled_runtime(self) -> None:
        """Until nothing is left at the runtime."""
        async with asyncio.timeout(20):
            while await self.runtime.list_sandboxes() or await self.runtime.list_containers():
                await asyncio.sleep(0.05)

    async def settled(self, condition: Callable[[], Any], seconds: float = 10) -> None:
        """Until something of ours holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(directory: Path, runtime: api.Runtime | None = None, **options: Any) -> AsyncIterator[World]:
    """Everything, running; gone at the end."""
    server = ApiServer(MemoryStore(), ServerSettings(authorization_mode=("AlwaysAllow",)))
    await server.start(listen=False)
    client = Client(InProcess(server.app))
    settings = Settings(
        node_name=NODE,
        node_ip="192.0.2.1",
        root_dir=directory / "kubelet",
        log_dir=directory / "logs",
        **{"manage_cgroups": False, "manage_mounts": False, "cluster_dns": ["10.96.0.10"], **options},
    )
    made = World(client, runtime or SimulatedRuntime(), settings, Heard())
    await ensure_account(client)
    try:
        await made.start()
        yield made
    finally:
        await made.kill()
        await client.close()
        await server.stop()
        kernel.unmount_below(made.settings.root_dir)


async def ensure_account(client: Client) -> None:
    """What controllers would have made."""
    from kaa.kinds.views import ConfigMap, Namespace, ServiceAccount

    for resource, obj in (
        (Namespace.resource, {"metadata": {"name": "kube-node-lease"}}),
        (ServiceAccount.resource, {"metadata": {"name": "default", "namespace": "default"}}),
        (
            ConfigMap.resource,
            {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}, "data": {"ca.crt": "-"}},
        ),
    ):
        try:
            await client.create(resource, obj)
        except StatusError as error:
            if error.code != 409:
                raise


def web(**fields: Any) -> Json:
    """A container that runs on."""
    return {"name": "web", "image": "example.com/web:1", **fields}


def ready(obj: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in obj["status"].get("conditions", ()))


def phase(wanted: str) -> Callable[[Json], bool]:
    return lambda obj: obj["status"].get("phase") == wanted


def state_of(obj: Json, name: str, kind: str = "containerStatuses") -> Json:
    found = [each for each in obj["status"].get(kind, ()) if each["name"] == name]
    return found[0] if found else {"name": name, "state": {}, "lastState": {}, "restartCount": -1}


def waiting(name: str, reason: str, kind: str = "containerStatuses") -> Callable[[Json], bool]:
    def holds(obj: Json) -> bool:
        for each in obj["status"].get(kind, ()):
            if each["name"] == name:
                return (each["state"].get("waiting") or {}).get("reason") == reason
        return False

    return holds
