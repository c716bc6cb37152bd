"""Protobuf on the wire: every kind, every verb, against the tests' own client."""

import asyncio
import json
import struct
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.kinds import wire_client as wire
from tests.server.samples import MORE_SAMPLES, SAMPLES, path_of, sample
from tests.server.world import ACCOUNTS, CM, DEPLOYMENTS, PODS, Api, World, config_map, deployment, obj, pod

from kaa.http.api import StreamReply
from kaa.kinds import tables

Json = dict[str, Any]
PROTOBUF = "application/vnd.kubernetes.protobuf"
#: What two objects made one after the other do not share.
OWN = ("name", "uid", "creationTimestamp", "resourceVersion", "managedFields", "generateName")


def message_of(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return tables.protobuf_message(tables.definition_of(group, version, kind))


def packed(made: Json) -> bytes:
    """As a Go client sends it."""
    api_version, kind = made["apiVersion"], made["kind"]
    return wire.envelope(api_version, kind, wire.write(message_of(api_version, kind), made))


def unpacked(body: bytes) -> Json:
    api_version, kind, raw = wire.opened(body)
    message = wire.META + kind if kind == "Status" or api_version == "meta.k8s.io/v1" else message_of(api_version, kind)
    return {"kind": kind, "apiVersion": api_version, **wire.read(message, raw)}


def shared(made: Json) -> Json:
    """Without what belongs to this one object."""
    out = json.loads(json.dumps(made))
    for name in OWN:
        out["metadata"].pop(name, None)
    out.get("spec", {}).pop("names", None)
    for name in ("acceptedNames", "conditions"):
        (out.get("status") or {}).pop(name, None)
    if out["kind"] == "Job":  # its selector is its uid
        del out["spec"]["selector"], out["spec"]["template"]["metadata"]
    if out["kind"] == "APIService":  # its name says its group
        del out["spec"]["group"]
    labels = out["metadata"].get("labels", {})
    labels.pop("kubernetes.io/metadata.name", None)
    return out


class Frames:
    """A watch in protobuf, read frame by frame."""

    def __init__(self, reply: StreamReply) -> None:
        self.reply = reply
        self._chunks = reply.chunks()
        self._held = b""

    async def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            self._held += await asyncio.wait_for(anext(self._chunks), 5)
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    async def next(self) -> tuple[str, Json]:
        """The next event's type and object."""
        (size,) = struct.unpack(">I", await self._take(4))
        event = dict(wire.parts(await self._take(size)))
        return event[1].decode(), unpacked(dict(wire.parts(event[2]))[1])


async def watched(api: Api, path: str, accept: str = PROTOBUF, **query: Any) -> Frames:
    reply = await api.transport.stream(
        "GET", path, query=urlencode({"watch": "1", **query}), headers=[("Accept", accept)]
    )
    assert reply.status == 200 and reply.headers["content-type"] == f"{PROTOBUF};stream=watch"
    return Frames(reply)


@pytest.mark.parametrize(("api_version", "plural", "kind", "namespaced", "content"), [*SAMPLES, *MORE_SAMPLES],
                         ids=[f"{each[0]}-{each[1]}" for each in [*SAMPLES, *MORE_SAMPLES]])  # fmt: skip
async def test_every_kind_lives_in_protobuf(
    world: World, api_version: str, plural: str, kind: str, namespaced: bool, content: Json
) -> None:
    api, path = world.admin, path_of(api_version, plural, namespaced)
    if kind == "Pod":  # its volumes and class are admission's business, not the form's
        content = {**content, "spec": {**content["spec"], "serviceAccountName": "default"}}
    made = sample(api_version, kind, "in-protobuf", content)
    name = made["metadata"]["name"]
    created = await api.post(path, packed(made), media=PROTOBUF, accept=PROTOBUF)
    assert created.code == 201, created.body[:1500]
    assert created.headers["content-type"] == PROTOBUF
    twin = sample(api_version, kind, "in-json", content)
    from_json = (await api.post(path, twin)).ok(201)
    got = (await api.get(f"{path}/{name}")).ok()
    # What came as protobuf is what came as JSON, and leaves as it is held.
    assert shared(got) == shared(from_json)
    answer = await api.get(f"{path}/{name}", accept=PROTOBUF)
    for template in got["spec"].get("volumeClaimTemplates", ()) if kind == "StatefulSet" else ():
        del template["kind"], template["apiVersion"]  # objects inside objects have no fields for these
    if kind == "CustomResourceDefinition" and not got["status"].get("conditions", True):
        del got["status"]["conditions"]  # an empty list is nothing on the wire
    assert unpacked(answer.body) == got == unpacked(created.body)

    api_listed, list_kind, raw = wire.opened((await api.get(path, accept=PROTOBUF)).body)
    assert (api_listed, list_kind) == (api_version, f"{kind}List")
    items = wire.read(message_of(api_version, kind) + "List", raw)["items"]
    bare = {key: value for key, value in got.items() if key not in ("kind", "apiVersion")}
    assert bare in items
    partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    metadata = unpacked((await api.get(f"{path}/{name}", accept=partial)).body)
    assert metadata == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": got["metadata"]}

    changed = {**got, "metadata": {**got["metadata"], "annotations": {"changed": "yes"}}}
    updated = await api.put(f"{path}/{name}", packed(changed), media=PROTOBUF, accept=PROTOBUF)
    assert updated.code == 200, updated.body[:1500]
    assert unpacked(updated.body)["metadata"]["annotations"]["changed"] == "yes"
    again = (await api.get(f"{path}/{name}")).ok()
    if kind != "StatefulSet":
        assert shared(again) == shared({**got, "metadata": again["metadata"]})

    options = wire.envelope("v1", "DeleteOptions", wire.write(wire.META + "DeleteOptions", {
        "gracePeriodSeconds": 0, "propagationPolicy": "Background",
        "preconditions": {"uid": "another"}}))  # fmt: skip
    refused = await api.delete(f"{path}/{name}", options, media=PROTOBUF, accept=PROTOBUF)
    status = unpacked(refused.body)
    assert (refused.code, status["reason"]) == (409, "Conflict"), status
    deleted = await api.delete(f"{path}/{name}", accept=PROTOBUF)
    assert deleted.code == 200 and deleted.headers["content-type"] == PROTOBUF
    unpacked(deleted.body)


PARTIAL = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize("accept", [PROTOBUF, PARTIAL])
async def test_watches_in_frames(api: Api, accept: str) -> None:
    await api.post(CM, config_map("first", a="1"))
    frames = await watched(api, CM, accept, sendInitialEvents="true", resourceVersionMatch="NotOlderThan",
                           allowWatchBookmarks="true")  # fmt: skip
    kind, made = await frames.next()
    assert (kind, made["metadata"]["name"]) == ("ADDED", "first")
    assert made["kind"] == ("ConfigMap" if accept == PROTOBUF else "PartialObjectMetadata")
    assert ("data" in made) == (accept == PROTOBUF)
    kind, mark = await frames.next()
    assert kind == "BOOKMARK" and mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["kind"] == made["kind"]
    await api.post(CM, packed(config_map("second", b="")), media=PROTOBUF)
    assert await frames.next() == ("ADDED", await told(api, f"{CM}/second", accept))
    await api.merge(f"{CM}/second", {"data": {"c": "3"}})
    assert await frames.next() == ("MODIFIED", await told(api, f"{CM}/second", accept))
    await api.delete(f"{CM}/second")
    kind, gone = await frames.next()
    assert (kind, gone["metadata"]["name"]) == ("DELETED", "second")
    await frames.reply.aclose()


async def told(api: Api, path: str, accept: str) -> Json:
    return unpacked((await api.get(path, accept=accept)).body)


async def test_metadata_of_a_list(api: Api) -> None:
    for name in ("a", "b"):
        await api.post(CM, config_map(name, x="y"))
    accept = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
    answer = await api.get(CM, accept=accept, limit=1)
    api_version, kind, raw = wire.opened(answer.body)
    assert (api_version, kind) == ("meta.k8s.io/v1", "PartialObjectMetadataList")
    found = wire.read(wire.META + "PartialObjectMetadataList", raw)
    assert [each["metadata"]["name"] for each in found["items"]] == ["a"]
    assert found["metadata"]["continue"] and found["metadata"]["remainingItemCount"] == 1


async def test_refusals_come_in_the_form_the_client_reads(api: Api) -> None:
    missing = await api.get(f"{CM}/missing", accept=f"{PROTOBUF},application/json")
    assert (missing.code, missing.headers["content-type"]) == (404, PROTOBUF)
    status = unpacked(missing.body)
    as_json = (await api.get(f"{CM}/missing")).json
    assert {**status, "metadata": {}} == as_json
    # pods with many problems: every cause arrives
    bad = pod("x", restartPolicy="Perhaps", containers=[{"name": "A", "image": ""}])
    refused = await api.post(PODS, packed(bad), media=PROTOBUF, accept=PROTOBUF)
    twin = (await api.post(PODS, bad)).json
    assert refused.code == 422 and {**unpacked(refused.body), "metadata": {}} == twin
    yaml = await api.get(f"{CM}/missing", accept="application/yaml")
    assert yaml.headers["content-type"] == "application/yaml" and b"reason: NotFound" in yaml.body


async def test_bodies_of_subresources(api: Api) -> None:
    node = obj("Node", "n1")
    await api.post("/api/v1/nodes", packed(node), media=PROTOBUF)
    for name in ("a", "b"):
        await api.post(PODS, packed(pod(name)), media=PROTOBUF)
    binding = obj("Binding", "a", target={"kind": "Node", "name": "n1", "apiVersion": "v1"})
    bound = await api.post(f"{PODS}/a/binding", packed(binding), media=PROTOBUF, accept=PROTOBUF)
    assert bound.code == 201 and unpacked(bound.body)["status"] == "Success"
    assert (await api.get(f"{PODS}/a")).json["spec"]["nodeName"] == "n1"
    eviction = obj("Eviction", "b", "policy/v1")
    assert (await api.post(f"{PODS}/b/eviction", packed(eviction), media=PROTOBUF)).code == 201
    await api.post(DEPLOYMENTS, packed(deployment("d", 2)), media=PROTOBUF)
    scale = unpacked((await api.get(f"{DEPLOYMENTS}/d/scale", accept=PROTOBUF)).body)
    assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == 2
    scale["spec"]["replicas"] = 0
    answer = await api.put(f"{DEPLOYMENTS}/d/scale", packed({**scale, "spec": {"replicas": 0}}), media=PROTOBUF)
    assert answer.ok()["spec"].get("replicas", 0) == 0
    assert (await api.get(f"{DEPLOYMENTS}/d")).json["spec"]["replicas"] == 0
    token = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"audiences": ["x"], "expirationSeconds": 600})
    asked = await api.post(f"{ACCOUNTS}/default/token", packed(token), media=PROTOBUF, accept=PROTOBUF)
    assert asked.code == 201 and unpacked(asked.body)["status"]["token"].count(".") == 2
    status = (await api.get(f"{PODS}/a")).json
    status["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    changed = await api.put(f"{PODS}/a/status", packed(status), media=PROTOBUF, accept=PROTOBUF)
    assert unpacked(changed.body)["status"]["phase"] == "Running"


async def test_reviews(world: World) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    review = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1",
                 spec={"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}})  # fmt: skip
    answer = await world.admin.post(path, packed(review), media=PROTOBUF, accept=PROTOBUF)
    assert answer.code == 201 and unpacked(answer.body)["status"]["allowed"] is True
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    review = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec={
        "user": "u", "extra": {"scope": ["a", "b"]},
        "nonResourceAttributes": {"path": "/x", "verb": "get"}})  # fmt: skip
    answer = await world.admin.post(path, packed(review), media=PROTOBUF, accept=PROTOBUF)
    told = unpacked(answer.body)
    assert told["status"]["allowed"] is False and told["spec"]["extra"] == {"scope": ["a", "b"]}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    review = obj("SelfSubjectReview", "", "authentication.k8s.io/v1")
    answer = await world.admin.post(path, packed(review), media=PROTOBUF, accept=PROTOBUF)
    assert unpacked(answer.body)["status"]["userInfo"]["username"] == "admin"


CMAP = "k8s.io.api.core.v1.ConfigMap"
GOOD = wire.write(CMAP, {"metadata": {"name": "good"}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "does not appear to be a protobuf message"),
        (b"k8s\0\xff", "unexpected EOF"),
        (wire.envelope("v1", "ConfigMap", GOOD)[:-3], "unexpected EOF"),
        (wire.envelope("v1", "ConfigMap", GOOD[:-1]), "unexpected EOF"),
        (wire.envelope("v1", "ConfigMap", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "unexpected EOF"),
        (wire.envelope("v1", "ConfigMap", b"\x0a" + b"\xff" * 12), "integer overflow"),
        (wire.envelope("v1", "ConfigMap", b"\x08\x01"), "wrong wireType"),
        (wire.envelope("v1", "ConfigMap", wire.blob(1, wire.blob(1, b"\xff\xfe"))), "UTF-8"),
        (wire.envelope("v1", "Secret", GOOD), "cannot be handled as a ConfigMap"),
        (wire.envelope("apps/v1", "ConfigMap", GOOD), "cannot be handled as a ConfigMap"),
        (wire.envelope("v1", "ConfigMap", b"\x0b" * 5000), "wrong wireType"),
    ],
)
async def test_malformed_bodies_are_refused_and_harm_nothing(api: Api, body: bytes, said: str) -> None:
    answer = await api.post(CM, body, media=PROTOBUF)
    assert answer.code == 400 and said in answer.message, answer.body
    assert (await api.get(CM)).names == []


async def test_bytes_at_random_never_break_the_server(api: Api) -> None:
    """Every prefix of a body, and every byte of it turned over."""
    body = packed(pod("p", containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}]))
    for at in range(len(body)):
        for bad in (
            body[:at],
            body[:at] + bytes([body[at] ^ 0x80]) + body[at + 1 :],
            body[:at] + b"\xff" + body[at + 1 :],
        ):
            answer = await api.post(PODS, bad, media=PROTOBUF, dryRun="All")
            assert answer.code < 500, (at, answer.body)


ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
#: Accept -> the content type of a pod's answer; None: 406.
ANSWERS = [
    (f"{PROTOBUF},application/json", PROTOBUF),
    (f"application/json;q=0.9,{PROTOBUF};q=1.0", PROTOBUF),
    (f"{PROTOBUF};q=0.1,application/json;q=0.2", "application/json"),
    ("application/json;charset=utf-8", "application/json"),
    ("application/yaml", "application/yaml"),
    ("*/*", "application/json"),
    (PARTIAL, PROTOBUF),
    ("application/yaml;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "application/yaml"),
    # A table has no protobuf form: the next clause counts.
    (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json", "application/json"),
    (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1", None),
    ("application/json;as=Unheard;g=meta.k8s.io;v=v1", None),
    ("application/cbor", None),
    ("text/plain", None),
]


@pytest.mark.parametrize(("accept", "media"), ANSWERS)
async def test_the_answers_form(api: Api, accept: str, media: str | None) -> None:
    await api.post(CM, config_map("a"))
    answer = await api.get(f"{CM}/a", accept=accept)
    if media is None:
        assert (answer.code, answer.message) == (406, f"only the following media types are accepted: {ACCEPTED}")
    else:
        assert (answer.code, answer.headers["content-type"]) == (200, media)


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("application/cbor", 415),
        ("application/xml", 415),
        ("text/plain", 415),
    ],
)
async def test_the_bodys_form(api: Api, media: str, code: int) -> None:
    answer = await api.post(CM, config_map("a"), media=media)
    assert answer.code == code
    if code == 415:
        assert answer.reason == "UnsupportedMediaType"
        assert answer.message == (
            f"the body of the request was in an unknown format - accepted media types include: {ACCEPTED}"
        )


async def test_a_patch_in_protobuf_is_refused_with_what_patches_are(api: Api) -> None:
    await api.post(CM, config_map("a"))
    answer = await api.ask("PATCH", f"{CM}/a", b"k8s\0", media=PROTOBUF)
    assert answer.code == 415
    assert answer.message.endswith(
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
        "application/apply-patch+yaml"
    )
    patched = await api.ask("PATCH", f"{CM}/a", {"data": {"a": "1"}}, media="application/merge-patch+json",
                            accept=PROTOBUF)  # fmt: skip
    assert unpacked(patched.body)["data"] == {"a": "1"}
