"""Which nodes pass, and in which words the others do not: a table per plugin."""

import pytest
from tests.scheduler.builders import node, pod
from tests.scheduler.worlds import World

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
HELPLESS = "Preemption is not helpful for scheduling"
VICTIMLESS = "No preemption victims found for incoming pod"


def required(*terms):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def near(labels, key=HOST, **more):
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": key, **more}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def away(labels, key=HOST, **more):
    term = {"labelSelector": {"matchLabels": labels}, "topologyKey": key, **more}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def name(operator, *values):
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": list(values)}]}


A, B, C = node("a"), node("b"), node("c")
ZONED = [node("a").zone("x"), node("b").zone("x"), node("c").zone("y")]

PASSING = [
    ("anything", [A, B], pod(), "ab"),
    ("cordoned", [A, node("b").cordoned()], pod(), "a"),
    ("cordoned, tolerated", [node("b").cordoned()], pod().tolerating("node.kubernetes.io/unschedulable"), "b"),
    ("tainted", [A, node("b").tainted("k", "v")], pod(), "a"),
    ("NoExecute", [A, node("b").tainted("k", "v", "NoExecute")], pod(), "a"),
    ("PreferNoSchedule passes", [node("b").tainted("k", "v", "PreferNoSchedule")], pod(), "b"),
    ("tolerated by value", [node("b").tainted("k", "v")], pod().tolerating("k", "v"), "b"),
    ("another value", [node("b").tainted("k", "v")], pod().tolerating("k", "w"), ""),
    ("another effect", [node("b").tainted("k", "v")], pod().tolerating("k", "v", "NoExecute"), ""),
    ("everything tolerated", [node("b").tainted("k", "v")], pod().tolerating(), "b"),
    ("node selector", [A, node("b").labels(disk="ssd")], pod().node_selector({"disk": "ssd"}), "b"),
    ("node selector, no such value", [A], pod().node_selector({"disk": "ssd"}), ""),
    ("In", [A, node("b").labels(n="1"), node("c").labels(n="2")],
     pod().affinity(required(expression("n", "In", "1", "2"))), "bc"),
    ("NotIn takes the unlabelled", [A, node("b").labels(n="1")],
     pod().affinity(required(expression("n", "NotIn", "1"))), "a"),
    ("Exists", [A, node("b").labels(n="1")], pod().affinity(required(expression("n", "Exists"))), "b"),
    ("DoesNotExist", [A, node("b").labels(n="1")], pod().affinity(required(expression("n", "DoesNotExist"))), "a"),
    ("Gt", [A, node("b").labels(n="1"), node("c").labels(n="10")],
     pod().affinity(required(expression("n", "Gt", "5"))), "c"),
    ("Lt", [A, node("b").labels(n="1"), node("c").labels(n="x")],
     pod().affinity(required(expression("n", "Lt", "5"))), "b"),
    ("one of the terms", [A, node("b").labels(n="1"), node("c").labels(n="2")],
     pod().affinity(required(expression("n", "In", "1"), expression("n", "In", "2"))), "bc"),
    ("an empty term matches nothing", [A], pod().affinity(required({})), ""),
    ("by name", [A, B, C], pod().affinity(required(name("In", "b"))), "b"),
    ("not by name", [A, B], pod().affinity(required(name("NotIn", "b"))), "a"),
    ("port taken", [A, B, pod("p").host_port(80).on("a")], pod().host_port(80), "b"),
    ("port on another address", [A, pod("p").host_port(80, address="1.1.1.1").on("a")],
     pod().host_port(80, address="2.2.2.2"), "a"),
    ("port on all addresses", [A, pod("p").host_port(80, address="1.1.1.1").on("a")], pod().host_port(80), ""),
    ("another protocol", [A, pod("p").host_port(80, "UDP").on("a")], pod().host_port(80), "a"),
    ("room", [A, node("b").allocatable(cpu="1")], pod().requests(cpu="2"), "a"),
    ("just room", [A, pod("p").requests(cpu="3").on("a")], pod().requests(cpu="1"), "a"),
    ("no room left", [A, pod("p").requests(cpu="3").on("a")], pod().requests(cpu="1001m"), ""),
    ("pods", [A, node("b").allocatable(pods="1"), pod("p").on("b")], pod(), "a"),
    ("device", [A, node("b").allocatable({"example.com/gpu": "1"})], pod().requests({"example.com/gpu": "1"}), "b"),
    ("init containers need it for a while", [A], pod().requests(cpu="1").init("i", cpu="5"), ""),
    ("sidecars stay", [A], pod().requests(cpu="3").init("i", sidecar=True, cpu="2"), ""),
    ("init containers one after the other", [A], pod().requests(cpu="1").init("i", cpu="3").init("j", cpu="4"), "a"),
    ("near", [A, B, pod("p").labels(app="x").on("b")], pod().affinity(near({"app": "x"})), "b"),
    ("near in a zone", [*ZONED, pod("p").labels(app="x").on("b")], pod().affinity(near({"app": "x"}, ZONE)), "ab"),
    ("near to nobody", [A, B], pod().affinity(near({"app": "x"})), ""),
    ("near to itself, the first", [A, B], pod().labels(app="x").affinity(near({"app": "x"})), "ab"),
    ("near, other namespace", [A, pod("p", "other").labels(app="x").on("a")], pod().affinity(near({"app": "x"})), ""),
    ("near, that namespace", [A, pod("p", "other").labels(app="x").on("a")],
     pod().affinity(near({"app": "x"}, namespaces=["other"])), "a"),
    ("near, any namespace", [A, pod("p", "other").labels(app="x").on("a")],
     pod().affinity(near({"app": "x"}, namespaceSelector={})), "a"),
    ("away", [A, B, pod("p").labels(app="x").on("b")], pod().affinity(away({"app": "x"})), "a"),
    ("away in a zone", [*ZONED, pod("p").labels(app="x").on("b")], pod().affinity(away({"app": "x"}, ZONE)), "c"),
    ("away from what is going", [A, pod("p").labels(app="x").on("a").deleting()],
     pod().affinity(away({"app": "x"})), ""),
    ("unwanted", [A, B, pod("p").affinity(away({"app": "x"})).on("a")], pod().labels(app="x"), "b"),
    ("not meant", [A, B, pod("p").affinity(away({"app": "x"})).on("a")], pod().labels(app="y"), "ab"),
    ("spread", [A, B, pod("p").labels(app="x").on("a")], pod().labels(app="x").spread(HOST, labels={"app": "x"}), "b"),
    ("spread, skew 2", [A, B, pod("p").labels(app="x").on("a")],
     pod().labels(app="x").spread(HOST, 2, labels={"app": "x"}), "ab"),
    ("spread over zones", [*ZONED, pod("p").labels(app="x").on("a")],
     pod().labels(app="x").spread(ZONE, labels={"app": "x"}), "c"),
    ("spread needs the label", [*ZONED, node("d")], pod().labels(app="x").spread(ZONE, labels={"app": "x"}), "abc"),
    ("spread leaves out what is going", [A, B, pod("p").labels(app="x").on("a").deleting()],
     pod().labels(app="x").spread(HOST, labels={"app": "x"}), "ab"),
    ("spread, min domains", [*ZONED, pod("p").labels(app="x").on("a"), pod("q").labels(app="x").on("c")],
     pod().labels(app="x").spread(ZONE, labels={"app": "x"}, minDomains=3), ""),
    ("spread honours affinity", [A, B, node("c").labels(n="1"), pod("p").labels(app="x").on("c")],
     pod().labels(app="x").node_selector({"n": "1"}).spread(HOST, labels={"app": "x"}), "c"),
    ("spread ignores affinity", [A, B, node("c").labels(n="1"), pod("p").labels(app="x").on("c")],
     pod().labels(app="x").node_selector({"n": "1"})
     .spread(HOST, labels={"app": "x"}, nodeAffinityPolicy="Ignore"), ""),
    ("spread honours taints", [node("a").tainted("k"), B, pod("p").labels(app="x").on("b")],
     pod().labels(app="x").spread(HOST, labels={"app": "x"}, nodeTaintsPolicy="Honor"), "b"),
    ("spread per revision", [A, B, pod("p").labels(app="x", rev="1").on("a")],
     pod().labels(app="x", rev="2").spread(HOST, labels={"app": "x"}, matchLabelKeys=["rev"]), "ab"),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "incoming", "expected"), [c[1:] for c in PASSING], ids=[c[0] for c in PASSING])
def test_which_nodes_pass(objects, incoming, expected):
    world = World(*objects)
    assert world.passing(incoming) == set(expected)
    # The kept answers say the same as a fresh look.
    result = world.decide(incoming)
    assert (result.node in expected) if expected else not hasattr(result, "node")


MESSAGES = [
    ("no nodes", [], pod(), "no nodes available to schedule pods"),
    ("three reasons",
     [node("a").tainted("node.kubernetes.io/not-ready"), node("b").cordoned(), C, pod("p").requests(cpu="4").on("c")],
     pod().requests(cpu="1"),
     "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. "
     f"no new claims to deallocate, preemption: 0/3 nodes are available: 1 {VICTIMLESS}, 2 {HELPLESS}."),
    ("two resources of one node", [A, pod("p").requests(cpu="4", memory="8Gi").on("a")],
     pod().requests(cpu="1", memory="1Gi"),
     "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. "
     f"no new claims to deallocate, preemption: 0/1 nodes are available: 1 {VICTIMLESS}."),
    ("more than there is", [A, B], pod().requests(cpu="64"),
     "0/2 nodes are available: 2 Insufficient cpu. "
     f"no new claims to deallocate, preemption: 0/2 nodes are available: 2 {HELPLESS}."),
    ("too many pods", [node("a").allocatable(pods="0")], pod(),
     "0/1 nodes are available: 1 Too many pods. "
     f"no new claims to deallocate, preemption: 0/1 nodes are available: 1 {VICTIMLESS}."),
    ("affinity", [A], pod().node_selector({"x": "y"}),
     "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
     f"no new claims to deallocate, preemption: 0/1 nodes are available: 1 {HELPLESS}."),
    ("a daemon's pod", [node("a").cordoned(), B],
     pod().affinity(required(name("In", "a"))),
     "0/2 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity], 1 node(s) were unschedulable. "
     f"no new claims to deallocate, preemption: 0/2 nodes are available: 2 {HELPLESS}."),
    ("volumes", [A, B], pod().volume("v", persistentVolumeClaim={"claimName": "c"}),
     "0/2 nodes are available: volume binding is not served by this release. "
     f"no new claims to deallocate, preemption: 0/2 nodes are available: 2 {HELPLESS}."),
    ("never preempts", [A, pod("p").requests(cpu="4").on("a")], pod().requests(cpu="1").priority(1, "Never"),
     "0/1 nodes are available: 1 Insufficient cpu. "
     "no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."),
    ("pods", [A, pod("p").labels(app="x").affinity(away({"app": "y"})).on("a")], pod().labels(app="y"),
     "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules. "
     f"no new claims to deallocate, preemption: 0/1 nodes are available: 1 {VICTIMLESS}."),
    ("spread", [*ZONED, node("d"), pod("p").labels(app="x").on("a"), pod("q").labels(app="x").on("c")],
     pod().labels(app="x").spread(ZONE, labels={"app": "x"}, minDomains=3),
     "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), "
     "3 node(s) didn't match pod topology spread constraints. "
     f"no new claims to deallocate, preemption: 0/4 nodes are available: 1 {HELPLESS}, 3 {VICTIMLESS}."),
    ("ports", [A, pod("p").host_port(80).on("a")], pod().host_port(80),
     "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. "
     f"no new claims to deallocate, preemption: 0/1 nodes are available: 1 {VICTIMLESS}."),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "incoming", "expected"), [c[1:] for c in MESSAGES], ids=[c[0] for c in MESSAGES])
async def test_why_no_node_passes(objects, incoming, expected):
    assert await World(*objects).message(incoming) == expected
