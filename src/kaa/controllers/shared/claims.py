"""Which dependents are an owner's: those it controls and selects, and the orphans it adopts."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

from kaa.controllers.shared.objects import owner_reference, view_of
from kaa.kinds.views.base import LabelSelectorView, View
from kaa.meta.errors import StatusError
from kaa.meta.selectors import NOTHING, LabelSelector, from_map, from_object
from kaa.runtime import Session
from kaa.runtime.status import to_wire

__all__ = ["claim", "selector_of"]

V = TypeVar("V", bound=View)


def selector_of(selector: LabelSelectorView | dict[str, str] | None) -> LabelSelector:
    """The compiled selector of a spec; None selects nothing. Compiled once per distinct selector."""
    if selector is None:
        return NOTHING
    if isinstance(selector, dict):
        return _of_map(tuple(selector.items()))
    if not selector.match_expressions:
        return _of_map(tuple(selector.match_labels.items()))
    return from_object(to_wire(selector))


@lru_cache(maxsize=4096)
def _of_map(labels: tuple[tuple[str, str], ...]) -> LabelSelector:
    return from_map(dict(labels))


async def claim(io: Session, owner: View, selector: LabelSelector, owned: Iterable[V], orphans: Iterable[V]) -> list[V]:
    """The dependents that are the owner's from now on.

    What it controls but selects no more is released; orphans it selects are adopted, after a look at the live owner:
    one that is being deleted, or was replaced, adopts nothing.
    """
    claimed: list[V] = []
    for obj in owned:
        if selector.matches(obj.labels):
            claimed.append(obj)
        elif not owner.deleting:
            await _release(io, owner, obj)
    if owner.deleting:
        return claimed
    wanted = [obj for obj in orphans if not obj.deleting and selector.matches(obj.labels)]
    if wanted and await _may_adopt(io, owner):
        for obj in wanted:
            adopted = await _adopt(io, owner, obj)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


async def _may_adopt(io: Session, owner: View) -> bool:
    try:
        live = await io.client.get(type(owner), owner.name, owner.namespace)
    except StatusError as error:
        if error.code == 404:
            return False
        raise
    return live.uid == owner.uid and not live.deleting


async def _adopt(io: Session, owner: View, obj: V) -> V | None:
    patch: dict[str, Any] = {"metadata": {"uid": obj.uid, "ownerReferences": [owner_reference(owner)]}}
    try:
        made = await io.patch(obj.resource, obj.name, patch, namespace=obj.namespace, kind="strategic")
    except StatusError as error:
        if error.code == 404:
            return None
        raise
    return view_of(type(obj), made)


async def _release(io: Session, owner: View, obj: View) -> None:
    patch = {"metadata": {"uid": obj.uid, "ownerReferences": [{"$patch": "delete", "uid": owner.uid}]}}
    try:
        await io.patch(obj.resource, obj.name, patch, namespace=obj.namespace, kind="strategic")
    except StatusError as error:
        # Gone, or replaced by another of its name, or released by somebody else: it is not ours either way.
        if error.code not in (404, 409, 422):
            raise
