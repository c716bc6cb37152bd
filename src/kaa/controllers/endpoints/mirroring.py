"""EndpointSlices that mirror Endpoints which somebody else wrote, for services without a selector."""

from collections.abc import Iterable
from typing import Any

from kaa.controllers.endpoints.behind import HEADLESS, family_of, service_matters
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
from kaa.controllers.shared.objects import owner_reference
from kaa.kinds.views.core import Endpoints, Service
from kaa.kinds.views.net import EndpointSlice
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["EndpointSliceMirroringController", "beyond", "mirrored"]

Json = dict[str, Any]

BY = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_ADDRESSES_PER_SUBSET_MAX = 1000
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "endpoints.kubernetes.io/last-change-trigger-time",
        "endpoints.kubernetes.io/over-capacity",
    }
)


def same_name(service: Service, _controller: Any) -> Iterable[str]:
    """The Endpoints of its name."""
    return (service.key,)


def endpoints_of_slice(slice_: EndpointSlice, _controller: Any) -> Iterable[str]:
    """The Endpoints of a slice of ours."""
    return slice_index(slice_) if slice_.labels.get(MANAGED_BY) == BY else ()


class EndpointSliceMirroringController(Controller[Endpoints]):
    """Keep slices equal to Endpoints that no selector makes."""

    name, workers = "endpointslicemirroring", 2
    component = "endpoint-slice-mirroring-controller"
    watches = (
        For(Endpoints),
        Maps(Service, same_name, when=service_matters),
        Maps(EndpointSlice, endpoints_of_slice),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.per_slice_max = settings_of(parts.settings).endpoints_per_slice_max
        self.services = parts.informers.of(Service).lister
        self.slices = parts.informers.of(EndpointSlice).lister
        self.slices.add_index(SLICES_BY_SERVICE, slice_index)

    async def reconcile(self, obj: Endpoints, io: Session) -> Result | None:
        service = self.services.get(obj.name, obj.namespace)
        present = self._present(obj.key)
        if not should_mirror(obj) or service is None or service.spec.selector or obj.deleting:
            await carry_out(io, SlicePlan(delete=present))
            return None
        if skipped := beyond(obj):
            most = (
                f"A max of {_ADDRESSES_PER_SUBSET_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset"
            )
            io.event(obj, "Warning", "TooManyAddressesToMirror", f"{most}. {skipped} addresses were skipped")
        shape = _shape(obj)
        total = SlicePlan()
        for family in ("IPv4", "IPv6"):
            wanted = mirrored(obj, family)
            existing = [each for each in present if each.address_type == family]
            if wanted:
                plan = plan_slices(shape, family, wanted, existing, self.per_slice_max)
            else:
                plan = SlicePlan(delete=existing)
            total.create += plan.create
            total.patch += plan.patch
            total.delete += plan.delete
        await carry_out(io, total)
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        await carry_out(io, SlicePlan(delete=self._present(key)))
        return None

    def _present(self, key: str) -> list[EndpointSlice]:
        return [each for each in self.slices.by(SLICES_BY_SERVICE, key) if each.labels.get(MANAGED_BY) == BY]


def should_mirror(endpoints: Endpoints) -> bool:
    """Neither switched off nor a leader's lock."""
    return endpoints.labels.get(SKIP) != "true" and _LEADER not in endpoints.annotations


def _shape(endpoints: Endpoints) -> SliceShape:
    labels = {key: value for key, value in endpoints.labels.items() if key != HEADLESS}
    labels |= {SERVICE_NAME: endpoints.name, MANAGED_BY: BY}
    annotations = {key: value for key, value in endpoints.annotations.items() if key not in _NOT_COPIED}
    prefix = f"{endpoints.name}-"
    return SliceShape(endpoints.namespace, prefix, labels, owner_reference(endpoints), annotations)


def beyond(endpoints: Endpoints) -> int:
    """How many addresses are not mirrored, because their subset has more than is mirrored of one."""
    return sum(
        max(
            0,
            sum(len(subset.get(where) or ()) for where in ("addresses", "notReadyAddresses"))
            - _ADDRESSES_PER_SUBSET_MAX,
        )
        for subset in endpoints.subsets
    )


def mirrored(endpoints: Endpoints, family: str) -> dict[PortSet, list[Json]]:
    """The addresses of one family by their ports; at most 1000 of each subset."""
    wanted: dict[PortSet, list[Json]] = {}
    for subset in endpoints.subsets:
        found: list[Json] = []
        for where, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(where) or ():
                if family_of(address.get("ip", "")) == family and len(found) < _ADDRESSES_PER_SUBSET_MAX:
                    found.append(_endpoint(address, ready))
        if found:
            wanted.setdefault(port_set(subset.get("ports") or ()), []).extend(found)
    return wanted


def _endpoint(address: Json, ready: bool) -> Json:
    endpoint: Json = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint
