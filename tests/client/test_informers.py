"""What a subscriber sees, over every way in which following can break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.client.small_server import SmallServer

from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.client.informers import Informer, Informers
from kaa.http.inprocess import InProcess
from kaa.kinds.views import Node, Pod


class Story:
    """What a handler was told, as lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, old: Pod | None, new: Pod | None) -> None:
        if old is None:
            assert new is not None
            self.lines.append(f"+{new.name}")
        elif new is None:
            self.lines.append(f"-{old.name}")
        else:
            self.lines.append(f"{old.name}:{old.spec.node_name}>{new.spec.node_name}")

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


@asynccontextmanager
async def following(server: SmallServer) -> AsyncIterator[tuple[Informer[Pod], Story]]:
    story = Story()
    async with Scope("test") as scope:
        informers = Informers(Client(InProcess(server)))
        pods = informers.of(Pod)
        pods.on_change(story)
        await informers.start(scope)
        await asyncio.wait_for(informers.wait_synced(), 5)
        yield pods, story


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("streams_lists", [True, False], ids=["streamed-list", "paged-list"])
async def test_follows(streams_lists: bool) -> None:
    server = SmallServer(streams_lists=streams_lists)
    server.put(Pod.resource, "a", "n")
    server.put(Node.resource, "not-a-pod")
    async with following(server) as (pods, story):
        assert story.take() == ["+a"]
        assert pods.revision == server.revision
        server.put(Pod.resource, "b", "n")
        server.put(Pod.resource, "a", "n", spec={"nodeName": "x"})
        server.remove(Pod.resource, "b", "n")
        assert await pods.wait_revision(server.revision, 5)
        assert story.take() == ["+b", "a:>x", "-b"]
        assert [p.name for p in pods.lister.all()] == ["a"]


async def test_resumes_a_broken_watch_without_listing_again() -> None:
    server = SmallServer()
    server.put(Pod.resource, "a", "n")
    async with following(server) as (pods, story):
        story.take()
        for name in "bcd":
            server.cut_watches()
            server.put(Pod.resource, name, "n")
            assert await pods.wait_revision(server.revision, 5)
        assert story.take() == ["+b", "+c", "+d"]
        assert sum("sendInitialEvents" in line for line in server.requests) == 1


@pytest.mark.parametrize("streams_lists", [True, False], ids=["streamed-list", "paged-list"])
async def test_compaction_is_told_as_differences(streams_lists: bool) -> None:
    server = SmallServer(streams_lists=streams_lists)
    for name in ("stays", "goes", "changes", "reborn"):
        server.put(Pod.resource, name, "n")
    async with following(server) as (pods, story):
        story.take()
        server.lagging = True
        server.remove(Pod.resource, "goes", "n")
        server.put(Pod.resource, "changes", "n", spec={"nodeName": "x"})
        server.put(Pod.resource, "comes", "n")
        server.remove(Pod.resource, "reborn", "n")
        server.put(Pod.resource, "reborn", "n")
        server.compact()
        server.cut_watches()
        server.lagging = False
        assert await pods.wait_revision(server.revision, 5)
        assert sorted(story.take()) == sorted(["-goes", "changes:>x", "+comes", "-reborn", "+reborn"])
        server.put(Pod.resource, "after", "n")
        assert await pods.wait_revision(server.revision, 5)
        assert story.take() == ["+after"]


async def test_a_server_that_began_anew_is_followed_from_its_beginning() -> None:
    server = SmallServer()
    server.put(Pod.resource, "a", "n")
    async with following(server) as (pods, story):
        story.take()
        fresh = SmallServer()
        fresh.revision = 3
        fresh.put(Pod.resource, "b", "n")
        server.revision, server.objects, server.history = fresh.revision, fresh.objects, fresh.history
        server.intercept = lambda request: _refuse_future(server, request)
        server.cut_watches()
        await until(lambda: pods.revision == server.revision)
        assert story.take() == ["-a", "+b"]


def _refuse_future(server: SmallServer, request):  # type: ignore[no-untyped-def]
    if request.param("watch") and int(request.param("resourceVersion") or 0) > server.revision:
        raise ConnectionAbortedError("the stream breaks off")


async def test_late_subscribers_are_told_what_is_there_and_may_leave() -> None:
    server = SmallServer()
    server.put(Pod.resource, "a", "n")
    async with following(server) as (pods, _story):
        late = Story()
        leave = pods.on_change(late)
        assert late.take() == ["+a"]
        server.put(Pod.resource, "b", "n")
        assert await pods.wait_revision(server.revision, 5)
        assert late.take() == ["+b"]
        leave()
        server.put(Pod.resource, "c", "n")
        assert await pods.wait_revision(server.revision, 5)
        assert late.take() == []


async def test_a_failing_subscriber_harms_nobody_else() -> None:
    server = SmallServer()
    async with following(server) as (pods, story):

        def broken(_old: Pod | None, _new: Pod | None) -> None:
            raise RuntimeError("mistake")

        pods.on_change(broken)
        after = Story()
        pods.on_change(after)
        server.put(Pod.resource, "a", "n")
        assert await pods.wait_revision(server.revision, 5)
        assert story.take() == after.take() == ["+a"]


async def test_waiting_for_a_revision() -> None:
    server = SmallServer()
    async with following(server) as (pods, _story):
        assert await pods.wait_revision(server.revision, 0)
        assert not await pods.wait_revision(server.revision + 1, 0.02)
        called: list[str] = []
        pods.when_revision(server.revision + 1, lambda: called.append("kept"))
        pods.when_revision(server.revision + 1, lambda: called.append("given up"))()
        server.put(Pod.resource, "a", "n")
        await until(lambda: bool(called))
        assert called == ["kept"]


async def test_one_informer_per_question() -> None:
    informers = Informers(Client(InProcess(SmallServer())))
    assert informers.of(Pod) is informers.of(Pod)
    filtered = informers.of(Pod, fields="spec.nodeName=x")
    assert filtered is not informers.of(Pod)
    assert informers.covering(Pod.resource, "n") is informers.of(Pod)
    assert informers.covering(Node.resource, "") is None
    only = Informers(informers.client)
    only.of(Pod, labels="a=b")
    assert only.covering(Pod.resource, "n") is None
