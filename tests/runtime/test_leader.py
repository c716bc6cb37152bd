"""Elections, on clocks that disagree."""

import asyncio

import pytest
from tests.client.small_server import SmallServer
from tests.runtime.manual_clock import ManualClock, settle

from kaa.client.client import Client
from kaa.http.api import Request, Response
from kaa.http.inprocess import InProcess
from kaa.kinds.views import Lease
from kaa.runtime.leader import Election, LeaderElector


class Candidate:
    def __init__(self, server: SmallServer, identity: str, clock: ManualClock) -> None:
        self.cut_off = False
        self.acting = False
        self.clock = clock

        def handler(request: Request):  # type: ignore[no-untyped-def]
            return Response(500, b"unreachable", "text/plain") if self.cut_off else server(request)

        client = Client(InProcess(handler), clock=clock)
        self.elector = LeaderElector(client, Election("test", identity), clock=clock)
        self.task = asyncio.ensure_future(self.elector.run(self.lead))

    async def lead(self) -> None:
        self.acting = True
        try:
            await asyncio.Event().wait()
        finally:
            self.acting = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def lease(server: SmallServer) -> dict:  # type: ignore[type-arg]
    return server.objects[Lease.resource.path()]["kube-system/test"]["spec"]


async def test_one_leads_renews_and_hands_over_on_a_clean_stop() -> None:
    server, clock = SmallServer(), ManualClock()
    a = Candidate(server, "a", clock)
    await settle()
    b = Candidate(server, "b", clock)
    await clock.advance(60)
    assert (a.acting, b.acting) == (True, False)
    spec = lease(server)
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 0)
    assert spec["acquireTime"] < spec["renewTime"]
    assert b.elector.leader == "a"
    await a.stop()
    assert not a.acting and "holderIdentity" not in lease(server)
    await clock.advance(3)
    assert b.acting and lease(server)["leaseTransitions"] == 1
    await b.stop()


async def test_a_holder_that_cannot_renew_stops_before_another_starts() -> None:
    server, clock = SmallServer(), ManualClock()
    a = Candidate(server, "a", clock)
    await settle()
    b = Candidate(server, "b", clock)
    await clock.advance(10)
    a.cut_off = True
    ended_at = started_at = None
    for second in range(60):
        assert not (a.acting and b.acting)
        if not a.acting and ended_at is None:
            ended_at = second
        if b.acting and started_at is None:
            started_at = second
        await clock.advance(1)
    assert ended_at is not None and started_at is not None
    assert 8 <= ended_at <= 12 and 13 <= started_at <= 19
    assert a.task.done() and a.task.exception() is None  # lost, not failed: call again to campaign again
    assert lease(server)["holderIdentity"] == "b"
    await b.stop()


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
async def test_clocks_that_disagree_do_not_matter(skew: float) -> None:
    server, clock = SmallServer(), ManualClock()
    other = ManualClock(clock.now() + skew)
    a = Candidate(server, "a", clock)
    await settle()
    b = Candidate(server, "b", other)
    for _ in range(60):
        await clock.advance(1)
        await other.advance(1)
        assert (a.acting, b.acting) == (True, False)
    await a.stop()
    await b.stop()


async def test_a_lease_found_expired_is_watched_for_its_whole_time_first() -> None:
    server, clock = SmallServer(), ManualClock()
    spec = {"holderIdentity": "long gone", "leaseDurationSeconds": 15, "renewTime": "2020-01-01T00:00:00.000000Z"}
    server.put(Lease.resource, "test", "kube-system", spec=spec)
    b = Candidate(server, "b", clock)
    await clock.advance(14)
    assert not b.acting
    await clock.advance(5)
    assert b.acting and lease(server)["leaseTransitions"] == 1
    await b.stop()


async def test_work_that_ends_ends_the_leadership() -> None:
    server, clock = SmallServer(), ManualClock()
    elector = LeaderElector(Client(InProcess(server)), Election("test", "a"), clock=clock)

    async def fail() -> None:
        raise RuntimeError("a controller failed")

    with pytest.raises(RuntimeError, match="a controller failed"):
        await elector.run(fail)
    assert "holderIdentity" not in lease(server) and not elector.leading


def test_impossible_times_are_refused() -> None:
    with pytest.raises(ValueError, match="lease_seconds > renew_seconds"):
        Election("x", "a", lease_seconds=10, renew_seconds=10)
