"""OpenAPI v2 and v3: valid documents, named by their content, following what is served."""

import json
from pathlib import Path

import pytest
from tests.kinds import wire_client as wire
from tests.server.definitions import definition, version
from tests.server.world import Api, World

from kaa.http.api import Request
from kaa.kinds.custom.kind import kinds_of
from kaa.kinds.spec import KindSpec
from kaa.server.openapi import OpenApi
from kaa.server.openapi.descriptions import Descriptions
from kaa.server.request import User


async def test_openapi_v3(api: Api) -> None:
    index = (await api.get("/openapi/v3")).ok()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/batch/v1"} <= set(index)
    for path in index:
        url = index[path]["serverRelativeURL"]
        answer = await api.get(url)
        document = answer.ok()
        # The index names each document by its ETag, so that clients may keep what they have.
        assert answer.headers["etag"].strip('"') == url.partition("hash=")[2]
        assert "immutable" in answer.headers["cache-control"]
        assert document["openapi"].startswith("3.0") and document["components"]["schemas"]
        for name, operation in document["paths"].items():
            assert name.startswith(("/api/", "/apis/")) and operation
        text = answer.body.decode()
        defined = set(document["components"]["schemas"])
        import re

        used = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
        assert used <= defined, used - defined
    deployment = (await api.get("/openapi/v3/apis/apps/v1")).json["components"]["schemas"][
        "io.k8s.api.apps.v1.Deployment"
    ]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    pod_spec = (await api.get("/openapi/v3/api/v1")).json["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    containers = pod_spec["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name" and containers["x-kubernetes-list-map-keys"] == ["name"]
    assert pod_spec["required"] == ["containers"]


async def test_openapi_v2(api: Api) -> None:
    answer = await api.get("/openapi/v2")
    document = answer.ok()
    assert document["swagger"] == "2.0"
    definitions = document["definitions"]
    assert definitions["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"][0]["kind"] == "Pod"
    import re

    used = set(re.findall(r'"#/definitions/([^"]+)"', answer.body.decode()))
    assert used <= set(definitions), used - set(definitions)
    patch = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert {"dryRun", "fieldValidation"} <= {each["name"] for each in patch["parameters"] if "name" in each}


V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def named(raw: bytes, at: int) -> dict[str, bytes]:
    """The entries of a map in the messages of OpenAPI: each has its name and its value."""
    found = {}
    for number, part in wire.parts(raw):
        if number == at:
            entry = dict(wire.parts(part))
            found[entry[1].decode()] = entry.get(2, b"")
    return found


@pytest.mark.parametrize("accept", [V2_PROTOBUF, f"{V2_PROTOBUF},application/json"])
async def test_openapi_v2_in_protobuf(api: Api, accept: str) -> None:
    """What clients in Go read: written out by the numbers of the messages they use."""
    answer = await api.get("/openapi/v2", accept=accept)
    assert answer.code == 200
    assert answer.headers["content-type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    document = dict(wire.parts(answer.body))
    assert document[1] == b"2.0"
    plain = (await api.get("/openapi/v2")).json
    definitions = named(document[9], 1)
    assert set(definitions) == set(plain["definitions"])
    assert set(named(document[8], 2)) == set(plain["paths"])
    pod_spec = definitions["io.k8s.api.core.v1.PodSpec"]
    parts = wire.parts(pod_spec)
    assert [part.decode() for number, part in parts if number == 19] == ["containers"]
    fields = named(dict(parts)[25], 1)
    assert set(fields) == set(plain["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"])
    containers = wire.parts(fields["containers"])
    item = dict(wire.parts(dict(wire.parts(dict(containers)[23]))[1]))
    assert item[1] == b"#/definitions/io.k8s.api.core.v1.Container"
    extensions = {name: dict(wire.parts(value))[2] for name, value in named(fields["containers"], 31).items()}
    assert extensions["x-kubernetes-patch-merge-key"] == b'"name"\n'
    item = dict(wire.parts(named(document[8], 2)["/api/v1/namespaces/{namespace}/pods/{name}"]))
    patch = wire.parts(item[8])
    names = set()
    for number, part in patch:
        if number == 8:
            parameter = dict(wire.parts(dict(wire.parts(part))[1]))
            inner = parameter[1] if 1 in parameter else dict(wire.parts(parameter[2]))[3]
            names.add(dict(wire.parts(inner))[2 if 1 in parameter else 4])
    assert {b"body", b"dryRun", b"fieldManager", b"force"} <= names


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("/openapi/v2", "application/json", 200),
        ("/openapi/v2", "*/*", 200),
        ("/openapi/v2", "text/html", 406),
        ("/openapi/v3", "application/json", 200),
        ("/openapi/v3", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", 406),
        ("/openapi/v3/apis/apps/v1", "application/json", 200),
        ("/openapi/v3/apis/apps/v1", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", 406),
        ("/openapi/v3/apis/none/v1", "", 404),
    ],
)
async def test_forms_and_paths(api: Api, path: str, accept: str, code: int) -> None:
    assert (await api.get(path, accept=accept)).code == code


async def test_a_stale_name_leads_to_the_present_one(api: Api) -> None:
    answer = await api.get("/openapi/v3/apis/apps/v1?hash=OLD")
    assert answer.code == 301
    now = await api.get(answer.headers["location"])
    assert now.code == 200 and answer.headers["location"].endswith(now.headers["etag"].strip('"'))
    held = await api.get("/openapi/v3/apis/apps/v1", headers={"If-None-Match": now.headers["etag"]})
    assert held.code == 304 and held.body == b""


def cat(spec: dict) -> KindSpec:
    crd = definition(version(schema=spec), kind="Cat", group="zoo.example.com")
    return kinds_of(crd)[0]


async def test_custom_kinds_are_told_at_once_and_cost_their_own_group(world: World) -> None:
    api, registry = world.admin, world.server.parts.registry
    before = (await api.get("/openapi/v3")).json["paths"]
    v2 = (await api.get("/openapi/v2")).headers["etag"]
    registry.add(
        cat(
            {
                "type": "object",
                "properties": {"lives": {"type": "integer"}},
                "x-kubernetes-preserve-unknown-fields": True,
            }
        )
    )
    after = (await api.get("/openapi/v3")).json["paths"]
    assert set(after) - set(before) == {"apis/zoo.example.com/v1"}
    assert {path: after[path] for path in before} == before  # the others have their names still
    document = (await api.get("/openapi/v3/apis/zoo.example.com/v1")).ok()
    name = "com.example.zoo.v1.Cat"
    schema = document["components"]["schemas"][name]
    assert schema["x-kubernetes-group-version-kind"] == [{"group": "zoo.example.com", "version": "v1", "kind": "Cat"}]
    assert schema["properties"]["spec"] == {
        "type": "object", "properties": {"lives": {"type": "integer"}}, "x-kubernetes-preserve-unknown-fields": True,
    }  # fmt: skip
    assert {"apiVersion", "kind", "metadata"} <= set(schema["properties"])
    path = document["paths"]["/apis/zoo.example.com/v1/namespaces/{namespace}/cats"]
    assert path["post"]["operationId"] == "createZooExampleComV1NamespacedCat"
    assert "application/vnd.kubernetes.protobuf" not in path["get"]["responses"]["200"]["content"]
    changed = await api.get("/openapi/v2")
    assert changed.headers["etag"] != v2 and name in changed.json["definitions"]
    registry.remove("zoo.example.com", "v1", "cats")
    assert (await api.get("/openapi/v3")).json["paths"] == before
    assert (await api.get("/openapi/v3/apis/zoo.example.com/v1")).code == 404


async def test_operations_are_those_of_discovery(api: Api) -> None:
    """Each verb of each kind has its operation, with a name that no other has."""
    methods = {"list": "get", "create": "post", "deletecollection": "delete", "get": "get", "update": "put",
               "patch": "patch", "delete": "delete"}  # fmt: skip
    for root in ("/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/policy/v1"):
        paths = (await api.get(f"/openapi/v3{root}")).ok()["paths"]
        for resource in (await api.get(root)).json["resources"]:
            name, _, sub = resource["name"].partition("/")
            base = f"{root}/namespaces/{{namespace}}/{name}" if resource["namespaced"] else f"{root}/{name}"
            for verb in set(resource["verbs"]) - {"watch"}:
                one = verb in ("get", "update", "patch", "delete") or sub
                path = base + ("/{name}" if one else "") + (f"/{sub}" if sub else "")
                assert methods[verb] in paths[path], (path, verb)
        ids = [each["operationId"] for item in paths.values() for key, each in item.items() if key != "parameters"]
        assert len(ids) == len(set(ids))


def packaged(directory: Path, version: str, **definitions: dict) -> None:
    """The package with descriptions, as small as can be."""
    there = directory / "kubernetes-json-schema" / f"{version}-local"
    there.mkdir(parents=True)
    nodes = {name.replace("__", "."): node for name, node in definitions.items()}
    (there / "_definitions.json").write_text(json.dumps({"$defs": nodes}))


async def test_descriptions_come_from_the_package_that_has_them(world: World, tmp_path: Path) -> None:
    pod_node = {"description": "A pod, told.", "properties": {"spec": {"description": "What it should be."}}}
    packaged(tmp_path, "v1.35.9", io__k8s__api__core__v1__Pod={"description": "An older pod."})
    packaged(tmp_path, "v1.36.0", io__k8s__api__core__v1__Pod=pod_node)
    packaged(tmp_path, "v1.9.0", io__k8s__api__core__v1__Pod={"description": "An ancient pod."})
    openapi = OpenApi(world.server.parts.registry, Descriptions(tmp_path))
    answer = await openapi.v3(Request("GET", "/openapi/v3/api/v1"), User("admin"))  # type: ignore[misc]
    schemas = json.loads(answer.body)["components"]["schemas"]
    told = schemas["io.k8s.api.core.v1.Pod"]
    assert told["description"] == "A pod, told."
    assert told["properties"]["spec"]["description"] == "What it should be."
    assert told["properties"]["spec"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    assert "description" not in schemas["io.k8s.api.core.v1.Service"]


async def test_without_descriptions_it_is_said_how_to_have_them(world: World, tmp_path: Path) -> None:
    openapi = OpenApi(world.server.parts.registry, Descriptions(tmp_path))
    answer = await openapi.v3(Request("GET", "/openapi/v3/api/v1"), User("admin"))  # type: ignore[misc]
    schemas = json.loads(answer.body)["components"]["schemas"]
    assert "pip install 'kaa[explain]'" in schemas["io.k8s.api.core.v1.Pod"]["description"]
    assert "description" not in schemas["io.k8s.api.core.v1.PodSpec"]
    older = tmp_path / "older"
    packaged(older, "v1.36.0")
    there = older / "kubernetes-json-schema" / "v1.36.0-local" / "_definitions.json"
    there.write_text(json.dumps({"definitions": {"a": {"description": "told", "properties": {}}}}))
    assert Descriptions(older).of("a") == ("told", {})
    broken = tmp_path / "kubernetes-json-schema" / "v1.36.0-local"
    broken.mkdir(parents=True)
    (broken / "_definitions.json").write_text("{")
    assert not Descriptions(tmp_path).installed


async def test_making_documents_leaves_the_loop_to_others(world: World) -> None:
    """The largest pause of the loop while every document is made for the first time."""
    import asyncio

    loop, pauses = asyncio.get_running_loop(), [0.0]

    async def beat() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            pauses.append(loop.time() - before)

    beating = asyncio.ensure_future(beat())
    api = world.admin
    index = (await api.get("/openapi/v3")).ok()["paths"]
    await asyncio.gather(api.get("/openapi/v2"), *(api.get(f"/openapi/v3/{path}") for path in index))
    beating.cancel()
    assert len(pauses) > 3  # how long each was is measured, not tested
