"""Custom kinds in the documents under /openapi: what their definitions say, as v3 and v2 can say it, at once."""

from typing import Any

import pytest
from tests.server.definitions import CRDS, define, definition, version
from tests.server.world import Api

from kaa.base.clock import REAL

Json = dict[str, Any]

OPEN, EITHER = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
NAME = "com.example.v1.Widget"

RICH: Json = {
    "description": "What a widget should be.",
    "type": "object",
    "required": ["size", "gone"],
    "properties": {
        "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10, "description": "How big."},
        "color": {"type": "string", "enum": ["red", "green"], "default": "red", "pattern": "^[a-z]+$", "maxLength": 9},
        "port": {EITHER: True},
        "gone": {"type": "object", "nullable": True, "properties": {"x": {"type": "string"}}},
        "open": {"type": "object", OPEN: True, "properties": {"y": {"type": "string"}}},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                  "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
        "either": {"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]},
    },
    "x-kubernetes-validations": [{"rule": "self.size > 0", "message": "too small"}],
}  # fmt: skip


async def v3(api: Api, group_version: str = "example.com/v1") -> Json:
    document = (await api.get(f"/openapi/v3/apis/{group_version}")).ok()
    return dict(document["components"]["schemas"])


async def v2(api: Api) -> Json:
    return dict((await api.get("/openapi/v2")).ok()["definitions"])


@pytest.mark.conformance("Custom Resource OpenAPI Publish, with validation schema")
async def test_v3_says_what_the_definition_says(api: Api) -> None:
    await api.get("/openapi/v3")
    before = REAL.monotonic()
    await define(api, definition(version(schema=RICH, subresources={"status": {}})))
    schemas = await v3(api)
    assert REAL.monotonic() - before < 1.0
    widget = schemas[NAME]
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    assert sorted(widget["properties"]) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert widget["properties"]["metadata"]["allOf"] == [{"$ref": f"#/components/schemas/{META}"}]
    spec = widget["properties"]["spec"]
    for name in ("size", "color", "gone", "open", "parts", "labels", "either"):
        assert spec["properties"][name] == RICH["properties"][name], name
    assert spec["properties"]["port"] == {EITHER: True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    pod = spec["properties"]["pod"]
    assert sorted(pod["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    assert pod["required"] == ["kind", "apiVersion"]
    assert (spec["description"], spec["required"]) == ("What a widget should be.", ["size", "gone"])
    assert spec["x-kubernetes-validations"] == RICH["x-kubernetes-validations"]
    listing = schemas["com.example.v1.WidgetList"]
    assert listing["properties"]["items"]["items"] == {"$ref": f"#/components/schemas/{NAME}"}
    assert listing["x-kubernetes-group-version-kind"][0]["kind"] == "WidgetList"
    paths = (await api.get("/openapi/v3/apis/example.com/v1")).json["paths"]
    one = "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"
    assert {"/apis/example.com/v1/widgets", one, f"{one}/status"} <= set(paths)
    assert list(paths[one]["patch"]["requestBody"]["content"]) == [
        "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]  # fmt: skip


async def test_v2_leaves_out_what_it_cannot_say(api: Api) -> None:
    await define(api, definition(version(schema=RICH)))
    spec = (await v2(api))[NAME]["properties"]["spec"]
    assert spec["required"] == ["size"]  # what may be null is not demanded
    assert spec["properties"]["gone"] == {}
    assert spec["properties"]["open"] == {"type": "object", OPEN: True}
    assert spec["properties"]["port"] == {EITHER: True}
    assert spec["properties"]["either"] == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert spec["properties"]["size"] == RICH["properties"]["size"]
    packed = await api.get("/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert packed.code == 200
    assert b"^[a-z]+$" in packed.body
    assert NAME.encode() in packed.body


@pytest.mark.conformance("Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields at root")
async def test_open_at_the_root(api: Api) -> None:
    crd = definition()
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {"type": "object", OPEN: True}
    await define(api, crd)
    widget = (await v2(api))[NAME]
    # Nothing is named: clients would take it for all there is.
    assert widget == {"type": "object", "x-kubernetes-group-version-kind": [
        {"group": "example.com", "version": "v1", "kind": "Widget"}]}  # fmt: skip
    assert (await v3(api))[NAME][OPEN] is True


@pytest.mark.conformance(
    "Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields in object",
    "Custom Resource OpenAPI Publish, with x-kubernetes-preserve-unknown-fields in embedded object",
)
async def test_open_further_in(api: Api) -> None:
    embedded = {"type": "object", OPEN: True, "x-kubernetes-embedded-resource": True}
    await define(api, definition(version(schema={"type": "object", "properties": {"inner": embedded}})))
    properties = (await v2(api))[NAME]["properties"]
    assert properties["status"] == {"type": "object", OPEN: True}
    assert properties["spec"]["properties"]["inner"] == embedded
    inner = (await v3(api))[NAME]["properties"]["spec"]["properties"]["inner"]
    assert sorted(inner["properties"]) == ["apiVersion", "kind", "metadata"]


@pytest.mark.conformance(
    "Custom Resource OpenAPI Publish, varying groups", "Custom Resource OpenAPI Publish, varying kinds"
)
async def test_groups_and_kinds_beside_each_other(api: Api) -> None:
    for kind, group in (("Widget", "example.com"), ("Gadget", "example.com"), ("Widget", "other.example.org")):
        await define(api, definition(kind=kind, group=group))
    names = {NAME, "com.example.v1.Gadget", "org.example.other.v1.Widget"}
    assert names <= set(await v2(api))
    assert {NAME, "com.example.v1.Gadget"} <= set(await v3(api))
    assert "org.example.other.v1.Widget" in await v3(api, "other.example.org/v1")


@pytest.mark.conformance("Custom Resource OpenAPI Publish, stop serving version")
async def test_versions_come_and_go(api: Api) -> None:
    crd = await define(api, definition(version("v1"), version("v2")))
    assert {NAME, "com.example.v2.Widget"} <= set(await v2(api))
    first = (await api.get("/openapi/v3/apis/example.com/v1")).headers["etag"]
    crd["spec"]["versions"][1]["served"] = False
    (await api.put(f"{CRDS}/widgets.example.com", crd)).ok()
    found = await v2(api)
    assert NAME in found
    assert "com.example.v2.Widget" not in found
    assert (await api.get("/openapi/v3/apis/example.com/v2")).code == 404
    assert "apis/example.com/v2" not in (await api.get("/openapi/v3")).ok()["paths"]
    assert (await api.get("/openapi/v3/apis/example.com/v1")).headers["etag"] == first
    assert [each["version"] for each in (await api.get("/apis/example.com")).ok()["versions"]] == ["v1"]
    # The part that goes on being served is what it was; a schema that changes is published anew.
    crd = (await api.get(f"{CRDS}/widgets.example.com")).ok()
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["description"] = "Now told."
    (await api.put(f"{CRDS}/widgets.example.com", crd)).ok()
    assert (await v3(api))[NAME]["properties"]["spec"]["description"] == "Now told."


@pytest.mark.conformance("Aggregated Discovery Endpoint Accept Headers CRDs")
async def test_aggregated_discovery(api: Api) -> None:
    await define(api, definition(version("v1"), version("v2", served=True), names={"shortNames": ["wd"]}))
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = (await api.get("/apis", accept=accept)).ok()["items"]
    group = next(each for each in groups if each["metadata"]["name"] == "example.com")
    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]
    resource = group["versions"][1]["resources"][0]
    assert (resource["resource"], resource["shortNames"], resource["scope"]) == ("widgets", ["wd"], "Namespaced")
