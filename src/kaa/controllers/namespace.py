"""Namespaces that are going: everything in them is deleted, pods first, then they are let go."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaa.base.clock import format_seconds
from kaa.controllers.shared.discovery import Discovered, DiscoveryReader, Served
from kaa.http.api import CallError
from kaa.kinds.views.core import Namespace, Pod, PodCondition
from kaa.meta.errors import StatusError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Maps, Parts, Result, Session
from kaa.runtime.status import to_wire

__all__ = ["Emptying", "NamespaceController", "conditions_of"]

Json = dict[str, Any]

FINALIZER = "kubernetes"
_PAGE_ITEMS = 500
_RETRY_SECONDS = 0.25
_RETRY_SECONDS_MAX = 15.0


@dataclass
class Emptying:
    """What an attempt to empty a namespace came to."""

    discovery_failures: tuple[str, ...] = ()
    errors: list[str] = field(default_factory=list)
    #: Objects that are still there, and the finalizers that hold them, by name.
    remaining: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    #: How long the pods among them may take to stop.
    grace_seconds: int = 0

    @property
    def done(self) -> bool:
        """Nothing is left, and everything could be looked at."""
        return not self.discovery_failures and not self.errors and not self.remaining


def is_going(old: Namespace | None, new: Namespace | None) -> bool:
    """A namespace is being deleted."""
    return new is not None and new.deleting and (old is None or not old.deleting or old.spec != new.spec)


def pod_gone(old: Pod | None, new: Pod | None) -> bool:
    """A pod is gone."""
    return new is None


def going_namespace(pod: Pod, controller: "NamespaceController") -> Iterable[str]:
    """The namespace of a pod, if it waits for it."""
    namespace = controller.namespaces.get(pod.namespace)
    return (namespace.name,) if namespace is not None and namespace.deleting else ()


class NamespaceController(Controller[Namespace]):
    """Empty each Namespace that is being deleted, and take the finalizer off that holds it."""

    name, workers = "namespace", 5
    watches = (For(Namespace, when=is_going), Maps(Pod, going_namespace, when=pod_gone))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.namespaces = parts.informers.of(Namespace).lister
        self._discovery = DiscoveryReader(parts.client)
        self._tries: dict[str, int] = {}  # by UID, of namespaces that are going

    async def reconcile(self, obj: Namespace, io: Session) -> Result | None:
        if not obj.deleting or FINALIZER not in obj.spec.finalizers:
            self._tries.pop(obj.uid, None)
            return None
        emptied = await self._empty(obj.name, io)
        if emptied.done:
            await self._let_go(obj, io)
            self._tries.pop(obj.uid, None)
            return None
        conditions = conditions_of(obj.status.conditions, emptied, io.clock.now())
        try:
            await io.update_status(obj, {"phase": "Terminating", "conditions": conditions})
        except StatusError as error:
            if error.reason != "Conflict":  # told the next time
                raise
        if len(self._tries) > 10_000:
            self._tries.clear()
        tries = self._tries[obj.uid] = self._tries.get(obj.uid, 0) + 1
        wait = min(_RETRY_SECONDS_MAX, _RETRY_SECONDS * 2.0 ** min(tries - 1, 10))
        return Result(max(wait, min(_RETRY_SECONDS_MAX, emptied.grace_seconds / 2)))

    async def _let_go(self, namespace: Namespace, io: Session) -> None:
        try:
            live = await io.client.get_json(Namespace.resource, namespace.name)
            if live["metadata"]["uid"] != namespace.uid:
                return
            kept = [each for each in (live.get("spec") or {}).get("finalizers") or () if each != FINALIZER]
            live.setdefault("spec", {})["finalizers"] = kept
            # Without the session: the object may be gone with this write, and there is nothing to wait for.
            await io.client.update(Namespace.resource, live, subresource="finalize")
        except StatusError as error:
            if error.code != 404:
                raise

    async def _empty(self, namespace: str, io: Session) -> Emptying:
        discovered = await self._discovery.read()
        emptied = Emptying(discovery_failures=discovered.failures)
        pods, others = _order(discovered)
        for each in pods:
            await self._delete_all(each, namespace, io, emptied)
        if emptied.remaining or emptied.errors:
            return emptied  # what pods use stays until they have stopped
        for each in others:
            await self._delete_all(each, namespace, io, emptied)
        return emptied

    async def _delete_all(self, served: Served, namespace: str, io: Session, emptied: Emptying) -> None:
        """Delete the objects of one resource and note what is left. Asks first: most resources have none."""
        resource = served.resource
        try:
            items = await _items(io, resource, namespace, 1)
            if not items:
                return
            if "deletecollection" in served.verbs:
                await io.client.delete_collection(resource, namespace, propagation="Background")
            elif "delete" in served.verbs:
                for item in await _items(io, resource, namespace, 0):
                    await _delete_one(io, resource, namespace, item)
            items = await _items(io, resource, namespace, 0)
        except (StatusError, CallError) as error:
            if isinstance(error, StatusError) and error.code in (404, 405):
                return  # served no more
            emptied.errors.append(f"{resource.qualified}: {error}")
            return
        for item in items:
            metadata = item.get("metadata") or {}
            emptied.remaining[f"{resource.plural}.{resource.group}"] += 1
            for finalizer in metadata.get("finalizers") or ():
                emptied.finalizers[finalizer] += 1
            if resource == Pod.resource:
                grace = metadata.get("deletionGracePeriodSeconds") or 0
                emptied.grace_seconds = max(emptied.grace_seconds, int(grace))


def _order(discovered: Discovered) -> tuple[list[Served], list[Served]]:
    """Pods, and everything else that can be deleted. Events are served by two groups and deleted once."""
    deletable = [
        each
        for each in discovered.served
        if each.resource.namespaced
        and "list" in each.verbs
        and ("delete" in each.verbs or "deletecollection" in each.verbs)
        and not (each.resource.plural == "events" and each.resource.group)
    ]
    pods = [each for each in deletable if each.resource == Pod.resource]
    return pods, [each for each in deletable if each.resource != Pod.resource]


async def _items(io: Session, resource: Resource, namespace: str, limit: int) -> list[Json]:
    """The metadata of objects; with a limit only of the first ones."""
    found: list[Json] = []
    token = ""
    while True:
        page = await io.client.list_json(
            resource, namespace, limit=limit or _PAGE_ITEMS, continue_=token, metadata_only=True
        )
        found += page.get("items") or ()
        token = (page.get("metadata") or {}).get("continue") or ""
        if limit or not token:
            return found


async def _delete_one(io: Session, resource: Resource, namespace: str, item: Json) -> None:
    try:
        await io.client.delete(resource, item["metadata"]["name"], namespace=namespace, propagation="Background")
    except StatusError as error:
        if error.code != 404:
            raise


def conditions_of(present: Sequence[PodCondition], emptied: Emptying, now: float) -> list[Json]:
    """The conditions of a namespace that is not empty yet: one for each thing that can hold it up."""
    failures, errors = emptied.discovery_failures, emptied.errors
    failed = f"Failed to delete all resource types, {len(errors)} remaining: {'; '.join(errors)}"
    remaining = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(emptied.remaining.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(emptied.finalizers.items()))
    rows = (
        (
            "NamespaceDeletionDiscoveryFailure", bool(failures),
            "DiscoveryFailed", f"Discovery failed for some groups, {len(failures)} failing: {'; '.join(failures)}",
            "ResourcesDiscovered", "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure", False, "GroupVersionParsingFailed", "",
            "ParsedGroupVersions", "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure", bool(errors),
            "ContentDeletionFailed", failed,
            "ContentDeleted", "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining", bool(remaining),
            "SomeResourcesRemain", f"Some resources are remaining: {remaining}",
            "ContentRemoved", "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining", bool(held),
            "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {held}",
            "ContentHasNoFinalizers", "All content-preserving finalizers finished",
        ),
    )  # fmt: skip
    before = {each.type: each for each in present}
    conditions: list[Json] = [to_wire(each) for each in present if each.type not in {row[0] for row in rows}]
    for type_, is_bad, bad_reason, bad_message, good_reason, good_message in rows:
        status = "True" if is_bad else "False"
        old = before.get(type_)
        since = old.last_transition_time if old is not None and old.status == status else None
        conditions.append(
            {
                "type": type_,
                "status": status,
                "lastTransitionTime": since or format_seconds(now),
                "reason": bad_reason if is_bad else good_reason,
                "message": bad_message if is_bad else good_message,
            }
        )
    return conditions
