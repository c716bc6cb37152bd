"""Server-side apply: merge what a manager applies, refuse what others own, remove what it no longer wants.

`apply` is the whole of it; `update_ownership` (from `kaa.meta.ownership`) does the book-keeping of the other writes.
"""

from typing import Any

import orjson

from kaa.meta import typed
from kaa.meta.errors import StatusError, bad_request
from kaa.meta.fieldset import FieldSet, difference, difference_deep, has, intersection, path_text, paths, union
from kaa.meta.ownership import (
    STRIPPED,
    Entries,
    Entry,
    changes,
    fold_oldest,
    ignored_by,
    manager_of_user_agent,
    meta_of,
    read_entries,
    update_ownership,
    write_entries,
)
from kaa.meta.schema import Schema
from kaa.meta.typed import fields_of

__all__ = ["LAST_APPLIED", "ApplyConflicts", "apply", "fields_of", "manager_of_user_agent", "update_ownership"]

Json = dict[str, Any]

#: Where client-side apply keeps what it applied.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Annotations of one object may take this much; beyond it the last-applied one is dropped rather than kept stale.
ANNOTATIONS_BYTES_MAX = 256 * 1024

_BEFORE_FIRST_APPLY = "before-first-apply"
_EMPTY: Json = {}


class ApplyConflicts(StatusError):
    """409: what is applied would change fields that others own. `force` takes them over."""

    def __init__(self, conflicts: list[tuple[Entry, str]]) -> None:
        if len(conflicts) == 1:
            entry, path = conflicts[0]
            message = f"Apply failed with 1 conflict: conflict with {entry.described()}: {path}"
        else:
            lines = []
            for entry in dict.fromkeys(entry for entry, _ in conflicts):
                lines.append(f"conflicts with {entry.described()}:")
                lines += [f"- {path}" for owner, path in conflicts if owner is entry]
            message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
        #: One `StatusCause` a field.
        self.causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {entry.described()}", "field": path}
            for entry, path in conflicts
        ]
        super().__init__(409, "Conflict", message, {"causes": self.causes})


def apply(
    live: Json | None,
    applied: Json,
    schema: Schema,
    *,
    manager: str,
    api_version: str,
    time_text: str,
    force: bool = False,
    subresource: str = "",
    reset: FieldSet | None = None,
) -> Json:
    """The object that results when `manager` applies `applied` to `live` (None where there is no object yet).

    The answer is `live` itself where nothing changes. Raises ApplyConflicts where others own fields that would change
    and `force` is not set, and StatusError where `applied` cannot be typed. What the manager applied before, does not
    apply now, and nobody else owns, is removed.
    """
    if applied.get("apiVersion") != api_version:
        raise bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {applied.get('apiVersion', '')}, expected: {api_version}"
        )
    if meta_of(applied).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    reset = ignored_by(subresource, reset)
    wanted = _owned(applied, schema, reset)
    entries = read_entries(meta_of(live).get("managedFields") or [], trusted=True)
    if live is not None and not entries:
        before = changes(_EMPTY, live, schema, reset).added
        first = Entry(_BEFORE_FIRST_APPLY, "Update", api_version, subresource, time_text, before)
        if before:
            entries[first.id] = first
    own = Entry(manager, "Apply", api_version, subresource, time_text, wanted)
    try:
        new = _applied(live, applied, schema, entries, own, force, reset)
    except ApplyConflicts:
        # The kubectl of before server-side apply kept what it applied in an annotation: what stands there is its own.
        if manager != "kubectl" or live is None:
            raise
        theirs = _last_applied(live, schema)
        new = _applied(live, applied, schema, entries, own, force, reset, allowed=theirs)
    if manager == "kubectl" and live is not None:
        new = _with_last_applied(new, applied)
    return new


def _owned(applied: Json, schema: Schema, reset: FieldSet) -> FieldSet:
    """What applying an object makes one's own."""
    try:
        fields = typed.fields_of(applied, schema, strict=True)
    except typed.UntypedError as error:
        meta = meta_of(applied)
        raise StatusError(
            500,
            "",
            f"failed to create typed patch object ({meta.get('namespace', '')}/{meta.get('name', '')}; "
            f"{applied.get('apiVersion', '')}, Kind={applied.get('kind', '')}): {error}",
        ) from error
    return difference(difference_deep(fields, reset), STRIPPED)


def _applied(
    live: Json | None,
    applied: Json,
    schema: Schema,
    entries: Entries,
    own: Entry,
    force: bool,
    reset: FieldSet,
    allowed: FieldSet | None = None,
) -> Json:
    base = live if live is not None else _EMPTY
    merged = typed.merge(base, applied, schema)
    previous = entries.get(own.id)
    others = {key: each for key, each in entries.items() if key != own.id}
    new = merged
    if previous is not None and difference(previous.fields, own.fields):
        new = _pruned(merged, schema, previous.fields, [own, *others.values()])
    found = changes(base, new, schema, reset)
    touched = union(found.added, found.modified)
    conflicts = {key: both for key, each in others.items() if (both := intersection(each.fields, touched))}
    if conflicts and not force:
        refused = [
            (others[key], path_text(path))
            for key in sorted(conflicts)
            for path in paths(conflicts[key])
            if allowed is None or not has(allowed, *path)
        ]
        if refused:
            raise ApplyConflicts(refused)
    lost = union(touched, found.removed)
    for key, each in others.items():
        others[key] = each.with_fields(difference(each.fields, lost))
    if previous is not None and found.same and previous.fields == own.fields:
        if previous.api_version == own.api_version:
            own = previous
        else:
            own.time = previous.time
    others[own.id] = own
    fold_oldest(others)
    wire = write_entries(others)
    if live is not None and found.same and wire == meta_of(live).get("managedFields"):
        return live
    if _holds_null(applied):
        new = _without_nulls(new, applied)
    meta = dict(meta_of(new))
    if wire:
        meta["managedFields"] = wire
    else:
        meta.pop("managedFields", None)
    return {**new, "metadata": meta}


def _pruned(merged: Json, schema: Schema, last: FieldSet, managers: list[Entry]) -> Json:
    """`merged` without what was applied last time and is owned by nobody now.

    Three passes, as the original has it: take all away that was applied last; put back what someone owns; put back
    what came along only because it stood below something taken away.
    """
    last = typed.with_named_fields(last, schema)
    whole = typed.with_named_fields(typed.fields_of(merged, schema), schema)

    def left_of(rest: Json | None) -> FieldSet:
        return typed.with_named_fields(typed.fields_of(rest or _EMPTY, schema), schema)

    # What says which object this is stays, though it is nobody's.
    held = STRIPPED
    for each in managers:
        held = union(held, each.fields)
    held = typed.with_named_fields(held, schema)
    bare = left_of(typed.remove(merged, last, schema))
    owned = left_of(typed.remove(merged, difference(whole, union(bare, held)), schema))
    return typed.remove(merged, intersection(difference(whole, owned), last), schema) or {}


def _holds_null(value: Any) -> bool:
    if type(value) is dict:
        return any(each is None or _holds_null(each) for each in value.values())
    return type(value) is list and any(map(_holds_null, value))


def _without_nulls(value: Any, applied: Any) -> Any:
    """A null that was applied empties the field: it is owned, and left to its default."""
    if type(value) is dict and type(applied) is dict:
        return {
            name: _without_nulls(each, applied.get(name))
            for name, each in value.items()
            if each is not None or name not in applied
        }
    if type(value) is list and type(applied) is list:
        return [_stripped_of_nulls(each) for each in value]
    return value


def _stripped_of_nulls(value: Any) -> Any:
    if type(value) is dict:
        return {name: _stripped_of_nulls(each) for name, each in value.items() if each is not None}
    return value


def _last_applied(live: Json, schema: Schema) -> FieldSet:
    """The fields client-side apply left in its annotation that are still as it left them."""
    text = (meta_of(live).get("annotations") or _EMPTY).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        then = orjson.loads(text)
        fields = typed.fields_of(then, schema)
        found = typed.compare(then, live, schema)
    except (ValueError, AttributeError):
        return {}
    return difference(fields, union(found.modified, found.removed))


def _with_last_applied(new: Json, applied: Json) -> Json:
    """Keep client-side apply's annotation true, where there is one, so that either way of applying goes on working."""
    annotations = meta_of(new).get("annotations") or _EMPTY
    if LAST_APPLIED not in annotations:
        return new
    meta = dict(meta_of(applied))
    kept = {name: each for name, each in (meta.get("annotations") or _EMPTY).items() if name != LAST_APPLIED}
    meta["annotations"] = kept
    text = orjson.dumps({**applied, "metadata": meta}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    if annotations[LAST_APPLIED] == text:
        return new
    annotations = {**annotations, LAST_APPLIED: text}
    if sum(len(name) + len(each) for name, each in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        del annotations[LAST_APPLIED]
    return {**new, "metadata": {**meta_of(new), "annotations": annotations}}
