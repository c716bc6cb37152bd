"""Field validation of custom resources: unknown, doubled and mistyped fields, with a schema and without."""

from typing import Any

import pytest
from tests.server.definitions import WIDGETS, define, definition, version, widget
from tests.server.world import Api

Json = dict[str, Any]

SIZED = {"type": "object", "properties": {"size": {"type": "integer"}, "more": {"type": "object", "properties": {
    "a": {"type": "string"}}}}}  # fmt: skip
STRICT = {"fieldValidation": "Strict"}


@pytest.mark.conformance("Server side field validation, unknown fields CR no validation schema")
async def test_without_a_schema_everything_is_known(api: Api) -> None:
    crd = definition()
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object", "x-kubernetes-preserve-unknown-fields": True}  # fmt: skip
    await define(api, crd)
    made = await api.apply(f"{WIDGETS}/a", {**widget("a", any=1), "top": {"x": 1}}, **STRICT)
    assert made.ok(201)["top"] == {"x": 1}
    (await api.post(WIDGETS, {**widget("b"), "odd": True}, **STRICT)).ok(201)


@pytest.mark.conformance(
    "Server side field validation, valid CR with validation schema",
    "Server side field validation, unknown fields CR fails validation",
)
async def test_with_a_schema(api: Api) -> None:
    await define(api, definition(version(schema=SIZED)))
    (await api.apply(f"{WIDGETS}/a", widget("a", size=1), **STRICT)).ok(201)
    refused = await api.post(WIDGETS, widget("b", size=1, odd=2, more={"b": 1}), **STRICT)
    assert (refused.code, refused.reason) == (400, "BadRequest")
    assert refused.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.more.b", '
        'unknown field "spec.odd"'
    )
    # An apply is read by the schema before anything else is.
    refused = await api.apply(f"{WIDGETS}/a", widget("a", size=1, odd=2), **STRICT)
    assert refused.code == 400
    assert ".spec.odd: field not declared in schema" in refused.message


@pytest.mark.conformance("Server side field validation, CR duplicates")
async def test_doubled_fields(api: Api) -> None:
    await define(api, definition(version(schema=SIZED)))
    body = (b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},'
            b'"spec":{"size":1,"size":2,"more":{"a":"x","a":"y"}}}')  # fmt: skip
    refused = await api.post(WIDGETS, body, **STRICT)
    assert refused.code == 400
    assert 'strict decoding error: duplicate field "spec.size", duplicate field "spec.more.a"' in refused.message
    warned = await api.post(WIDGETS, body, fieldValidation="Warn")
    assert warned.ok(201)["spec"] == {"size": 2, "more": {"a": "y"}}
    assert 'duplicate field \\"spec.size\\"' in warned.headers["warning"]
    yaml = b"apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: b\nspec:\n  size: 1\n  size: 2\n"
    refused = await api.post(WIDGETS, yaml, media="application/yaml", **STRICT)
    assert 'line 7: key \\"size\\" already set in map' in refused.body.decode()


@pytest.mark.conformance("Server side field validation, unknown metadata")
async def test_unknown_metadata(api: Api) -> None:
    await define(api, definition(version(schema=SIZED)))
    sent = widget("a", size=1)
    sent["metadata"]["odd"] = 1
    refused = await api.post(WIDGETS, sent, **STRICT)
    assert refused.code == 400
    assert 'strict decoding error: unknown field "metadata.odd"' in refused.message
    warned = await api.post(WIDGETS, sent)
    assert "odd" not in warned.ok(201)["metadata"]
    assert 'unknown field \\"metadata.odd\\"' in warned.headers["warning"]
