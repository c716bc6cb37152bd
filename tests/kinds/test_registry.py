"""What is served is what the original's discovery documents say, and the tables hang together."""

import importlib.util
import json
from pathlib import Path

import pytest

from kaa.kinds import rules, tables
from kaa.kinds.registry import builtin
from kaa.kinds.spec import KindSpec
from kaa.meta.resource import Resource
from kaa.meta.schema import Schema

REGISTRY = builtin()


def test_every_resource_and_subresource_of_discovery_is_served() -> None:
    served = []
    for spec in REGISTRY.all():
        resource = spec.resource
        scope = "namespaced" if resource.namespaced else "cluster"
        head = resource.api_version
        served.append(f"{head} {resource.plural} {resource.kind} {scope} {','.join(sorted(spec.verbs))}")
        for name, sub in spec.subresources.items():
            served.append(f"{head} {resource.plural}/{name} {sub.kind[2]} {scope} {','.join(sorted(sub.verbs))}")
    wanted = (Path(__file__).parent / "served.txt").read_text().splitlines()
    assert sorted(served) == wanted


def test_groups_in_the_order_of_discovery() -> None:
    groups = REGISTRY.groups()
    assert [group.name for group in groups][:4] == ["", "apiregistration.k8s.io", "apps", "events.k8s.io"]
    assert {group.name: group.versions for group in groups}["autoscaling"] == ("v2", "v1")


def test_storage_places_are_unique_but_for_kinds_that_share_one() -> None:
    places: dict[str, list[KindSpec]] = {}
    for spec in REGISTRY.all():
        if spec.storable:
            places.setdefault(spec.storage_prefix, []).append(spec)
    shared = {prefix: {spec.storage_version for spec in specs} for prefix, specs in places.items() if len(specs) > 1}
    assert shared == {"/registry/events/": {"v1"}, "/registry/horizontalpodautoscalers/": {"autoscaling/v2"}}
    for one in places:
        assert not any(one != other and other.startswith(one) for other in places), one


def test_keys() -> None:
    pods, nodes = REGISTRY.get("", "v1", "pods"), REGISTRY.get("", "v1", "nodes")
    assert pods is not None
    assert nodes is not None
    assert pods.key("default", "a") == "/registry/pods/default/a"
    assert pods.key("default") == "/registry/pods/default/"
    assert nodes.key("", "a") == "/registry/minions/a"


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("autoscaling/v1", "Scale"), ("policy/v1", "Eviction"), ("authentication.k8s.io/v1", "TokenRequest"),
     ("v1", "Binding"), ("v1", "DeleteOptions"), ("v1", "Status")],
)  # fmt: skip
def test_bodies_that_are_no_resources_have_kinds_too(api_version: str, kind: str) -> None:
    spec = REGISTRY.by_kind(api_version, kind)
    assert spec is not None
    assert spec.schema.fields["kind"].type == "string"


def test_every_rule_belongs_to_a_kind_and_has_a_cell_for_each_column() -> None:
    known = {(spec.resource.group, spec.kind) for spec in REGISTRY.all()} | {("autoscaling", "Scale")}
    for group, kind in rules.modules():
        assert (group, kind.partition("/")[0]) in known
    for spec in REGISTRY.all():
        obj = {"kind": spec.kind, "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}}
        assert len(spec.cells(obj, 1767225700.0)) == len(spec.columns), spec
        assert all(isinstance(read(obj), str) for read in spec.selectable.values())


def test_the_least_object_of_every_kind_survives_its_own_rules() -> None:
    for spec in REGISTRY.all():
        obj, unknown = spec.decode({"apiVersion": spec.api_version, "kind": spec.kind, "metadata": {"name": "x"}})
        assert unknown == []
        spec.default(obj)
        spec.prepare_create(obj)
        list(spec.validate_create(obj))
        again = spec.decode(_copy(obj))[0]
        spec.default(again)
        assert again == obj, f"{spec}: defaulting twice is defaulting once"


def _copy(value: object) -> dict[str, object]:
    copied: dict[str, object] = json.loads(json.dumps(value))
    return copied


def test_protobuf_knows_every_message() -> None:
    numbers = tables.protobuf_fields()
    missing = [spec.protobuf for spec in REGISTRY.all() if spec.protobuf not in numbers]
    # Extensions and aggregation speak JSON as well; their messages are there, too.
    assert missing == []
    assert numbers["k8s.io.api.core.v1.Pod"]["spec"][0] == 2


def test_recursive_definitions_are_one_node() -> None:
    props = tables.schema("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    inner = props.fields["properties"].values
    assert inner is not None
    assert inner.fields is props.fields


def test_custom_kinds_come_and_go() -> None:
    registry = builtin()
    before = registry.generation
    resource = Resource("example.com", "v1", "widgets", "Widget", namespaced=True)
    schema = Schema(
        type="object", fields={"metadata": tables.schema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")}
    )
    registry.add(KindSpec(resource, schema=schema, storage_prefix="/registry/example.com/widgets/", custom=True))
    assert registry.generation > before
    assert registry.by_kind("example.com/v1", "Widget") is registry.get("example.com", "v1", "widgets")
    assert registry.groups()[-1].name == "example.com"
    registry.remove("example.com", "v1", "widgets")
    assert registry.get("example.com", "v1", "widgets") is None
    assert registry.groups()[-1].name != "example.com"


def test_the_conformance_table_is_up_to_date() -> None:
    place = Path(__file__).parents[2] / "tools" / "conformance_table.py"
    found = importlib.util.spec_from_file_location("conformance_table", place)
    assert found is not None
    assert found.loader is not None
    conformance_table = importlib.util.module_from_spec(found)
    found.loader.exec_module(conformance_table)
    text = conformance_table.DOCUMENT.read_text()
    assert conformance_table.rewritten(text) == text, "run python tools/conformance_table.py"
