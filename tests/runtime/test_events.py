"""Which events are written, counted, combined and cut; and that a recorder never waits."""

import asyncio
from dataclasses import replace

import pytest
from tests.client.small_server import SmallServer
from tests.runtime.manual_clock import ManualClock, settle

from kaa.base.tasks import Scope
from kaa.client.client import Client
from kaa.http.api import Request, Response
from kaa.http.inprocess import InProcess
from kaa.kinds.views import Pod
from kaa.kinds.views.base import ObjectMeta
from kaa.kinds.views.core import EventView
from kaa.runtime.correlate import COMBINED, Correlator, Occurrence
from kaa.runtime.events import EventBroadcaster, ObjectRef

NOW = 1_800_000_000.0
SOMETHING = Occurrence(
    component="kubelet", host="node-a", type="Warning", reason="Failed", message="no image",
    about=("v1", "Pod", "n", "web", "u1", "17", ""), at=NOW,
)  # fmt: skip
POD = Pod(metadata=ObjectMeta(name="web", namespace="n", uid="u1", resource_version="17"))


def test_repeats_are_counted_even_when_the_object_changed() -> None:
    correlator = Correlator()
    first = correlator.take(SOMETHING)
    again = correlator.take(replace(SOMETHING, at=NOW + 9, about=(*SOMETHING.about[:5], "18", "")))
    assert first and again
    assert (first.count, again.count, again.name, again.first_at) == (1, 2, first.name, NOW)
    assert again.to_patch() == {"count": 2, "message": "no image", "lastTimestamp": "2027-01-15T08:00:09Z"}
    other = correlator.take(replace(SOMETHING, about=(*SOMETHING.about[:6], "spec.containers{a}")))
    assert other and other.count == 1 and other.name != first.name


def test_the_tenth_distinct_message_begins_to_combine() -> None:
    correlator = Correlator()
    taken = [correlator.take(replace(SOMETHING, message=f"m{n}", at=NOW + n)) for n in range(12)]
    assert all(taken)
    assert [t.message for t in taken if t][:9] == [f"m{n}" for n in range(9)]
    combined = [t for t in taken if t][9:]
    assert [t.message for t in combined] == [f"{COMBINED}m{n}" for n in (9, 10, 11)]
    assert [t.count for t in combined] == [1, 2, 3] and len({t.name for t in combined}) == 1
    later = correlator.take(replace(SOMETHING, message="m99", at=NOW + 12 + 601))
    assert later and later.message == "m99"  # ten quiet minutes end the combining


def test_an_object_is_cut_after_25_and_gets_one_more_in_five_minutes() -> None:
    correlator = Correlator()
    assert all(correlator.take(SOMETHING) for _ in range(25))
    assert correlator.take(SOMETHING) is None
    assert correlator.take(replace(SOMETHING, about=("v1", "Pod", "n", "other", "u2", "", ""))) is not None
    assert correlator.take(replace(SOMETHING, at=NOW + 299)) is None
    one_more = correlator.take(replace(SOMETHING, at=NOW + 301))
    assert one_more and one_more.count == 28  # what was cut is counted all the same
    assert correlator.take(replace(SOMETHING, at=NOW + 302)) is None


def test_the_whole_event() -> None:
    written = Correlator().take(SOMETHING)
    assert written
    event = written.to_json()
    assert event["metadata"] == {"name": f"web.{int(NOW * 1e9):x}", "namespace": "n"}
    assert event["involvedObject"] == {
        "apiVersion": "v1", "kind": "Pod", "namespace": "n", "name": "web", "uid": "u1", "resourceVersion": "17",
    }  # fmt: skip
    assert event["source"] == {"component": "kubelet", "host": "node-a"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "node-a")
    assert (event["count"], event["type"], event["firstTimestamp"]) == (1, "Warning", "2027-01-15T08:00:00Z")
    node = Correlator().take(replace(SOMETHING, about=("v1", "Node", "", "node-a", "", "", "")))
    assert node and node.namespace == "default"


async def test_written_patched_and_said_again_when_expired() -> None:
    server = SmallServer()
    broadcaster = EventBroadcaster(Client(InProcess(server)), clock=ManualClock())
    recorder = broadcaster.recorder("kubelet", "node-a")
    async with Scope("test") as scope:
        broadcaster.start(scope)
        for _ in range(3):
            recorder.event(POD, "Normal", "Started", "Started container web")
        await settle()
        events = list(server.objects["/api/v1/events"].values())
        assert [(e["count"], e["reason"]) for e in events] == [(3, "Started")]
        assert [line.split()[0] for line in server.requests] == ["POST", "PATCH", "PATCH"]
        server.remove(EventView.resource, events[0]["metadata"]["name"], "n")
        recorder.event(ObjectRef.of(POD), "Normal", "Started", "Started container web")
        await settle()
        assert [e["count"] for e in server.objects["/api/v1/events"].values()] == [4]
        assert broadcaster.idle and broadcaster.written == 4


async def test_a_full_queue_drops_the_oldest() -> None:
    server = SmallServer()
    broadcaster = EventBroadcaster(Client(InProcess(server)), clock=ManualClock(), queued_max=3)
    recorder = broadcaster.recorder("test")
    for number in range(5):
        recorder.event({"kind": "Pod", "apiVersion": "v1", "name": f"p{number}", "namespace": "n"}, "Normal", "R", "m")
    async with Scope("test") as scope:
        broadcaster.start(scope)
        await settle()
    names = [e["involvedObject"]["name"] for e in server.objects["/api/v1/events"].values()]
    assert names == ["p2", "p3", "p4"] and broadcaster.dropped == 2


async def test_a_server_that_is_away_is_tried_again_and_a_refusal_is_not() -> None:
    server, clock = SmallServer(), ManualClock()
    broadcaster = EventBroadcaster(Client(InProcess(server), clock=clock), clock=clock)
    recorder = broadcaster.recorder("test")
    async with Scope("test") as scope:
        broadcaster.start(scope)
        server.intercept = lambda _request: Response(500, b"away", "text/plain")
        recorder.event(POD, "Normal", "R", "m")
        await settle()
        assert server.names(EventView.resource) == [] and not broadcaster.idle
        server.intercept = lambda _request: None
        await clock.advance(30)
        assert len(server.names(EventView.resource)) == 1

        def refuse(_request: Request) -> Response:
            return Response(403, b'{"kind":"Status","reason":"Forbidden"}')

        server.intercept = refuse
        recorder.event(POD, "Normal", "R", "m2")
        await settle()
        assert broadcaster.idle and broadcaster.dropped == 1


def test_types_are_checked_at_once() -> None:
    async def run() -> None:
        recorder = EventBroadcaster(Client(InProcess(SmallServer()))).recorder("test")
        with pytest.raises(ValueError, match="Normal or Warning"):
            recorder.event(POD, "Error", "R", "m")

    asyncio.run(run())
