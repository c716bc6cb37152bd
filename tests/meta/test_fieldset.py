"""Field sets: the algebra against Python's own sets of paths, and the wire form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.meta import fieldset

Paths = set[tuple[str, ...]]


def built(members: Paths) -> dict[str, Any]:
    """The tree of a set of paths, made plainly."""
    tree: dict[str, Any] = {}
    for path in members:
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}

    def settle(node: dict[str, Any]) -> dict[str, Any]:
        if node.keys() == {"."}:
            return {}
        return {element: {} if element == "." else settle(below) for element, below in node.items()}

    return settle(tree)


_elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
_sets = st.sets(st.lists(_elements, min_size=1, max_size=3).map(tuple), max_size=8)


@given(_sets, _sets)
def test_algebra(left: Paths, right: Paths) -> None:
    a, b = built(left), built(right)
    assert fieldset.union(a, b) == built(left | right)
    assert fieldset.difference(a, b) == built(left - right)
    assert fieldset.intersection(a, b) == built(left & right)
    below = {path for path in left if any(path[: len(top)] == top for top in right)}
    assert fieldset.difference_deep(a, b) == built(left - below)
    assert set(fieldset.paths(a)) == left
    assert all(fieldset.has(a, *path) == (path in left) for path in left | right)
    assert a == built(left) and b == built(right)
    assert fieldset.decode(fieldset.encode(a)) == a


@given(_sets)
def test_what_does_not_change_is_not_copied(members: Paths) -> None:
    tree = built(members | {("f:a",)})
    assert fieldset.difference(tree, {"f:other": {}}) is tree
    assert fieldset.difference_deep(tree, {"f:other": {}}) is tree
    assert fieldset.union(tree, {}) is tree


def test_paths_as_text() -> None:
    tree = {
        "f:spec": {
            "f:ports": {
                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:name": {}},
                'v:"a"': {},
                "i:3": {},
            }
        }
    }
    assert [fieldset.path_text(path) for path in fieldset.paths(tree)] == [
        ".spec.ports[3]",
        '.spec.ports[containerPort=80,protocol="TCP"]',
        '.spec.ports[containerPort=80,protocol="TCP"].name',
        '.spec.ports[="a"]',
    ]


def test_the_wire_form_is_canonical() -> None:
    assert list(fieldset.encode({"f:b": {}, ".": {}, "f:a": {"f:z": {}, ".": {}}})) == [".", "f:a", "f:b"]
    assert fieldset.decode({'k:{"b": 1, "a": 2}': {}}) == {'k:{"a":2,"b":1}': {}}


@pytest.mark.parametrize("wire", [[], {"a": {}}, {"k:x": {}}, {"k:{}": {}}, {"f:a": 1}, {"i:x": {}}])
def test_what_is_no_set_is_refused(wire: Any) -> None:
    with pytest.raises(ValueError):
        fieldset.decode(wire)
