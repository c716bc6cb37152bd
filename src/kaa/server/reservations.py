"""Scarce things that writes take: cluster IPs and node ports of services.

What is taken is worked out from the services in the cache, so nothing is leaked and nothing needs repair: a reservation
made here lasts only until its write is done and the cache shows it.
"""

import ipaddress
from collections.abc import Callable
from typing import Any

from kaa.base import ids
from kaa.meta import errors
from kaa.meta.problems import Path, Problem, invalid
from kaa.server.cache import Change, ResourceCache

__all__ = ["NODE_PORTS", "ServiceReservations"]

Json = dict[str, Any]

#: A cluster IP, or a node port.
Taken = str | int

NODE_PORTS = (30000, 32767)


class ServiceReservations:
    """Gives each service its cluster IP and node ports; single stack, IPv4.

    Addresses asked for by name come from anywhere in the range; those chosen here avoid its first part, so that the
    fixed ones of a cluster (its DNS, its API) rarely clash: the rule of the original since 1.26.
    """

    def __init__(self, services: ResourceCache, cidr: str, ports: tuple[int, int] = NODE_PORTS) -> None:
        self.network = ipaddress.ip_network(cidr)
        size = self.network.num_addresses
        self._size = size - 2 if size > 2 else size
        self._static = min(max(16, size // 16), 256) if size > 32 else 0
        self._ports = ports
        #: Who holds an address or a port, and what each service holds.
        self._holder: dict[Taken, str] = {}
        self._held: dict[str, tuple[Taken, ...]] = {}
        for entry in services.objects.values():
            self._take(entry.key, entry.decode())
        services.on_change(self._changed)
        self._services = services

    def __call__(self, new: Json, old: Json | None) -> Callable[[bool], None] | None:
        """Fill in what the service needs; see `kaa.server.call.Reserve`."""
        spec = new.get("spec") or {}
        key = f"{new['metadata']['namespace']}/{new['metadata']['name']}"
        taken: list[Taken] = []

        def finish(done: bool) -> None:
            if done:
                return
            for each in taken:
                if self._holder.get(each) == key and each not in self._held.get(key, ()):
                    del self._holder[each]

        try:
            self._cluster_ip(new, key, spec, (old or {}).get("spec") or {}, taken)
            self._ports_of(new, key, spec, taken)
        except errors.StatusError:
            finish(False)
            raise
        return finish if taken else None

    # --- cluster IPs

    def _cluster_ip(self, new: Json, key: str, spec: Json, was: Json, taken: list[Taken]) -> None:
        if spec.get("type") == "ExternalName":
            return
        _check_families(new, spec)
        ip = spec.get("clusterIP") or ""
        if ip == "None":
            spec["clusterIPs"] = ["None"]
            return
        if not ip and was.get("type") not in (None, "ExternalName") and was.get("clusterIP"):
            ip = was["clusterIP"]
        if ip:
            self._check_ip(new, key, ip)
        else:
            ip = self._free_ip(new)
        self._holder[ip] = key
        taken.append(ip)
        spec["clusterIP"] = ip
        spec["clusterIPs"] = [ip]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _check_ip(self, new: Json, key: str, ip: str) -> None:
        path = Path("spec") / "clusterIPs"
        try:
            inside = ipaddress.ip_address(ip) in self.network
        except ValueError:
            inside = False
        if not inside:
            raise _refuse(new, invalid(path, [ip], "failed to allocate IP " + ip + ": the provided IP (" + ip +
                               f") is not in the valid range. The range of valid IPs is {self.network}"))  # fmt: skip
        if self._holder.get(ip, key) != key:
            raise _refuse(new, invalid(path, [ip], f"failed to allocate IP {ip}: provided IP is already allocated"))

    def _free_ip(self, new: Json) -> str:
        base = int(self.network.network_address) + 1
        dynamic = self._size - self._static
        start = ids.choice(range(dynamic))
        for step in range(self._size):
            # First around the dynamic part from a random place, then the part kept for fixed addresses.
            offset = self._static + (start + step) % dynamic if step < dynamic else step - dynamic
            ip = str(ipaddress.ip_address(base + offset))
            if ip not in self._holder:
                return ip
        raise errors.internal(f"failed to allocate a serviceIP: range {self.network} is full")

    # --- node ports

    def _ports_of(self, new: Json, key: str, spec: Json, taken: list[Taken]) -> None:
        wants = spec.get("type") == "NodePort" or (
            spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        ports = spec.get("ports") or []
        # Ports of one service that differ by protocol only share a node port.
        shared: dict[int, int] = {}
        for port in reversed(ports):
            if port.get("nodePort"):
                shared[port.get("port", 0)] = port["nodePort"]
        for index, port in enumerate(ports):
            number = port.get("nodePort") or 0
            if not number and not wants:
                continue
            number = number or shared.get(port.get("port", 0)) or self._free_port(ports)
            shared[port.get("port", 0)] = port["nodePort"] = number
            self._take_port(new, key, Path("spec") / "ports", index, number, taken)
        if spec.get("externalTrafficPolicy") == "Local" and spec.get("type") == "LoadBalancer":
            number = spec["healthCheckNodePort"] = spec.get("healthCheckNodePort") or self._free_port(ports)
            self._take_port(new, key, Path("spec"), None, number, taken)

    def _take_port(self, new: Json, key: str, path: Path, index: int | None, number: int, taken: list[Taken]) -> None:
        field = path[index] / "nodePort" if index is not None else path / "healthCheckNodePort"
        if not self._ports[0] <= number <= self._ports[1]:
            raise _refuse(new, invalid(field, number, "provided port is not in the valid range. The range of valid "
                                       f"ports is {self._ports[0]}-{self._ports[1]}"))  # fmt: skip
        holder = self._holder.setdefault(number, key)
        if holder != key:
            raise _refuse(new, invalid(field, number, "provided port is already allocated"))
        taken.append(number)

    def _free_port(self, ports: list[Json]) -> int:
        low, high = self._ports
        asked = {port.get("nodePort") for port in ports}
        start = ids.choice(range(low, high + 1))
        for step in range(high - low + 1):
            number = low + (start - low + step) % (high - low + 1)
            if number not in asked and number not in self._holder:
                return number
        raise errors.internal(f"failed to allocate a nodePort: range {low}-{high} is full")

    # --- following the services

    def _changed(self, change: Change) -> None:
        if change.old is not None:
            self._release(change.old.key)
        if change.new is not None:
            self._take(change.new.key, change.new.decode())

    def _release(self, key: str) -> None:
        for taken in self._held.pop(key, ()):
            if self._holder.get(taken) == key:
                del self._holder[taken]

    def _take(self, key: str, service: Json) -> None:
        spec = service.get("spec") or {}
        taken: list[Taken] = [ip for ip in spec.get("clusterIPs") or () if ip != "None"]
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                taken.append(port["nodePort"])
        if spec.get("healthCheckNodePort"):
            taken.append(spec["healthCheckNodePort"])
        if taken:
            self._held[key] = tuple(taken)
            for each in taken:
                self._holder[each] = key


def _check_families(service: Json, spec: Json) -> None:
    path = Path("spec")
    for at, family in enumerate(spec.get("ipFamilies") or ()):
        if family != "IPv4":
            raise _refuse(service, invalid((path / "ipFamilies")[at], family, "not configured on this cluster"))
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        raise _refuse(service, invalid(path / "ipFamilyPolicy", "RequireDualStack",
                                       "this cluster is not configured for dual-stack services"))  # fmt: skip


def _refuse(service: Json, problem: Problem) -> errors.StatusError:
    from kaa.meta.resource import Resource

    resource = Resource("", "v1", "services", "Service", True)
    return errors.invalid(resource, service["metadata"]["name"], [problem])
