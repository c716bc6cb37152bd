"""ReplicaSets and ReplicationControllers: claim, plan, carry out, report."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from kaa.controllers.replicas.plan import (
    AnySet,
    Plan,
    next_availability,
    plan_replicas,
    status_of,
)
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.claims import claim, selector_of
from kaa.controllers.shared.objects import is_namespace_going
from kaa.controllers.shared.pods import is_active, is_terminating, pod_from_template
from kaa.controllers.shared.throttle import Throttle
from kaa.kinds.views.apps import ReplicaSet
from kaa.kinds.views.base import View
from kaa.kinds.views.core import Pod, ReplicationController
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["ReplicaSetController", "ReplicationControllerController"]

S = TypeVar("S", ReplicaSet, ReplicationController)

_IN_FLIGHT_MAX = 32
"""Requests at once of one reconcile; a set of 500 must not take the API server's whole attention."""


def pod_matters(old: Pod | None, new: Pod | None) -> bool:
    """Whether a change of a pod could change what its set does or says: being bound or given an address does not."""
    if old is None or new is None:
        return True
    before, after = old.metadata, new.metadata
    return (
        old.status.phase != new.status.phase
        or old.deleting != new.deleting
        or old.ready != new.ready
        or before.labels != after.labels
        or before.owner_references != after.owner_references
    )


def orphan_matters(old: Pod | None, new: Pod | None) -> bool:
    """Whether a pod without a controller could be adopted now and could not before."""
    if new is None or new.deleting or new.controller is not None:
        return False
    return (
        old is None
        or old.metadata.labels != new.metadata.labels
        or old.controller is not None
        or old.finished != new.finished
    )


#: A set that lacks no more ready pods than this may become complete with the next one.
LAST_FEW = 8


def set_matters(old: View | None, new: View | None) -> bool:
    """Whether a change of a set is more than its status."""
    return (
        old is None
        or new is None
        or old.metadata.generation != new.metadata.generation
        or old.deleting != new.deleting
        or old.metadata.labels != new.metadata.labels
    )


def owner_of_pod(pod: Pod, controller: "_SetController[Any]") -> Iterable[str]:
    """The set that controls a pod: at once when a pod may have to be replaced, in a batch when it only counts."""
    owner = pod.controller
    if owner is None or owner.kind != controller.view.resource.kind:
        return ()
    key = f"{pod.namespace}/{owner.name}"
    if is_active(pod) and not (pod.ready and _completes(controller, key)):
        controller.throttle.add(key)
        return ()
    return (key,)


def _completes(controller: "_SetController[Any]", key: str) -> bool:
    """Every pod of the set is ready: what somebody is waiting for is told at once. Looked at only near the end, so
    that a large set does not count its pods with each of them."""
    set_ = controller.sets.get_key(key)
    if set_ is None or set_.spec.replicas - set_.status.ready_replicas > LAST_FEW:
        return False
    ready = sum(pod.ready for pod in controller.pods.owned_by(set_.uid))
    return bool(ready >= set_.spec.replicas)


def sets_selecting(pod: Pod, controller: "_SetController[Any]") -> Iterable[str]:
    """The sets that would adopt a pod that has no controller."""
    if pod.controller is not None or pod.deleting:
        return ()
    return [
        each.key for each in controller.sets.in_namespace(pod.namespace)
        if selector_of(each.spec.selector).matches(pod.labels)
    ]  # fmt: skip


class _SetController(Controller[S], Generic[S]):
    view: ClassVar[type[View]]

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.pods = parts.informers.of(Pod).lister
        self.sets: Any = parts.informers.of(self.view).lister
        self.throttle = Throttle(self.queue, self.clock, settings_of(parts.settings).batch_seconds)

    async def reconcile(self, obj: S, io: Session) -> Result | None:
        selector = selector_of(obj.spec.selector)
        if selector.empty or selector.nothing:
            return None  # the API refuses it; from an older server it must not take every pod there is
        owned = self.pods.owned_by(obj.uid)
        orphans = [pod for pod in self.pods.orphans(obj.namespace) if is_active(pod)]
        active = await claim(io, obj, selector, [pod for pod in owned if is_active(pod)], orphans)
        terminating = sum(is_terminating(pod) and selector.matches(pod.labels) for pod in owned)
        error: Exception | None = None
        made = 0
        if not obj.deleting:
            plan = plan_replicas(obj, active, self.neighbours(obj, active), now=io.clock.now())
            made, deleted, error = await carry_out(io, obj, plan)
            if deleted:
                active = [pod for pod in active if pod.uid not in deleted]
                terminating += len(deleted)
        now = io.clock.now()
        try:
            await io.update_status(obj, status_of(obj, active, terminating, made, error, now))  # a no-op if equal
        except StatusError as refusal:
            if refusal.code != 404:
                raise
        if error is not None and not is_namespace_going(error):
            raise error
        wait = next_availability(obj, active, now)
        return Result(wait) if wait is not None else None

    def neighbours(self, obj: S, active: Sequence[Pod]) -> Counter[str] | None:
        """Active pods of related sets per node; None: only the set's own count."""
        return None


class ReplicaSetController(_SetController[ReplicaSet]):
    """Keep `spec.replicas` live pods for each ReplicaSet."""

    name, workers = "replicaset", 5
    view = ReplicaSet
    watches = (
        For(ReplicaSet, when=set_matters),
        Maps(Pod, owner_of_pod, when=pod_matters),
        Maps(Pod, sets_selecting, when=orphan_matters),
    )

    def neighbours(self, obj: ReplicaSet, active: Sequence[Pod]) -> Counter[str] | None:
        """Those of every replica set of the same Deployment, so that a rollout does not count against spreading."""
        owner = obj.controller
        if owner is None or obj.spec.replicas >= len(active):
            return None
        return Counter(
            pod.spec.node_name
            for related in self.sets.owned_by(owner.uid)
            for pod in self.pods.owned_by(related.uid)
            if is_active(pod)
        )


class ReplicationControllerController(_SetController[ReplicationController]):
    """Keep `spec.replicas` live pods for each ReplicationController."""

    name, workers, component = "replicationcontroller", 2, "replication-controller"
    view = ReplicationController
    watches = (
        For(ReplicationController, when=set_matters),
        Maps(Pod, owner_of_pod, when=pod_matters),
        Maps(Pod, sets_selecting, when=orphan_matters),
    )


async def carry_out(io: Session, set_: AnySet, plan: Plan) -> tuple[int, set[str], Exception | None]:
    """Make or delete what the plan says. Returns how many were made, the UIDs deleted, and the first error.

    Pods are made in batches of 1, 2, 4, ...: what refuses the first one (a quota, a bad template) is asked once, not
    five hundred times.
    """
    if plan.delete:
        deleted: set[str] = set()
        errors = await _some_at_once([_delete(io, set_, pod, deleted) for pod in plan.delete])
        return 0, deleted, errors[0] if errors else None
    made, batch = 0, 1
    body = pod_from_template(set_.spec.template, set_) if plan.create else {}
    while made < plan.create:
        count = min(batch, plan.create - made)
        errors = await _some_at_once([_create(io, set_, body) for _ in range(count)])
        made += count - len(errors)
        if errors:
            return made, set(), errors[0]
        batch *= 2
    return made, set(), None


async def _create(io: Session, set_: AnySet, body: dict[str, Any]) -> None:
    try:
        made = await io.create(Pod.resource, body)
    except Exception as error:
        if not is_namespace_going(error):
            io.event(set_, "Warning", "FailedCreate", f"Error creating: {error}")
        raise
    io.event(set_, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")


async def _delete(io: Session, set_: AnySet, pod: Pod, deleted: set[str]) -> None:
    try:
        was_there = await io.delete(pod)
    except Exception as error:
        io.event(set_, "Warning", "FailedDelete", f"Error deleting: {error}")
        raise
    deleted.add(pod.uid)
    if was_there:
        io.event(set_, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")


async def _some_at_once(work: Sequence[Any]) -> list[Exception]:
    """Await all, so many at once; the errors, in order. Cancelled, it cancels them all."""
    if len(work) == 1:
        results: list[Any] = []
        try:
            await work[0]
        except Exception as error:
            results.append(error)
        return results
    turn = asyncio.Semaphore(_IN_FLIGHT_MAX)

    async def one(each: Any) -> None:
        async with turn:
            await each

    results = await asyncio.gather(*(one(each) for each in work), return_exceptions=True)
    for each in results:
        if isinstance(each, BaseException) and not isinstance(each, Exception):
            raise each
    return [each for each in results if isinstance(each, Exception)]
