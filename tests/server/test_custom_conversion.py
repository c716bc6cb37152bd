"""Versions of custom kinds that a webhook converts, over real TLS: every way an object is read and written."""

# ruff: noqa: E501 - sentences are easier to compare in one piece

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.definitions import CRDS, WIDGETS, define, definition, version, widget
from tests.server.hooks import Hook, hook, host_address
from tests.server.world import TABLE, Api, World, obj

Json = dict[str, Any]

V2 = "/apis/example.com/v2/namespaces/default/widgets"
#: v1 has host and port, v2 has both in one text.
FIRST = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}
SECOND = {"type": "object", "properties": {"hostPort": {"type": "string", "pattern": "^.+:.+$"}}}
Spoil = Callable[[Json], Any]


def convert(item: Json, wanted: str) -> Json:
    """As a tool's author would write it: fields move, everything else stays."""
    spec = dict(item.get("spec") or {})
    if wanted.endswith("/v2"):
        spec = {"hostPort": f"{spec.get('host', '')}:{spec.get('port', '')}"}
    else:
        host, _, port = spec.get("hostPort", ":").partition(":")
        spec = {"host": host, "port": port}
    return {**item, "apiVersion": wanted, "spec": spec}


class Converter:
    """A hook's answers; `spoil` changes them, `fails` makes it say no, and without `release` it takes its time."""

    def __init__(self) -> None:
        self.spoil: Spoil | None = None
        self.fails = ""
        self.release = asyncio.Event()
        self.release.set()

    async def __call__(self, question: Json) -> Json:
        request = question["request"]
        response: Json = {"uid": request["uid"], "result": {"status": "Success"}}
        response["convertedObjects"] = [convert(each, request["desiredAPIVersion"]) for each in request["objects"]]
        if self.fails:
            response = {"uid": request["uid"], "result": {"status": "Failed", "message": self.fails}}
        answer = {"apiVersion": question["apiVersion"], "kind": "ConversionReview", "response": response}
        if self.spoil is not None:
            self.spoil(answer)
        await self.release.wait()
        return answer


@pytest.fixture
def converter() -> Converter:
    return Converter()


@pytest.fixture
async def asked(tmp_path: Path, converter: Converter) -> AsyncIterator[Hook]:
    async with hook(tmp_path, converter, names=("convert.default.svc",), host="0.0.0.0") as found:
        yield found


def converted(config: Json, *, stored: str = "v1") -> Json:
    crd = definition(
        version("v1", schema=FIRST, subresources={"status": {}}, selectableFields=[{"jsonPath": ".spec.host"}]),
        version("v2", schema=SECOND, subresources={"status": {}}, selectableFields=[{"jsonPath": ".spec.hostPort"}],
                additionalPrinterColumns=[{"name": "Where", "type": "string", "jsonPath": ".spec.hostPort"}]),
        conversion={"strategy": "Webhook", "webhook": {"clientConfig": config, "conversionReviewVersions": ["v1"]}},
    )  # fmt: skip
    for each in crd["spec"]["versions"]:
        each["storage"] = each["name"] == stored
    return crd


@pytest.fixture
async def served(api: Api, asked: Hook) -> Api:
    await define(api, converted(asked.client_config()))
    return api


def first(name: str, host: str = "h", port: str = "1") -> Json:
    return widget(name, host=host, port=port)


def second(name: str, text: str = "h:1") -> Json:
    return widget(name, "example.com/v2", hostPort=text)


@pytest.mark.conformance("Custom Resource Definition Conversion Webhook, conversion custom resource")
async def test_an_object_in_both_versions(served: Api, asked: Hook) -> None:
    made = (await served.post(WIDGETS, first("a"))).ok(201)
    assert asked.asked == []  # nothing to convert: it is stored as it came
    found = (await served.get(f"{V2}/a")).ok()
    assert (found["apiVersion"], found["spec"]) == ("example.com/v2", {"hostPort": "h:1"})
    assert found["metadata"] == made["metadata"]
    question = asked.asked[0]
    assert (question["kind"], question["apiVersion"]) == ("ConversionReview", "apiextensions.k8s.io/v1")
    assert question["request"]["desiredAPIVersion"] == "example.com/v2"
    (await served.get(f"{V2}/a")).ok()
    assert len(asked.asked) == 1  # once for a revision
    # Written in the other version, it is stored in the first.
    answer = (await served.post(V2, second("b", "x:9"))).ok(201)
    assert (answer["apiVersion"], answer["spec"]) == ("example.com/v2", {"hostPort": "x:9"})
    assert (await served.get(f"{WIDGETS}/b")).ok()["spec"] == {"host": "x", "port": "9"}
    changed = {**answer, "spec": {"hostPort": "y:8"}}
    assert (await served.put(f"{V2}/b", changed)).ok()["metadata"]["generation"] == 2
    assert (await served.merge(f"{V2}/b", {"spec": {"hostPort": "z:7"}})).ok()["spec"] == {"hostPort": "z:7"}
    assert (await served.get(f"{WIDGETS}/b")).ok()["spec"] == {"host": "z", "port": "7"}
    # What is wrong is told in the version it was written in.
    refused = await served.merge(f"{V2}/b", {"spec": {"hostPort": "nothing"}})
    assert refused.code == 422
    assert "spec.hostPort: Invalid value" in refused.message
    (await served.merge(f"{V2}/b/status", {"status": {"phase": "Fine"}})).ok()
    assert (await served.get(f"{WIDGETS}/b")).ok()["status"] == {"phase": "Fine"}
    (await served.apply(f"{V2}/c", second("c", "q:1"))).ok(201)
    applied = await served.apply(f"{V2}/c", second("c", "q:2"))
    assert applied.ok()["spec"] == {"hostPort": "q:2"}
    clash = await served.apply(f"{V2}/c", second("c", "q:3"), manager="other")
    assert (clash.code, clash.message) == (409, 'Apply failed with 1 conflict: conflict with "tester": .spec.hostPort')
    assert (await served.delete(f"{V2}/c")).ok()["status"] == "Success"


@pytest.mark.conformance("Custom Resource Definition Conversion Webhook, convert mixed version list")
async def test_lists_of_objects_stored_in_both(served: Api, asked: Hook) -> None:
    for name in ("a", "b"):
        (await served.post(WIDGETS, first(name))).ok(201)
    crd = (await served.get(f"{CRDS}/widgets.example.com")).ok()
    for each in crd["spec"]["versions"]:
        each["storage"] = each["name"] == "v2"
    changed = (await served.put(f"{CRDS}/widgets.example.com", crd)).ok()
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    for name in ("c", "d"):
        (await served.post(V2, second(name, f"{name}:2"))).ok(201)
    asked.asked.clear()
    both = (await served.get(V2)).ok()
    assert [each["apiVersion"] for each in both["items"]] == ["example.com/v2"] * 4
    assert [each["spec"]["hostPort"] for each in both["items"]] == ["h:1", "h:1", "c:2", "d:2"]
    # Those that are in the wanted version already are not asked about, and the others at once.
    assert [[each["metadata"]["name"] for each in one["request"]["objects"]] for one in asked.asked] == [["a", "b"]]
    mixed = (await served.get(WIDGETS)).ok()
    assert [(each["apiVersion"], each["spec"]["host"]) for each in mixed["items"]] == [
        ("example.com/v1", host) for host in ("h", "h", "c", "d")]  # fmt: skip
    page = (await served.get(V2, limit=3)).ok()
    rest = (await served.get(V2, limit=3, **{"continue": page["metadata"]["continue"]})).ok()
    assert [each["metadata"]["name"] for each in (*page["items"], *rest["items"])] == ["a", "b", "c", "d"]
    assert (await served.get(V2, fieldSelector="spec.hostPort=c:2")).names == ["c"]
    assert (await served.get(WIDGETS, fieldSelector="spec.host=h")).names == ["a", "b"]
    table = (await served.get(V2, accept=TABLE)).ok()
    assert [row["cells"] for row in table["rows"]] == [["a", "h:1"], ["b", "h:1"], ["c", "c:2"], ["d", "d:2"]]
    # Migrated: each is written again, and the old version can go.
    for name in ("a", "b"):
        (await served.put(f"{V2}/{name}", (await served.get(f"{V2}/{name}")).ok())).ok()
    assert (await served.merge(f"{CRDS}/widgets.example.com/status", {"status": {"storedVersions": ["v2"]}})).ok()
    crd = (await served.get(f"{CRDS}/widgets.example.com")).ok()
    assert crd["status"]["storedVersions"] == ["v2"]


async def test_watches(served: Api, asked: Hook) -> None:
    (await served.post(WIDGETS, first("a"))).ok(201)
    async with await served.watch(V2, sendInitialEvents="true", resourceVersionMatch="NotOlderThan",
                                  allowWatchBookmarks="true") as watching:  # fmt: skip
        event = await watching.next()
        assert (event["type"], event["object"]["spec"]) == ("ADDED", {"hostPort": "h:1"})
        mark = await watching.next()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        (await served.post(WIDGETS, first("b", "x"))).ok(201)
        (await served.merge(f"{WIDGETS}/b", {"spec": {"port": "2"}})).ok()
        (await served.delete(f"{WIDGETS}/b")).ok()
        seen = [await watching.next() for _ in range(3)]
        assert [(each["type"], each["object"]["apiVersion"], each["object"]["spec"]["hostPort"]) for each in seen] == [
            ("ADDED", "example.com/v2", "x:1"), ("MODIFIED", "example.com/v2", "x:2"),
            ("DELETED", "example.com/v2", "x:2")]  # fmt: skip
        revisions = [int(each["object"]["metadata"]["resourceVersion"]) for each in seen]
        assert revisions == sorted(set(revisions))
    async with await served.watch(V2, fieldSelector="spec.hostPort=h:2", resourceVersion="0") as watching:
        (await served.merge(f"{WIDGETS}/a", {"spec": {"port": "2"}})).ok()
        assert (await watching.next())["type"] == "ADDED"
        (await served.merge(f"{WIDGETS}/a", {"spec": {"port": "3"}})).ok()
        assert (await watching.next())["type"] == "DELETED"


def response(change: Callable[[Json], Any]) -> Spoil:
    return lambda answer: change(answer["response"])


def objects(change: Callable[[Json], Any]) -> Spoil:
    return lambda answer: [change(each) for each in answer["response"]["convertedObjects"]]


def metadata(**fields: Any) -> Spoil:
    return objects(lambda each: each["metadata"].update(fields))


SPOILT: list[tuple[Spoil, str]] = [
    (response(lambda r: r.update(convertedObjects=[])), " returned 0 objects, expected 1"),
    (response(lambda r: r.update(uid="other")), ' failed: expected response.uid="'),
    (response(lambda r: r.update(result={"status": "Failed"})),
     " failed: response.result.status was 'Failed', not 'Success'"),
    (response(lambda r: r.update(result={"status": "Failed", "message": "not today"})), " failed: not today"),
    (lambda answer: answer.pop("response"), " failed: no response provided"),
    (lambda answer: answer.update(kind="Odd"),
     " failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, "
     "Kind=Odd"),
    (objects(lambda o: o.update(apiVersion="example.com/v3")),
     " returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)"),
    (objects(lambda o: o.update(kind="Odd")),
     " returned invalid object at index 0: invalid kind (expected Widget, received Odd)"),
    (metadata(name="b"), " returned invalid object: must have the same name: a != b"),
    (metadata(namespace="other"), " returned invalid object: must have the same namespace: default != other"),
    (metadata(uid="1"), " returned invalid object: must have the same UID: "),
    (metadata(labels={"a": 1}), " returned invalid metadata: metadata.labels[a] must be a string"),
    (metadata(labels={"a b": "c"}), ' returned invalid metadata: metadata.labels: Invalid value: "a b": name part must '),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "wrong"), SPOILT)
async def test_hooks_that_answer_nonsense(served: Api, converter: Converter, spoil: Spoil, wrong: str) -> None:
    (await served.post(WIDGETS, first("a"))).ok(201)
    converter.spoil = spoil
    answer = await served.get(f"{V2}/a")
    assert answer.code == 500
    assert answer.message.startswith(f"conversion webhook for example.com/v1, Kind=Widget{wrong}"), answer.message
    assert (await served.get(f"{WIDGETS}/a")).ok()["spec"] == {"host": "h", "port": "1"}
    # A hook that comes to its senses is asked again.
    converter.spoil = None
    assert (await served.get(f"{V2}/a")).ok()["spec"] == {"hostPort": "h:1"}


async def test_of_metadata_labels_and_annotations_may_change(served: Api, converter: Converter) -> None:
    (await served.post(WIDGETS, first("a"))).ok(201)
    converter.spoil = metadata(labels={"made": "v2"}, annotations={"x": "y"}, finalizers=["example.com/no"],
                               creationTimestamp="2000-01-01T00:00:00Z")  # fmt: skip
    meta = (await served.get(f"{V2}/a")).ok()["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"made": "v2"}, {"x": "y"})
    assert "finalizers" not in meta
    assert meta["creationTimestamp"] != "2000-01-01T00:00:00Z"


async def test_a_hook_that_fails_stops_lists_writes_and_watches_in_its_version_only(
    served: Api, converter: Converter
) -> None:
    for name in ("a", "b"):
        (await served.post(WIDGETS, first(name))).ok(201)
    converter.fails = "on strike"
    what = "conversion webhook for example.com/v1, Kind=Widget"
    listed = await served.get(V2)
    assert (listed.code, listed.message) == (500, f"{what}List failed: on strike")
    refused = await served.post(V2, second("c"))
    assert (refused.code, refused.message) == (
        500,
        "conversion webhook for example.com/v2, Kind=Widget failed: on strike",
    )
    assert (await served.merge(f"{V2}/a", {"metadata": {"labels": {"x": "y"}}})).code == 500
    async with await served.watch(V2, resourceVersion="0") as watching:
        event = await watching.next()
        assert (event["type"], event["object"]["code"]) == ("ERROR", 500)
        assert await watching.ended()
    assert (await served.get(WIDGETS)).names == ["a", "b"]
    (await served.delete(f"{WIDGETS}/a")).ok()


async def test_nobody_answers(api: Api, tmp_path: Path) -> None:
    crd = converted({"url": "https://127.0.0.1:9/nothing"})
    await define(api, crd)
    (await api.post(WIDGETS, first("a"))).ok(201)
    answer = await api.get(f"{V2}/a")
    assert answer.code == 500
    assert answer.message.startswith(
        'conversion webhook for example.com/v1, Kind=Widget failed: Post "https://127.0.0.1:9/nothing?timeout=30s": '
    )


async def test_a_hook_by_service(world: World, asked: Hook) -> None:
    api = world.admin
    await define(api, converted(asked.service_config("default", "convert")))
    (await api.post(WIDGETS, first("a"))).ok(201)
    answer = await api.get(f"{V2}/a")
    assert answer.message.startswith("conversion webhook for example.com/v1, Kind=Widget failed: ")
    assert 'service "convert" not found' in answer.message
    ports = [{"port": 443, "targetPort": asked.port}]
    (await api.post("/api/v1/namespaces/default/services", obj("Service", "convert", spec={"ports": ports}))).ok(201)
    endpoints = obj("EndpointSlice", "convert-1", "discovery.k8s.io/v1", labels={"kubernetes.io/service-name": "convert"},
                    addressType="IPv4", ports=[{"port": asked.port}],
                    endpoints=[{"addresses": [host_address()], "conditions": {"ready": True}}])  # fmt: skip
    (await api.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", endpoints)).ok(201)
    assert (await api.get(f"{V2}/a")).ok()["spec"] == {"hostPort": "h:1"}


async def test_many_objects_are_asked_about_in_batches(
    served: Api, asked: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaa.server.customresources.conversion.BATCH_OBJECTS", 10)
    for at in range(25):
        (await served.post(WIDGETS, first(f"w{at:02}", f"h{at}"))).ok(201)
    listed = (await served.get(V2)).ok()
    assert [each["spec"]["hostPort"] for each in listed["items"]] == [f"h{at}:1" for at in range(25)]
    assert [len(each["request"]["objects"]) for each in asked.asked] == [10, 10, 5]


async def test_slow_hooks_keep_nobody_else_waiting(served: Api, converter: Converter) -> None:
    (await served.post(WIDGETS, first("a"))).ok(201)
    converter.release = asyncio.Event()
    waiting = asyncio.ensure_future(served.get(f"{V2}/a"))
    await asyncio.sleep(0.02)
    assert (await served.get(f"{WIDGETS}/a")).ok()["spec"]["host"] == "h"
    assert not waiting.done()
    converter.release.set()
    assert (await waiting).ok()["spec"] == {"hostPort": "h:1"}
