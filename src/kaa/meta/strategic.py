"""Strategic merge patch: a merge that knows which lists are maps, and takes directives.

What a list merges by (`patch_merge_key`) and whether it does (`patch_strategy`) comes from the Schema. The
directives: `$patch: delete | replace` in an object or list item, `$retainKeys`, `$deleteFromPrimitiveList/<field>`
and `$setElementOrder/<field>`. Nothing given is ever changed. Source of the rules: the published description of
strategic merge patch, and how the original behaves where it is silent.
"""

from collections.abc import Iterable
from typing import Any

from kaa.meta.gotext import go_text
from kaa.meta.schema import ANY, Schema

__all__ = ["PatchError", "strategic_merge"]

Json = dict[str, Any]

_PATCH = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


class PatchError(ValueError):
    """A patch that cannot be read or is none (code 400), does not apply (422), or is too large (413).

    Some of the first the original has no code for, and answers with 500 and without a reason. A client's mistake is
    never the server's here.
    """

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


def strategic_merge(doc: Json, patch: Any, schema: Schema) -> Json:
    """`doc` with `patch` merged in as `schema` says. Raises PatchError."""
    if type(patch) is not dict:
        raise PatchError("invalid JSON document")
    try:
        return _merge_map(doc, patch, schema)
    except RecursionError:
        raise PatchError("exceeded max depth") from None


def _unknown_patch(directive: Any, where: Any) -> PatchError:
    return PatchError(f"unknown patch type: {go_text(directive)} in map: {go_text(where)}")


def _is_directive(name: str) -> bool:
    return name[:1] == "$" and (name in (_PATCH, _RETAIN_KEYS) or name.startswith((_DELETE_FROM, _ORDER)))


def _clean(value: Any) -> Any:
    """A patch's value where there is nothing to merge it with: without directives and nulls."""
    if type(value) is dict:
        return {name: _clean(each) for name, each in value.items() if each is not None and not _is_directive(name)}
    if type(value) is list:
        return [_clean(each) for each in value if not (type(each) is dict and _PATCH in each and _is_marker(each))]
    return value


def _is_marker(item: Json) -> bool:
    """Whether a list item is only there for its directive."""
    return item[_PATCH] == "delete" or len(item) == 1


def _strategy(schema: Schema) -> str:
    for each in schema.patch_strategy:
        if each != "retainKeys":
            return each
    return ""


def _merge_map(original: Json, patch: Json, schema: Schema) -> Json:
    if _PATCH in patch:
        directive = patch[_PATCH]
        if directive == "replace":
            return {name: _clean(value) for name, value in patch.items() if name != _PATCH and value is not None}
        if directive == "delete":
            return {}
        raise _unknown_patch(directive, patch)
    merged = dict(original)
    rest = patch
    if any(name[:1] == "$" for name in patch):
        rest = dict(patch)
        _retain_keys(merged, rest)
        _apply_orders(merged, rest, schema)
    for name, value in rest.items():
        if name.startswith(_DELETE_FROM):
            field = name[len(_DELETE_FROM) :]
            have = merged.get(field)
            if type(value) is not list:
                raise PatchError("invalid patch format of primitive list")
            if type(have) is list:
                merged[field] = [each for each in have if each not in value]
            continue
        if value is None:
            merged.pop(name, None)
            continue
        have = merged.get(name)
        child = schema.child(name) or ANY
        if type(value) is dict and type(have) is dict:
            merged[name] = _clean(value) if _strategy(child) == "replace" else _merge_map(have, value, child)
        elif type(value) is list and type(have) is list and _strategy(child) == "merge":
            merged[name] = _merge_list(have, value, child)
        else:
            merged[name] = _clean(value)
    return merged


def _retain_keys(merged: Json, patch: Json) -> None:
    """`$retainKeys`: fields of the original that are not listed go."""
    if _RETAIN_KEYS not in patch:
        return
    listed = patch.pop(_RETAIN_KEYS)
    if type(listed) is not list or any(type(each) is not str for each in listed):
        raise PatchError("invalid patch format of retainKeys")
    kept = set(listed)
    for name, value in patch.items():
        if value is not None and name not in kept and not name.startswith((_DELETE_FROM, _ORDER)):
            raise PatchError("patch content doesn't match retainKeys list", code=422)
    for name in [each for each in merged if each not in kept]:
        del merged[name]


def _apply_orders(merged: Json, patch: Json, schema: Schema) -> None:
    """`$setElementOrder/<field>`: merge that list, then put its elements in the order given."""
    for name in [each for each in patch if each.startswith(_ORDER)]:
        order = patch.pop(name)
        field = name[len(_ORDER) :]
        original, items = merged.get(field), patch.get(field)
        if type(order) is not list or not isinstance(items, list | None) or not isinstance(original, list | None):
            raise PatchError("invalid patch format of setElementOrder list")
        if original is None and items is None:
            continue
        child = schema.child(field) or ANY
        key = child.patch_merge_key
        _check_order(items or [], order, key, name)
        if items is None:
            combined = list(original or ())
        elif original is None:
            combined = _clean(items)
        else:
            combined = _merge_list(original, items, child) if _strategy(child) == "merge" else _clean(items)
        patch.pop(field, None)
        if _item_kind(combined) is not dict:
            key = ""
        merged[field] = _ordered(combined, order, original or [], key)


def _check_order(items: list[Any], order: list[Any], key: str, name: str) -> None:
    """The items of a patch must stand in the order the directive gives."""
    if not items or not order:
        return
    wanted = [_identity(each, key) for each in items if not (type(each) is dict and _PATCH in each)]
    at = 0
    for each in order:
        if at < len(wanted) and _identity(each, key) == wanted[at]:
            at += 1
    if at < len(wanted):
        raise PatchError(f"The order in patch list:\n{go_text(items)}\n doesn't match {name} list:\n{go_text(order)}\n")


def _identity(item: Any, key: str) -> Any:
    """What makes a list item itself: the value of its merge key, or the item."""
    if key and type(item) is dict:
        if key not in item:
            raise PatchError(f"map: {go_text(item)} does not contain declared merge key: {key}")
        item = item[key]
    return go_text(item) if type(item) in (dict, list) else (type(item) is bool, item)


def _item_kind(*lists: list[Any]) -> type | None:
    """What the items of lists are: dict, or object for scalars; None if there are no items."""
    kind: type | None = None
    for items in lists:
        for each in items:
            if type(each) is list:
                raise PatchError("lists of lists are not supported", code=422)
            if each is None:
                raise PatchError("a list that is merged must not contain null")
            this: type = dict if type(each) is dict else object
            if kind is None:
                kind = this
            elif kind is not this:
                raise PatchError(f"list element types are not identical: {go_text(list(lists))}")
    return kind


def _merge_list(original: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    kind = _item_kind(original, patch)
    if kind is None:
        return original
    key = schema.patch_merge_key
    if kind is not dict:
        merged = list({_identity(each, ""): each for each in [*original, *patch]}.values())
        return _ordered(merged, patch, original, "")
    if not key:
        name = (schema.items.ref if schema.items is not None else "").rsplit(".", 1)[-1]
        raise PatchError(f"cannot merge lists without merge key for {name or 'slice'}")
    original, patch, replaced = _list_directives(original, patch, key)
    if replaced:
        return original
    merged = list(original)
    places = {_identity(each, key): place for place, each in reversed(list(enumerate(merged)))}
    items = schema.items or ANY
    for each in patch:
        identity = _identity(each, key)
        place = places.get(identity)
        if place is None:
            places[identity] = len(merged)
            merged.append(_clean(each))
        else:
            merged[place] = _merge_map(merged[place], each, items)
    return _ordered(merged, patch, original, key)


def _list_directives(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """Carry out the `$patch` items: (what is left of the original, what is left to merge, whether it replaces)."""
    if not any(_PATCH in each for each in patch):
        return original, patch, False
    rest: list[Any] = []
    gone: set[Any] = set()
    replaced = False
    for each in patch:
        match each.get(_PATCH):
            case None if _PATCH not in each:
                rest.append(each)
            case "delete":
                gone.add(_identity(each, key))
            case "replace":
                replaced = True
            case "merge":
                raise PatchError("merging lists cannot yet be specified in the patch")
            case other:
                raise _unknown_patch(other, each)
    if replaced:
        return _clean(rest), [], True
    return [each for each in original if _identity(each, key) not in gone], rest, False


def _ordered(merged: list[Any], patch_order: Iterable[Any], server_order: Iterable[Any], key: str) -> list[Any]:
    """The original's order: what the patch names in the patch's order, the rest in the server's, woven together.

    An item that the patch brings stands before the items of the server it has no order with: a new container comes
    first, not last.
    """
    in_patch = {identity: place for place, identity in reversed(_places(patch_order, key))}
    in_server = {identity: place for place, identity in reversed(_places(server_order, key))}
    named: list[tuple[Any, Any]] = []
    others: list[tuple[Any, Any]] = []
    for each in merged:
        identity = _identity(each, key)
        (named if identity in in_patch else others).append((identity, each))
    named.sort(key=lambda pair: in_patch[pair[0]])
    others.sort(key=lambda pair: in_server.get(pair[0], -1))
    woven: list[Any] = []
    at = 0
    for identity, each in named:
        place = in_server.get(identity, -1)
        while at < len(others) and 0 <= in_server.get(others[at][0], -1) < place:
            woven.append(others[at][1])
            at += 1
        woven.append(each)
    woven += [each for _, each in others[at:]]
    return woven


def _places(items: Iterable[Any], key: str) -> list[tuple[int, Any]]:
    return [(place, _identity(each, key)) for place, each in enumerate(items)]
