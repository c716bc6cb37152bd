"""Services of type LoadBalancer, served on the nodes' own addresses: for clusters without a cloud.

Every node forwards an ingress address and port of a service to its pods, so the nodes' addresses are the load balancer.
Two services cannot share a port there: the older one has it, the other waits. Services of another class are somebody
else's.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kaa.controllers.shared.objects import at_seconds
from kaa.kinds.views.core import Node, Service
from kaa.runtime import Controller, For, Maps, Parts, Result, Session
from kaa.runtime.status import to_wire

__all__ = ["LoadBalancerController", "conflicting", "ingress_of"]

Json = dict[str, Any]

_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_BALANCED = "load-balancer"


def ours(service: Service) -> bool:
    """A load balancer is wanted, and of no particular class."""
    return service.spec.type == "LoadBalancer" and not service.spec.load_balancer_class and not service.deleting


def balanced_index(service: Service) -> Iterable[str]:
    """Under one word: there are few."""
    return (_BALANCED,) if ours(service) else ()


def ingress_of(nodes: Iterable[Node]) -> list[Json]:
    """The addresses: each ready node's external one, else its internal one."""
    addresses = sorted(
        address
        for node in nodes
        if node.ready and _EXCLUDED not in node.labels
        and (address := node.address("ExternalIP") or node.address("InternalIP"))
    )  # fmt: skip
    return [{"ip": address, "ipMode": "VIP"} for address in addresses]


def conflicting(service: Service, others: Iterable[Service]) -> tuple[Service, str] | None:
    """An older service that has one of this one's ports, and the port (`80/TCP`)."""
    ports = {(each.port, each.protocol) for each in service.spec.ports}
    for other in others:
        if other.uid == service.uid or _age(other) > _age(service):
            continue
        for each in other.spec.ports:
            if (each.port, each.protocol) in ports:
                return other, f"{each.port}/{each.protocol}"
    return None


def _age(service: Service) -> tuple[float, bool, str]:
    # Time stamps are whole seconds: of two as old, the one that has the addresses keeps them.
    return at_seconds(service.metadata.creation_timestamp), not service.status.load_balancer.ingress, service.uid


def service_matters(old: Service | None, new: Service | None) -> bool:
    """A load balancer is, or was, wanted, or is still shown."""
    return any(
        each is not None and (each.spec.type == "LoadBalancer" or each.status.load_balancer.ingress)
        for each in (old, new)
    )


def gone_or_released(old: Service | None, new: Service | None) -> bool:
    """A service gave up its ports."""
    return old is not None and ours(old) and (new is None or not ours(new) or new.spec.ports != old.spec.ports)


def all_balanced(_obj: Any, controller: "LoadBalancerController") -> Iterable[str]:
    """Every service with a load balancer."""
    return [each.key for each in controller.services.by(_BALANCED, _BALANCED)]


def addresses_changed(old: Node | None, new: Node | None) -> bool:
    """Which addresses a node contributes changed."""
    return ingress_of([old] if old is not None else []) != ingress_of([new] if new is not None else [])


class LoadBalancerController(Controller[Service]):
    """Show each Service of type LoadBalancer the nodes' addresses as its ingress."""

    name, component = "service-lb", "service-controller"
    watches = (
        For(Service, when=service_matters),
        Maps(Service, all_balanced, when=gone_or_released),
        Maps(Node, all_balanced, when=addresses_changed),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.services = parts.informers.of(Service).lister
        self.services.add_index(_BALANCED, balanced_index)
        self.nodes = parts.informers.of(Node).lister

    async def reconcile(self, obj: Service, io: Session) -> Result | None:
        if obj.spec.load_balancer_class or obj.deleting:
            return None
        if obj.spec.type != "LoadBalancer":
            if obj.status.load_balancer.ingress:
                io.event(obj, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
                await self._show(obj, [], io)
                io.event(obj, "Normal", "DeletedLoadBalancer", "Deleted load balancer")
            return None
        taken = conflicting(obj, self.services.by(_BALANCED, _BALANCED))
        if taken is not None:
            other, port = taken
            io.event(
                obj, "Warning", "SyncLoadBalancerFailed",
                f"Error syncing load balancer: port {port} of the nodes' addresses belongs to the service {other.key}: "
                "choose another port, or delete that one",
            )  # fmt: skip
            await self._show(obj, [], io)
            return None
        wanted = ingress_of(self.nodes.all())
        if not wanted and not obj.status.load_balancer.ingress:
            io.event(obj, "Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer")
            return None
        first = not obj.status.load_balancer.ingress
        if first:
            io.event(obj, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        if await self._show(obj, wanted, io):
            if first:
                io.event(obj, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
            else:
                io.event(obj, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts")
        return None

    async def _show(self, service: Service, ingress: Sequence[Json], io: Session) -> bool:
        held = [to_wire(each) for each in service.status.load_balancer.ingress]
        if held == list(ingress):
            return False
        status: Json = {"loadBalancer": {"ingress": list(ingress)} if ingress else {}}
        if service.status.conditions:
            status["conditions"] = [to_wire(each) for each in service.status.conditions]
        return await io.update_status(service, status)
