"""Who set which field: the entries of `metadata.managedFields`, and how a create, update or patch changes them.

An entry belongs to a manager, an operation, a version and a subresource (an Apply entry is the same in every
version).

Paths of entries of other versions are taken as paths of the object's own version: one form is stored per kind, and
kinds whose versions differ in shape are converted before they come here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from kaa.meta import typed
from kaa.meta.fieldset import FieldSet, decode, difference, difference_deep, encode, union
from kaa.meta.schema import ANY, Schema

__all__ = [
    "STRIPPED",
    "Entries",
    "Entry",
    "changes",
    "fold_oldest",
    "ignored_by",
    "manager_of_user_agent",
    "meta_of",
    "read_entries",
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
_RESET_BY_SUBRESOURCE: dict[str, FieldSet] = {
    "": {"f:status": _LEAF},
    "status": {"f:spec": _LEAF, "f:metadata": {"f:labels": _LEAF}},
}


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
        )

    def to_wire(self) -> Json:
        if self.wire is not None:
            return self.wire
        wire: Json = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            wire["time"] = self.time
        wire["fieldsType"] = "FieldsV1"
        wire["fieldsV1"] = encode(self.fields)
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


def changes(old: Json, new: Json, schema: Schema, reset: FieldSet) -> typed.Difference:
    """How an object changed, without what nobody owns and what this endpoint leaves alone."""
    skipped = _IDENTITY | {name[2:] for name, node in reset.items() if not node}
    found = typed.compare(old, new, schema, skipped)
    before, after = meta_of(old), meta_of(new)
    if before is not after and before != after:
        inner = typed.compare(before, after, schema.child("metadata") or ANY, _SYSTEM)
        found._below("f:metadata", inner)
    if any(reset.values()):
        found.added = difference_deep(found.added, reset)
        found.modified = difference_deep(found.modified, reset)
        found.removed = difference_deep(found.removed, reset)
    return found


def ignored_by(subresource: str, reset: FieldSet | None) -> FieldSet:
    return _RESET_BY_SUBRESOURCE.get(subresource, _EMPTY) if reset is None else reset


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
) -> list[Json]:
    """Set and return the `managedFields` of `new`, which `manager` made of `old` (None for a create).

    Fields that `new` adds or changes become this manager's own and nobody else's; fields that went are nobody's. The
    time of the entry is `time_text` where it took anything. If nothing changed, the list is the old one itself.

    A client may set `managedFields` itself: a list that can be read is taken as the state before, `[{}]` clears all,
    and anything else is ignored. An object without entries stays without, until it is applied. `reset` names what
    this endpoint ignores (by default status on the main one, and spec and labels on status).

    Of `new` only `metadata.managedFields` is changed; `old` never is, and may share anything with `new`.
    """
    wire = _entries_after(old, new, schema, manager, api_version, time_text, operation, subresource, reset)
    meta = new.get("metadata")
    if type(meta) is not dict or meta is meta_of(old):
        meta = new["metadata"] = dict(meta or _EMPTY)
    if wire:
        meta["managedFields"] = wire
    else:
        meta.pop("managedFields", None)
    return wire


def _entries_after(
    old: Json | None,
    new: Json,
    schema: Schema,
    manager: str,
    api_version: str,
    time_text: str,
    operation: str,
    subresource: str,
    reset: FieldSet | None,
) -> list[Json]:
    reset = ignored_by(subresource, reset)
    stored: list[Json] = meta_of(old).get("managedFields") or []
    given = meta_of(new).get("managedFields") if not subresource else None
    entries: Entries | None = None
    if given is not None and given != stored:
        entries = _given(given)
    if old is not None and not (stored if entries is None else entries):
        return []
    found = changes(old or _EMPTY, new, schema, reset)
    if found.same and entries is None:
        return stored
    if entries is None:
        entries = read_entries(stored, trusted=True)
    if not found.same:
        taken = union(found.added, found.modified)
        lost = union(taken, found.removed)
        own = Entry(manager, operation, api_version, subresource, time_text, taken)
        previous = entries.get(own.id)
        for key, each in entries.items():
            entries[key] = each.with_fields(difference(each.fields, lost))
        if taken:
            if previous is not None:
                own.fields = union(entries[own.id].fields, taken)
            entries[own.id] = own
        fold_oldest(entries)
    return write_entries(entries)


def _given(wire: Any) -> Entries | None:
    """The entries a client sends; None where they are to be ignored."""
    if type(wire) is list and len(wire) == 1 and not wire[0]:
        return {}
    try:
        return read_entries(wire, trusted=False) or None
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def fold_oldest(entries: Entries) -> None:
    """Keep the entries of updates few: beyond the limit the oldest of each version become one."""
    for key in [key for key, each in entries.items() if not each.fields]:
        del entries[key]
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
