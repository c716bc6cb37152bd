"""Apply on what custom resources describe: every kind of list and map, nothing at all, and schemas that change."""

from typing import Any

import pytest

from kaa.meta.errors import StatusError
from kaa.meta.managed import ApplyConflicts, apply, update_ownership
from kaa.meta.schema import ANY, Schema
from kaa.meta.typed import fields_of, misfits

Json = dict[str, Any]

TEXT = Schema(type="string")
NUMBER = Schema(type="integer")
ITEM = Schema(type="object", fields={"host": TEXT, "port": Schema(type="integer", default=80), "weight": NUMBER})
META = Schema(type="object", ref="Meta", fields={"name": TEXT, "labels": Schema(type="object", values=TEXT)})


def root(**spec: Schema) -> Schema:
    fields = {"apiVersion": TEXT, "kind": TEXT, "metadata": META, "spec": Schema(type="object", fields=spec)}
    return Schema(type="object", fields=fields)


def items(**more: Any) -> Schema:
    return Schema(type="array", items=ITEM, **more)


MAP = root(
    backends=items(list_type="map", list_map_keys=("host", "port")),
    tags=Schema(type="array", items=TEXT, list_type="set"),
    plain=items(),
    ref=Schema(type="object", fields={"a": TEXT, "b": TEXT}, atomic_map=True),
    open=Schema(type="object", fields={"known": NUMBER}, preserve_unknown=True),
    bag=Schema(type="object"),
    either=Schema(format="int-or-string"),
)


def thing(**spec: Any) -> Json:
    made: Json = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t"}}
    return {**made, "spec": spec} if spec else made


def did(live: Json | None, wanted: Json, manager: str = "me", schema: Schema = MAP, **more: Any) -> Json:
    return apply(live, wanted, schema, manager=manager, api_version="x.io/v1", time_text="t", **more)


def owned(live: Json, manager: str) -> Json:
    return next(each["fieldsV1"] for each in live["metadata"]["managedFields"] if each["manager"] == manager)


FIELDS: dict[str, tuple[Json, Json]] = {
    "items by two keys, one by default": (
        {"backends": [{"host": "h"}, {"host": "h", "port": 81}]},
        {"f:backends": {
            'k:{"host":"h","port":80}': {".": {}, "f:host": {}},
            'k:{"host":"h","port":81}': {".": {}, "f:host": {}, "f:port": {}},
        }},
    ),
    "a set": ({"tags": ["a", "b"]}, {"f:tags": {'v:"a"': {}, 'v:"b"': {}}}),
    "a plain list is one value": ({"plain": [{"host": "h"}]}, {"f:plain": {}}),
    "an atomic object is one value": ({"ref": {"a": "1"}}, {"f:ref": {}}),
    "what is not described is deduced": (
        {"open": {"known": 1, "deep": {"x": [1, {"y": 2}], "z": {}}}},
        {"f:open": {"f:known": {}, "f:deep": {".": {}, "f:x": {}, "f:z": {}}}},
    ),
    "an object without a description": ({"bag": {"a": {"b": 1}}}, {"f:bag": {"f:a": {".": {}, "f:b": {}}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    spec, wanted = FIELDS[name]
    assert misfits(thing(**spec), MAP) == []
    assert fields_of(thing(**spec), MAP)["f:spec"] == wanted


MISFITS: dict[str, tuple[Json, list[str]]] = {
    "an unknown field": ({"odd": 1}, [".spec.odd: field not declared in schema"]),
    "a second time in a set": ({"tags": ["a", "a"]}, ['.spec.tags: duplicate entries for key [="a"]']),
    "a map in a set": (
        {"tags": [{"a": 1}]},
        [".spec.tags: element 0: associative list without keys has an element that's a map type"],
    ),
    "a list in a set": (
        {"tags": [["a"]]},
        [".spec.tags: element 0: not supported: associative list with lists as elements"],
    ),
    "null in a set": (
        {"tags": [None]},
        [".spec.tags: element 0: associative list without keys has an element that's an explicit null"],
    ),
    "null in a map": (
        {"backends": [None]},
        [".spec.backends: element 0: associative list with keys may not have a null element"],
    ),
    "the same key by default": (
        {"backends": [{"host": "h"}, {"host": "h", "port": 80}]},
        ['.spec.backends: duplicate entries for key [host="h",port=80]'],
    ),
    "inside a plain list": (
        {"plain": [{"host": "h"}, {"host": 5}]},
        [".spec.plain[1].host: expected string, got &value.valueUnstructured{Value:5}"],
    ),
    "inside an item": (
        {"backends": [{"host": "h", "weight": "x"}]},
        ['.spec.backends[host="h",port=80].weight: expected numeric (int or float), got string'],
    ),
    "a known field of an open object": (
        {"open": {"known": "x", "other": []}},
        [".spec.open.known: expected numeric (int or float), got string"],
    ),
    "neither": ({"either": {}}, [".spec.either: expected any scalar, got &{map[]}"]),
}


@pytest.mark.parametrize("name", MISFITS)
def test_misfits(name: str) -> None:
    spec, told = MISFITS[name]
    assert misfits(thing(**spec), MAP) == told
    with pytest.raises(StatusError) as caught:
        did(None, thing(**spec))
    assert caught.value.code == 400 and caught.value.message.endswith(f"x.io/v1, Kind=Thing): {told[0]}")


def test_without_any_schema() -> None:
    live = did(None, thing(a={"b": 1, "c": [1]}), "one", ANY)
    live = did(live, thing(a={"d": 1}), "two", ANY)
    assert live["spec"] == {"a": {"b": 1, "c": [1], "d": 1}}
    with pytest.raises(ApplyConflicts, match=r'conflict with "one": \.spec\.a\.c'):
        did(live, thing(a={"c": [2]}), "two", ANY)
    assert did(live, thing(), "one", ANY)["spec"] == {"a": {"d": 1}}


def test_what_custom_resources_own_has_no_special_structs() -> None:
    """Unlike a built-in kind's, their spec appears and goes, and so does a required list."""
    live = thing(tags=["a"])
    update_ownership(None, live, MAP, manager="me", api_version="x.io/v1", time_text="t")
    assert owned(live, "me") == {"f:spec": {".": {}, "f:tags": {".": {}, 'v:"a"': {}}}}


def test_a_list_becomes_one_value_and_comes_apart_again() -> None:
    """Whoever owned some of it owns the whole; whoever owned the whole owns what is in it."""
    apart, whole = root(backends=MAP.fields["spec"].fields["backends"]), root(backends=items())
    one, two = {"host": "a", "port": 80}, {"host": "b", "port": 80}
    live = did(None, thing(backends=[one]), "one", apart)
    live = did(live, thing(backends=[two]), "two", apart)
    live["metadata"]["uid"] = "u"
    # Now atomic: both own all of it, so neither may change it alone.
    with pytest.raises(ApplyConflicts, match=r'conflict with "two": \.spec\.backends'):
        did(live, thing(backends=[one]), "one", whole)
    taken = did(live, thing(backends=[one]), "one", whole, force=True)
    assert taken["spec"]["backends"] == [one] and owned(taken, "one") == {"f:spec": {"f:backends": {}}}
    # And apart again.
    after = did(taken, thing(backends=[two]), "two", apart)
    assert after["spec"]["backends"] == [two, one] or after["spec"]["backends"] == [one, two]
    assert set(owned(after, "one")["f:spec"]["f:backends"]) == {".", 'k:{"host":"a","port":80}'}
    gone = did(after, thing(), "one", apart)
    assert gone["spec"]["backends"] == [two]


def test_an_object_becomes_one_value() -> None:
    apart = root(ref=Schema(type="object", fields={"a": TEXT, "b": TEXT}))
    live = did(None, thing(ref={"a": "1"}), "one", apart)
    live = did(live, thing(ref={"b": "1"}), "two", apart)
    with pytest.raises(ApplyConflicts, match=r'conflict with "two": \.spec\.ref'):
        did(live, thing(ref={"a": "2"}), "one", MAP)
