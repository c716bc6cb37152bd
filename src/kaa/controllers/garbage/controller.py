"""The garbage collector: follows every resource by its metadata, and looks at what the graph names."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kaa.base.tasks import Scope
from kaa.client.informers import Informer
from kaa.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Item, Look, matches
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.discovery import Discovered, DiscoveryReader, Served
from kaa.controllers.shared.objects import owner_wire
from kaa.http.api import CallError
from kaa.kinds.views.base import OwnerReference, View, metadata_view
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, Parts, Result, Session
from kaa.runtime.events import ObjectRef

__all__ = ["GarbageCollector"]

Json = dict[str, Any]

_ABSENT_MAX = 500
_LATER_SECONDS = 1.0
_FIRST_TRY_SECONDS = 0.5
_IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})


class State(Enum):
    """What became of an owner."""

    SOLID = "solid"
    DANGLING = "dangling"
    WAITING = "waiting"


@dataclass
class _Source:
    """One resource that is followed."""

    resource: Resource
    informer: Informer[Any]
    stop: Callable[[], None]


class GarbageCollector(Controller[View]):
    """Delete what has lost its owners; let go what waits for its dependents, or is to leave them behind.

    Keys are UIDs. An owner that the graph does not show is asked for live before anything is deleted for it, and the
    delete carries the revision it was decided on: a dependent that has changed meanwhile is looked at anew.
    """

    name, workers = "garbagecollector", 5
    component = "garbage-collector-controller"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.graph = Graph()
        self._period_seconds = settings_of(parts.settings).discovery_period_seconds
        self._discovery = DiscoveryReader(parts.client)
        self._discovered: Discovered | None = None
        self._sources: dict[Resource, _Source] = {}
        self._absent: OrderedDict[tuple[str, str], None] = OrderedDict()  # (UID, namespace) of owners that are not

    async def start(self, scope: Scope) -> None:
        """Begin to follow; what is read of the cluster comes in while the others work already."""
        self.graph = Graph()
        self._sources.clear()
        scope.spawn(self._follow(), name="resources", eternal=True)

    @property
    def synced(self) -> bool:
        """Every resource that is followed has been seen whole."""
        return bool(self._sources) and all(each.informer.synced for each in self._sources.values())

    # --- following -------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        complained = ""
        try:
            while True:
                wait = self._period_seconds
                try:
                    await self.refresh()
                    complained = ""
                except (StatusError, CallError) as error:
                    if str(error) != complained:
                        complained = str(error)
                        self.log.warning("cannot read discovery; trying again", error=complained)
                    wait = min(wait, _FIRST_TRY_SECONDS) if not self._sources else wait
                await self.clock.sleep(wait)
        finally:
            for source in self._sources.values():
                source.stop()

    async def refresh(self) -> None:
        """Follow what is served now. What a failing discovery does not show is kept."""
        discovered = await self._discovery.read()
        if discovered is self._discovered and self._sources:
            return
        self._discovered = discovered
        wanted = {each.resource: each for each in discovered.served if _followed(each)}
        if not discovered.failures:
            for resource in [each for each in self._sources if each not in wanted]:
                self._leave(self._sources.pop(resource))
        for resource in wanted:
            if resource not in self._sources:
                self._sources[resource] = self._join(resource)

    def _join(self, resource: Resource) -> _Source:
        # A cache that the process keeps anyway shows metadata too: no second watch of the same objects.
        informers = self.parts.informers
        informer = informers.covering(resource, "") or informers.of(metadata_view(resource))
        return _Source(resource, informer, informer.on_change(self._changed))

    def _leave(self, source: _Source) -> None:
        source.stop()
        if source.informer.view.metadata_only:
            self.parts.informers.drop(source.informer)
        for uid in self.graph.uids_of(source.resource):
            self._tell(self.graph.remove(uid))

    def _changed(self, old: View | None, new: View | None) -> None:
        if new is None:
            assert old is not None
            self._tell(self.graph.remove(old.metadata.uid))
            return
        if old is not None:
            before, after = old.metadata, new.metadata
            if (
                before.owner_references == after.owner_references
                and before.finalizers == after.finalizers
                and before.deletion_timestamp == after.deletion_timestamp
                and not after.owner_references
                and not after.finalizers
            ):
                return  # most changes of most objects; what has owners needs its newest revision in the graph
        self._tell(self.graph.put(Item.of(new)))

    def _tell(self, looks: Iterable[Look]) -> None:
        for look in looks:
            if look.later:
                self.queue.add_after(look.uid, _LATER_SECONDS)
            else:
                self.queue.add(look.uid)

    # --- looking ---------------------------------------------------------------------------------------------------

    async def reconcile_key(self, key: str, io: Session) -> Result | None:
        """Look at one item."""
        if not self.synced:
            return Result(_FIRST_TRY_SECONDS)
        item = self.graph.get(key)
        if item is None:
            return None
        try:
            if item.orphans_dependents:
                return await self._orphan(item, io)
            if item.waits_for_dependents:
                return await self._wait_for_dependents(item, io)
            if item.deleting or not item.owners:
                return None
            return await self._judge(item, io)
        except StatusError as error:
            if error.code == 404:
                return None  # it is gone already
            if error.code == 405:
                self.log.warning("cannot be deleted; leave it, or take its owner references off", item=str(item))
                return None
            raise

    async def _judge(self, item: Item, io: Session) -> Result | None:
        states: dict[str, State] = {}
        for reference in item.owners:
            state = await self._state(reference, item, io)
            if state is None:
                return Result(self._period_seconds)  # of a kind that is not served (now): never a reason to delete
            states[reference.uid] = state
        solid = [each for each in item.owners if states[each.uid] is State.SOLID]
        if solid:
            if len(solid) < len(item.owners):
                await self._set_owners(item, solid, io)
            return None
        if State.WAITING in states.values() and self.graph.has_dependents(item.uid):
            if any(each.waits_for_dependents for each in self.graph.dependents(item.uid)):
                await self._unblock(item, io)  # a circle would wait for itself forever
            await self._delete(item, "Foreground", io)
            return None
        policy = "Orphan" if ORPHAN in item.finalizers else "Foreground" if FOREGROUND in item.finalizers else ""
        await self._delete(item, policy or "Background", io)
        return None

    async def _state(self, reference: OwnerReference, item: Item, io: Session) -> State | None:
        """What became of an owner; None when that cannot be known."""
        if (reference.uid, item.namespace) in self._absent:
            return State.DANGLING
        owner = self.graph.get(reference.uid)
        if owner is not None:
            if matches(reference, owner, item):
                return State.WAITING if owner.waits_for_dependents else State.SOLID
            if owner.resource.namespaced and owner.namespace != item.namespace:
                self._complain(reference, item, io)
        assert self._discovered is not None
        resource = self._discovered.kind(reference.api_version, reference.kind)
        if resource is None:
            return None
        if resource.namespaced and not item.namespace:
            self._complain(reference, item, io)
            return State.SOLID  # it can name no namespace: nothing is proven by not finding it
        namespace = item.namespace if resource.namespaced else ""
        try:
            live = await io.client.get(metadata_view(resource), reference.name, namespace)
        except StatusError as error:
            if error.code != 404:
                raise
        else:
            if live.uid == reference.uid:
                return State.WAITING if Item.of(live).waits_for_dependents else State.SOLID
        self._absent[(reference.uid, item.namespace)] = None
        if len(self._absent) > _ABSENT_MAX:
            self._absent.popitem(last=False)
        return State.DANGLING

    def _complain(self, reference: OwnerReference, item: Item, io: Session) -> None:
        what = (
            f"[{reference.api_version}/{reference.kind}, namespace: {item.namespace}, name: {reference.name}, "
            f"uid: {reference.uid}]"
        )
        about = ObjectRef(item.resource.api_version, item.resource.kind, item.name, item.namespace, item.uid)
        io.event(
            about,
            "Warning",
            "OwnerRefInvalidNamespace",
            f'ownerRef {what} does not exist in namespace "{item.namespace}"',
        )

    async def _wait_for_dependents(self, item: Item, io: Session) -> Result | None:
        blocking = [each for each in self.graph.dependents(item.uid) if each.blocks(item.uid)]
        if not blocking:
            await self._take_off(item, FOREGROUND, io)
            return None
        for each in blocking:
            if not each.waits_for_dependents:
                self.queue.add(each.uid)
        return None

    async def _orphan(self, item: Item, io: Session) -> Result | None:
        for each in self.graph.dependents(item.uid):
            try:
                await self._set_owners(each, [one for one in each.owners if one.uid != item.uid], io)
            except StatusError as error:
                if error.code != 404:
                    raise
        await self._take_off(item, ORPHAN, io)
        return None

    # --- acting ----------------------------------------------------------------------------------------------------
    # By the client, not the session: the graph hears of each of these by itself, and no key needs to rest for them.

    async def _delete(self, item: Item, policy: str, io: Session) -> None:
        await io.client.delete(
            item.resource, item.name, namespace=item.namespace, propagation=policy, uid=item.uid,
            revision=int(item.revision or 0),
        )  # fmt: skip

    async def _set_owners(self, item: Item, owners: list[OwnerReference], io: Session) -> None:
        await self._change(item, {"ownerReferences": [owner_wire(each) for each in owners] or None}, io)

    async def _unblock(self, item: Item, io: Session) -> None:
        references = [{**owner_wire(each), "blockOwnerDeletion": False} for each in item.owners]
        patch = {"metadata": {"uid": item.uid, "ownerReferences": references}}
        await io.client.patch(item.resource, item.name, patch, namespace=item.namespace)

    async def _take_off(self, item: Item, finalizer: str, io: Session) -> None:
        await self._change(item, {"finalizers": [each for each in item.finalizers if each != finalizer] or None}, io)

    async def _change(self, item: Item, metadata: Json, io: Session) -> None:
        patch = {"metadata": {"uid": item.uid, "resourceVersion": item.revision, **metadata}}
        await io.client.patch(item.resource, item.name, patch, namespace=item.namespace)


def _followed(served: Served) -> bool:
    resource = served.resource
    return {"list", "watch", "delete"} <= served.verbs and (resource.group, resource.plural) not in _IGNORED
