"""JSON patch (RFC 6902) and merge patch (RFC 7386). Strategic merge is in `kaa.meta.strategic`.

Nothing given is ever changed: what a patch touches is copied, what it does not is shared with the result.
"""

from typing import Any

import orjson

from kaa.meta.strategic import PatchError, strategic_merge

__all__ = ["OPERATIONS_MAX", "PatchError", "PatchTestFailed", "json_patch", "merge_patch", "strategic_merge"]

#: More operations than this in one JSON patch are refused with 413.
OPERATIONS_MAX = 10_000
#: What `copy` operations of one patch may add, in bytes.
COPIED_BYTES_MAX = 3 * 1024 * 1024

_MISSING = object()


class PatchTestFailed(PatchError):
    """A `test` operation found another value than it names."""


def merge_patch(doc: Any, patch: Any) -> Any:
    """`doc` with `patch` merged in: null removes, objects merge, anything else replaces."""
    try:
        return _merge(doc, patch)
    except RecursionError:
        raise PatchError("exceeded max depth") from None


def _merge(doc: Any, patch: Any) -> Any:
    if type(patch) is not dict:
        return patch
    merged = dict(doc) if type(doc) is dict else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif type(value) is dict:
            merged[name] = _merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def json_patch(doc: Any, ops: Any) -> Any:
    """`doc` after the operations, all or none. Raises PatchError: 400 for no patch, 422 for one that does not apply.

    As in the API, `replace` of an absent field of an object sets it, and negative indices count from the end.
    """
    if type(ops) is not list or any(type(op) is not dict for op in ops):
        found = _go_kind(ops if type(ops) is not list else next(op for op in ops if type(op) is not dict))
        wanted = "jsonpatch.Patch" if type(ops) is not list else "jsonpatch.Operation"
        raise PatchError(f"json: cannot unmarshal {found} into Go value of type {wanted}")
    if len(ops) > OPERATIONS_MAX:
        raise PatchError(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(ops)}", code=413
        )
    patching = _Patching(doc)
    for op in ops:
        kind = op.get("op")
        act = getattr(patching, f"op_{kind}", None) if type(kind) is str else None
        if act is None:
            raise _inapplicable(f"Unexpected kind: {kind if type(kind) is str else 'unknown'}")
        act(op)
    return patching.doc


def _inapplicable(message: str) -> PatchError:
    return PatchError(message, code=422)


def _go_kind(value: Any) -> str:
    """What the original's decoder calls a JSON value."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "number"


def _index(key: str) -> int:
    try:
        if not key.isascii() or "_" in key or key != key.strip():
            raise ValueError
        return int(key)
    except ValueError:
        raise _inapplicable(f'strconv.Atoi: parsing "{key}": invalid syntax') from None


def _place(key: str, length: int) -> int:
    """The position a key means among `length` places."""
    index = _index(key)
    if not -length <= index < length:
        raise _inapplicable(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + length if index < 0 else index


def _get(container: Any, key: str) -> Any:
    """The member a key names; `_MISSING` for an absent field. Raises PatchError for an index out of range."""
    if type(container) is dict:
        return container.get(key, _MISSING)
    return container[_place(key, len(container))]


def _add(container: Any, key: str, value: Any) -> None:
    if type(container) is dict:
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        try:
            place = _place(key, len(container) + 1)
        except PatchError as error:
            if "Atoi" in str(error):
                raise _inapplicable(f"value was not a proper array index: '{key}': {error}") from None
            raise
        container.insert(place, value)


def _remove(container: Any, key: str) -> None:
    if type(container) is not dict:
        del container[_place(key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise _inapplicable(f"Unable to remove nonexistent key: {key}: missing value")


def _same(left: Any, right: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    if type(left) is not type(right):
        numbers = (int, float)
        return type(left) in numbers and type(right) in numbers and left == right
    if type(left) is dict:
        return left.keys() == right.keys() and all(_same(value, right[name]) for name, value in left.items())
    if type(left) is list:
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


class _Patching:
    """A document being patched: containers on a changed path are copied once, and are then this object's own."""

    def __init__(self, doc: Any) -> None:
        self.doc = doc
        # Kept by identity, with a reference, so that no freed container's identity is taken for one of ours.
        self.own: dict[int, Any] = {}
        self.copied_bytes = 0

    def owned(self, container: Any) -> Any:
        if id(container) in self.own:
            return container
        copied = container.copy()
        self.own[id(copied)] = copied
        return copied

    def container(self, path: str, *, write: bool) -> tuple[Any, str]:
        """What holds the last part of a path, and that part; (None, "") where the path leads nowhere."""
        parts = path.split("/")
        if len(parts) < 2 or type(self.doc) not in (dict, list):
            return None, ""
        keys = [part.replace("~1", "/").replace("~0", "~") if "~" in part else part for part in parts[1:]]
        if write:
            self.doc = self.owned(self.doc)
        at = self.doc
        for key in keys[:-1]:
            try:
                below = _get(at, key)
            except PatchError:
                return None, ""
            if type(below) is not dict and type(below) is not list:
                return None, ""
            if write:
                below = self.owned(below)
                at[key if type(at) is dict else _place(key, len(at))] = below
            at = below
        return at, keys[-1]

    @staticmethod
    def text(op: dict[str, Any], name: str, missing: str) -> str:
        value = op.get(name)
        if type(value) is not str:
            raise _inapplicable(missing)
        return value

    def op_add(self, op: dict[str, Any]) -> None:
        path = self.text(op, "path", "add operation failed to decode path: missing value")
        container, key = self.container(path, write=True)
        if container is None:
            raise _inapplicable(f'add operation does not apply: doc is missing path: "{path}": missing value')
        try:
            _add(container, key, op.get("value"))
        except PatchError as error:
            raise _inapplicable(f"error in add for path: '{path}': {error}") from None

    def op_remove(self, op: dict[str, Any]) -> None:
        path = self.text(op, "path", "remove operation failed to decode path: missing value")
        container, key = self.container(path, write=True)
        if container is None:
            raise _inapplicable(f'remove operation does not apply: doc is missing path: "{path}": missing value')
        try:
            _remove(container, key)
        except PatchError as error:
            raise _inapplicable(f"error in remove for path: '{path}': {error}") from None

    def op_replace(self, op: dict[str, Any]) -> None:
        path = self.text(
            op, "path", "replace operation failed to decode path: operation missing path field: missing value"
        )
        if path == "":
            if type(op.get("value")) not in (dict, list):
                raise _inapplicable("replace operation value must be object or array")
            self.doc = op["value"]
            return
        container, key = self.container(path, write=True)
        if container is None:
            raise _inapplicable(f"replace operation does not apply: doc is missing path: {path}: missing value")
        try:
            _get(container, key)
        except PatchError:
            raise _inapplicable(
                f"replace operation does not apply: doc is missing key: {path}: missing value"
            ) from None
        container[key if type(container) is dict else _place(key, len(container))] = op.get("value")

    def op_move(self, op: dict[str, Any]) -> None:
        source = self.text(
            op, "from", "move operation failed to decode from: operation, missing from field: missing value"
        )
        path = self.text(
            op, "path", "move operation failed to decode path: operation missing path field: missing value"
        )
        container, key = self.container(source, write=True)
        if container is None:
            raise _inapplicable(f"move operation does not apply: doc is missing from path: {source}: missing value")
        try:
            value = _get(container, key)
            _remove(container, key)
        except PatchError as error:
            raise _inapplicable(f"error in move for path: '{key}': {error}") from None
        container, key = self.container(path, write=True)
        if container is None:
            raise _inapplicable(
                f"move operation does not apply: doc is missing destination path: {path}: missing value"
            )
        try:
            _add(container, key, value)
        except PatchError as error:
            raise _inapplicable(f"error in move for path: '{path}': {error}") from None

    def op_copy(self, op: dict[str, Any]) -> None:
        source = self.text(
            op, "from", "copy operation failed to decode from: operation, missing from field: missing value"
        )
        path = self.text(op, "path", "copy operation failed to decode path: missing value")
        container, key = self.container(source, write=False)
        if container is None:
            raise _inapplicable(f"copy operation does not apply: doc is missing from path: {source}: missing value")
        try:
            value = _get(container, key)
        except PatchError as error:
            raise _inapplicable(f"error in copy for from: '{source}': {error}") from None
        encoded = orjson.dumps(None if value is _MISSING else value)
        self.copied_bytes += len(encoded)
        if self.copied_bytes > COPIED_BYTES_MAX:
            raise _inapplicable(
                f"Unable to complete the copy, the accumulated size increase of copy is {self.copied_bytes}, "
                f"exceeding the limit {COPIED_BYTES_MAX}"
            )
        container, key = self.container(path, write=True)
        if container is None:
            raise _inapplicable(
                f"copy operation does not apply: doc is missing destination path: {path}: missing value"
            )
        try:
            _add(container, key, orjson.loads(encoded))
        except PatchError as error:
            raise _inapplicable(f"error while adding value during copy: {error}") from None

    def op_test(self, op: dict[str, Any]) -> None:
        path = self.text(
            op, "path", "test operation failed to decode path: operation missing path field: missing value"
        )
        if path == "":
            value = self.doc
        else:
            container, key = self.container(path, write=False)
            if container is None:
                raise _inapplicable(f"test operation does not apply: is missing path: {path}: missing value")
            try:
                value = _get(container, key)
            except PatchError as error:
                raise _inapplicable(f"error in test for path: '{path}': {error}") from None
        # An absent field tests equal to null, as in the original.
        if not _same(None if value is _MISSING else value, op.get("value")):
            raise PatchTestFailed(f"testing value {path} failed: test failed", code=422)
