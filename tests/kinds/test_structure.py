"""Decoding: types, canonical forms, nulls, unknown fields; defaults; what is required."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.kinds import tables
from kaa.kinds.duplicates import has_duplicates, strict_errors
from kaa.kinds.registry import builtin
from kaa.meta.errors import StatusError

REGISTRY = builtin()
POD = REGISTRY.by_kind("v1", "Pod")
assert POD is not None


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (
            ("apps/v1", "Deployment"),
            {"spec": {"replicas": "a"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            ("apps/v1", "Deployment"),
            {"spec": {"replicas": 3000000000}},
            "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            ("v1", "Pod"),
            {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            ("v1", "Pod"),
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            ("v1", "Pod"),
            {"metadata": {"labels": {"a": True}}},
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            ("v1", "Pod"),
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (("v1", "Secret"), {"data": {"a": "not base64"}}, "illegal base64 data at input byte 3"),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_the_original(
    kind: tuple[str, str], body: dict[str, Any], message: str
) -> None:
    spec = REGISTRY.by_kind(*kind)
    assert spec is not None
    with pytest.raises(StatusError) as caught:
        spec.decode(body)
    assert caught.value.code == 400
    wanted = f'{kind[1]} in version "v1" cannot be handled as a {kind[1]}: {message}'
    assert caught.value.message == wanted


def test_unknown_fields_are_pruned_and_named() -> None:
    out, unknown = POD.decode(
        {"spec": {"foo": 1, "containers": [{"name": "a", "bar": {}}], "nodeSelector": {"free": "text"}}, "extra": 1}
    )
    assert unknown == ['unknown field "spec.foo"', 'unknown field "spec.containers[0].bar"', 'unknown field "extra"']
    assert out == {"spec": {"containers": [{"name": "a"}], "nodeSelector": {"free": "text"}}}


def test_nulls_are_dropped() -> None:
    out, _ = POD.decode({"metadata": {"creationTimestamp": None, "labels": {"a": None}}, "spec": {"volumes": None}})
    assert out == {"metadata": {"labels": {"a": ""}}, "spec": {}}


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        (2, "2"),
        ("1e3", "1e3"),
        ("1000m", "1"),
        ("0.1Gi", "107374182400m"),
        (0.1, "100m"),
    ],
)
def test_quantities_are_kept_in_canonical_form(given_value: Any, kept: str) -> None:
    out, _ = POD.decode({"spec": {"overhead": {"cpu": given_value}}})
    assert out["spec"]["overhead"]["cpu"] == kept


@pytest.mark.parametrize(
    ("field", "given_value", "kept"),
    [
        ("startTime", "2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
        ("startTime", "2026-01-02T03:04:05.9Z", "2026-01-02T03:04:05Z"),
        ("startTime", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    ],
)
def test_times_are_kept_in_utc_to_the_second(field: str, given_value: str, kept: str) -> None:
    out, _ = POD.decode({"status": {field: given_value}})
    assert out["status"][field] == kept


def test_micro_times_keep_six_digits() -> None:
    lease = REGISTRY.by_kind("coordination.k8s.io/v1", "Lease")
    assert lease is not None
    out, _ = lease.decode({"spec": {"renewTime": "2026-01-02T03:04:05.123Z"}})
    assert out["spec"]["renewTime"] == "2026-01-02T03:04:05.123000Z"


def test_the_empty_values_the_original_always_writes_are_written() -> None:
    out, _ = POD.decode({"spec": {"containers": [{"name": "a", "image": "b"}]}})
    POD.default(out)
    assert out["spec"]["containers"][0]["resources"] == {}
    service = REGISTRY.by_kind("v1", "Service")
    assert service is not None
    obj: dict[str, Any] = {"metadata": {}, "spec": {}}
    service.default(obj)
    assert obj["status"] == {"loadBalancer": {}}


def test_what_is_required_and_absent_is_named_with_its_path() -> None:
    spec = REGISTRY.by_kind("storage.k8s.io/v1", "CSINode")
    assert spec is not None
    obj, _ = spec.decode({"metadata": {"name": "n"}, "spec": {"drivers": [{"name": "d"}]}})
    spec.default(obj)
    assert [str(problem) for problem in spec.validate(obj)] == ["spec.drivers[0].nodeID: Required value"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(
        {"metadata", "spec", "status", "containers", "name", "env", "labels", "resources", "limits", "volumes", "x"}
    )), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
def test_no_input_breaks_the_decoder(value: Any) -> None:
    """Anything is either decoded or refused as a bad request; what was decoded can be defaulted and validated."""
    try:
        out, _ = POD.decode(value)
    except StatusError:  # anything else fails the test
        return
    out.setdefault("metadata", {})
    POD.default(out)
    POD.prepare_create(out)
    assert isinstance([str(problem) for problem in POD.validate_create(out)], list)


def test_schema_nodes_say_how_lists_merge() -> None:
    spec = tables.schema("io.k8s.api.core.v1.PodSpec")
    containers = spec.fields["containers"]
    assert (containers.list_type, containers.list_map_keys, containers.patch_merge_key) == ("map", ("name",), "name")
    assert spec.fields["volumes"].patch_strategy == ("merge", "retainKeys")
    assert spec.fields["nodeSelector"].atomic_map


def test_duplicate_fields_are_named() -> None:
    raw = b'{"spec":{"replicas":1,"replicas":2,"list":[{"a":1},{"b":1,"b":2}]},"kind":"A"}'
    assert has_duplicates(raw, json.loads(raw))
    assert strict_errors(raw) == ['duplicate field "spec.replicas"', 'duplicate field "spec.list[1].b"']
    # An unknown field that stands twice is told once, as unknown, and all in the order they stand.
    told = strict_errors(raw, ['unknown field "spec.list[1].b"', 'unknown field "kind"'])
    assert told == ['duplicate field "spec.replicas"', 'unknown field "spec.list[1].b"', 'unknown field "kind"']
    for clean in (b'{"a":{"b":1},"c":{"b":1}}', b'{"a" : "b:c", "d":":::"}', b"{}"):
        assert not has_duplicates(clean, json.loads(clean)) and strict_errors(clean) == []
    hidden = b'{"a":"\\u003a","a":1}'  # the escape makes up for the colon that is lost
    assert has_duplicates(hidden, json.loads(hidden))
