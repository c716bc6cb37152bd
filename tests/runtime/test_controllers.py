"""Controllers at work against a server that lags, conflicts, loses answers and goes away."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from tests.client.small_server import SmallServer

from kaa.base import log
from kaa.client.client import Client
from kaa.http.api import Request
from kaa.http.inprocess import InProcess
from kaa.kinds.views import ConfigMap, Pod, ReplicaSet
from kaa.runtime import Controller, Election, For, Manager, Maps, Owns, Parts, Result, Session
from kaa.runtime import gate as gate_module

Json = dict[str, Any]


def sets_named_by(obj: ConfigMap, _controller: Controller[Any]) -> Iterable[str]:
    return [f"{obj.namespace}/{name}" for name in obj.data]


class Replicas(Controller[ReplicaSet]):
    """The smallest replica set controller: no adoption, no templates."""

    name, workers = "replicas", 3
    watches = (For(ReplicaSet), Owns(Pod), Maps(ConfigMap, sets_named_by))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.pods = parts.informers.of(Pod).lister
        self.seen: list[str] = []
        self.gone: list[str] = []

    async def reconcile(self, rs: ReplicaSet, io: Session) -> Result | None:
        self.seen.append(rs.key)
        pods = [pod for pod in self.pods.owned_by(rs.uid) if not pod.deleting]
        for _ in range(rs.spec.replicas - len(pods)):
            owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": rs.name, "uid": rs.uid, "controller": True}
            metadata = {"generateName": f"{rs.name}-", "namespace": rs.namespace, "ownerReferences": [owner]}
            await io.create(Pod.resource, {"metadata": metadata})
        for pod in pods[rs.spec.replicas :]:
            await io.delete(pod)
        if len(pods) != rs.spec.replicas:
            io.event(rs, "Normal", "Scaled", f"to {rs.spec.replicas}")
        await io.update_status(rs, {"replicas": len(pods)})
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        self.gone.append(key)
        return None


@asynccontextmanager
async def running(
    server: SmallServer, *controllers: Callable[[Parts], Controller[Any]], **options: Any
) -> AsyncIterator[Manager]:
    async with Manager(Client(InProcess(server)), controllers or (Replicas,), **options) as manager:
        yield manager


async def quiet(manager: Manager, seconds: float = 5.0) -> None:
    """Until nothing is left to do, for three looks in a row."""
    calm = 0
    async with asyncio.timeout(seconds):
        while calm < 3:
            await asyncio.sleep(0.01)
            calm = calm + 1 if manager.idle else 0


def pods_of(server: SmallServer) -> list[str]:
    return server.names(Pod.resource)


async def test_scales_reports_and_is_quiet() -> None:
    server = SmallServer()
    server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 5})
    async with running(server) as manager:
        await quiet(manager)
        assert len(pods_of(server)) == 5
        assert server.objects["/apis/apps/v1/replicasets"]["n/web"]["status"] == {"replicas": 5}
        server.remove(Pod.resource, pods_of(server)[0].partition("/")[2], "n")
        await quiet(manager)
        assert len(pods_of(server)) == 5
        server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 2})
        await quiet(manager)
        assert len(pods_of(server)) == 2
        server.requests.clear()
        replicas = manager.controllers[0]
        assert isinstance(replicas, Replicas)
        replicas.enqueue("n/web")
        await quiet(manager)
        assert server.requests == []  # nothing differs, so nothing is sent
        server.remove(ReplicaSet.resource, "web", "n")
        await quiet(manager)
        assert replicas.gone == ["n/web"]
        assert len(server.objects["/api/v1/events"]) == 2  # "to 5" counted, "to 2"


async def test_a_lagging_cache_makes_no_pod_twice() -> None:
    server = SmallServer()
    async with running(server) as manager:
        server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 3})
        await quiet(manager)
        replicas = manager.controllers[0]
        server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 6})
        async with asyncio.timeout(5):
            while not replicas.queue.working:
                await asyncio.sleep(0)
        server.lagging = True  # its writes will not be shown
        for _ in range(20):
            replicas.enqueue("n/web")
            await asyncio.sleep(0.005)
        assert len(manager.gate) <= 1
        server.catch_up()
        await quiet(manager)
        assert len(pods_of(server)) == 6


async def test_deletions_are_waited_for_by_uid() -> None:
    server = SmallServer()
    async with running(server) as manager:
        server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 4})
        await quiet(manager)
        server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 1})
        replicas = manager.controllers[0]
        async with asyncio.timeout(5):
            while not replicas.queue.working:
                await asyncio.sleep(0)
        server.lagging = True
        for _ in range(20):
            replicas.enqueue("n/web")
            await asyncio.sleep(0.005)
        server.catch_up()
        await quiet(manager)
        assert len(pods_of(server)) == 1
        assert sum(line.startswith("DELETE") for line in server.requests) == 3


async def test_a_create_whose_answer_was_lost_is_not_repeated() -> None:
    server = SmallServer()
    lost: list[Request] = []

    def lose(request: Request) -> bool:
        if request.method == "POST" and request.path.endswith("/pods") and not lost:
            lost.append(request)
            server.lagging = True
            return True
        return False

    server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 1})
    server.lose_answer = lose
    async with running(server) as manager:
        async with asyncio.timeout(5):
            while manager.gate.looks == 0:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # long past the back-off of the failed reconcile
        assert len(pods_of(server)) == 1
        server.catch_up()
        await quiet(manager)
        assert len(lost) == 1 and len(pods_of(server)) == 1


async def test_after_its_time_the_gate_asks_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "LOOK_AFTER_SECONDS", 0.05)
    server = SmallServer()
    server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 1})
    async with running(server) as manager:
        await quiet(manager)
        server.lagging = True
        replicas = manager.controllers[0]
        assert isinstance(replicas, Replicas)
        # A write that never becomes a change: the server says a revision nobody is told of.
        gate, released = manager.gate, []
        pod = pods_of(server)[0].partition("/")[2]
        held = server.objects["/api/v1/pods"][f"n/{pod}"]["metadata"]["resourceVersion"]
        gate.hold(
            "test", [gate_module.Write(Pod.resource, "n", pod, revision=int(held) + 50)], lambda: released.append(1)
        )
        assert not released and len(gate) == 1
        async with asyncio.timeout(2):
            while not released:
                await asyncio.sleep(0.01)
        assert gate.looks == 1 and len(gate) == 0


async def test_conflicts_are_quiet_and_errors_said_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log._Sink, "stream", sys.stderr)
    server = SmallServer()
    attempts: dict[str, int] = {}

    class Failing(Controller[ReplicaSet]):
        name: ClassVar[str] = "failing"
        watches = (For(ReplicaSet),)

        async def reconcile(self, obj: ReplicaSet, io: Session) -> Result | None:
            attempts[obj.name] = attempts.get(obj.name, 0) + 1
            if attempts[obj.name] < 5:
                if obj.name == "conflicted":
                    stale = {"metadata": {"resourceVersion": "1"}, "status": {}}
                    await io.patch(obj.resource, obj.name, stale, namespace=obj.namespace)
                raise RuntimeError(f"cannot do {obj.name}")
            return Result(requeue_after=3600)

    server.put(ReplicaSet.resource, "conflicted", "n")
    server.put(ReplicaSet.resource, "broken", "n")
    async with running(server, Failing) as manager:
        async with asyncio.timeout(5):
            while attempts.get("conflicted", 0) < 5 or attempts.get("broken", 0) < 5:
                await asyncio.sleep(0.01)
        (metrics,) = manager.metrics()
        assert metrics.results == {"conflict": 4, "error": 4, "requeue_after": 2}
        text = manager.metrics_text()
        assert 'controller_runtime_reconcile_total{controller="failing",result="conflict"} 4' in text
        assert 'workqueue_retries_total{name="failing"} 8' in text
    said = capsys.readouterr().err
    assert said.count("failing: reconcile failed") == 1 and "cannot do broken" in said and "conflicted" not in said


async def test_watches_name_the_right_keys() -> None:
    server = SmallServer()
    seen: list[str] = []

    class Noting(Replicas):
        name: ClassVar[str] = "noting"
        watches = (
            For(ReplicaSet, when=lambda old, new: old is None or new is None),
            Owns(Pod),
            Maps(ConfigMap, sets_named_by),
        )

        async def reconcile(self, rs: ReplicaSet, io: Session) -> Result | None:
            seen.append(rs.name)
            return None

    uids = {}
    for name in ("a", "b"):
        uids[name] = server.put(ReplicaSet.resource, name, "n")["metadata"]["uid"]

    def owned(name: str, kind: str = "ReplicaSet", api_version: str = "apps/v1") -> Json:
        owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uids[name], "controller": True}
        return {"ownerReferences": [owner]}

    async with running(server, Noting) as manager:
        await quiet(manager)
        assert sorted(seen) == ["a", "b"]

        async def after(act: Callable[[], object]) -> list[str]:
            seen.clear()
            act()
            await asyncio.sleep(0.02)
            await quiet(manager)
            return sorted(seen)

        put = server.put
        assert await after(lambda: put(ReplicaSet.resource, "a", "n", spec={"replicas": 2})) == []  # `when` says no
        assert await after(lambda: put(Pod.resource, "p", "n", metadata=owned("a"))) == ["a"]
        assert await after(lambda: put(Pod.resource, "p", "n", metadata=owned("b"))) == ["a", "b"]  # old and new owner
        assert await after(lambda: put(Pod.resource, "q", "n", metadata=owned("a", "StatefulSet"))) == []
        assert await after(lambda: put(Pod.resource, "r", "n", metadata=owned("a", api_version="other.io/v1"))) == []
        assert await after(lambda: server.remove(Pod.resource, "p", "n")) == ["b"]
        assert await after(lambda: put(ConfigMap.resource, "c", "n", data={"a": ""})) == ["a"]
        assert await after(lambda: put(ConfigMap.resource, "c", "n", data={"b": ""})) == ["a", "b"]


async def test_only_the_leader_acts_and_the_next_takes_over() -> None:
    server = SmallServer()
    server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 2})

    def election(identity: str) -> Election:
        return Election("test", identity, lease_seconds=0.5, renew_seconds=0.3, retry_seconds=0.05)

    async with running(server, election=election("a")) as first:
        await asyncio.wait_for(first.wait_working(), 5)
        async with running(server, election=election("b")) as second:
            await quiet(first)
            await asyncio.sleep(0.2)
            assert isinstance(second.controllers[0], Replicas) and second.controllers[0].seen == []
            assert second.health()[1].detail == "held by a"
            await first.stop()
            server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 4})
            await asyncio.wait_for(second.wait_working(), 5)
            await quiet(second)
            assert len(pods_of(server)) == 4


async def test_a_stopped_manager_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    server = SmallServer()
    server.put(ReplicaSet.resource, "web", "n", spec={"replicas": 2})
    client = Client(InProcess(server))
    manager = Manager(client, (Replicas,))
    await manager.start()
    await quiet(manager)
    await manager.stop()
    await manager.stop()
    await client.close()
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


async def test_a_controller_states_one_for() -> None:
    class Two(Replicas):
        name: ClassVar[str] = "two"
        watches = (For(ReplicaSet), For(Pod))

    with pytest.raises(TypeError, match="one For"):
        Manager(Client(InProcess(SmallServer())), (Two,))
    with pytest.raises(ValueError, match="share a name"):
        Manager(Client(InProcess(SmallServer())), (Replicas, Replicas))
