"""Server-side apply: merge what a manager applies, refuse what others own, remove what it no longer wants.

`apply` is the whole of it; `update_ownership` (from `kaa.meta.ownership`) does the book-keeping of the other writes.
"""

from typing import Any

import orjson

from kaa.meta.comparing import compare
from kaa.meta.errors import StatusError, bad_request
from kaa.meta.fieldset import (
    FieldSet,
    difference,
    difference_deep,
    has,
    intersection,
    path_text,
    paths_by_level,
    union,
)
from kaa.meta.merging import merge, remove, with_named_fields
from kaa.meta.ownership import (
    STRIPPED,
    Changes,
    Entries,
    Entry,
    View,
    Views,
    changes,
    drop_empty,
    ignored_by,
    manager_of_user_agent,
    meta_of,
    read_entries,
    reconcile,
    same_but_times,
    take,
    update_ownership,
    write_entries,
)
from kaa.meta.schema import Schema
from kaa.meta.typed import fields_of, misfits

__all__ = [
    "LAST_APPLIED",
    "ApplyConflicts",
    "View",
    "Views",
    "apply",
    "fields_of",
    "kind_text",
    "manager_of_user_agent",
    "same_but_times",
    "update_ownership",
]

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


def kind_text(obj: Json) -> str:
    """A kind as the original prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`."""
    version = str(obj.get("apiVersion") or "/")
    return f"{version if '/' in version else '/' + version}, Kind={obj.get('kind') or ''}"


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
    views: Views | None = None,
) -> Json:
    """The object that results when `manager` applies `applied` to `live` (None where there is no object yet).

    The answer is `live` itself where nothing changes. Raises ApplyConflicts where others own fields that would change
    and `force` is not set, and StatusError where `applied` does not fit the schema. What the manager applied before,
    does not apply now, and nobody else owns, is removed. `views` are the other versions of the kind, in which others
    may have written; without it their paths are taken as this version's.

    Nothing given is changed; the answer shares parts with `live` and with `applied`.
    """
    if applied.get("apiVersion") != api_version:
        raise bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {applied.get('apiVersion', '')}, expected: {api_version}"
        )
    if meta_of(applied).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    found = misfits(applied, schema)
    if found:
        raise _untyped("create typed patch object", applied, found)
    reset = ignored_by(subresource, reset)
    wanted = difference(difference_deep(fields_of(applied, schema), reset), STRIPPED)
    entries = read_entries(meta_of(live).get("managedFields") or [], trusted=True)
    if live is not None and not entries:
        before = changes(_EMPTY, live, schema, reset).added
        first = Entry(_BEFORE_FIRST_APPLY, "Update", api_version, subresource, time_text, before)
        if before:
            entries[first.id] = first
    elif live is not None and not schema.ref:
        reconcile(entries, schema, live)
    own = Entry(manager, "Apply", api_version, subresource, time_text, wanted)
    applying = _Applying(live, applied, schema, entries, own, force, reset, views)
    try:
        new = applying.run()
    except ApplyConflicts:
        # The kubectl of before server-side apply kept what it applied in an annotation: what stands there is its own.
        theirs = _last_applied(live, schema, api_version) if manager == "kubectl" and live is not None else None
        if not theirs:
            raise
        new = applying.run(allowed=theirs)
    if manager == "kubectl" and live is not None:
        new = _with_last_applied(new, applied)
    return new


def _untyped(what: str, obj: Json, found: list[str]) -> StatusError:
    """The error that says which object it was. The original answers it with 500 and without a reason; a client's
    mistake is never the server's here."""
    meta = meta_of(obj)
    told = found[0] if len(found) == 1 else "\n  ".join(["errors:", *found])
    return bad_request(
        f"failed to {what} ({meta.get('namespace') or ''}/{meta.get('name') or ''}; {kind_text(obj)}): {told}"
    )


class _Applying:
    """One apply; run a second time where conflicts turn out to be allowed."""

    def __init__(
        self,
        live: Json | None,
        applied: Json,
        schema: Schema,
        entries: Entries,
        own: Entry,
        force: bool,
        reset: FieldSet,
        views: Views | None,
    ) -> None:
        self.live, self.applied, self.schema = live, applied, schema
        self.entries, self.own, self.force = entries, own, force
        self.reset, self.views = reset, views
        self.previous = entries.get(own.id)
        self.base = live if live is not None else _EMPTY

    def run(self, allowed: FieldSet | None = None) -> Json:
        live, own, previous = self.live, self.own, self.previous
        others = {key: each for key, each in self.entries.items() if key != own.id}
        new = merge(self.base, self.applied, self.schema)
        if previous is not None and previous.fields != own.fields and difference(previous.fields, own.fields):
            new = self.pruned(new, previous, [own, *others.values()])
        found = Changes(self.base, new, self.schema, self.reset, own.api_version, self.views)
        if not self.force:
            self.refuse(others, found, allowed)
        take(others, found)
        if previous is not None and found.own.same:
            own = own.with_fields(own.fields, previous.time)
            if previous.fields == own.fields and previous.api_version == own.api_version:
                own = previous
        others[own.id] = own
        drop_empty(others)
        wire = write_entries(others)
        if live is not None and found.own.same and wire == (meta_of(live).get("managedFields") or []):
            return live
        if _holds_null(self.applied):
            new = _without_nulls(new, self.applied)
        meta = dict(meta_of(new))
        if wire:
            meta["managedFields"] = wire
        else:
            meta.pop("managedFields", None)
        return {**new, "metadata": meta}

    def refuse(self, others: Entries, found: Changes, allowed: FieldSet | None) -> None:
        """Raise where what others own would change."""
        refused: list[tuple[Entry, str]] = []
        for key in sorted(others):
            theirs = found.at(others[key].api_version)
            if theirs is None:
                continue
            both = intersection(others[key].fields, union(theirs.added, theirs.modified))
            refused += [
                (others[key], path_text(path))
                for path in paths_by_level(both)
                if allowed is None or not has(allowed, *path)
            ]
        if refused:
            raise ApplyConflicts(refused)

    def pruned(self, merged: Json, previous: Entry, managers: list[Entry]) -> Json:
        """`merged` without what was applied last time and is owned by nobody now.

        Three passes, as the original has it: take all away that was applied last; put back what someone owns, version
        by version; put back what came along only because it stood below something taken away.
        """
        version, own = previous.api_version, self.own.api_version
        view = self.view(version)
        if view is None:
            return merged  # applied in a version that is no more: nothing of it is known
        there = view.there(merged)
        bare = remove(there, with_named_fields(previous.fields, view.schema), view.schema) or {}
        held: dict[str, FieldSet] = {}
        for each in managers:
            held[each.api_version] = union(held.get(each.api_version, STRIPPED), each.fields)
        at = version
        for other in sorted(held, key=lambda each: each != version):
            step = self.view(other)
            if step is None:
                continue
            if other != at:
                here = self.view(at)
                assert here is not None
                bare, there, at = step.there(here.back(bare)), step.there(merged), other
            whole = with_named_fields(fields_of(there, step.schema), step.schema)
            kept = with_named_fields(fields_of(bare, step.schema), step.schema)
            # What says which object this is stays, though it is nobody's.
            named = with_named_fields(held[other], step.schema)
            bare = remove(there, difference(whole, union(kept, named)), step.schema) or {}
        if at != version:
            last = self.view(at)
            assert last is not None
            bare, there = view.there(last.back(bare)), view.there(merged)
        whole = with_named_fields(fields_of(there, view.schema), view.schema)
        kept = with_named_fields(fields_of(bare, view.schema), view.schema)
        gone = intersection(difference(whole, kept), with_named_fields(previous.fields, view.schema))
        left = remove(there, gone, view.schema) or {}
        return left if version == own else view.back(left)

    def view(self, version: str) -> View | None:
        """The object in a version; its own, where no others are known."""
        if version == self.own.api_version or self.views is None:
            return View(self.schema, _as_it_is, _as_it_is)
        return self.views(version)


def _as_it_is(obj: Json) -> Json:
    return obj


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


def _last_applied(live: Json, schema: Schema, api_version: str) -> FieldSet:
    """The fields client-side apply left in its annotation that are still as it left them."""
    text = (meta_of(live).get("annotations") or _EMPTY).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        then = orjson.loads(text)
    except ValueError:
        return {}
    if type(then) is not dict or then.get("apiVersion") != api_version or misfits(then, schema):
        return {}
    found = compare(then, live, schema)
    return difference(fields_of(then, schema), union(found.modified, found.removed))


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
