"""Who owns what a write sets: the bookkeeping of `kaa.meta.managed`, with what only the server knows.

That is: what each endpoint leaves alone and so gives to nobody, and how an object looks in its other versions.
"""

from __future__ import annotations

from typing import Any

from kaa.base.clock import format_seconds
from kaa.kinds.spec import KindSpec
from kaa.meta import managed
from kaa.meta.fieldset import FieldSet, path_text, paths
from kaa.meta.managed import View, Views
from kaa.meta.typed import fields_of
from kaa.server.call import Call
from kaa.server.objects import carried

__all__ = ["apply", "keep_times", "record", "views_of"]

Json = dict[str, Any]

_LEAF: FieldSet = {}
#: What endpoints leave alone beyond the general rule (status on the main one, spec on status).
_RESETS: dict[tuple[str, str], FieldSet] = {
    ("deployments.apps", "status"): {"f:spec": _LEAF, "f:metadata": {"f:labels": _LEAF}},
    ("pods", "status"): {
        "f:spec": _LEAF,
        "f:metadata": {"f:deletionTimestamp": _LEAF, "f:ownerReferences": _LEAF},
    },
    ("certificatesigningrequests.certificates.k8s.io", ""): {"f:spec": _LEAF, "f:status": _LEAF},
}
#: Subresources that write some fields only: how the paths of these begin, and what else stands in them.
_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "ephemeralcontainers": ((".spec.ephemeralContainers",),),
    "resize": (
        (".spec.containers[", "].resources"), (".spec.containers[", "].resizePolicy"),
        (".spec.initContainers[", "].resources"), (".spec.initContainers[", "].resizePolicy"),
        (".spec.resources",),
    ),
}  # fmt: skip


def record(call: Call, old: Json | None, new: Json, subresource: str) -> None:
    """Set the managed fields of what the caller made of `old` (None for a create)."""
    spec = call.spec
    managed.update_ownership(
        old, new, spec.schema, manager=call.manager, api_version=spec.api_version, subresource=subresource,
        time_text=format_seconds(call.clock.now()), reset=_reset(spec, subresource, new, old),
        views=views_of(call) if old is not None else None,
    )  # fmt: skip


def apply(call: Call, live: Json | None, applied: Json, *, force: bool) -> Json:
    """What the caller's apply makes of `live` (None where there is nothing yet). Raises StatusError."""
    spec, subresource = call.spec, call.info.subresource
    return managed.apply(
        live, applied, spec.schema, manager=call.manager, force=force, api_version=spec.api_version,
        subresource=subresource, time_text=format_seconds(call.clock.now()),
        reset=_reset(spec, subresource, applied, live), views=views_of(call),
    )  # fmt: skip


def keep_times(new: Json, old: Json) -> None:
    """Undo a change of nothing but the times in managed fields: it is no change at all.

    To be called when the object is as it would be stored: what differs on the way may be the same in the end.
    """
    meta, was = new["metadata"], old["metadata"]
    wire, stood = meta.get("managedFields"), was.get("managedFields")
    if not wire or not stood or wire is stood or len(wire) != len(stood) or new.keys() != old.keys():
        return
    if any(name != "metadata" and each != old[name] for name, each in new.items()):
        return
    if {**meta, "managedFields": None} == {**was, "managedFields": None} and managed.same_but_times(wire, stood):
        meta["managedFields"] = stood


def views_of(call: Call) -> Views:
    """The object's kind in the other versions it is served in."""
    spec, registry = call.spec, call.parts.registry

    def views(version: str) -> View | None:
        other = registry.by_kind(version, spec.kind)
        if other is None or other.storage_prefix != spec.storage_prefix or not other.storable:
            return None
        return View(other.schema, lambda obj: carried(obj, spec, other), lambda obj: carried(obj, other, spec))

    return views


def _reset(spec: KindSpec, subresource: str, new: Json, old: Json | None) -> FieldSet | None:
    """What an endpoint leaves alone; None: what the general rule says."""
    known = _RESETS.get((spec.resource.qualified, subresource))
    if known is not None or not subresource:
        return known
    if subresource == "status":
        if not spec.custom:
            return None
        # The status of a custom resource is written alone: not even labels go with it.
        return {f"f:{name}": _LEAF for name in (*new, *(old or ())) if name != "status"}
    only = _ONLY.get(subresource)
    if only is None:
        return None
    reset: FieldSet = {}
    for each in (new, old or {}):
        for path in paths(fields_of(each, spec.schema)):
            text = path_text(path)
            if not any(_within(text, parts) for parts in only):
                _insert(reset, path)
    return reset


def _within(text: str, parts: tuple[str, ...]) -> bool:
    return text.startswith(parts[0]) and all(part in text for part in parts[1:])


def _insert(fields: FieldSet, path: tuple[str, ...]) -> None:
    node = fields
    for element in path[:-1]:
        node = node.setdefault(element, {})
    node.setdefault(path[-1], {})
