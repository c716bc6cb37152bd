"""Transcripts against the real server on the memory store: pods in, bindings, conditions and events out."""

import asyncio
import contextlib

import pytest
from tests.scheduler.builders import node, pod

from kaa.base.clock import REAL
from kaa.client import Client
from kaa.http.api import Disconnected, Reply
from kaa.http.inprocess import InProcess
from kaa.kinds.views import EventView, Namespace, Node, Pod, ReplicaSet
from kaa.kinds.views.core import PriorityClass
from kaa.runtime import Election
from kaa.scheduler import Scheduler, SchedulerSettings
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore


class Flow:
    def __init__(self, client: Client, scheduler: Scheduler) -> None:
        self.client = client
        self.scheduler = scheduler

    async def node(self, builder):
        obj = builder.json()
        for key in ("uid", "resourceVersion", "generation"):
            obj["metadata"].pop(key, None)
        status = obj.pop("status")
        await self.client.create(Node.resource, obj)
        return await self.client.patch(Node.resource, obj["metadata"]["name"], {"status": status}, subresource="status")

    async def pod(self, builder):
        obj = builder.json()
        for key in ("uid", "resourceVersion", "generation"):
            obj["metadata"].pop(key, None)
        obj.pop("status")
        return await self.client.create(Pod.resource, obj)

    async def until(self, check, seconds=5.0):
        async with asyncio.timeout(seconds):
            while True:
                found = await check()
                if found:
                    return found
                await asyncio.sleep(0.01)

    async def placed(self, name, namespace="default"):
        async def check():
            with contextlib.suppress(Exception):
                return (await self.client.get(Pod, name, namespace)).spec.node_name

        return await self.until(check)

    async def told(self, name, reason):
        async def check():
            for each in (await self.client.get(Pod, name, "default")).status.conditions:
                if each.type == "PodScheduled" and each.status == "False" and each.reason == reason:
                    return each
            return None

        return await self.until(check)

    async def event(self, name, reason):
        async def check():
            for each in (await self.client.list(EventView, "default")).items:
                if each.reason == reason and each.involved_object["name"] == name:
                    return each
            return None

        return await self.until(check)


class Unreliable:
    """A transport whose answers to bindings go wrong, as told."""

    def __init__(self, inner):
        self.inner = inner
        self.plan = []  # "lost": done, but the answer is lost; "refused": a 500, not done

    async def call(self, method, path, **more):
        if path.endswith("/binding") and self.plan:
            trouble = self.plan.pop(0)
            if trouble == "refused":
                return Reply(500, {}, b"")
            await self.inner.call(method, path, **more)
            raise Disconnected("the answer was lost")
        return await self.inner.call(method, path, **more)

    async def stream(self, *args, **more):
        return await self.inner.stream(*args, **more)

    async def close(self):
        await self.inner.close()


@pytest.fixture
async def flow():
    store = MemoryStore()
    # Nothing here finds nodes ready, which would take their first taint off.
    off = ("ServiceAccount", "TaintNodesByCondition")
    server = ApiServer(store, ServerSettings(authorization_mode=("AlwaysAllow",), disable_admission_plugins=off))
    await server.start(listen=False)
    transport = Unreliable(InProcess(server.app))
    client = Client(transport, clock=REAL)
    scheduler = Scheduler(client, settings=SchedulerSettings(backoff_seconds=0.05, backoff_seconds_max=0.1))
    try:
        await scheduler.start()
        made = Flow(client, scheduler)
        made.transport = transport
        yield made
    finally:
        await scheduler.stop()
        await client.close()
        await server.stop()


async def test_a_pod_is_assigned(flow):
    await flow.node(node("node-a"))
    await flow.pod(pod("web"))
    assert await flow.placed("web") == "node-a"
    event = await flow.event("web", "Scheduled")
    assert (event.type, event.message) == ("Normal", "Successfully assigned default/web to node-a")
    await flow.until(lambda: _true(flow.scheduler.idle))
    assert flow.scheduler.snapshot.pods_on["node-a"].keys() == flow.scheduler.snapshot.pods.keys()


async def _true(value):
    return value


async def test_a_pod_waits_for_a_node(flow):
    await flow.pod(pod("web"))
    condition = await flow.told("web", "Unschedulable")
    assert condition.message == "no nodes available to schedule pods"
    assert condition.last_transition_time
    assert (await flow.event("web", "FailedScheduling")).type == "Warning"
    await flow.node(node("node-a"))
    assert await flow.placed("web") == "node-a"


async def test_a_pod_waits_for_room(flow):
    await flow.node(node("node-a"))
    await flow.pod(pod("first").requests(cpu="4"))
    assert await flow.placed("first")
    await flow.pod(pod("second").requests(cpu="1"))
    condition = await flow.told("second", "Unschedulable")
    assert condition.message == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
        "0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    await flow.client.delete(Pod.resource, "first", namespace="default", grace_seconds=0)
    assert await flow.placed("second") == "node-a"


async def test_gates_and_other_schedulers_are_left_alone(flow):
    await flow.node(node("node-a"))
    await flow.pod(pod("gated").gates("example.com/wait"))
    other = pod("other")
    other.spec["schedulerName"] = "mine"
    await flow.pod(other)
    await flow.pod(pod("web"))
    await flow.placed("web")
    assert not (await flow.client.get(Pod, "gated", "default")).spec.node_name
    assert not (await flow.client.get(Pod, "other", "default")).spec.node_name
    assert len(flow.scheduler.others) == 1
    await flow.client.patch(Pod.resource, "gated", {"spec": {"schedulingGates": None}}, namespace="default")
    assert await flow.placed("gated") == "node-a"


async def test_a_greater_pod_takes_the_place(flow):
    await flow.client.create(PriorityClass.resource, {"metadata": {"name": "high"}, "value": 1000})
    await flow.node(node("node-a"))
    await flow.pod(pod("lesser").requests(cpu="4"))
    await flow.placed("lesser")
    greater = pod("greater").requests(cpu="3").priority(1000)
    greater.spec["priorityClassName"] = "high"
    await flow.pod(greater)

    async def nominated():
        return (await flow.client.get(Pod, "greater", "default")).status.nominated_node_name

    assert await flow.until(nominated) == "node-a"
    event = await flow.event("lesser", "Preempted")
    assert event.message.startswith("Preempted by pod ")
    with contextlib.suppress(Exception):  # there is no kubelet: nobody else ends what was asked to go
        await flow.client.delete(Pod.resource, "lesser", namespace="default", grace_seconds=0)
    assert await flow.placed("greater") == "node-a"


async def test_many_pods_are_spread(flow):
    for name in "abcd":
        await flow.node(node(f"node-{name}"))
    for number in range(40):
        await flow.pod(pod(f"p{number}").requests(cpu="100m"))
    places = [await flow.placed(f"p{number}") for number in range(40)]
    assert {places.count(f"node-{name}") for name in "abcd"} == {10}


async def test_a_scheduler_begins_with_what_is_there(flow):
    await flow.scheduler.stop()
    await flow.node(node("node-a"))
    await flow.pod(pod("web"))
    await flow.client.create(Namespace.resource, {"metadata": {"name": "team"}})
    second = Scheduler(flow.client)
    async with second:
        assert await flow.placed("web") == "node-a"
    assert not second.snapshot.assumed or second.attempts["scheduled"] == 1


async def test_a_refused_binding_is_tried_again(flow):
    flow.transport.plan = ["refused"]
    await flow.node(node("node-a"))
    await flow.pod(pod("web").requests(cpu="3"))
    assert await flow.placed("web") == "node-a"
    assert "binding rejected" in (await flow.event("web", "FailedScheduling")).message
    await flow.until(lambda: _true(flow.scheduler.idle))
    table = flow.scheduler.snapshot
    assert table.resources["cpu"].used.view.tolist() == [3000], "counted once, whatever happened in between"
    assert flow.scheduler.attempts == {"scheduled": 1, "unschedulable": 0, "error": 1}


async def test_a_binding_whose_answer_is_lost_is_not_made_twice(flow):
    flow.transport.plan = ["lost"]
    await flow.node(node("node-a"))
    await flow.node(node("node-b"))
    await flow.pod(pod("web").requests(cpu="3"))
    assert await flow.placed("web")
    await flow.until(lambda: _true(flow.scheduler.idle))
    assert sorted(flow.scheduler.snapshot.resources["cpu"].used.view.tolist()) == [0, 3000]
    assert flow.scheduler.attempts["error"] == 0


async def test_pods_of_a_set_are_spread_over_zones_by_default(flow):
    for number in range(5):
        await flow.node(node(f"node-{number}").zone("x" if number < 4 else "y"))
    made = await flow.client.create(
        ReplicaSet.resource,
        {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "main", "image": "main:1"}]},
                },
            },
        },
    )
    await flow.until(lambda: _true(flow.scheduler.snapshot.owners_version))
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for number in range(10):
        each = pod(f"p{number}").labels(app="web")
        each.metadata["ownerReferences"] = [owner]
        await flow.pod(each)
    places = [await flow.placed(f"p{number}") for number in range(10)]
    assert places.count("node-4") >= 3, "an even load alone would give the only node of its zone two"


async def test_of_two_schedulers_one_acts_and_the_other_takes_over(flow):
    await flow.scheduler.stop()

    def candidate(identity):
        election = Election("kube-scheduler", identity, lease_seconds=1.0, renew_seconds=0.6, retry_seconds=0.1)
        return Scheduler(flow.client, election=election)

    first, second = candidate("one"), candidate("two")
    await flow.node(node("node-a"))
    await first.start()
    await flow.until(lambda: _true(first.elector.leading))
    await second.start()
    try:
        await flow.pod(pod("web"))
        await flow.placed("web")
        assert (first.attempts["scheduled"], second.attempts["scheduled"]) == (1, 0)
        await first.stop()
        await flow.pod(pod("later"))
        await flow.placed("later")
        assert second.attempts["scheduled"] == 1
        assert len(second.snapshot.pods_on["node-a"]) == 2
    finally:
        await first.stop()
        await second.stop()
