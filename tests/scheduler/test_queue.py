"""The queue's order, back-off and hints, on a clock that moves when told to."""

import pytest
from tests.scheduler.builders import node, pod

from kaa.base.clock import Clock
from kaa.scheduler.framework import Change
from kaa.scheduler.queue import Queue
from kaa.scheduler.registry import WEIGHTS, default_plugins
from kaa.scheduler.runner import Runner
from kaa.scheduler.settings import SchedulerSettings
from kaa.scheduler.snapshot import Snapshot


class Hand(Clock):
    def __init__(self):
        self.at = 100.0

    def monotonic(self):
        return self.at


class Bench:
    def __init__(self):
        self.clock = Hand()
        self.snapshot = Snapshot()
        runner = Runner(self.snapshot, default_plugins(), WEIGHTS)
        self.queue = Queue(
            self.clock,
            SchedulerSettings(),
            admits=runner.admits,
            sort_key=runner.sort_key,
            plugins=runner.by_name,
            shape_of=self.snapshot.shapes.of,
        )

    def pop(self):
        item = self.queue.pop()
        return item and item.pod.name

    def refuse(self, *plugins):
        """Pops, and says that the plugins refused."""
        item = self.queue.pop()
        assert item is not None
        self.queue.refused(item, frozenset(plugins), self.snapshot.shapes.of(item.pod))
        return item.pod.name


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    bench.queue.close()


async def test_priority_goes_first_then_who_came_first(bench):
    for name, priority in (("a", 0), ("b", 5), ("c", 5), ("d", 1)):
        bench.clock.at += 1
        bench.queue.add(pod(name).priority(priority).view())
    assert [bench.pop() for _ in range(5)] == ["b", "c", "d", "a", None]


async def test_a_pod_with_gates_waits_outside(bench):
    bench.queue.add(pod("a").gates("x").view())
    assert bench.pop() is None
    assert bench.queue.counts()["gated"] == 1
    bench.queue.happened(Change.NODE_ADDED, None, node().view())
    bench.queue.flush()
    assert bench.pop() is None
    bench.queue.update(pod("a").view())
    assert bench.pop() == "a"


HINTS = [
    # refused by, what happens, whether it is tried again
    (("NodeResourcesFit",), Change.POD_REMOVED, True),
    (("NodeResourcesFit",), Change.NODE_LABELS, False),
    (("NodeResourcesFit",), Change.POD_ADDED, False),
    (("NodeAffinity",), Change.NODE_LABELS, True),
    (("NodeAffinity",), Change.POD_REMOVED, False),
    (("TaintToleration",), Change.NODE_TAINTS | Change.NODE_LABELS, True),
    (("TaintToleration",), Change.NODE_ALLOCATABLE, False),
    (("InterPodAffinity",), Change.POD_ADDED, True),
    (("PodTopologySpread",), Change.NODE_REMOVED, True),
    (("NodeAffinity", "NodeResourcesFit"), Change.POD_REMOVED, True),
    (("VolumeBinding",), Change.NODE_ADDED, False),
    ((), Change.NODE_ADDED, True),
]


@pytest.mark.parametrize(("plugins", "change", "moves"), HINTS)
async def test_only_what_may_help_moves_a_pod(bench, plugins, change, moves):
    bench.queue.add(pod("a").requests(cpu="1").view())
    bench.refuse(*plugins)
    bench.queue.happened(change, None, node().view())
    assert bench.pop() == ("a" if moves else None)


async def test_a_node_too_small_does_not_help(bench):
    bench.queue.add(pod("a").requests(cpu="8").view())
    bench.refuse("NodeResourcesFit")
    bench.queue.happened(Change.NODE_ADDED, None, node().allocatable(cpu="4").view())
    assert bench.pop() is None
    bench.queue.happened(Change.NODE_ADDED, None, node().allocatable(cpu="8").view())
    assert bench.pop() == "a"


async def test_backing_off_pods_wait_while_there_are_others(bench):
    bench.queue.add(pod("a").view())
    bench.refuse()
    bench.queue.happened(Change.NODE_ADDED, None, node().view())
    assert bench.queue.counts()["backoff"] == 1
    bench.queue.add(pod("b").view())
    assert [bench.pop(), bench.pop()] == ["b", "a"]


async def test_what_broke_waits_longer_each_time(bench):
    bench.queue.add(pod("a").view())
    for seconds in (1, 2, 4, 8, 10, 10):
        item = bench.queue.pop()
        bench.queue.failed(item)
        bench.clock.at += seconds - 0.01
        assert bench.pop() is None
        bench.clock.at += 0.02
        assert bench.queue.counts() == {"active": 0, "backoff": 1, "unschedulable": 0, "gated": 0}


async def test_a_change_while_a_pod_is_looked_at_is_not_lost(bench):
    bench.queue.add(pod("a").view())
    item = bench.queue.pop()
    bench.queue.happened(Change.NODE_LABELS, None, node().view())
    bench.queue.refused(item, frozenset(("NodeAffinity",)), bench.snapshot.shapes.of(item.pod))
    assert bench.queue.counts()["unschedulable"] == 0
    assert bench.pop() == "a"


async def test_after_five_minutes_everything_is_tried_again(bench):
    bench.queue.add(pod("a").view())
    bench.refuse("NodeAffinity")
    bench.clock.at += 299
    bench.queue.flush()
    assert bench.pop() is None
    bench.clock.at += 2
    bench.queue.flush()
    assert bench.pop() == "a"


async def test_a_changed_pod_is_tried_again_a_changed_status_is_not(bench):
    bench.queue.add(pod("a").view())
    bench.refuse("NodeAffinity")
    bench.queue.update(pod("a").condition("PodScheduled", "False").view())
    assert bench.pop() is None
    bench.queue.update(pod("a").tolerating("x").view())
    assert bench.pop() == "a"


async def test_a_removed_pod_is_gone_from_every_place(bench):
    for name in "abc":
        bench.queue.add(pod(name).view())
    bench.refuse("NodeAffinity")
    for name in "abc":
        bench.queue.remove(pod(name).view().uid)
    assert bench.pop() is None
    assert not bench.queue.items
    bench.queue.happened(Change.NODE_LABELS, None, None)
    assert bench.pop() is None
