"""A schema compiled to closures: walking tables on every write would be too slow.

Three walks, each made for one kind on first use and shared below the kind by definition (a PodSpec is compiled once):

- decode: check types, canonicalise quantities and times, drop nulls, find and prune what is unknown;
- default: fill in the published defaults (among them the empty values the original always writes);
- missing: required fields that are absent or empty.

The happy path builds no field paths: a wrong type collects its path while the error unwinds, and unknown fields are
looked for by a second, slower walk only when the first has met one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import scalars
from kaa.kinds.scalars import Mismatch
from kaa.meta.errors import bad_request
from kaa.meta.problems import Path, Problem, required
from kaa.meta.schema import Schema

__all__ = ["Structure"]

Json = dict[str, Any]
#: Checks one value and answers its canonical form; notes in the list whether something unknown was met.
Decode = Callable[[Any, list[bool]], Any]
Default = Callable[[Any], None]
#: The paths (innermost step first) of what is missing, or None.
Missing = Callable[[Any], "list[list[str]] | None"]

#: Required strings that may be empty all the same.
_MAY_BE_EMPTY = {
    ("HTTPHeader", "value"), ("Condition", "message"), ("RoleRef", "apiGroup"), ("EventSeries", "lastObservedTime"),
    ("ObjectReference", "name"), ("NodeSelectorRequirement", "key"), ("NamedRule", "name"),
    ("CustomResourceDefinitionNames", "kind"),
}  # fmt: skip


#: Definitions whose required fields their rules check, with more to say, and which are on the hot path.
_CHECKED_BY_RULES = {"io.k8s.api.core.v1.PodSpec"}


class Structure:
    """The compiled closures of one kind."""

    def __init__(self, schema: Schema, kind: str, version: str) -> None:
        self._schema = schema
        self._kind = kind
        self._version = version
        compiler = _Compiler()
        self._decode = compiler.decode(schema) or _as_it_is
        self._default = compiler.default(schema)
        self._missing = compiler.root_missing(schema)

    def decode(self, obj: Any) -> tuple[Json, list[str]]:
        """See `KindSpec.decode`."""
        unknown: list[bool] = []
        try:
            out = self._decode(obj, unknown)
        except Mismatch as error:
            kind = self._kind
            raise bad_request(
                f'{kind} in version "{self._version}" cannot be handled as a {kind}: {error.sentence()}'
            ) from None
        found: list[str] = []
        if unknown:
            _prune(self._schema, out, "", found)
        return out, found

    def default(self, obj: Json) -> None:
        """Published defaults, in place."""
        if self._default is not None:
            self._default(obj)

    def default_status(self, obj: Json) -> None:
        """An empty status, where the kind always has one."""
        status = self._schema.fields.get("status")
        if status is not None and status.default == {}:
            obj["status"] = {}
            self.default({"status": obj["status"]})

    def missing(self, obj: Json) -> Iterator[Problem]:
        """Required fields that are absent or empty, outside metadata and status."""
        if self._missing is None:
            return
        for steps in self._missing(obj) or ():
            path: Path = Path()
            for step in reversed(steps):
                path = path[step[1:-1]] if step.startswith("[") else path / step
            yield required(path)


def _as_it_is(value: Any, _unknown: list[bool]) -> Any:
    return value


_STR = str
_shared_decode: dict[str, Decode] = {}
_shared_default: dict[str, Default | None] = {}
_shared_missing: dict[str, Missing | None] = {}


class _Compiler:
    """Makes the closures. Those of built-in definitions are shared between kinds; others live with their kind."""

    # -- decode

    def decode(self, schema: Schema) -> Decode | None:
        """None: anything goes, as it is."""
        if schema.type == "object":
            if schema.fields:
                return self._decode_object(schema)
            if schema.values is not None:
                return _decode_map(self.decode(schema.values) or _as_it_is, schema.values)
            return _decode_open
        if schema.type == "array":
            assert schema.items is not None
            return _decode_array(self.decode(schema.items) or _as_it_is, schema.items)
        return scalars.check_of(schema)

    def _decode_object(self, schema: Schema) -> Decode:
        known = _shared_decode.get(schema.ref)
        if known is not None:
            return known
        plain: dict[str, type] = {}
        checks: dict[str, Decode | None] = {}
        closure = _decode_object(schema, plain, checks)
        if schema.ref:
            _shared_decode[schema.ref] = closure  # before its fields: they may refer back
        for name, child in schema.fields.items():
            checks[name] = self.decode(child)
            if child.type == "string" and not child.format:
                plain[name] = str
            elif child.type == "boolean":
                plain[name] = bool
        return closure

    # -- default

    def default(self, schema: Schema) -> Default | None:
        """None: there is nothing to fill in anywhere below."""
        if not _has_defaults(schema, set()):
            return None
        if schema.fields:
            return self._default_object(schema)
        inner = schema.items or schema.values
        below = self.default(inner) if inner is not None else None
        if below is None:
            return None
        return _default_array(below) if schema.items is not None else _default_map(below)

    def _default_object(self, schema: Schema) -> Default:
        if schema.ref and schema.ref in _shared_default:
            known = _shared_default[schema.ref]
            assert known is not None
            return known
        values: list[tuple[str, Any]] = []
        structs: list[tuple[str, Default | None]] = []
        deep: dict[str, Default] = {}

        def closure(obj: Any) -> None:
            for name, value in values:
                if name not in obj:
                    obj[name] = value
            for name, fill in structs:
                child = obj.get(name)
                if child is None:
                    child = obj[name] = {}
                if fill is not None:
                    fill(child)
            if deep:
                for name, child in obj.items():
                    below = deep.get(name)
                    if below is not None:
                        below(child)

        if schema.ref:
            _shared_default[schema.ref] = closure
        for name, child in schema.fields.items():
            fill = self.default(child)
            if child.default == {} and child.type == "object":
                structs.append((name, fill))
            else:
                if child.default is not None and child.default != [] and child.default != {}:
                    values.append((name, child.default))
                if fill is not None:
                    deep[name] = fill
        return closure

    # -- missing

    def root_missing(self, schema: Schema) -> Missing | None:
        """Of a whole object: metadata has its own rules, and a status may be as bare as its writer likes."""
        inner = {name: child for name, child in schema.fields.items() if name not in ("metadata", "status")}
        root = Schema(type="object", fields=inner, required=tuple(name for name in schema.required if name in inner))
        return self.missing(root)

    def missing(self, schema: Schema) -> Missing | None:
        """None: nothing is required anywhere below."""
        if schema.ref in _CHECKED_BY_RULES or not _has_required(schema, set()):
            return None
        if schema.fields:
            return self._missing_object(schema)
        inner = schema.items or schema.values
        below = self.missing(inner) if inner is not None else None
        if below is None:
            return None
        return _missing_array(below) if schema.items is not None else _missing_map(below)

    def _missing_object(self, schema: Schema) -> Missing:
        if schema.ref and schema.ref in _shared_missing:
            known = _shared_missing[schema.ref]
            assert known is not None
            return known
        short = schema.ref.rsplit(".", 1)[-1]
        wanted: list[str] = []
        filled: list[str] = []
        deep: dict[str, Missing] = {}

        def closure(obj: Any) -> list[list[str]] | None:
            found: list[list[str]] | None = None
            for name in filled:
                if not obj.get(name):
                    found = found or []
                    found.append([name])
            for name in wanted:
                if name not in obj:
                    found = found or []
                    found.append([name])
            if deep:
                for name, child in obj.items():
                    below = deep.get(name)
                    if below is not None:
                        inner = below(child)
                        if inner:
                            for steps in inner:
                                steps.append(name)
                            found = (found or []) + inner
            return found

        if schema.ref:
            _shared_missing[schema.ref] = closure
        for name in schema.required:
            child = schema.fields.get(name)
            if child is None:
                continue
            if child.type == "string" and not child.format and (short, name) not in _MAY_BE_EMPTY:
                filled.append(name)
            elif child.default is None:
                wanted.append(name)
        for name, child in schema.fields.items():
            below = self.missing(child)
            if below is not None:
                deep[name] = below
        return closure


def _decode_object(schema: Schema, plain: dict[str, type], checks: dict[str, Decode | None]) -> Decode:
    open_ = schema.preserve_unknown
    values = schema.values
    short = schema.ref.rsplit(".", 1)[-1]
    version = schema.ref.rsplit(".", 2)[-2] if schema.ref.count(".") > 1 else "v1"

    def closure(obj: Any, unknown: list[bool]) -> Any:
        if type(obj) is not dict:
            raise Mismatch(obj, f"{version}.{short}")
        nulls: list[str] | None = None
        name = ""
        try:
            for name, value in obj.items():
                # Most fields are strings and booleans: one lookup and one comparison for these.
                if plain.get(name) is type(value):
                    continue
                if name not in checks:
                    if not open_ and values is None:
                        unknown.append(True)
                    continue
                if value is None:
                    nulls = nulls or []
                    nulls.append(name)
                    continue
                check = checks[name]
                if check is not None:
                    new = check(value, unknown)
                    if new is not value:
                        obj[name] = new
        except Mismatch as error:
            error.inside(short, name)
            raise
        if nulls is not None:
            for name in nulls:
                del obj[name]
        return obj

    return closure


def _decode_map(check: Decode, values: Schema) -> Decode:
    strings = values.type == "string" and not values.format

    def closure(obj: Any, unknown: list[bool]) -> Any:
        if type(obj) is not dict:
            raise Mismatch(obj, f"map[string]{scalars.go_type(values)}")
        for name, value in obj.items():
            if strings and type(value) is _STR:
                continue
            new = _zero(values) if value is None else check(value, unknown)
            if new is not value:
                obj[name] = new
        return obj

    return closure


def _decode_array(check: Decode, items: Schema) -> Decode:
    strings = items.type == "string" and not items.format

    def closure(obj: Any, unknown: list[bool]) -> Any:
        if type(obj) is not list:
            raise Mismatch(obj, f"[]{scalars.go_type(items)}")
        for at, value in enumerate(obj):
            if strings and type(value) is _STR:
                continue
            if value is None:
                obj[at] = _zero(items)
                continue
            new = check(value, unknown)
            if new is not value:
                obj[at] = new
        return obj

    return closure


def _zero(schema: Schema) -> Any:
    """What null stands for in a map or a list, where leaving it out would say something else: the empty value."""
    if schema.type == "object":
        return {}
    if schema.type == "integer" or schema.format == "int-or-string":
        return 0
    if schema.format == "quantity":
        return "0"
    if schema.type == "string":
        return "" if not schema.format or schema.format == "byte" else None
    return {"boolean": False, "array": []}.get(schema.type)


def _decode_open(obj: Any, _unknown: list[bool]) -> Any:
    return obj


def _default_array(below: Default) -> Default:
    def closure(items: Any) -> None:
        for item in items:
            below(item)

    return closure


def _default_map(below: Default) -> Default:
    def closure(obj: Any) -> None:
        for item in obj.values():
            below(item)

    return closure


def _missing_array(below: Missing) -> Missing:
    def closure(items: Any) -> list[list[str]] | None:
        found: list[list[str]] | None = None
        for at, item in enumerate(items):
            inner = below(item)
            if inner:
                for steps in inner:
                    steps.append(f"[{at}]")
                found = (found or []) + inner
        return found

    return closure


def _missing_map(below: Missing) -> Missing:
    def closure(obj: Any) -> list[list[str]] | None:
        found: list[list[str]] | None = None
        for name, item in obj.items():
            inner = below(item)
            if inner:
                for steps in inner:
                    steps.append(f"[{name}]")
                found = (found or []) + inner
        return found

    return closure


def _has_defaults(schema: Schema, seen: set[int]) -> bool:
    """Whether anything at or below has a default. Definitions may recur: each is looked at once."""
    if id(schema.fields) in seen and schema.fields:
        return False
    seen.add(id(schema.fields))
    for child in schema.fields.values():
        if (child.default is not None and child.default != []) or _has_defaults(child, seen):
            return True
    return any(child is not None and _has_defaults(child, seen) for child in (schema.items, schema.values))


def _has_required(schema: Schema, seen: set[int]) -> bool:
    if id(schema.fields) in seen and schema.fields:
        return False
    seen.add(id(schema.fields))
    if schema.required and schema.fields:
        return True
    if any(_has_required(child, seen) for child in schema.fields.values()):
        return True
    return any(child is not None and _has_required(child, seen) for child in (schema.items, schema.values))


def _prune(schema: Schema, value: Any, path: str, found: list[str]) -> None:
    """Remove what the schema does not know, and say what that was."""
    if isinstance(value, list):
        if schema.items is not None:
            for at, item in enumerate(value):
                _prune(schema.items, item, f"{path}[{at}]", found)
        return
    if not isinstance(value, dict):
        return
    for name in list(value):
        child = schema.child(name)
        below = f"{path}.{name}" if path else name
        if child is not None:
            _prune(child, value[name], below, found)
        elif not schema.preserve_unknown and (schema.fields or schema.values is not None):
            found.append(f'unknown field "{below}"')
            del value[name]
