"""The vectors against the slow way, on clusters made by chance; and what is kept against a fresh look."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scheduler.builders import node, pod
from tests.scheduler.reference import HOST, ZONE, Reference
from tests.scheduler.worlds import World

from kaa.meta import selectors
from kaa.scheduler.runner import Decision

cpus = st.sampled_from([None, "10m", "100m", "333m", "1", "1500m"])
memories = st.sampled_from([None, "1Mi", "100Mi", "333M", "1Gi"])
apps = st.sampled_from(["x", "y"])
weights = st.integers(1, 100)


@st.composite
def nodes(draw):
    found = []
    for number in range(draw(st.integers(1, 6))):
        each = node(f"n{number}").allocatable(
            cpu=draw(st.sampled_from(["1", "3", "4", "7777m"])),
            memory=draw(st.sampled_from(["1Gi", "3G", "8Gi"])),
            pods=draw(st.sampled_from(["2", "110"])),
        )
        if draw(st.booleans()):
            each.zone(draw(st.sampled_from(["za", "zb"])))
        if draw(st.booleans()):
            each.labels(disk=draw(st.sampled_from(["ssd", "hdd"])))
        for key in draw(st.lists(st.sampled_from(["s", "t"]), max_size=2, unique=True)):
            each.tainted(key, effect="PreferNoSchedule")
        if draw(st.booleans()):
            each.holds("example.com/main:1", draw(st.integers(1, 2000)) * 2**20)
        found.append(each)
    return found


@st.composite
def pods(draw, name):
    app = draw(apps)
    each = pod(name, draw(st.sampled_from(["default", "default", "other"]))).labels(app=app)
    requests = {"cpu": draw(cpus), "memory": draw(memories)}
    each.requests({k: v for k, v in requests.items() if v})
    if draw(st.booleans()):
        each.another("second", cpu="50m")
    if draw(st.integers(0, 3)) == 0:
        each.tolerating("s")
    if draw(st.integers(0, 3)) == 0:
        each.affinity({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": draw(weights), "preference": {"matchExpressions": [
                {"key": "disk", "operator": "In", "values": [draw(st.sampled_from(["ssd", "hdd"]))]}]}},
        ]}})  # fmt: skip
    for part in ("podAffinity", "podAntiAffinity"):
        if draw(st.integers(0, 3)) == 0:
            each.affinity({part: {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": draw(weights), "podAffinityTerm": {
                    "labelSelector": {"matchLabels": {"app": draw(apps)}},
                    "topologyKey": draw(st.sampled_from([HOST, ZONE])),
                }},
            ]}})  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        each.spread(draw(st.sampled_from([HOST, ZONE])), draw(st.integers(1, 4)), hard=False, labels={"app": app})
    return each


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_scores_are_those_of_the_slow_way(data):
    there = data.draw(nodes())
    placed = [
        data.draw(pods(f"p{number}")).on(data.draw(st.sampled_from(there)).metadata["name"])
        for number in range(data.draw(st.integers(0, 8)))
    ]
    selector = data.draw(st.sampled_from([None, {"app": "x"}]))
    world = World(*there, *placed, selector=selectors.from_map(selector) if selector else None)
    reference = Reference([n.json() for n in there], [p.json() for p in placed], selector)
    for number in range(3):
        incoming = data.draw(pods(f"new{number}"))
        # Twice: what was kept for the shape gives the same as what was computed.
        for copy in range(2):
            incoming.metadata["name"] = f"new{number}-{copy}"
            incoming.uid(f"new{number}-{copy}")
            expected = reference.totals(incoming.json())
            result = world.decide(incoming)
            if not expected:
                assert not isinstance(result, Decision)
                continue
            assert isinstance(result, Decision)
            assert result.feasible == len(expected)
            if len(expected) > 1:
                assert result.score == max(expected.values())
                assert expected[result.node] == result.score
            # Let it stay, so that the next look begins from another state.
            incoming.on(result.node)
            world.put(incoming)
            reference.pods.append(incoming.json())
            incoming.spec.pop("nodeName")
    for each in placed[::2]:
        world.snapshot.remove_pod(each.metadata["uid"])
        reference.pods = [p for p in reference.pods if p["metadata"]["uid"] != each.metadata["uid"]]
    if len(there) > 1:
        world.snapshot.remove_node("n0")
        reference.nodes.pop("n0")
        reference.pods = [p for p in reference.pods if p["spec"]["nodeName"] != "n0"]
    last = data.draw(pods("last"))
    expected = reference.totals(last.json())
    result = world.decide(last)
    assert isinstance(result, Decision) == bool(expected)
    if len(expected) > 1:
        assert result.score == max(expected.values())


def test_a_full_cluster_is_filled_evenly():
    world = World(*(node(f"n{n}") for n in range(4)))
    placed = [world.bind(pod(f"p{n}").requests(cpu="1")) for n in range(16)]
    assert {name: placed.count(name) for name in set(placed)} == {f"n{n}": 4 for n in range(4)}
    assert not isinstance(world.decide(pod("p").requests(cpu="1")), Decision)


def test_ties_are_broken_by_chance():
    world = World(*(node(f"n{n}") for n in range(8)))
    assert len({world.node(pod()) for _ in range(200)}) == 8
