"""The verbs, against a small server in process."""

from contextlib import aclosing

import orjson
import pytest
from tests.client.small_server import SmallServer

from kaa.base.clock import Clock
from kaa.client.client import Client
from kaa.client.wire import query_string, status_error
from kaa.http.api import Response
from kaa.http.inprocess import InProcess
from kaa.kinds.views import ConfigMap, Pod
from kaa.meta.errors import StatusError


class FastClock(Clock):
    """Real time that does not wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await super().sleep(0)


@pytest.fixture
def server() -> SmallServer:
    return SmallServer()


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def client(server: SmallServer, clock: FastClock) -> Client:
    return Client(InProcess(server), clock=clock)


async def test_a_life(client: Client, server: SmallServer) -> None:
    made = await client.create(ConfigMap.resource, {"metadata": {"name": "a", "namespace": "n"}, "data": {"k": "v"}})
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert (await client.get(ConfigMap, "a", "n")).data == {"k": "v"}
    made["data"]["k"] = "w"
    updated = await client.update(ConfigMap.resource, made)
    assert updated["data"] == {"k": "w"}
    with pytest.raises(StatusError) as stale:
        await client.update(ConfigMap.resource, made)
    assert stale.value.reason == "Conflict"
    patched = await client.patch(ConfigMap.resource, "a", {"data": {"k": None, "l": "x"}}, namespace="n")
    assert patched["data"] == {"l": "x"}
    with pytest.raises(StatusError) as other:
        await client.delete(ConfigMap.resource, "a", namespace="n", uid="another")
    assert other.value.code == 409
    await client.delete(ConfigMap.resource, "a", namespace="n", uid=made["metadata"]["uid"], propagation="Background")
    with pytest.raises(StatusError) as gone:
        await client.get(ConfigMap, "a", "n")
    assert gone.value.code == 404 and gone.value.reason == "NotFound"


async def test_pages_are_followed_and_an_expired_page_starts_over(client: Client, server: SmallServer) -> None:
    for number in range(7):
        server.put(Pod.resource, f"p{number}", "n")
    listing = await client.list(Pod, limit=3)
    assert [pod.name for pod in listing.items] == [f"p{n}" for n in range(7)]
    assert listing.revision == server.revision and listing.continue_ == ""
    assert len(server.requests) == 3
    server.floor = server.revision  # tokens are too old from now on
    server.requests.clear()
    assert len((await client.list(Pod, "n", limit=3)).items) == 7
    assert server.requests[-1].endswith("/api/v1/namespaces/n/pods")


async def test_one_unreadable_item_does_not_cost_the_list(client: Client, server: SmallServer) -> None:
    server.put(Pod.resource, "good", "n")
    server.put(Pod.resource, "bad", "n", spec={"containers": "none"})
    assert [pod.name for pod in (await client.list(Pod)).items] == ["good"]


async def test_watch(client: Client, server: SmallServer) -> None:
    server.put(Pod.resource, "old", "n")
    seen = []
    async with aclosing(client.watch(Pod, revision=server.revision, labels="a in (b,c)")) as events:
        server.put(Pod.resource, "new", "n")
        server.put(Pod.resource, "new", "n", spec={"nodeName": "here"})
        server.remove(Pod.resource, "new", "n")
        async for event in events:
            assert event.object is not None
            seen.append((event.type, event.object.key, event.object.spec.node_name))
            if len(seen) == 3:
                break
    assert seen == [("ADDED", "n/new", ""), ("MODIFIED", "n/new", "here"), ("DELETED", "n/new", "here")]
    assert "labelSelector=a%20in%20%28b%2Cc%29" in server.requests[-1]


async def test_watch_of_a_compacted_revision_raises_410(client: Client, server: SmallServer) -> None:
    server.compact()
    with pytest.raises(StatusError) as old:
        async for _ in client.watch(Pod, revision=5):
            pass
    assert old.value.code == 410


async def test_a_refusal_with_a_time_is_sent_again(client: Client, server: SmallServer, clock: FastClock) -> None:
    answers = [
        Response(429, orjson.dumps({"kind": "Status", "details": {"retryAfterSeconds": 7}})),
        Response(503, b"not yet", "text/plain", [("retry-after", "2")]),
    ]
    server.intercept = lambda _request: answers.pop(0) if answers else None
    await client.create(Pod.resource, {"metadata": {"name": "a", "namespace": "n"}})
    assert clock.slept == [7, 2]
    server.intercept = lambda _request: Response(503, b"down", "text/plain")
    with pytest.raises(StatusError) as down:
        await client.get(Pod, "a", "n")
    assert down.value.reason == "ServiceUnavailable" and len(clock.slept) == 2


def test_errors_without_a_status() -> None:
    error = status_error(502, {}, b"<html>proxy</html>")
    assert (error.code, error.message) == (502, "<html>proxy</html>")
    assert status_error(404, {}, b"").reason == "NotFound"


def test_query() -> None:
    assert query_string({"watch": True, "limit": 0, "fieldSelector": "a=b", "continue": None}) == (
        "watch=true&fieldSelector=a%3Db"
    )
