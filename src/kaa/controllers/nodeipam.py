"""The range of pod addresses of each node, cut from the cluster's."""

import ipaddress
from typing import Any

from kaa.base.tasks import Scope
from kaa.controllers.settings import settings_of
from kaa.kinds.views.core import Node
from kaa.runtime import Controller, For, Parts, Result, Session

__all__ = ["CidrSet", "NodeIpamController"]

_LOOK_AGAIN_SECONDS = 30.0


class CidrSet:
    """Ranges of one size within a larger one, given out lowest first. Pure; as large as the ranges in use."""

    def __init__(self, cluster_cidr: str, prefix_length: int) -> None:
        """Raises ValueError for a range that is none, or a size that does not fit."""
        self._network = ipaddress.ip_network(cluster_cidr)
        if not self._network.prefixlen <= prefix_length <= self._network.max_prefixlen:
            raise ValueError(
                f"a node's range of /{prefix_length} does not fit into {cluster_cidr}: "
                f"set node_cidr_mask between {self._network.prefixlen} and {self._network.max_prefixlen}"
            )
        self._prefix_length = prefix_length
        self._size = 1 << (self._network.max_prefixlen - prefix_length)
        self._count = 1 << (prefix_length - self._network.prefixlen)
        self._used: set[int] = set()
        self._next = 0  # every number below is used

    def take(self) -> str | None:
        """A range nobody has; None when all are used."""
        while self._next in self._used:
            self._next += 1
        if self._next >= self._count:
            return None
        self._used.add(self._next)
        address = self._network.network_address + self._next * self._size
        return f"{address}/{self._prefix_length}"

    def occupy(self, cidr: str) -> None:
        """Somebody has this range, whatever its size; outside of the cluster's range it is nobody's business."""
        self._used.update(self._numbers(cidr))

    def release(self, cidr: str) -> None:
        """It is free again."""
        for number in self._numbers(cidr):
            self._used.discard(number)
            self._next = min(self._next, number)

    def _numbers(self, cidr: str) -> range:
        try:
            network = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return range(0)
        if network.version != self._network.version or not network.overlaps(self._network):
            return range(0)
        first = max(0, int(network.network_address) - int(self._network.network_address)) // self._size
        last = (int(network.broadcast_address) - int(self._network.network_address)) // self._size
        return range(first, min(last, self._count - 1) + 1)


def range_changed(old: Node | None, new: Node | None) -> bool:
    """A node came, went, or has another range."""
    return old is None or new is None or old.spec.pod_cidr != new.spec.pod_cidr


class NodeIpamController(Controller[Node]):
    """Give each Node a range of pod addresses. One worker: two nodes must never get the same."""

    name, workers, component = "nodeipam", 1, "cidrAllocator"
    watches = (For(Node, when=range_changed),)

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        settings = settings_of(parts.settings)
        self.nodes = parts.informers.of(Node).lister
        self._cidr, self._mask = settings.cluster_cidr, settings.node_cidr_mask
        self._ranges = self._make()
        self._held: dict[str, tuple[str, ...]] = {}  # by node
        self._without: set[str] = set()  # nodes that found all ranges used

    def _make(self) -> CidrSet | None:
        return CidrSet(self._cidr, self._mask) if self._cidr else None

    async def start(self, scope: Scope) -> None:
        """Know every range in use before the first is given out."""
        self._ranges, self._held = self._make(), {}
        for node in self.nodes.all():
            self._note(node)

    def _note(self, node: Node) -> None:
        ranges = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
        if ranges and self._ranges is not None:
            self._held[node.name] = ranges
            for each in ranges:
                self._ranges.occupy(each)

    async def reconcile(self, obj: Node, io: Session) -> Result | None:
        if self._ranges is None:
            return None
        if obj.spec.pod_cidr:
            self._note(obj)
            return None
        held = self._held.get(obj.name)  # from a try whose outcome is not known
        cidr = held[0] if held else self._ranges.take()
        if cidr is None:
            self._without.add(obj.name)
            io.event(obj, "Normal", "CIDRNotAvailable", f"Node {obj.name} status is now: CIDRNotAvailable")
            return Result(_LOOK_AGAIN_SECONDS)
        self._held[obj.name] = (cidr,)
        spec: dict[str, Any] = {"podCIDR": cidr, "podCIDRs": [cidr]}
        await io.patch(Node.resource, obj.name, {"metadata": {"uid": obj.uid}, "spec": spec}, kind="strategic")
        return None

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        for each in self._held.pop(key, ()):
            if self._ranges is not None:
                self._ranges.release(each)
        self._without.discard(key)
        for name in self._without:
            self.enqueue(name)
        self._without.clear()
        return None
