"""Small pieces of JSON that controllers write, and views of what they get back. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from kaa.base.clock import format_seconds, parse_seconds
from kaa.kinds.views.base import OwnerReference, View
from kaa.kinds.views.core import PodCondition
from kaa.meta.errors import StatusError
from kaa.runtime.status import to_wire

__all__ = [
    "Json",
    "at_seconds",
    "condition",
    "condition_of",
    "conditions_wire",
    "is_namespace_going",
    "owner_reference",
    "owner_wire",
    "view_of",
]

Json = dict[str, Any]
V = TypeVar("V", bound=View)


def view_of(view: type[V], obj: Json) -> V:
    """The view of an object in JSON: of the answer to a write."""
    return msgspec.convert(obj, view)


def owner_reference(owner: View) -> Json:
    """The reference by which `owner` controls a dependent."""
    return {
        "apiVersion": owner.resource.api_version,
        "kind": owner.resource.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_wire(owner: OwnerReference) -> Json:
    """A reference as it came."""
    shown: Json = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    if owner.controller:
        shown["controller"] = True
    if owner.block_owner_deletion:
        shown["blockOwnerDeletion"] = True
    return shown


def condition(type_: str, status: str, reason: str, message: str, now: float) -> Json:
    """A condition that changes now."""
    shown: Json = {"type": type_, "status": status, "lastTransitionTime": format_seconds(now)}
    if reason:
        shown["reason"] = reason
    if message:
        shown["message"] = message
    return shown


def condition_of(conditions: Sequence[PodCondition], type_: str) -> PodCondition | None:
    """The condition of a type."""
    return next((each for each in conditions if each.type == type_), None)


def conditions_wire(conditions: Iterable[PodCondition]) -> list[Json]:
    """Conditions of a view as JSON."""
    return [to_wire(each) for each in conditions]


def at_seconds(text: str | None, default: float = 0.0) -> float:
    """A time stamp of an object in seconds since the epoch; `default` when it has none."""
    return parse_seconds(text) if text else default


def is_namespace_going(error: Exception) -> bool:
    """A create was refused because the namespace is being deleted: nothing to retry, nothing to complain of."""
    return (
        isinstance(error, StatusError)
        and error.code == 403
        and any(each.get("reason") == "NamespaceTerminating" for each in error.details.get("causes") or ())
    )
