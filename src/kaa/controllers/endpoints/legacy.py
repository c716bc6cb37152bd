"""Endpoints, the older form: one object per service with a selector."""

from collections.abc import Iterable, Sequence
from typing import Any

from kaa.controllers.endpoints.behind import (
    HEADLESS,
    SERVICES_BY_LABEL,
    address_types,
    addresses_of,
    endpoint_ports,
    is_headless,
    may_be_endpoint,
    service_index,
    service_matters,
    services_of,
    sets_hostname,
    traffic_may_wait,
    traffic_must_stop,
)
from kaa.controllers.endpoints.slices import PortSet, port_set, ports_wire
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.objects import is_namespace_going
from kaa.controllers.shared.pods import PODS_BY_LABEL, labels_index, pods_with
from kaa.controllers.shared.throttle import Throttle
from kaa.kinds.views.core import Endpoints, Pod, Service
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["ADDRESSES_MAX", "EndpointsController", "subsets_of", "truncated"]

Json = dict[str, Any]

ADDRESSES_MAX = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"


def services_of_pod(pod: Pod, controller: "EndpointsController") -> Iterable[str]:
    """The services of a pod."""
    return [service.key for service in services_of(controller.services, pod)]


def services_in_a_batch(pod: Pod, controller: "EndpointsController") -> Iterable[str]:
    """The same, at the controller's pace."""
    for service in services_of(controller.services, pod):
        controller.throttle.add(service.key)
    return ()


def same_name(endpoints: Endpoints, _controller: Any) -> Iterable[str]:
    """The service of its name."""
    return (endpoints.key,)


class EndpointsController(Controller[Service]):
    """Keep the Endpoints of each Service with a selector true to its pods."""

    name, workers, component = "endpoints", 5, "endpoint-controller"
    watches = (
        For(Service, when=service_matters),
        Maps(Pod, services_of_pod, when=traffic_must_stop),
        Maps(Pod, services_in_a_batch, when=traffic_may_wait),
        Maps(Endpoints, same_name),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.throttle = Throttle(self.queue, self.clock, settings_of(parts.settings).batch_seconds)
        self.services = parts.informers.of(Service).lister
        self.services.add_index(SERVICES_BY_LABEL, service_index)
        self.pods = parts.informers.of(Pod).lister
        self.pods.add_index(PODS_BY_LABEL, labels_index)
        self.endpoints = parts.informers.of(Endpoints).lister

    async def reconcile(self, obj: Service, io: Session) -> Result | None:
        if not obj.spec.selector or obj.spec.type == "ExternalName" or obj.deleting:
            return None
        subsets = subsets_of(obj, pods_with(self.pods, obj.namespace, obj.spec.selector))
        subsets, over = truncated(subsets)
        labels = {**obj.labels, MANAGED_BY: _MANAGER}
        labels.pop(HEADLESS, None)
        if is_headless(obj):
            labels[HEADLESS] = ""
        held = self.endpoints.get(obj.name, obj.namespace)
        try:
            if held is None:
                await self._create(io, obj, labels, subsets, over)
            else:
                await self._change(io, held, labels, subsets, over)
        except StatusError as error:
            if is_namespace_going(error):
                return None
            if error.reason not in ("Conflict", "AlreadyExists"):
                verb = "create" if held is None else "update"
                io.event(
                    held or obj, "Warning", f"FailedTo{verb.capitalize()}Endpoint",
                    f"Failed to {verb} endpoint {obj.key}: {error}",
                )  # fmt: skip
            raise
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        held = self.endpoints.get_key(key)
        if held is not None and held.labels.get(MANAGED_BY) == _MANAGER and not held.deleting:
            await io.delete(held)
        return None

    async def _create(
        self, io: Session, service: Service, labels: dict[str, str], subsets: list[Json], over: bool
    ) -> None:
        metadata: Json = {"name": service.name, "namespace": service.namespace, "labels": labels}
        if over:
            metadata["annotations"] = {OVER_CAPACITY: "truncated"}
        body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        await io.create(Endpoints.resource, body)

    async def _change(
        self, io: Session, held: Endpoints, labels: dict[str, str], subsets: list[Json], over: bool
    ) -> None:
        metadata: Json = {}
        if held.labels != labels:
            metadata["labels"] = {**{name: None for name in held.labels if name not in labels}, **labels}
        annotation = "truncated" if over else None
        if held.annotations.get(OVER_CAPACITY) != annotation:
            metadata["annotations"] = {OVER_CAPACITY: annotation}
        patch: Json = {}
        if list(held.subsets) != subsets:
            patch["subsets"] = subsets
        if metadata or patch:
            metadata["resourceVersion"] = held.metadata.resource_version
            body = {"metadata": metadata, **patch}
            await io.patch(Endpoints.resource, held.name, body, namespace=held.namespace)


def subsets_of(service: Service, pods: Sequence[Pod]) -> list[Json]:
    """The subsets of a service: addresses with the same ports together, in a stable order."""
    everyone = service.spec.publish_not_ready_addresses
    family = address_types(service)[0]
    groups: dict[PortSet, dict[str, list[Json]]] = {}
    for pod in pods:
        if not may_be_endpoint(pod, terminating=everyone):
            continue
        found = addresses_of(pod, family)
        if not found:
            continue
        ports = port_set(endpoint_ports(service, pod))
        if not ports and not (is_headless(service) and not service.spec.ports):
            continue
        address: Json = {"ip": found[0]}
        if sets_hostname(pod, service):
            address["hostname"] = pod.spec.hostname
        if pod.spec.node_name:
            address["nodeName"] = pod.spec.node_name
        address["targetRef"] = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
        where = "addresses" if everyone or pod.ready else "notReadyAddresses"
        groups.setdefault(ports, {}).setdefault(where, []).append(address)
    subsets: list[Json] = []
    for ports in sorted(groups):
        subset: Json = {}
        for where in ("addresses", "notReadyAddresses"):
            if where in groups[ports]:
                subset[where] = sorted(groups[ports][where], key=lambda each: (each["ip"], each["targetRef"]["uid"]))
        if ports:
            subset["ports"] = [{k: v for k, v in port.items() if k != "name" or v} for port in ports_wire(ports)]
        subsets.append(subset)
    return subsets


def truncated(subsets: list[Json], addresses_max: int = ADDRESSES_MAX) -> tuple[list[Json], bool]:
    """At most so many addresses, ready ones first, the room shared between the subsets in proportion."""
    ready = sum(len(each.get("addresses", ())) for each in subsets)
    total = ready + sum(len(each.get("notReadyAddresses", ())) for each in subsets)
    if total <= addresses_max:
        return subsets, False
    room_ready = min(ready, addresses_max)
    room_other = addresses_max - room_ready
    kept: list[Json] = []
    left_ready, left_other = room_ready, room_other
    for number, each in enumerate(subsets):
        last = number == len(subsets) - 1
        cut = dict(each)
        for where, room, whole in (("addresses", room_ready, ready), ("notReadyAddresses", room_other, total - ready)):
            have = len(each.get(where, ()))
            left = left_ready if where == "addresses" else left_other
            share = left if last else min(left, have * room // whole if whole else 0)
            cut[where] = each.get(where, [])[:share]
            if where == "addresses":
                left_ready -= len(cut[where])
            else:
                left_other -= len(cut[where])
            if not cut[where]:
                cut.pop(where)
        if cut.get("addresses") or cut.get("notReadyAddresses"):
            kept.append(cut)
    return kept, True
