"""Nodes: silence, taints, eviction, pace, address ranges; pods that nobody else removes."""

import itertools
from typing import Any

import pytest
from tests.controllers.world import World, world

from kaa.base.clock import format_seconds
from kaa.controllers.nodeipam import CidrSet
from kaa.controllers.nodelifecycle.health import Sign, silent_conditions, take_sign
from kaa.controllers.nodelifecycle.pace import Pacer, zone_of, zone_rates
from kaa.controllers.nodelifecycle.taints import NOT_READY, UNREACHABLE, leave_at, plan_taints
from kaa.controllers.podgc import on_lost_nodes, out_of_service, too_many_finished, unscheduled_and_going
from kaa.controllers.settings import ControllersSettings, NodeLifecycleSettings, PodGCSettings
from kaa.kinds.views import Node, Pod
from kaa.testing.builders import node, pod

Json = dict[str, Any]
NOW = 1_000_000.0
SETTINGS = NodeLifecycleSettings()


@pytest.mark.parametrize(("made", "silent_for", "expected"), [
    (node().ready(), 49, {}),
    (node().ready(), 51, {"Ready": "NodeStatusUnknown", "MemoryPressure": "NodeStatusNeverUpdated",
                          "DiskPressure": "NodeStatusNeverUpdated", "PIDPressure": "NodeStatusNeverUpdated"}),
    (node().created(NOW - 55), 0, {}),
    (node().created(NOW - 61), 0, dict.fromkeys(
        ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"), "NodeStatusNeverUpdated")),
    (node().ready("Unknown").condition("MemoryPressure", "Unknown").condition("DiskPressure", "Unknown")
     .condition("PIDPressure", "False"), 51, {"PIDPressure": "NodeStatusUnknown"}),
])  # fmt: skip
def test_silent_nodes_turn_unknown(made: Any, silent_for: float, expected: dict[str, str]) -> None:
    sign = Sign("uid-node-a", None, None, NOW - silent_for)
    found = silent_conditions(made.view(), sign, NOW, SETTINGS)
    assert {each["type"]: each["reason"] for each in found} == expected
    assert all(each["status"] == "Unknown" for each in found)


def test_a_heartbeat_or_a_lease_is_a_sign() -> None:
    first = take_sign(None, node().ready(heartbeat=1).view(), None, 10)
    assert take_sign(first, node().ready(heartbeat=1).view(), None, 20) is first
    assert take_sign(first, node().ready(heartbeat=2).view(), None, 20).seen_at == 20
    assert take_sign(first, node().uid("other").ready(heartbeat=1).view(), None, 20).seen_at == 20


@pytest.mark.parametrize(("made", "send_away", "expected"), [
    (node().ready(), False, None),
    (node().ready("False"), False, {(NOT_READY, "NoSchedule")}),
    (node().ready("False"), True, {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}),
    (node().ready("Unknown").taint(NOT_READY, "NoExecute").taint(NOT_READY, "NoSchedule"), True,
     {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}),
    (node().ready().taint(UNREACHABLE, "NoExecute").taint("mine", "NoExecute"), True, {("mine", "NoExecute")}),
    (node().ready().cordoned(), False, {("node.kubernetes.io/unschedulable", "NoSchedule")}),
    (node().ready().taint("node.kubernetes.io/unschedulable", "NoSchedule"), False, set()),
    (node().ready().condition("MemoryPressure").condition("DiskPressure").condition("PIDPressure")
     .condition("NetworkUnavailable"), False,
     {(f"node.kubernetes.io/{each}", "NoSchedule")
      for each in ("memory-pressure", "disk-pressure", "pid-pressure", "network-unavailable")}),
    (node().ready().taint("node.kubernetes.io/not-ready", "NoSchedule"), False, set()),
])  # fmt: skip
def test_taints(made: Any, send_away: bool, expected: set[tuple[str, str]] | None) -> None:
    taints = plan_taints(made.view(), send_away=send_away, now=NOW)
    assert (None if taints is None else {(each["key"], each["effect"]) for each in taints}) == expected


@pytest.mark.parametrize(("made", "expected"), [
    (pod(), 0.0),
    (pod().tolerates("other"), 0.0),
    (pod().tolerates(UNREACHABLE), None),
    (pod().tolerates(""), None),
    (pod().tolerates(UNREACHABLE, "NoSchedule"), 0.0),
    (pod().tolerates(UNREACHABLE, "NoExecute", 300), NOW + 300),
    (pod().tolerates(UNREACHABLE, "NoExecute", 0), 0.0),
    (pod().tolerates(UNREACHABLE, seconds=300).tolerates(UNREACHABLE, seconds=5), NOW + 300),
])  # fmt: skip
def test_when_a_pod_must_leave(made: Any, expected: float | None) -> None:
    taints = node().taint(UNREACHABLE, "NoExecute", added=NOW).view().spec.taints
    assert leave_at(made.view().spec.tolerations, taints, NOW - 50, NOW) == expected


def test_a_toleration_counts_from_the_binding_when_that_is_later() -> None:
    taints = node().taint(UNREACHABLE, "NoExecute", added=NOW - 1000).view().spec.taints
    tolerations = pod().tolerates(UNREACHABLE, seconds=300).view().spec.tolerations
    assert leave_at(tolerations, taints, NOW, NOW) == NOW + 300


@pytest.mark.parametrize(("counts", "rates", "all_down"), [
    ({"a": (3, 0)}, {"a": 0.1}, False),
    ({"a": (2, 2)}, {"a": 0.1}, False),
    ({"a": (2, 3)}, {"a": 0.0}, False),
    ({"a": (30, 40)}, {"a": 0.01}, False),
    ({"a": (0, 3), "b": (3, 0)}, {"a": 0.1, "b": 0.1}, False),
    ({"a": (0, 3), "b": (0, 1)}, {"a": 0.0, "b": 0.0}, True),
    ({}, {}, False),
])  # fmt: skip
def test_the_pace_of_zones(counts: dict[str, tuple[int, int]], rates: dict[str, float], all_down: bool) -> None:
    assert zone_rates(counts, SETTINGS) == (rates, all_down)


def test_nodes_take_turns() -> None:
    pacer = Pacer(0.1)
    for name in ("a", "b", "c", "b"):
        pacer.add("", name, 0)
    assert pacer.take(0) == ["a"]
    assert pacer.take(5) == []
    assert pacer.next_seconds(5) == pytest.approx(5)
    pacer.remove("b")
    assert pacer.take(10) == ["c"]
    assert pacer.next_seconds(10) is None
    pacer.add("", "d", 10)
    pacer.set_rates({"": 0.0}, 10)
    assert pacer.take(1000) == []


def test_zones_come_from_labels() -> None:
    assert zone_of(node().view()) == ""
    assert zone_of(node().zone("z").view()) == "/z"


def test_ranges_are_given_once_and_taken_back() -> None:
    ranges = CidrSet("10.244.0.0/22", 24)
    ranges.occupy("10.244.1.0/24")
    ranges.occupy("192.168.0.0/16")
    assert [ranges.take() for _ in range(4)] == ["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24", None]
    ranges.release("10.244.2.0/24")
    assert ranges.take() == "10.244.2.0/24"
    wide = CidrSet("10.244.0.0/22", 24)
    wide.occupy("10.244.0.0/23")
    assert wide.take() == "10.244.2.0/24"
    six = CidrSet("fd00::/48", 64)
    assert [six.take(), six.take()] == ["fd00::/64", "fd00:0:0:1::/64"]
    with pytest.raises(ValueError, match="does not fit"):
        CidrSet("10.244.0.0/24", 16)


def test_what_pod_collection_takes() -> None:
    done = [pod(str(n)).phase("Succeeded").created(n).view() for n in range(4)]
    evicted = pod("evicted").phase("Failed").created(9)
    evicted.status["reason"] = "Evicted"
    assert [each.name for each in too_many_finished([*done, evicted.view(), pod().view()], 3)] == ["evicted", "0"]
    going = [pod("a").deleting().view(), pod("b").deleting().on("n").view(), pod("c").view()]
    assert [each.name for each in unscheduled_and_going(going)] == ["a"]
    assert on_lost_nodes(going, ["m"]) == {"n": [going[1]]}
    assert on_lost_nodes(going, ["n"]) == {}
    dead = node("n").ready("Unknown").taint("node.kubernetes.io/out-of-service", "NoExecute").view()
    assert [each.name for each in out_of_service(going, [dead])] == ["b"]


# --- against the real server -----------------------------------------------------------------------------------------


async def make_pod(at: World, name: str, **spec: Any) -> None:
    body = {"containers": [{"name": "web", "image": "web:1"}], **spec}
    await at.client.create(Pod.resource, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def ready_pod(at: World, name: str) -> Json | None:
    obj = await at.get(Pod.resource, name)
    assert obj is not None
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in obj["status"].get("conditions", ()))
    return obj if ready else None


async def test_nodes_get_ranges_that_do_not_overlap() -> None:
    async with world(nodes=("node-a", "node-b", "node-c")) as at:

        async def ranges() -> set[str] | None:
            found = {(each.get("spec") or {}).get("podCIDR") for each in await at.items(Node.resource, "")}
            return found if len(found) == 3 and None not in found else None

        assert await at.until(ranges) == {"10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"}


async def test_a_silent_node_is_unknown_and_its_pods_leave() -> None:
    lifecycle = NodeLifecycleSettings(monitor_period_seconds=0.1, monitor_grace_seconds=1.0, eviction_rate=100.0)
    settings = ControllersSettings(root_ca_pem="PEM", node_lifecycle=lifecycle)
    async with world(settings=settings, nodes=("node-a", "node-b")) as at:
        tolerations = [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}]
        await make_pod(at, "leaves", nodeName="node-a", tolerations=[
            {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}])  # fmt: skip
        await make_pod(at, "stays", nodeName="node-a", tolerations=tolerations)
        await at.until(lambda: ready_pod(at, "leaves"))
        await at.until(lambda: ready_pod(at, "stays"))
        at.nodes.paused = True

        count = itertools.count()

        async def beat() -> None:
            beats = [{"type": "Ready", "status": "True", "lastHeartbeatTime": format_seconds(1e9 + next(count))}]
            await at.client.patch(
                Node.resource, "node-b", {"status": {"conditions": beats}}, kind="strategic", subresource="status"
            )

        async def unreachable() -> bool:
            await beat()
            obj = await at.get(Node.resource, "node-a")
            assert obj is not None
            return {(each["key"], each["effect"]) for each in obj["spec"].get("taints", ())} == {
                (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute"),
            }  # fmt: skip

        await at.until(unreachable)
        obj = await at.get(Node.resource, "node-a")
        assert obj is not None
        [ready] = [each for each in obj["status"]["conditions"] if each["type"] == "Ready"]
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.",
        )  # fmt: skip

        async def left() -> bool:
            await beat()
            return await at.get(Pod.resource, "leaves") is None

        await at.until(left)
        assert await ready_pod(at, "stays") is None
        assert "Marking for deletion Pod default/leaves" in await at.events("TaintManagerEviction")
        assert sorted(await at.events("NodeNotReady")) == [
            "Node is not ready", "Node is not ready", "Node node-a status is now: NodeNotReady",
        ]  # fmt: skip
        status = {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-02-01T00:00:00Z"}]}
        await at.client.patch(Node.resource, "node-a", {"status": status}, kind="strategic", subresource="status")

        async def reachable() -> bool:
            obj = await at.get(Node.resource, "node-a")
            assert obj is not None
            return not obj["spec"].get("taints")

        await at.until(reachable)


async def test_pods_of_a_node_that_is_gone_are_removed() -> None:
    settings = ControllersSettings(root_ca_pem="PEM", pod_gc=PodGCSettings(period_seconds=0.1, quarantine_seconds=0.3))
    async with world(settings=settings) as at:
        await make_pod(at, "a", nodeName="node-a")
        await make_pod(at, "b", nodeName="node-b")
        await at.until(lambda: ready_pod(at, "a"))
        await at.client.delete(Node.resource, "node-a")

        async def removed() -> bool:
            return await at.get(Pod.resource, "a") is None

        await at.until(removed)
        assert await at.get(Pod.resource, "b") is not None
