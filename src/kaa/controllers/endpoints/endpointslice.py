"""EndpointSlices of services with a selector."""

from collections.abc import Iterable, Mapping, Sequence
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
from kaa.controllers.endpoints.slices import (
    MANAGED_BY,
    SERVICE_NAME,
    PortSet,
    SlicePlan,
    SliceShape,
    plan_slices,
    port_set,
)
from kaa.controllers.endpoints.writing import SLICES_BY_SERVICE, carry_out, slice_index
from kaa.controllers.settings import settings_of
from kaa.controllers.shared.objects import is_namespace_going, owner_reference
from kaa.controllers.shared.pods import PODS_BY_LABEL, labels_index, pods_with
from kaa.controllers.shared.throttle import Throttle
from kaa.kinds.views.core import Node, Pod, Service
from kaa.kinds.views.net import EndpointSlice
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["BY", "EndpointSliceController", "endpoint_of", "wanted_endpoints"]

Json = dict[str, Any]
BY = "endpointslice-controller.k8s.io"
_ZONE = "topology.kubernetes.io/zone"


def service_of_slice(slice_: EndpointSlice, _controller: Any) -> Iterable[str]:
    """The service of a slice of ours."""
    return slice_index(slice_) if slice_.labels.get(MANAGED_BY) == BY else ()


def services_of_pod(pod: Pod, controller: "EndpointSliceController") -> Iterable[str]:
    """The services of a pod."""
    return [service.key for service in services_of(controller.services, pod)]


def services_in_a_batch(pod: Pod, controller: "EndpointSliceController") -> Iterable[str]:
    """The same, at the controller's pace."""
    for service in services_of(controller.services, pod):
        controller.throttle.add(service.key)
    return ()


def zone_changed(old: Node | None, new: Node | None) -> bool:
    """A node came, or moved to another zone."""
    return new is not None and (old is None or old.labels.get(_ZONE) != new.labels.get(_ZONE))


def services_on_node(node: Node, controller: "EndpointSliceController") -> Iterable[str]:
    """The services that wait for a node they have endpoints on to be known, or whose zones it changes."""
    return controller.waiting_for.pop(node.name, ())


class EndpointSliceController(Controller[Service]):
    """Keep each Service's slices true to its pods."""

    name, workers = "endpointslice", 5
    component = "endpoint-slice-controller"
    watches = (
        For(Service, when=service_matters),
        Maps(Pod, services_of_pod, when=traffic_must_stop),
        Maps(Pod, services_in_a_batch, when=traffic_may_wait),
        Maps(EndpointSlice, service_of_slice),
        Maps(Node, services_on_node, when=zone_changed),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        settings = settings_of(parts.settings)
        self.per_slice_max = settings.endpoints_per_slice_max
        self.throttle = Throttle(self.queue, self.clock, settings.batch_seconds)
        self.services = parts.informers.of(Service).lister
        self.services.add_index(SERVICES_BY_LABEL, service_index)
        self.pods = parts.informers.of(Pod).lister
        self.pods.add_index(PODS_BY_LABEL, labels_index)
        self.slices = parts.informers.of(EndpointSlice).lister
        self.slices.add_index(SLICES_BY_SERVICE, slice_index)
        self.nodes = parts.informers.of(Node).lister
        #: Services to look at again when a node comes, by the node's name. Bounded by the nodes that pods name.
        self.waiting_for: dict[str, set[str]] = {}

    async def reconcile(self, obj: Service, io: Session) -> Result | None:
        if not obj.spec.selector or obj.spec.type == "ExternalName" or obj.deleting:
            return None
        pods = pods_with(self.pods, obj.namespace, obj.spec.selector)
        zones: dict[str, str] = {}
        for name in {pod.spec.node_name for pod in pods if pod.spec.node_name}:
            node = self.nodes.get(name)
            if node is not None:
                zones[name] = node.labels.get(_ZONE, "")
            elif len(self.waiting_for) < 10_000:
                self.waiting_for.setdefault(name, set()).add(obj.key)
        present = [
            each for each in self.slices.by(SLICES_BY_SERVICE, obj.key) if each.labels.get(MANAGED_BY) == BY
        ]  # fmt: skip
        shape = shape_of(obj)
        families = address_types(obj)
        total = SlicePlan(delete=[each for each in present if each.address_type not in families])
        for family in families:
            plan = plan_slices(
                shape, family, wanted_endpoints(obj, pods, zones, family),
                [each for each in present if each.address_type == family], self.per_slice_max,
            )  # fmt: skip
            total.create += plan.create
            total.patch += plan.patch
            total.delete += plan.delete
        try:
            await carry_out(io, total)
        except Exception as error:
            if is_namespace_going(error):
                return None
            if isinstance(error, StatusError) and error.reason == "Conflict":
                raise
            io.event(
                obj, "Warning", "FailedToUpdateEndpointSlices",
                f"Error updating Endpoint Slices for Service {obj.key}: {error}",
            )  # fmt: skip
            raise
        return None


def shape_of(service: Service) -> SliceShape:
    """What the slices of a service have in common: its labels, and who made them."""
    labels = {key: value for key, value in service.labels.items() if key not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    labels[SERVICE_NAME] = service.name
    labels[MANAGED_BY] = BY
    if is_headless(service):
        labels[HEADLESS] = ""
    return SliceShape(service.namespace, f"{service.name}-", labels, owner_reference(service))


def wanted_endpoints(
    service: Service, pods: Sequence[Pod], zones: Mapping[str, str], family: str
) -> dict[PortSet, list[Json]]:
    """The endpoints of one family by the ports they have. `zones` are the known nodes: a pod on another is left out
    until its node is known, unless the service also wants pods that are not ready."""
    wanted: dict[PortSet, list[Json]] = {}
    for pod in sorted(pods, key=lambda each: each.name):
        if not may_be_endpoint(pod, terminating=True):
            continue
        node = pod.spec.node_name
        if node and node not in zones and not service.spec.publish_not_ready_addresses:
            continue
        addresses = addresses_of(pod, family)
        if not addresses:
            continue
        ports = port_set(endpoint_ports(service, pod))
        wanted.setdefault(ports, []).append(endpoint_of(service, pod, addresses, zones.get(node, "")))
    return wanted


def endpoint_of(service: Service, pod: Pod, addresses: Sequence[str], zone: str) -> Json:
    """A pod as an endpoint."""
    ready = pod.ready
    endpoint: Json = {
        "addresses": list(addresses),
        "conditions": {
            "ready": service.spec.publish_not_ready_addresses or (ready and not pod.deleting),
            "serving": ready,
            "terminating": pod.deleting,
        },
        "targetRef": {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid},
    }
    if pod.spec.node_name:
        endpoint["nodeName"] = pod.spec.node_name
    if zone:
        endpoint["zone"] = zone
    if sets_hostname(pod, service):
        endpoint["hostname"] = pod.spec.hostname
    hints = _hints(service.spec.traffic_distribution, pod.spec.node_name, zone)
    if hints and endpoint["conditions"]["ready"]:
        endpoint["hints"] = hints
    return endpoint


def _hints(distribution: str | None, node: str, zone: str) -> Json:
    hints: Json = {}
    if distribution in ("PreferClose", "PreferSameZone", "PreferSameNode") and zone:
        hints["forZones"] = [{"name": zone}]
    if distribution == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return hints
