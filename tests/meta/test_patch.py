"""JSON patch and merge patch: results, refusals, and that nothing given is changed."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta.patch import PatchError, json_patch, merge_patch


def op(kind: str, path: str, value: Any = ..., source: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"op": kind, "path": path}
    if value is not ...:
        made["value"] = value
    if source is not None:
        made["from"] = source
    return made


@pytest.mark.parametrize(
    ("doc", "ops", "wanted"),
    [
        ({}, [], {}),
        ({"a": 1}, [op("add", "/b", 2)], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [op("add", "/a/1", 2)], {"a": [1, 2, 3]}),
        ({"a": [1]}, [op("add", "/a/-", 2)], {"a": [1, 2]}),
        ({"a": [1]}, [op("add", "/a/1", 2)], {"a": [1, 2]}),
        ({"a": [1]}, [op("add", "/a/-1", 2)], {"a": [1, 2]}),
        ({"a": {"b": 1}}, [op("remove", "/a/b")], {"a": {}}),
        ({"a": [1, 2]}, [op("remove", "/a/-1")], {"a": [1]}),
        ({"a": 1}, [op("replace", "/a", {"b": 1})], {"a": {"b": 1}}),
        ({}, [op("replace", "/a", 1)], {"a": 1}),
        ({"a": [1]}, [op("replace", "/a/0", None)], {"a": [None]}),
        ({"a": 1}, [op("replace", "", {"b": 1})], {"b": 1}),
        ({"a/b": {"c~d": 1}}, [op("remove", "/a~1b/c~0d")], {"a/b": {}}),
        ({"a": {"x": 1}}, [op("move", "/b", source="/a/x")], {"a": {}, "b": 1}),
        (
            {"a": {"x": 1}},
            [op("copy", "/b", source="/a"), op("add", "/b/y", 2)],
            {"a": {"x": 1}, "b": {"x": 1, "y": 2}},
        ),
        ({"a": {"x": 1}}, [op("test", "/a", {"x": 1}), op("test", "/none", None)], {"a": {"x": 1}}),
        ({"a": 1}, [op("add", "/l", []), op("add", "/l/-", 1), op("add", "/l/-", 2)], {"a": 1, "l": [1, 2]}),
    ],
)
def test_json_patch(doc: Any, ops: list[Any], wanted: Any) -> None:
    before, ops_before = copy.deepcopy(doc), copy.deepcopy(ops)
    assert json_patch(doc, ops) == wanted
    assert doc == before and ops == ops_before


@pytest.mark.parametrize(
    ("doc", "ops", "code", "message"),
    [
        ({}, {"op": "add"}, 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        ({}, ["x"], 400, "json: cannot unmarshal string into Go value of type jsonpatch.Operation"),
        ({}, [{}], 422, "Unexpected kind: unknown"),
        ({}, [{"op": "merge"}], 422, "Unexpected kind: merge"),
        ({}, [{"op": "add"}], 422, "add operation failed to decode path: missing value"),
        ({}, [op("add", "/a/b", 1)], 422, 'add operation does not apply: doc is missing path: "/a/b": missing value'),
        ({}, [op("add", "", 1)], 422, 'add operation does not apply: doc is missing path: "": missing value'),
        (
            {"a": []},
            [op("add", "/a/2", 1)],
            422,
            "error in add for path: '/a/2': Unable to access invalid index: 2: invalid index referenced",
        ),
        (
            {"a": []},
            [op("add", "/a/x", 1)],
            422,
            "error in add for path: '/a/x': value was not a proper array index: 'x': "
            'strconv.Atoi: parsing "x": invalid syntax',
        ),
        (
            {},
            [op("remove", "/a")],
            422,
            "error in remove for path: '/a': Unable to remove nonexistent key: a: missing value",
        ),
        (
            {},
            [op("remove", "/a/b")],
            422,
            'remove operation does not apply: doc is missing path: "/a/b": missing value',
        ),
        (
            {},
            [op("replace", "/a/b", 1)],
            422,
            "replace operation does not apply: doc is missing path: /a/b: missing value",
        ),
        (
            {"a": [1]},
            [op("replace", "/a/5", 1)],
            422,
            "replace operation does not apply: doc is missing key: /a/5: missing value",
        ),
        ({"a": 1}, [op("test", "/a", 2)], 422, "testing value /a failed: test failed"),
        ({"a": 1}, [op("test", "/a", True)], 422, "testing value /a failed: test failed"),
        ({"a": 1}, [op("test", "/b", 2)], 422, "testing value /b failed: test failed"),
        (
            {},
            [op("move", "/b", source="/a")],
            422,
            "error in move for path: 'a': Unable to remove nonexistent key: a: missing value",
        ),
        (
            {"a": 1},
            [op("copy", "/b/c", source="/a")],
            422,
            "copy operation does not apply: doc is missing destination path: /b/c: missing value",
        ),
        (
            {},
            [op("test", "/a", None)] * 10001,
            413,
            "The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
    ],
)
def test_json_patch_refusals(doc: Any, ops: Any, code: int, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        json_patch(doc, ops)
    assert (caught.value.code, str(caught.value)) == (code, message)


def test_copies_are_bounded() -> None:
    grow = [op("copy", "/b", source="/a"), op("copy", "/a/-", source="/b")] * 30
    with pytest.raises(PatchError, match="accumulated size increase"):
        json_patch({"a": ["x" * 100]}, grow)


def test_what_a_patch_leaves_alone_is_shared() -> None:
    doc = {"a": {"deep": [1]}, "b": {"c": 1}}
    patched = json_patch(doc, [op("replace", "/b/c", 2)])
    assert patched["a"] is doc["a"] and doc["b"]["c"] == 1
    merged = merge_patch(doc, {"b": {"c": 2}})
    assert merged["a"] is doc["a"] and merged["b"] == {"c": 2}


@pytest.mark.parametrize(
    ("doc", "patch", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        (["a"], {"a": 1}, {"a": 1}),
        ({"a": 1}, ["c"], ["c"]),
    ],
)
def test_merge_patch(doc: Any, patch: Any, wanted: Any) -> None:
    before = copy.deepcopy(doc)
    assert merge_patch(doc, patch) == wanted
    assert doc == before


def test_depth_is_bounded() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(PatchError, match="depth"):
        merge_patch({}, deep)


_json = st.recursive(
    st.integers(0, 3) | st.sampled_from("xyz"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), _json), st.dictionaries(st.sampled_from("abc"), _json))
def test_a_merge_patch_without_nulls_wins_everywhere(doc: dict[str, Any], patch: dict[str, Any]) -> None:
    def holds(merged: Any, part: Any) -> bool:
        if isinstance(part, dict):
            return isinstance(merged, dict) and all(holds(merged.get(k), v) for k, v in part.items())
        return bool(merged == part)

    merged = merge_patch(doc, patch)
    assert holds(merged, patch)
    assert all(merged[name] == doc[name] for name in doc if name not in patch)
    assert merge_patch(merged, patch) == merged
