"""Strategic merge: the directives, list by list, and against a plain reference."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta.patch import PatchError
from kaa.meta.schema import Schema
from kaa.meta.strategic import strategic_merge

TEXT = Schema(type="string")
NUMBER = Schema(type="integer")
LABELS = Schema(type="object", values=TEXT)
PORT = Schema(type="object", fields={"containerPort": NUMBER, "protocol": TEXT, "name": TEXT})
ENV = Schema(type="object", fields={"name": TEXT, "value": TEXT})
CONTAINER = Schema(
    type="object",
    ref="Container",
    fields={
        "name": TEXT,
        "image": TEXT,
        "args": Schema(type="array", items=TEXT),
        "env": Schema(type="array", items=ENV, patch_merge_key="name", patch_strategy=("merge",)),
        "ports": Schema(type="array", items=PORT, patch_merge_key="containerPort", patch_strategy=("merge",)),
    },
)
STRATEGY = Schema(type="object", fields={"type": TEXT, "rollingUpdate": LABELS}, patch_strategy=("retainKeys",))
ROOT = Schema(
    type="object",
    fields={
        "labels": LABELS,
        "finalizers": Schema(type="array", items=TEXT, patch_strategy=("merge",)),
        "containers": Schema(type="array", items=CONTAINER, patch_merge_key="name", patch_strategy=("merge",)),
        "tolerations": Schema(type="array", items=LABELS),
        "broken": Schema(type="array", items=LABELS, patch_strategy=("merge",)),
        "strategy": STRATEGY,
        "whole": Schema(type="object", values=TEXT, patch_strategy=("replace",)),
    },
)


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


CASES = {
    "a field": ({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}),
    "null removes": ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": None}}, {"labels": {"b": "2"}}),
    "null of what is absent": ({}, {"labels": {"a": None, "b": "1"}}, {"labels": {"b": "1"}}),
    "an atomic list is replaced": (
        {"tolerations": [{"a": "1"}]},
        {"tolerations": [{"b": "1"}]},
        {"tolerations": [{"b": "1"}]},
    ),
    "a list of scalars merges": (
        {"finalizers": ["a", "b"]},
        {"finalizers": ["c", "a"]},
        {"finalizers": ["c", "a", "b"]},
    ),
    "delete from a list of scalars": (
        {"finalizers": ["a", "b", "c"]},
        {"$deleteFromPrimitiveList/finalizers": ["a", "c"]},
        {"finalizers": ["b"]},
    ),
    "delete and add scalars, ordered": (
        {"finalizers": ["a", "b"]},
        {
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "$setElementOrder/finalizers": ["b", "c"],
            "finalizers": ["c"],
        },
        {"finalizers": ["b", "c"]},
    ),
    "an item merges by its key": (
        {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]},
        {"containers": [{"name": "a", "image": "2"}]},
        {"containers": [{"name": "a", "image": "2", "args": ["x"]}, {"name": "b"}]},
    ),
    "a new item comes first": (
        {"containers": named("a", "b")},
        {"containers": named("c")},
        {"containers": named("c", "a", "b")},
    ),
    "a new item in its place": (
        {"containers": named("a", "b")},
        {"$setElementOrder/containers": named("a", "b", "c"), "containers": named("c")},
        {"containers": named("a", "b", "c")},
    ),
    "an order alone": (
        {"containers": named("a", "b", "x")},
        {"$setElementOrder/containers": named("b", "a")},
        {"containers": named("b", "a", "x")},
    ),
    "an order of nothing": ({}, {"$setElementOrder/containers": named("b")}, {}),
    "an order with a new list": (
        {},
        {"$setElementOrder/containers": named("b", "a"), "containers": named("b", "a")},
        {"containers": named("b", "a")},
    ),
    "delete an item": (
        {"containers": named("a", "b")},
        {"containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": named("b")},
    ),
    "delete an item that is not there": (
        {"containers": named("a")},
        {"containers": [{"name": "z", "$patch": "delete"}]},
        {"containers": named("a")},
    ),
    "delete an item of a list that is not there": (
        {},
        {"containers": [{"name": "z", "$patch": "delete"}]},
        {"containers": []},
    ),
    "replace a list": (
        {"containers": named("a", "b")},
        {"containers": [{"$patch": "replace"}, {"name": "c", "image": None}]},
        {"containers": named("c")},
    ),
    "replace a map": ({"labels": {"a": "1"}}, {"labels": {"b": "2", "$patch": "replace"}}, {"labels": {"b": "2"}}),
    "delete a map": ({"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
    "replace by strategy": ({"whole": {"a": "1"}}, {"whole": {"b": "2"}}, {"whole": {"b": "2"}}),
    "retain keys": (
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "1"}}},
        {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
        {"strategy": {"type": "Recreate"}},
    ),
    "lists in lists of items": (
        {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]},
        {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "$patch": "delete"}]}]},
        {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]},
    ),
    "numbers as keys": (
        {"containers": [{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 443}]}]},
        {"containers": [{"name": "a", "ports": [{"containerPort": 443, "name": "tls"}]}]},
        {"containers": [{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 443, "name": "tls"}]}]},
    ),
    "a type that changes": ({"labels": "odd"}, {"labels": {"a": "1", "b": None}}, {"labels": {"a": "1"}}),
    "an unknown field": ({}, {"other": {"a": [{"b": None}]}}, {"other": {"a": [{}]}}),
}


@pytest.mark.parametrize("name", CASES)
def test_strategic_merge(name: str) -> None:
    doc, patch, wanted = CASES[name]
    before, patch_before = copy.deepcopy(doc), copy.deepcopy(patch)
    assert strategic_merge(doc, patch, ROOT) == wanted
    assert doc == before and patch == patch_before


@pytest.mark.parametrize(
    ("doc", "patch", "code", "message"),
    [
        ({}, [], 400, "invalid JSON document"),
        ({"labels": {}}, {"labels": {"$patch": "odd"}}, 400, "unknown patch type: odd in map: map[$patch:odd]"),
        (
            {"containers": named("a")},
            {"containers": [{"name": "a", "$patch": "odd"}]},
            400,
            "unknown patch type: odd in map: map[$patch:odd name:a]",
        ),
        (
            {"containers": named("a")},
            {"containers": [{"$patch": "merge"}]},
            400,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            {"containers": named("a")},
            {"containers": [{"image": "x"}]},
            400,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        ({"broken": [{"a": "b"}]}, {"broken": [{"a": "b"}]}, 400, "cannot merge lists without merge key for slice"),
        ({"finalizers": ["a"]}, {"finalizers": [["a"]]}, 422, "lists of lists are not supported"),
        ({"strategy": {}}, {"strategy": {"$retainKeys": "type"}}, 400, "invalid patch format of retainKeys"),
        (
            {"strategy": {}},
            {"strategy": {"$retainKeys": ["x"], "type": "y"}},
            422,
            "patch content doesn't match retainKeys list",
        ),
        (
            {"finalizers": ["a"]},
            {"$deleteFromPrimitiveList/finalizers": "a"},
            400,
            "invalid patch format of primitive list",
        ),
        ({}, {"$setElementOrder/finalizers": "a"}, 400, "invalid patch format of setElementOrder list"),
        (
            {},
            {"$setElementOrder/finalizers": ["a", "b"], "finalizers": ["b", "a"]},
            400,
            "The order in patch list:\n[b a]\n doesn't match $setElementOrder/finalizers list:\n[a b]\n",
        ),
    ],
)
def test_refusals(doc: Any, patch: Any, code: int, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        strategic_merge(doc, patch, ROOT)
    assert (caught.value.code, str(caught.value)) == (code, message)


_item = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd")},
    optional={"image": st.sampled_from("12"), "env": st.just([{"name": "X", "value": "1"}])},
)
_items = st.lists(_item, max_size=4, unique_by=lambda item: item["name"])


@given(_items, _items, st.sets(st.sampled_from("abcd")))
def test_against_a_plain_reference(server: list[Any], patch: list[Any], deleted: set[str]) -> None:
    """By key, the result is the union; the server's items keep their order, and the patch's keep theirs."""
    patch = [each for each in patch if each["name"] not in deleted]
    directives = [{"name": name, "$patch": "delete"} for name in sorted(deleted)]
    merged = strategic_merge({"containers": server}, {"containers": [*patch, *directives]}, ROOT)["containers"]

    wanted = {each["name"]: dict(each) for each in server if each["name"] not in deleted}
    for each in patch:
        wanted[each["name"]] = {**wanted.get(each["name"], {}), **each}
    assert {each["name"]: each for each in merged} == wanted
    assert len(merged) == len(wanted)
    order = [each["name"] for each in merged]
    patched = [each["name"] for each in patch]
    kept = [each["name"] for each in server if each["name"] not in deleted and each["name"] not in patched]
    assert [name for name in order if name in patched] == patched
    assert [name for name in order if name in kept] == kept
