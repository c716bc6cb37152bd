"""Who has to go."""

import pytest
from tests.scheduler.builders import node, pod
from tests.scheduler.worlds import World

from kaa.meta import selectors
from kaa.scheduler.plugins.default_preemption import Budget


def victim(name, on, priority=0, cpu="2", **labels):
    return pod(name).labels(**labels).requests(cpu=cpu).priority(priority).on(on).started("2026-01-01T00:00:00Z")


async def preempt(world, incoming):
    cycle = world.runner.cycle(incoming.view())
    refusal = world.runner.decide(cycle)
    before = {uid: placed.node for uid, placed in world.snapshot.pods.items()}
    nomination = await world.runner.after_refusal(cycle, refusal)
    assert {uid: placed.node for uid, placed in world.snapshot.pods.items()} == before, "a dry run leaves no trace"
    return nomination


def names(nomination):
    """The victims, from the work that would remove them."""
    (candidate,) = [
        cell.cell_contents for cell in nomination.work.__closure__ if hasattr(cell.cell_contents, "victims")
    ]
    return {placed.pod.name for placed in candidate.victims}


A, B = node("a"), node("b")
CASES = [
    ("the least important", [A, B, victim("p", "a", 5, "4"), victim("q", "b", 3, "4")], "1", "b", {"q"}),
    ("as few as possible", [A, victim("p", "a"), victim("q", "a", 1)], "2", "a", {"p"}),
    ("both if need be", [A, victim("p", "a"), victim("q", "a", 1)], "4", "a", {"p", "q"}),
    ("fewer victims", [A, B, victim("p", "a"), victim("q", "a"), victim("r", "b", cpu="4")], "4", "b", {"r"}),
    ("not the same priority", [A, B, victim("p", "a", 10, "4"), victim("q", "b", 9, "4")], "1", "b", {"q"}),
    ("the youngest", [A, B, victim("p", "a", cpu="4"), victim("q", "b", cpu="4").started("2026-01-02T00:00:00Z")],
     "1", "b", {"q"}),
]  # fmt: skip


@pytest.mark.parametrize(("objects", "cpu", "where", "victims"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_the_least_is_lost(objects, cpu, where, victims):
    nomination = await preempt(World(*objects), pod().requests(cpu=cpu).priority(10))
    assert nomination.node == where
    assert names(nomination) == victims


async def test_budgets_are_kept_where_possible():
    selector = selectors.from_map({"app": "db"})
    world = World(
        A, B, victim("p", "a", 0, "4", app="db"), victim("q", "b", 5, "4"), budgets=lambda ns: [Budget(selector, 0)]
    )
    assert (await preempt(world, pod().requests(cpu="1").priority(10))).node == "b"
    world.snapshot.remove_pod(pod("q").view().uid)
    world.snapshot.remove_node("b")
    assert (await preempt(world, pod().requests(cpu="1").priority(10))).node == "a"


async def test_anti_affinity_of_lesser_pods_gives_way():
    away = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}]}}  # fmt: skip
    world = World(A, victim("p", "a", cpu="1").affinity(away))
    nomination = await preempt(world, pod().labels(app="x").priority(1))
    assert (nomination.node, names(nomination)) == ("a", {"p"})


async def test_room_that_is_being_made_is_not_taken():
    world = World(A, victim("p", "a", cpu="3"))
    first = pod("first").requests(cpu="4").priority(10)
    nomination = await preempt(world, first)
    world.runner.nominations.set(first.view(), nomination.node)
    assert "1 Insufficient cpu" in await world.message(pod("lesser").requests(cpu="1"))
    assert world.node(pod("greater").requests(cpu="1").priority(11)) == "a"
    world.snapshot.remove_pod(pod("p").view().uid)
    assert world.node(first) == "a"
    assert "1 Insufficient cpu" in await world.message(pod("lesser").requests(cpu="1"))


async def test_no_second_victims_while_the_first_are_going():
    world = World(A, victim("p", "a", cpu="4").deleting())
    incoming = pod().requests(cpu="1").priority(10)
    incoming.status["nominatedNodeName"] = "a"
    assert "not eligible due to terminating pod on the nominated node." in await world.message(incoming)
