"""Objects as protobuf and back. What Go clients write is spelled out in bytes, not made by the code under test."""

from typing import Any

import pytest

from kaa.kinds import protobuf, tables
from kaa.kinds.protobuf import fields
from kaa.kinds.registry import builtin
from kaa.kinds.spec import KindSpec

POD: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "labels": {"app": "web"},
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "deletionGracePeriodSeconds": 0,
        "managedFields": [{"manager": "kubectl", "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:a": {".": {}}}}],
    },
    "spec": {
        "containers": [
            {
                "name": "web",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 3},
                "readinessProbe": {"tcpSocket": {"port": 80}},
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": False}}}],
                "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
                "securityContext": {"runAsUser": 0, "privileged": False},
            }
        ],
        "volumes": [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x", "defaultMode": 420}}],
        "terminationGracePeriodSeconds": 0,
    },
}
PATHS = [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]
CRD_SCHEMA = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "a": {"type": "array", "items": {"type": "integer", "default": 3}},
        "b": {"additionalProperties": True, "enum": ["x", 1]},
    },
}
CASES = [
    ("v1", "Pod", POD),
    ("v1", "Secret", {"metadata": {"name": "s"}, "data": {"a": "AAE="}, "type": "Opaque"}),
    ("apps/v1", "Deployment", {"metadata": {"name": "d"}, "spec": {"replicas": 0, "template": POD}}),
    ("networking.k8s.io/v1", "Ingress", {"spec": {"rules": [{"host": "a.b", "http": {"paths": PATHS}}]}}),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        {"spec": {"group": "y", "versions": [{"name": "v1", "schema": {"openAPIV3Schema": CRD_SCHEMA}}]}},
    ),
]


def spec_of(api_version: str, kind: str) -> KindSpec:
    spec = builtin().by_kind(api_version, kind)
    assert spec is not None
    return spec


@pytest.mark.parametrize(("api_version", "kind", "obj"), CASES)
def test_what_is_written_is_read_back(api_version: str, kind: str, obj: dict[str, Any]) -> None:
    spec = spec_of(api_version, kind)
    assert protobuf.decode(spec.protobuf, protobuf.encode(spec.protobuf, obj)) == obj


def test_every_kind_has_its_messages() -> None:
    seen: set[str] = set()
    queue = [spec.protobuf for spec in builtin().all()]
    while queue:
        message = queue.pop()
        if message in seen or message in fields.SCALARS or message in fields.VALUES:
            continue
        seen.add(message)
        assert message in tables.protobuf_fields(), message
        queue += [field.kind for field in fields.plan(message)]


def test_plain_zeros_are_dropped_and_meant_ones_kept() -> None:
    spec = spec_of("v1", "Service")
    # of ServicePort: 1 name, 2 protocol, 3 port, 5 nodePort; a Go client writes all of them
    port = b"\x0a\x00\x12\x03TCP\x18\x50\x28\x00"
    inner = b"\x0a" + bytes([len(port)]) + port
    raw = b"\x12" + bytes([len(inner)]) + inner
    assert protobuf.decode(spec.protobuf, raw) == {"spec": {"ports": [{"protocol": "TCP", "port": 80}]}}
    deployment = spec_of("apps/v1", "Deployment")
    assert protobuf.decode(deployment.protobuf, b"\x12\x02\x08\x00") == {"spec": {"replicas": 0}}


def test_the_envelope_says_what_is_inside() -> None:
    body = protobuf.encode_envelope("apps/v1", "Deployment", b"\x01\x02")
    assert body[:4] == b"k8s\x00"
    assert protobuf.decode_envelope(body) == ("apps/v1", "Deployment", b"\x01\x02")


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s\x00\xff", b"k8s\x00\x12\x7f", b"k8s\x00\x0a" + b"\xff" * 11])
def test_a_malformed_envelope_is_said(body: bytes) -> None:
    with pytest.raises(protobuf.MalformedProtobuf):
        protobuf.decode_envelope(body)


@pytest.mark.parametrize("raw", [b"\x08\x01", b"\x0a\x02\x0a", b"\x0a\x03\x0a\x01\xff", b"\x0b"])
def test_a_malformed_object_is_said(raw: bytes) -> None:
    spec = spec_of("v1", "ConfigMap")
    with pytest.raises(protobuf.MalformedProtobuf):
        protobuf.decode(spec.protobuf, raw)
