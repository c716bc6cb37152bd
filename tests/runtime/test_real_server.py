"""The client and the runtime against the real server on the memory store: in process, and over a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.http.call import Caller
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.kinds.views import Lease, Namespace, Pod, ReplicaSet
from kaa.kinds.views.core import EventView
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, Election, For, Manager, Owns, Parts, Result, Session
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

Json = dict[str, Any]
SPEC: Json = {"containers": [{"name": "web", "image": "web:1"}]}


@asynccontextmanager
async def api_server() -> AsyncIterator[ApiServer]:
    store = MemoryStore()
    server = ApiServer(
        store,
        ServerSettings(
            advertise_address="192.0.2.1",
            authorization_mode=("AlwaysAllow",),
            disable_admission_plugins=("ServiceAccount",),
        ),
    )
    await server.start(listen=False)
    try:
        yield server
    finally:
        await server.stop()
        await store.close()


@pytest.fixture(params=["in-process", "socket"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with api_server() as server:
        if request.param == "in-process":
            transport = InProcess(server.app)
            yield Client(transport)
            await transport.close()
        else:
            listener = await serve(server.app, host="127.0.0.1", port=0)
            caller = Caller(f"http://127.0.0.1:{listener.port}")
            yield Client(caller, user_agent="")
            await caller.close()
            await listener.close(1)


class Replicas(Controller[ReplicaSet]):
    """Enough of a replica set controller."""

    name: ClassVar[str] = "replicas"
    workers: ClassVar[int] = 5
    watches = (For(ReplicaSet), Owns(Pod))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.pods = parts.informers.of(Pod).lister

    async def reconcile(self, rs: ReplicaSet, io: Session) -> Result | None:
        if rs.deleting:
            return None
        pods = [pod for pod in self.pods.owned_by(rs.uid) if not pod.deleting]
        for _ in range(rs.spec.replicas - len(pods)):
            owner = {
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": rs.name, "uid": rs.uid, "controller": True,
            }  # fmt: skip
            metadata = {"generateName": f"{rs.name}-", "namespace": rs.namespace, "ownerReferences": [owner]}
            await io.create(Pod.resource, {"metadata": {**rs.spec.template["metadata"], **metadata}, "spec": SPEC})
        for pod in pods[rs.spec.replicas :]:
            await io.delete(pod, grace=0)
        if len(pods) != rs.spec.replicas:
            io.event(rs, "Normal", "Scaled", f"to {rs.spec.replicas}")
        await io.update_status(rs, {"replicas": len(pods), "observedGeneration": rs.metadata.generation})
        return None


def replica_set(name: str, replicas: int) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": SPEC}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def count(client: Client) -> int:
    return len([pod for pod in (await client.list(Pod, "default")).items if not pod.deleting])


async def until_count(client: Client, wanted: int) -> None:
    async with asyncio.timeout(10):
        while await count(client) != wanted:
            await asyncio.sleep(0.01)


async def quiet(manager: Manager) -> None:
    calm = 0
    async with asyncio.timeout(10):
        while calm < 3:
            await asyncio.sleep(0.01)
            calm = calm + 1 if manager.idle else 0


async def test_a_controller_scales(client: Client) -> None:
    async with Manager(client, (Replicas,)) as manager:
        await client.create(ReplicaSet.resource, replica_set("web", 50))
        await until_count(client, 50)
        await quiet(manager)
        assert await count(client) == 50  # and not one more
        web = await client.get(ReplicaSet, "web", "default")
        assert (web.status.replicas, web.status.observed_generation) == (50, 1)
        await client.patch(ReplicaSet.resource, "web", {"spec": {"replicas": 3}}, namespace="default")
        await until_count(client, 3)
        await quiet(manager)
        events = [event for event in (await client.list(EventView, "default")).items if event.reason == "Scaled"]
        assert sorted(event.message for event in events) == ["to 3", "to 50"]
        assert manager.metrics()[0].errors == 0
        assert manager.gate.looks == 0


async def test_a_stale_status_conflicts(client: Client) -> None:
    await client.create(ReplicaSet.resource, replica_set("web", 1))
    old = await client.get(ReplicaSet, "web", "default")
    await client.patch(ReplicaSet.resource, "web", {"metadata": {"labels": {"a": "b"}}}, namespace="default")
    async with Manager(client, (Replicas,)) as manager:
        await quiet(manager)
        io = Session(client, manager.clock, manager.controllers[0].log, manager.controllers[0].recorder)
        with pytest.raises(StatusError) as stale:
            await io.update_status(old, {"replicas": 9})
        assert stale.value.reason == "Conflict" and io.writes == []


async def test_informers_and_pages(client: Client) -> None:
    for number in range(7):
        await client.create(Namespace.resource, {"metadata": {"name": f"n{number}"}})
    listing = await client.list(Namespace, limit=3)
    assert {f"n{n}" for n in range(7)} <= {each.name for each in listing.items}
    from kaa.base.tasks import Scope

    async with Scope("test") as scope:
        informers = Informers(client)
        namespaces = informers.of(Namespace)
        labelled = informers.of(Namespace, labels="team=a")
        await informers.start(scope)
        await asyncio.wait_for(informers.wait_synced(), 5)
        assert len(namespaces.lister) == len(listing.items) and len(labelled.lister) == 0
        made = await client.patch(Namespace.resource, "n1", {"metadata": {"labels": {"team": "a"}}})
        assert await namespaces.wait_revision(int(made["metadata"]["resourceVersion"]), 5)
        assert await labelled.wait_revision(int(made["metadata"]["resourceVersion"]), 5)
        assert [each.name for each in labelled.lister.all()] == ["n1"]
        made = await client.patch(Namespace.resource, "n1", {"metadata": {"labels": {"team": None}}})
        assert await labelled.wait_revision(int(made["metadata"]["resourceVersion"]), 5)
        assert len(labelled.lister) == 0


async def test_election(client: Client) -> None:
    election = Election("test", "a", lease_seconds=3, renew_seconds=2, retry_seconds=0.1)
    async with Manager(client, (Replicas,), election=election) as manager:
        await asyncio.wait_for(manager.wait_working(), 5)
        await asyncio.sleep(0.3)
        lease = await client.get(Lease, "test", "kube-system")
        assert lease.spec.holder_identity == "a" and lease.spec.lease_duration_seconds == 3
    assert (await client.get(Lease, "test", "kube-system")).spec.holder_identity == ""
