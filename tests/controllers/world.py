"""The default controllers against the real server on the memory store, with a stand-in for scheduler and kubelets."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from kaa.base.clock import REAL, format_seconds
from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.controllers.defaults import default_makers
from kaa.controllers.settings import ControllersSettings
from kaa.http.inprocess import InProcess
from kaa.kinds.views import Node, Pod, ServiceAccount
from kaa.kinds.views.core import EventView
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Manager
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

Json = dict[str, Any]


class Counting(Client):
    """A client that counts its writes by method and resource."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.writes: dict[str, int] = {}

    async def _write(self, method: str, path: str, *rest: Any) -> Json:
        parts = path.split("/")
        what = parts[parts.index("namespaces") + 2] if "namespaces" in parts[:-2] else parts[-1]
        if parts[-1] == "status":
            what += "/status"
        key = f"{method} {what}"
        self.writes[key] = self.writes.get(key, 0) + 1
        return await super()._write(method, path, *rest)


class Nodes:
    """Binds pending pods in turn, makes bound ones ready, and ends those that are being deleted."""

    def __init__(self, client: Client, names: tuple[str, ...]) -> None:
        self.client = client
        self.names = names
        self.paused = False  # pods are bound and not made ready
        self._turn = itertools.cycle(names)
        self._addresses = itertools.count(1)
        self._queue: asyncio.Queue[Pod] = asyncio.Queue()

    async def start(self, scope: Scope) -> None:
        for number, name in enumerate(self.names, 1):
            status = {
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": format_seconds(REAL.now())}],
                "addresses": [{"type": "InternalIP", "address": f"192.0.2.{number}"}],
            }
            await self.client.create(Node.resource, {"metadata": {"name": name}})
            await self.client.patch(Node.resource, name, {"status": status}, subresource="status")
        informers = Informers(self.client)
        self.pods = informers.of(Pod)
        self.pods.on_change(lambda _old, new: self._queue.put_nowait(new) if new is not None else None)
        await informers.start(scope)
        await informers.wait_synced()
        for _ in range(4):
            scope.spawn(self._work(), name="kubelet", eternal=True)

    def resume(self) -> None:
        self.paused = False
        for pod in self.pods.lister.all():
            self._queue.put_nowait(pod)

    async def _work(self) -> None:
        while True:
            pod = await self._queue.get()
            try:
                await self._step(pod)
            except StatusError as error:
                if error.code not in (404, 409):
                    raise

    async def _step(self, pod: Pod) -> None:
        if pod.deleting:
            if not pod.metadata.finalizers:
                await self.client.delete(Pod.resource, pod.name, namespace=pod.namespace, grace_seconds=0, uid=pod.uid)
            return
        if not pod.spec.node_name:
            target = {"apiVersion": "v1", "kind": "Node", "name": next(self._turn)}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": target}
            await self.client.create(
                Pod.resource, binding, namespace=pod.namespace, name=pod.name, subresource="binding"
            )
        elif not pod.ready and not self.paused and not pod.finished and pod.spec.node_name in self.names:
            number = next(self._addresses)
            ip = f"10.244.{number // 250}.{number % 250 + 1}"
            now = format_seconds(REAL.now())
            status = {
                "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
            }  # fmt: skip
            patch = {"metadata": {"uid": pod.uid}, "status": status}
            await self.client.patch(Pod.resource, pod.name, patch, namespace=pod.namespace, kind="strategic",
                                    subresource="status")  # fmt: skip


class World:
    """What a test has at hand."""

    def __init__(self, client: Counting, manager: Manager, nodes: Nodes, seen: Client) -> None:
        self.client = seen
        self.counted = client
        self.manager = manager
        self.nodes = nodes

    async def until(self, what: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Wait until an (awaitable) condition holds; returns what it gave."""
        last: Any = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    last = what()
                    if asyncio.iscoroutine(last):
                        last = await last
                    if last:
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"did not come about in {seconds:g} s; last seen: {last!r}") from None

    async def get(self, resource: Resource, name: str, namespace: str = "default") -> Json | None:
        try:
            return await self.client.get_json(resource, name, namespace if resource.namespaced else "")
        except StatusError as error:
            if error.code != 404:
                raise
            return None

    async def items(self, resource: Resource, namespace: str = "default", labels: str = "") -> list[Json]:
        return (await self.client.list_json(resource, namespace, labels=labels))["items"]

    async def events(self, reason: str, namespace: str = "default") -> list[str]:
        await self.until(lambda: self.manager.events.idle)
        return [each["message"] for each in await self.items(EventView.resource, namespace) if each["reason"] == reason]


@asynccontextmanager
async def world(
    *, settings: ControllersSettings | None = None, nodes: tuple[str, ...] = ("node-a", "node-b")
) -> AsyncIterator[World]:
    store = MemoryStore()
    server = ApiServer(
        store,
        ServerSettings(
            advertise_address="192.0.2.1",
            authorization_mode=("AlwaysAllow",),
        ),
    )
    await server.start(listen=False)
    transport = InProcess(server.app)
    client, seen = Counting(transport), Client(transport)
    settings = settings or ControllersSettings(root_ca_pem="PEM", batch_seconds=0.02)
    manager = Manager(client, default_makers(settings), settings=settings)
    try:
        async with Scope("world") as scope:
            stand_in = Nodes(seen, nodes)
            await stand_in.start(scope)
            async with manager:
                made = World(client, manager, stand_in, seen)
                await made.until(lambda: made.get(ServiceAccount.resource, "default"))
                yield made
    finally:
        await transport.close()
        await server.stop()
        await store.close()
