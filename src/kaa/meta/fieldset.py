"""Sets of field paths, kept in the form the wire gives them (`fieldsV1`), so that reading one costs nothing.

A set is a tree of dicts. A key is one path element:

- `f:name`: a field of an object or a key of a map;
- `k:{"name":"a"}`: the item of a list with these identifying fields (compact JSON, names sorted);
- `v:"a"`: the item of a set with this value; `i:0`: the item at an index;
- `.`: the path up to here is itself a member. A node without any key is a member too: a leaf.

The root is not a member of anything: `{}` at the root is the empty set. Trees are values: every function returns a new
tree, sharing what it leaves alone, and no tree may be changed once made.
"""

from collections.abc import Iterator
from typing import Any

import orjson

__all__ = [
    "FieldSet",
    "decode",
    "difference",
    "difference_deep",
    "encode",
    "has",
    "intersection",
    "is_member",
    "key_element",
    "path_text",
    "paths",
    "paths_by_level",
    "union",
    "value_element",
]

FieldSet = dict[str, Any]
Element = str

_LEAF: FieldSet = {}
_SORTED = orjson.OPT_SORT_KEYS


def key_element(keys: dict[str, Any]) -> Element:
    """The element of a list item that these fields identify."""
    return "k:" + orjson.dumps(keys, option=_SORTED).decode()


def value_element(value: Any) -> Element:
    """The element of a set's item."""
    return "v:" + orjson.dumps(value, option=_SORTED).decode()


def is_member(node: FieldSet) -> bool:
    """Whether the path that leads to this node is in the set, not only paths below it."""
    return not node or "." in node


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Every path of either. In canonical order where both are."""
    if not left or left is right:
        return right
    if not right:
        return left
    return _joined(left, right)


def _joined(left: FieldSet, right: FieldSet) -> FieldSet:
    made = left.copy()
    for element, node in right.items():
        have = made.get(element)
        made[element] = node if have is None else _union(have, node)
    return made if len(made) == len(left) else dict(sorted(made.items()))


def _union(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right:
        return left
    if not left:
        return right if not right or "." in right else {".": _LEAF, **right}
    if not right:
        return left if "." in left else {".": _LEAF, **left}
    return _joined(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths of `left` that are not in `right`. Paths below a member of `right` stay."""
    if not left or not right:
        return left
    return _difference(left, right) or {}


def _difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """None where nothing is left; `left` itself where nothing goes."""
    if not left:
        return None if not right or "." in right else left
    if not right:
        if "." not in left:
            return left
        return {element: node for element, node in left.items() if element != "."}
    made = left
    for element in right.keys() & left.keys():
        rest = None if element == "." else _difference(left[element], right[element])
        if rest is not left[element]:
            if made is left:
                made = left.copy()
            _put(made, element, rest)
    return _settled(made)


def _put(made: FieldSet, element: Element, node: FieldSet | None) -> None:
    if node is None:
        del made[element]
    else:
        made[element] = node


def _settled(node: FieldSet) -> FieldSet | None:
    """A node that lost some of what was below it: None where nothing is left, a leaf where only itself is."""
    if not node:
        return None
    return _LEAF if len(node) == 1 and "." in node else node


def difference_deep(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths of `left` that are neither in `right` nor below a member of it."""
    if not left or not right:
        return left
    return _difference_deep(left, right) or {}


def _difference_deep(left: FieldSet, right: FieldSet) -> FieldSet | None:
    made = left
    for element in right.keys() & left.keys():
        if element == ".":
            continue
        below, inner = right[element], left[element]
        rest = None if is_member(below) else _difference_deep(inner, below) if inner else inner
        if rest is not inner:
            if made is left:
                made = left.copy()
            _put(made, element, rest)
    return made if made is left else _settled(made)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths of both."""
    if not left or not right:
        return {}
    made = {}
    for element in left.keys() & right.keys():
        if element != "." and (both := _intersection(left[element], right[element])) is not None:
            made[element] = both
    return made


def _intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    member = is_member(left) and is_member(right)
    made: FieldSet = {}
    for element in left.keys() & right.keys():
        if element != "." and (both := _intersection(left[element], right[element])) is not None:
            made[element] = both
    if made:
        return {".": _LEAF, **made} if member else made
    return _LEAF if member else None


def has(fields: FieldSet, *path: Element) -> bool:
    """Whether the path is in the set."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node is not None else None
    return node is not None and bool(path) and is_member(node)


def paths(fields: FieldSet) -> Iterator[tuple[Element, ...]]:
    """Every path, parents before what is below them, in a stable order."""
    for element in sorted(fields):
        if element == ".":
            continue
        node = fields[element]
        if is_member(node):
            yield (element,)
        for rest in paths(node):
            yield (element, *rest)


def paths_by_level(fields: FieldSet) -> Iterator[tuple[Element, ...]]:
    """Every path in the order the original tells conflicts in: the members of a level before those below any."""
    names = sorted(element for element in fields if element != ".")
    for element in names:
        if is_member(fields[element]):
            yield (element,)
    for element in names:
        for rest in paths_by_level(fields[element]):
            yield (element, *rest)


def path_text(path: tuple[Element, ...]) -> str:
    """`.spec.containers[name="a"].image`: a path as users read it."""
    return "".join(map(_element_text, path))


def _element_text(element: Element) -> str:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "k:":
        keys = orjson.loads(rest)
        return "[" + ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys)) + "]"
    return f"[={rest}]" if kind == "v:" else f"[{rest}]"


def encode(fields: FieldSet) -> FieldSet:
    """The set with its keys in canonical order, as `fieldsV1` has them."""
    return {element: encode(fields[element]) if fields[element] else _LEAF for element in sorted(fields)}


def decode(fields: Any) -> FieldSet:
    """The set of a `fieldsV1` value from outside, checked, its keys in canonical form. Raises ValueError."""
    if type(fields) is not dict:
        raise ValueError("fieldsV1 must be an object")
    made: FieldSet = {}
    for element, node in fields.items():
        if element == ".":
            made["."] = _LEAF
            continue
        kind, rest = element[:2], element[2:]
        if kind == "k:":
            keys = orjson.loads(rest)
            if type(keys) is not dict or not keys:
                raise ValueError(f"{element} names no identifying fields")
            element = key_element(keys)
        elif kind == "v:":
            element = value_element(orjson.loads(rest))
        elif kind == "i:":
            int(rest)
        elif kind != "f:":
            raise ValueError(f"{element} is no path element: it starts with none of f:, k:, v: and i:")
        below = decode(node)
        made[element] = _LEAF if below.keys() == {"."} else below
    return made
