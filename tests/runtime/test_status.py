"""What a status update sends."""

from typing import Any

import pytest

from kaa.kinds.views import ReplicaSet, Service
from kaa.kinds.views.apps import ReplicaSetStatus
from kaa.kinds.views.base import decoder
from kaa.runtime.status import merge_difference, status_patch

Json = dict[str, Any]
HELD = {"replicas": 3, "readyReplicas": 2, "observedGeneration": 1}


def replica_set_status(status: Json) -> ReplicaSetStatus:
    import orjson

    return decoder(ReplicaSet).decode(orjson.dumps({"status": status})).status


@pytest.mark.parametrize(
    ("held", "wanted", "patch"),
    [
        (HELD, HELD, None),
        ({"replicas": 3}, {"replicas": 3, "readyReplicas": 0}, None),  # absent is zero
        (HELD, {**HELD, "readyReplicas": 3}, {"readyReplicas": 3}),
        (HELD, {"replicas": 3, "observedGeneration": 1}, {"readyReplicas": None}),  # left out is removed
        ({"replicas": 3, "terminatingReplicas": 0}, {"replicas": 3, "terminatingReplicas": None},
         {"terminatingReplicas": None}),
        ({}, {"conditions": [{"type": "A", "status": "True"}]}, {"conditions": [{"type": "A", "status": "True"}]}),
        ({"conditions": [{"type": "A", "status": "True"}]}, {"conditions": [{"type": "A", "status": "True"}]}, None),
        ({"conditions": [{"type": "A", "status": "True"}]}, {}, {"conditions": None}),
    ],
)  # fmt: skip
def test_typed(held: Json, wanted: Json, patch: Json | None) -> None:
    assert status_patch(replica_set_status(held), wanted) == patch


def test_a_field_the_view_does_not_name_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="readyReplica: add it"):
        status_patch(replica_set_status({}), {"readyReplica": 1})


def test_nested_parts_merge() -> None:
    import orjson

    held = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
    service = decoder(Service).decode(orjson.dumps({"status": held}))
    assert status_patch(service.status, held) is None
    assert status_patch(service.status, {"loadBalancer": {}}) == {"loadBalancer": {"ingress": None}}


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1, "b": {"c": 2}}, {"b": {"c": 2}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": None}, {}, {}),
    ],
)
def test_plain(old: Json, new: Json, patch: Json) -> None:
    assert merge_difference(old, new) == patch
    assert status_patch(old, new) == (patch or None)
