"""ResourceQuotas: what their namespaces use, counted anew when something goes, and every five minutes.

Admission counts what is made, before it is made; this takes note of new bounds, and finds what has gone, finished or
was counted and never made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaa.base.tasks import Scope
from kaa.client.informers import Informer
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.discovery import DiscoveryReader
from kaa.http.api import CallError
from kaa.kinds.core.usage import (
    ZERO,
    Amounts,
    add,
    amounts,
    covers,
    resources_named,
    scopes_of,
    texts,
    tracks,
    usage_of,
)
from kaa.kinds.views.base import Part, View, metadata_view
from kaa.kinds.views.core import Pod
from kaa.meta.errors import StatusError
from kaa.meta.quantity import QuantityError
from kaa.meta.resource import Resource
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["ResourceQuota", "ResourceQuotaController", "counted"]

Json = dict[str, Any]

#: What was counted by admission is there, or was given back, so long after it was counted.
SETTLE_SECONDS = 0.1
#: A quota that is written all the time is waited for so often; then what is known is written.
TRIES = 5
#: Kinds of which more than the number counts: they are read whole.
_WHOLE = frozenset({"pods", "services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io"})


class ResourceQuotaStatus(Part, frozen=True):
    """The bounds that are acknowledged, and what is used of them."""

    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class ResourceQuotaSpec(Part, frozen=True):
    """What a namespace may use. What scopes say is read from the object itself."""

    hard: dict[str, str] = {}


class ResourceQuota(View, frozen=True):
    """A bound on what a namespace uses."""

    resource = Resource("", "v1", "resourcequotas", "ResourceQuota", True, "resourcequota")
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


def counted(quota: Json, objects: dict[str, list[Json]], numbers: dict[str, int], now: float) -> Amounts:
    """What is used of each bound of a quota. `objects` are those of the kinds that are read whole, `numbers` how many
    there are of the others; a bound on what nobody here knows has no count."""
    hard, scopes = (quota.get("spec") or {}).get("hard") or {}, scopes_of(quota)
    used: Amounts = {}
    for qualified, there in objects.items():
        tracked = tracks(qualified, hard)
        total: Amounts = dict.fromkeys(tracked, ZERO)
        for each in there:
            if not covers(scopes, qualified, each):
                continue
            try:
                uses = usage_of(qualified, each, now)
            except QuantityError:
                continue  # of before validation knew the field
            total = add(total, {name: uses[name] for name in tracked if name in uses})
        used.update(total)
    for qualified, number in numbers.items():
        tracked = tracks(qualified, hard)
        used.update({name: amounts({name: "0" if scopes else str(number)})[name] for name in tracked})
    return used


def stated_otherwise(old: ResourceQuota | None, new: ResourceQuota | None) -> bool:
    """A quota is new, or its bounds are not those that were acknowledged; what admission counts is its own affair."""
    return new is not None and (old is None or old.spec.hard != new.spec.hard or new.spec.hard != new.status.hard)


def frees(old: Pod | None, new: Pod | None) -> bool:
    """A pod has gone, finished, or has been asked to go."""
    if new is None:
        return True
    return old is not None and (old.finished != new.finished or old.deleting != new.deleting)


def quotas_of(pod: View, controller: Any) -> Iterable[str]:
    """The quotas of an object's namespace."""
    return [each.key for each in controller.quotas.in_namespace(pod.namespace)]


@dataclass
class _Source:
    """A kind that some quota counts."""

    resource: Resource
    informer: Informer[Any]


class ResourceQuotaController(Controller[ResourceQuota]):
    """Keep `status.hard` what `spec.hard` says, and `status.used` what there is."""

    name, component, workers = "resourcequota", "resourcequota-controller", 5
    watches = (For(ResourceQuota, when=stated_otherwise), Maps(Pod, quotas_of, when=frees))

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        settings = settings_of(parts.settings)
        self.quotas = parts.informers.of(ResourceQuota).lister
        self._again_seconds = settings.quota_period_seconds
        self._batch_seconds = settings.batch_seconds
        self._discovery = DiscoveryReader(parts.client)
        self._sources: dict[str, _Source] = {}
        #: Until when (monotonic) a resource that is not served is not looked for again.
        self._absent: dict[str, float] = {}

    async def start(self, scope: Scope) -> None:
        """Everything is counted once at the start."""
        self._absent.clear()

    async def reconcile(self, obj: ResourceQuota, io: Session) -> Result | None:
        """Count, and write where it differs; exactly, unless the quota is being written all the time.

        What admission counted before the quota was read is visible after a moment; what it counts later makes the
        write below conflict, and all is counted once more.
        """
        if obj.deleting:
            return None
        await io.clock.sleep(self._batch_seconds)  # what goes together is counted together
        for attempt in range(TRIES):
            try:
                quota = await io.client.get_json(ResourceQuota.resource, obj.name, obj.namespace)
            except StatusError as error:
                if error.code == 404:
                    return None
                raise
            await io.clock.sleep(SETTLE_SECONDS)
            hard = (quota.get("spec") or {}).get("hard") or {}
            objects, numbers = await self._read(obj.namespace, resources_named(hard), io)
            used = {name: amount for name, amount in counted(quota, objects, numbers, io.clock.now()).items()
                    if name in hard}  # fmt: skip
            status = quota.get("status") or {}
            if amounts(status.get("hard")) == amounts(hard) and amounts(status.get("used")) == used:
                break
            body = {**quota, "status": {"hard": hard, "used": texts(used)}}
            if attempt == TRIES - 1:
                body["metadata"] = {**quota["metadata"], "resourceVersion": ""}
            try:
                await io.update(ResourceQuota.resource, body, subresource="status")
                break
            except StatusError as error:
                if error.code == 404:
                    return None
                if error.code != 409:
                    raise
        return Result(self._again_seconds)

    async def _read(self, namespace: str, wanted: set[str],
                    io: Session) -> tuple[dict[str, list[Json]], dict[str, int]]:  # fmt: skip
        """The objects of a namespace that are counted. Kinds nobody has looked at yet are followed from now on."""
        objects: dict[str, list[Json]] = {}
        numbers: dict[str, int] = {}
        for qualified in sorted(wanted):
            source = await self._source(qualified, io)
            if source is None:
                continue
            if qualified in _WHOLE:
                objects[qualified] = (await io.client.list_json(source.resource, namespace))["items"]
            else:
                numbers[qualified] = len(source.informer.lister.in_namespace(namespace))
        return objects, numbers

    async def _source(self, qualified: str, io: Session) -> _Source | None:
        source = self._sources.get(qualified)
        if source is None and self._absent.get(qualified, 0.0) <= io.clock.monotonic():
            resource = await self._served(qualified)
            if resource is None:
                period = settings_of(self.parts.settings).discovery_period_seconds
                self._absent[qualified] = io.clock.monotonic() + period
                return None
            informers = self.parts.informers
            view = Pod if qualified == "pods" else metadata_view(resource)
            informer = informers.covering(resource, "") or informers.of(view)
            source = self._sources[qualified] = _Source(resource, informer)
            if qualified != "pods":  # those are followed from the start
                informer.on_change(self._changed)
        if source is not None and not source.informer.synced:
            await source.informer.wait_synced()
        return source

    async def _served(self, qualified: str) -> Resource | None:
        try:
            discovered = await self._discovery.read()
        except CallError as error:
            raise StatusError(503, "ServiceUnavailable", f"cannot read discovery: {error}") from error
        for each in discovered.served:
            if each.resource.qualified == qualified and each.resource.namespaced and "list" in each.verbs:
                return each.resource
        return None

    def _changed(self, old: View | None, new: View | None) -> None:
        """Something that is counted came (admission has counted it, unless the quota is younger), went or changed."""
        if old is not None and (new is None or new.revision != old.revision):
            for key in quotas_of(old, self):
                self.enqueue(key)
