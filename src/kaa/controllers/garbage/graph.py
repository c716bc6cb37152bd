"""Every object with its owners and dependents. Pure; bounded by the objects of the cluster."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kaa.kinds.views.base import OwnerReference, View
from kaa.meta.resource import Resource

__all__ = ["FOREGROUND", "ORPHAN", "Graph", "Item", "Look"]

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Item:
    """One object, as far as ownership goes."""

    uid: str
    resource: Resource
    namespace: str
    name: str
    revision: str
    owners: tuple[OwnerReference, ...]
    finalizers: tuple[str, ...]
    deleting: bool

    @classmethod
    def of(cls, obj: View) -> "Item":
        """The item of a view."""
        meta = obj.metadata
        return cls(
            meta.uid, obj.resource, meta.namespace, meta.name, meta.resource_version, meta.owner_references,
            meta.finalizers, meta.deletion_timestamp is not None,
        )  # fmt: skip

    @property
    def waits_for_dependents(self) -> bool:
        """It is being deleted in the foreground."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """It is being deleted, and its dependents are to stay."""
        return self.deleting and ORPHAN in self.finalizers

    def blocks(self, owner_uid: str) -> bool:
        """Its reference to that owner says so."""
        return any(each.uid == owner_uid and each.block_owner_deletion for each in self.owners)

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.resource.qualified} {where}{self.name}"


@dataclass(frozen=True, slots=True)
class Look:
    """An item is worth a look; `later` when news that would make it needless may be on its way."""

    uid: str
    later: bool = False


class Graph:
    """Items by UID, and dependents by the UID of what they name as owner, known or not."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def get(self, uid: str) -> Item | None:
        """An item that is known to exist."""
        return self._items.get(uid)

    def dependents(self, uid: str) -> list[Item]:
        """Those that name this UID as an owner."""
        return [self._items[each] for each in self._dependents.get(uid, ())]

    def has_dependents(self, uid: str) -> bool:
        """Whether anything names this UID as an owner."""
        return uid in self._dependents

    def uids_of(self, resource: Resource) -> Collection[str]:
        """The items of a resource."""
        return [uid for uid, item in self._items.items() if item.resource == resource]

    def put(self, item: Item) -> Iterator[Look]:
        """Take in an item as it is now; yields what is worth a look. Must be exhausted."""
        old = self._items.get(item.uid)
        self._items[item.uid] = item
        before = old.owners if old is not None else ()
        if before != item.owners:
            yield from self._relate(item, before)
        if item.deleting and (old is None or not old.deleting or old.finalizers != item.finalizers):
            if item.waits_for_dependents:
                for uid in self._dependents.get(item.uid, ()):
                    yield Look(uid)
            if item.waits_for_dependents or item.orphans_dependents:
                yield Look(item.uid)

    def _relate(self, item: Item, before: tuple[OwnerReference, ...]) -> Iterator[Look]:
        now = {each.uid for each in item.owners}
        for each in before:
            if each.uid not in now:
                self._unrelate(each.uid, item.uid)
            if self._waits(each.uid):
                yield Look(each.uid)  # it may have been the last that blocked
        look: Look | None = None
        for each in item.owners:
            self._dependents.setdefault(each.uid, {})[item.uid] = None
            owner = self._items.get(each.uid)
            if owner is None:
                look = look or Look(item.uid, later=True)
            elif owner.waits_for_dependents or not matches(each, owner, item):
                look = Look(item.uid)
        if look is not None:
            yield look

    def remove(self, uid: str) -> Iterator[Look]:
        """An item is gone; yields what is worth a look. Must be exhausted."""
        item = self._items.pop(uid, None)
        if item is not None:
            for each in item.owners:
                self._unrelate(each.uid, uid)
                if self._waits(each.uid):
                    yield Look(each.uid)
        for dependent in self._dependents.get(uid, ()):
            yield Look(dependent)

    def _unrelate(self, owner_uid: str, uid: str) -> None:
        held = self._dependents.get(owner_uid)
        if held is not None:
            held.pop(uid, None)
            if not held:
                del self._dependents[owner_uid]

    def _waits(self, uid: str) -> bool:
        item = self._items.get(uid)
        return item is not None and item.waits_for_dependents


def matches(reference: OwnerReference, owner: Item, dependent: Item) -> bool:
    """Whether a reference, seen from the dependent's namespace, says where the owner really is."""
    group = reference.api_version.rpartition("/")[0]
    return (
        reference.kind == owner.resource.kind
        and group == owner.resource.group
        and reference.name == owner.name
        and (not owner.resource.namespaced or owner.namespace == dependent.namespace)
    )
