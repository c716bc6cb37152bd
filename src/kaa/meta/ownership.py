"""Who set which field: the entries of `metadata.managedFields`, and how a create, update or patch changes them.

An entry belongs to a manager, an operation, a version and a subresource (an Apply entry is the same in every
version). Its paths are those of its own version: `Views` says what an object is in another version.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from kaa.meta.comparing import Difference, compare
from kaa.meta.fieldset import FieldSet, decode, difference, difference_deep, encode, union
from kaa.meta.merging import reconciled
from kaa.meta.schema import ANY, Schema

__all__ = [
    "STRIPPED",
    "Changes",
    "Entries",
    "Entry",
    "View",
    "Views",
    "changes",
    "drop_empty",
    "ignored_by",
    "manager_of_user_agent",
    "meta_of",
    "read_entries",
    "reconcile",
    "same_but_times",
    "take",
    "update_ownership",
    "write_entries",
]

Json = dict[str, Any]

#: Entries of updates beyond this are folded into one, the oldest first.
UPDATE_MANAGERS_MAX = 10

_ANCIENT = "ancient-changes"
_LEAF: FieldSet = {}
_EMPTY: Json = {}

# What no manager owns: the server sets it, or it says which object this is.
_IDENTITY = frozenset(("apiVersion", "kind", "metadata"))
_SYSTEM = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
STRIPPED: FieldSet = {
    "f:apiVersion": _LEAF,
    "f:kind": _LEAF,
    "f:metadata": {".": _LEAF, **{f"f:{name}": _LEAF for name in _SYSTEM}},
}
_RESET_BY_SUBRESOURCE: dict[str, FieldSet] = {"": {"f:status": _LEAF}, "status": {"f:spec": _LEAF}}


@dataclass(frozen=True, slots=True)
class View:
    """A kind in another version than an object's own. Neither function changes what it is given."""

    schema: Schema
    #: From the object's own version, and back to it.
    there: Callable[[Json], Json]
    back: Callable[[Json], Json]


#: apiVersion -> how the object is seen there; None where the kind is not served in it any more.
Views = Callable[[str], "View | None"]


@dataclass(slots=True, eq=False)
class Entry:
    """One manager's fields. Immutable: a change makes a new one."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: FieldSet
    #: The wire form, where it is known and still right.
    wire: Json | None = None
    #: The fields are in canonical order: they came from the store, and are what is left of that.
    canonical: bool = False

    @property
    def id(self) -> tuple[str, str, str, str]:
        version = "" if self.operation == "Apply" else self.api_version
        return (self.manager, self.operation, version, self.subresource)

    def described(self) -> str:
        """The manager as conflicts name it."""
        text = orjson.dumps(self.manager).decode()
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text

    def with_fields(self, fields: FieldSet, time: str | None = None) -> "Entry":
        if fields is self.fields and time in (None, self.time):
            return self
        return Entry(
            self.manager,
            self.operation,
            self.api_version,
            self.subresource,
            self.time if time is None else time,
            fields,
            None,
            self.canonical,
        )

    def to_wire(self) -> Json:
        if self.wire is not None:
            return self.wire
        wire: Json = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            wire["time"] = self.time
        wire["fieldsType"] = "FieldsV1"
        wire["fieldsV1"] = self.fields if self.canonical else encode(self.fields)
        if self.subresource:
            wire["subresource"] = self.subresource
        return wire


Entries = dict[tuple[str, str, str, str], Entry]


def manager_of_user_agent(user_agent: str) -> str:
    """The manager a request has that names none: the program's name in its User-Agent."""
    name = user_agent.partition("/")[0][:128]
    return "".join(each for each in name if each.isprintable()) or "unknown"


def read_entries(wire: Iterable[Json], *, trusted: bool) -> Entries:
    """Entries by id. Those the server wrote are taken as they are; others are checked (ValueError)."""
    entries: Entries = {}
    for each in wire:
        fields = each.get("fieldsV1") or {}
        if not trusted:
            if each.get("operation") not in ("Apply", "Update"):
                raise ValueError("the operation of an entry is Apply or Update")
            if not each.get("apiVersion"):
                raise ValueError("the apiVersion of an entry must not be empty")
            if each.get("fieldsType", "") != "FieldsV1":
                raise ValueError("the fieldsType of an entry is FieldsV1")
            fields = decode(fields)
        entry = Entry(
            each.get("manager", ""),
            each["operation"],
            each.get("apiVersion", ""),
            each.get("subresource", ""),
            each.get("time") or "",
            fields,
            each if trusted else None,
            trusted,
        )
        entries[entry.id] = entry
    return entries


def write_entries(entries: Entries) -> list[Json]:
    """The wire form in the original's order: applies first, then by time, manager, version and subresource."""
    kept = [each for each in entries.values() if each.fields]
    kept.sort(key=lambda each: (each.operation, each.time, each.manager, each.api_version, each.subresource))
    return [each.to_wire() for each in kept]


def meta_of(obj: Json | None) -> Json:
    meta = obj.get("metadata") if obj is not None else None
    return meta if type(meta) is dict else _EMPTY


def changes(old: Json, new: Json, schema: Schema, reset: FieldSet) -> Difference:
    """How an object changed, without what nobody owns and what this endpoint leaves alone."""
    skipped = _skipped(reset)
    if not old:
        found = compare(old, new, schema, skipped)
        inner = compare(old, meta_of(new), schema.child("metadata") or ANY, _SYSTEM).added
        if inner:
            found.added = dict(sorted([*found.added.items(), ("f:metadata", inner)]))
    else:
        found = compare(old, new, schema, skipped)
        before, after = meta_of(old), meta_of(new)
        if before is not after and before != after:
            found.put("f:metadata", compare(before, after, schema.child("metadata") or ANY, _SYSTEM))
    if any(reset.values()):
        found.added = difference_deep(found.added, reset)
        found.modified = difference_deep(found.modified, reset)
        found.removed = difference_deep(found.removed, reset)
    return found


@cache
def _names_skipped(names: tuple[str, ...]) -> frozenset[str]:
    return _IDENTITY | {name[2:] for name in names}


def _skipped(reset: FieldSet) -> frozenset[str]:
    return _names_skipped(tuple(name for name, node in reset.items() if not node))


def ignored_by(subresource: str, reset: FieldSet | None) -> FieldSet:
    """What an endpoint ignores, where its kind says nothing of its own."""
    return _RESET_BY_SUBRESOURCE.get(subresource, _EMPTY) if reset is None else reset


class Changes:
    """How an object changed, in its own version and, when asked, in others."""

    def __init__(
        self, old: Json, new: Json, schema: Schema, reset: FieldSet, version: str, views: Views | None
    ) -> None:
        self._objects = old, new
        self._reset = reset
        self._views = views
        self.own = changes(old, new, schema, reset)
        self._made: dict[str, Difference | None] = {version: self.own}

    def at(self, version: str) -> Difference | None:
        """In another version; None where there is no such version any more."""
        if version not in self._made:
            self._made[version] = self._convert(version)
        return self._made[version]

    def _convert(self, version: str) -> Difference | None:
        if self._views is None:
            return self.own
        view = self._views(version)
        if view is None:
            return None
        old, new = self._objects
        return changes(view.there(old) if old else old, view.there(new), view.schema, self._reset)


def take(entries: Entries, found: Changes, own: tuple[str, str, str, str] | None = None) -> None:
    """Take from each entry (but `own`) what changed or went; those of versions that are no more are dropped."""
    for key, each in list(entries.items()):
        if key == own:
            continue
        theirs = found.at(each.api_version)
        if theirs is None:
            del entries[key]
            continue
        entries[key] = each.with_fields(difference(each.fields, theirs.touched))


def update_ownership(
    old: Json | None,
    new: Json,
    schema: Schema,
    *,
    manager: str,
    api_version: str,
    time_text: str,
    operation: str = "Update",
    subresource: str = "",
    reset: FieldSet | None = None,
    views: Views | None = None,
) -> list[Json]:
    """Set and return the `managedFields` of `new`, which `manager` made of `old` (None for a create).

    Fields that `new` adds or changes become this manager's own and nobody else's; fields that went are nobody's. The
    time of the entry is `time_text` where it took anything. If nothing changed, the list is the old one itself.

    A client may set `managedFields` itself: a list that can be read is taken as the state before, `[]` and `[{}]`
    clear all, and anything else is ignored. An object without entries stays without, until it is applied. `reset`
    names what this endpoint ignores (by default status on the main one, and spec on status). Without `views`, paths
    of other versions are taken as this version's.

    Of `new` only `metadata.managedFields` is changed; `old` never is, and may share anything with `new`.
    """
    meta = new.get("metadata")
    if type(meta) is not dict or meta is meta_of(old):
        meta = new["metadata"] = dict(meta or _EMPTY)
    if old is None and "managedFields" not in meta:
        added = changes(_EMPTY, new, schema, ignored_by(subresource, reset)).added
        wire = []
        if added:
            wire = [{"manager": manager, "operation": operation, "apiVersion": api_version, "time": time_text,
                     "fieldsType": "FieldsV1", "fieldsV1": added}]  # fmt: skip
            if subresource:
                wire[0]["subresource"] = subresource
    else:
        own = Entry(manager, operation, api_version, subresource, time_text, _EMPTY)
        wire = _entries_after(old, new, schema, own, ignored_by(subresource, reset), views)
    if wire:
        meta["managedFields"] = wire
    else:
        meta.pop("managedFields", None)
    return wire


def _entries_after(
    old: Json | None, new: Json, schema: Schema, own: Entry, reset: FieldSet, views: Views | None
) -> list[Json]:
    stored: list[Json] = meta_of(old).get("managedFields") or []
    given = meta_of(new).get("managedFields") if not own.subresource else None
    entries: Entries | None = None
    if given is not None and given != stored:
        entries = _given(given)
    if old is not None and not (stored if entries is None else entries):
        return []
    found = Changes(old or _EMPTY, new, schema, reset, own.api_version, views)
    if found.own.same and entries is None:
        return stored
    if entries is None:
        entries = read_entries(stored, trusted=True)
    if old is not None and not schema.ref:
        reconcile(entries, schema, old)
    if not found.own.same:
        taken = encode(union(found.own.added, found.own.modified))
        take(entries, found)
        if taken:
            previous = entries.get(own.id)
            own.canonical = previous is None or previous.canonical
            entries[own.id] = own.with_fields(taken if previous is None else union(previous.fields, taken))
        drop_empty(entries)
        _fold_oldest(entries)
    return write_entries(entries)


def _given(wire: Any) -> Entries | None:
    """The entries a client sends; None where they are to be ignored."""
    if type(wire) is list and (not wire or (len(wire) == 1 and not wire[0])):
        return {}
    try:
        return read_entries(wire, trusted=False) or None
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def reconcile(entries: Entries, schema: Schema, live: Json) -> None:
    """Bring entries to a schema that may have changed since: what custom resources may, and built-in kinds do not."""
    for key, each in list(entries.items()):
        fields = reconciled(each.fields, schema, live)
        if fields is not each.fields:
            entries[key] = each.with_fields(encode(fields))


def drop_empty(entries: Entries) -> None:
    """Forget those who own nothing any more."""
    for key in [key for key, each in entries.items() if not each.fields]:
        del entries[key]


def _fold_oldest(entries: Entries) -> None:
    """Keep the entries of updates few: beyond the limit the oldest of each version become one."""
    updates = [each for each in entries.values() if each.operation == "Update"]
    excess = len(updates) - UPDATE_MANAGERS_MAX
    if excess <= 0:
        return
    updates.sort(key=lambda each: (each.time, each.id))
    first: dict[str, Entry] = {}
    for each in updates:
        if excess <= 0:
            return
        start = first.setdefault(each.api_version, each)
        if start is each:
            continue
        bucket = Entry(_ANCIENT, "Update", each.api_version, "", each.time, start.fields)
        if bucket.id in entries:
            bucket.fields = entries[bucket.id].fields
        else:
            del entries[start.id]
        bucket.fields = union(bucket.fields, each.fields)
        entries.pop(each.id, None)
        entries[bucket.id] = bucket
        excess -= 1


def same_but_times(new: list[Json], old: list[Json]) -> bool:
    """Whether two lists of entries differ in nothing but when."""
    if len(new) != len(old):
        return False
    return sorted(map(_timeless, new)) == sorted(map(_timeless, old))


def _timeless(wire: Json) -> bytes:
    return orjson.dumps({name: each for name, each in wire.items() if name != "time"}, option=orjson.OPT_SORT_KEYS)
