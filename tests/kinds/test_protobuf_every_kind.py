"""Every field of every built-in kind, both ways, against the tests' own client."""

from typing import Any

import pytest
from tests.kinds import wire_client as wire

from kaa.kinds import protobuf, tables
from kaa.kinds.registry import builtin
from kaa.meta.schema import Schema

SCALARS: dict[str, Any] = {
    "quantity": "100m", "date-time": "2026-01-02T03:04:05Z", "micro-time": "2026-01-02T03:04:05.000006Z",
    "byte": "AAEC/w==", "double": 1.5,
}  # fmt: skip


def filled(schema: Schema, name: str, seen: tuple[str, ...] = ()) -> Any:
    """A value with every field of the schema; what recurs goes two levels down."""
    if schema.format == "int-or-string":
        return "25%" if len(name) % 2 else 8080
    if schema.format in SCALARS:
        return SCALARS[schema.format]
    if schema.items is not None:
        if seen.count(schema.items.ref) > 1 and schema.items.ref:
            return None
        return [filled(schema.items, name, seen), filled(schema.items, name + "2", seen)]
    if schema.values is not None:
        if seen.count(schema.values.ref) > 1 and schema.values.ref:
            return None
        return {"a.b/c": filled(schema.values, name, seen), "": filled(schema.values, name, seen)}
    if schema.fields:
        inner = (*seen, schema.ref)
        # apiVersion and kind of an object inside an object do not exist on the wire.
        numbered = {row[0] for row in wire.rows(tables.protobuf_message(schema.ref))}
        typed = {"apiVersion", "kind"} - numbered
        made = {key: filled(each, key, inner) for key, each in schema.fields.items()
                if key not in typed and (not each.ref or seen.count(each.ref) < 2)}  # fmt: skip
        return {key: each for key, each in made.items() if each is not None}
    if schema.ref:
        return {}  # a message without fields
    if name in JSON_OR:
        return JSON_OR[name]
    return {"string": f"text of {name} \u00e4\u4e2d", "integer": -7 if len(name) % 3 else 1 << 30, "boolean": True,
            "number": 2.5, "object": {"f:a": {".": {}}, "n": None}, "": ["any", 1, None]}[schema.type]  # fmt: skip


#: Fields of schemas that are one thing or another.
JSON_OR: dict[str, Any] = {"items": {"type": "string"}, "additionalProperties": {"type": "integer"},
                           "additionalItems": True, "dependencies": ["a", "b"]}  # fmt: skip

KINDS = sorted({(tables.definition_of(*key.split("/")), *key.split("/")) for key in tables._kinds()})
WRITTEN = [each for each in KINDS if tables.protobuf_message(each[0]) in wire.TABLE]


def stripped(obj: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}


def test_only_meta_kinds_have_no_messages() -> None:
    """Every served kind has one."""
    served = {spec.protobuf for spec in builtin().all()}
    assert served <= set(wire.TABLE)
    assert len(WRITTEN) > 75


@pytest.mark.parametrize(
    ("definition", "group", "version", "kind"), WRITTEN, ids=[f"{each[1]}-{each[3]}" for each in WRITTEN]
)
def test_every_field_goes_both_ways(definition: str, group: str, version: str, kind: str) -> None:
    message = tables.protobuf_message(definition)
    obj = stripped(filled(tables.schema(definition), kind))
    raw = wire.write(message, obj)
    assert protobuf.decode(message, raw) == obj
    assert wire.read(message, protobuf.encode(message, obj)) == obj


@pytest.mark.parametrize(
    ("definition", "group", "version", "kind"), WRITTEN, ids=[f"{each[1]}-{each[3]}" for each in WRITTEN]
)
def test_an_empty_object_stays_empty(definition: str, group: str, version: str, kind: str) -> None:
    """All the zeros that Go writes of plain fields leave nothing in JSON."""
    message = tables.protobuf_message(definition)
    assert protobuf.decode(message, wire.write(message, {})) == {}


CORE = "k8s.io.api.core.v1."
#: message, object with zeros in it, what JSON shows.
ZEROS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # pointers keep them
    (CORE + "SecurityContext", {"runAsUser": 0, "privileged": False}, {"runAsUser": 0, "privileged": False}),
    (CORE + "PodSpec", {"priority": 0, "enableServiceLinks": False, "hostNetwork": False, "nodeName": ""},
     {"priority": 0, "enableServiceLinks": False}),
    (CORE + "Probe", {"timeoutSeconds": 0, "terminationGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 0}),
    (CORE + "Toleration", {"value": "", "tolerationSeconds": 0}, {"tolerationSeconds": 0}),
    # plain fields without omitempty are shown
    (CORE + "ContainerStatus", {"name": "", "ready": False, "restartCount": 0, "started": False},
     {"name": "", "ready": False, "restartCount": 0, "started": False}),
    ("k8s.io.api.policy.v1.PodDisruptionBudgetStatus", {"disruptionsAllowed": 0, "observedGeneration": 0},
     {"disruptionsAllowed": 0}),
    ("k8s.io.api.apps.v1.StatefulSetStatus", {"replicas": 0, "readyReplicas": 0, "availableReplicas": 0},
     {"replicas": 0, "availableReplicas": 0}),
    ("k8s.io.api.scheduling.v1.PriorityClass", {"value": 0, "globalDefault": False}, {"value": 0}),
    # with omitempty they are not
    ("k8s.io.api.apps.v1.DeploymentStatus", {"replicas": 0, "observedGeneration": 0, "collisionCount": 0},
     {"collisionCount": 0}),
    ("k8s.io.api.networking.v1.ServiceBackendPort", {"name": "", "number": 0}, {}),
    # the JSON names that differ
    ("k8s.io.api.authentication.v1.BoundObjectReference", {"uid": "u"}, {"uid": "u"}),
    ("k8s.io.api.admissionregistration.v1.Validation", {"expression": "true"}, {"expression": "true"}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "sent", "shown"), ZEROS, ids=[each[0].rpartition(".")[2] for each in ZEROS])
def test_zeros_are_kept_where_the_go_types_keep_them(message: str, sent: dict, shown: dict) -> None:
    got = protobuf.decode(message, wire.write(message, sent))
    assert got == shown


POD = "k8s.io.api.core.v1.Pod"
SCHEMA = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def nested(depth: int) -> bytes:
    raw = b""
    for _ in range(depth):
        raw = wire.blob(28, raw)  # `not`
    return raw


@pytest.mark.parametrize(
    ("message", "raw", "said"),
    [
        (POD, b"\x0a", "unexpected EOF"),  # a length is missing
        (POD, b"\x0a\x05ab", "unexpected EOF"),  # shorter than it says
        (POD, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "unexpected EOF"),  # longer than memory
        (POD, b"\x0a" + b"\xff" * 11, "overflow"),
        (POD, b"\x08\x01", "wrong wireType = 0 for field metadata"),
        (POD, b"\x0d\x01\x02\x03\x04", "wrong wireType = 5 for field metadata"),
        (POD, b"\x02\x00", "illegal tag 0"),
        (POD, b"\x7f", "illegal wireType 7"),
        (POD, b"\x0a\x04\x0a\x02\xff\xfe", "not UTF-8"),
        (POD, wire.blob(2, wire.blob(5, b"a")), "wrong wireType = 2 for field activeDeadlineSeconds"),
        (POD, b"\xfb\x3f", "unexpected EOF"),  # a group that never ends
        (POD, b"\xfb\x3f" * 100, "unexpected EOF"),
        (SCHEMA, nested(70), "nested deeper than 64"),
        (SCHEMA, b"\x49" + b"\x00" * 6 + b"\xf0\x7f", "JSON has no such number"),  # infinity
        (SCHEMA, wire.blob(8, wire.blob(1, b"{")), "embedded JSON does not parse"),
        (POD, wire.blob(1, wire.blob(8, b"\x08" + wire.number(1 << 60))), "out of range"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_said(message: str, raw: bytes, said: str) -> None:
    with pytest.raises(protobuf.MalformedProtobuf, match=said):
        protobuf.decode(message, raw)


def test_fields_of_newer_clients_are_passed_over() -> None:
    unknown = b"\x98\x7f\x05" + b"\x9a\x7f\x02hi" + b"\x99\x7f" + b"\0" * 8 + b"\x9d\x7f" + b"\0" * 4
    group = b"\x9b\x7f\x98\x7f\x05\x9c\x7f"
    raw = unknown + wire.blob(1, wire.blob(1, b"web") + unknown) + group
    assert protobuf.decode(POD, raw) == {"metadata": {"name": "web"}}
