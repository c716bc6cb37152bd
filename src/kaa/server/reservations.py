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
        self._ips: dict[str, str] = {}
        self._node_ports: dict[tuple[int, str], str] = {}
        for entry in services.objects.values():
            self._take(entry.key, entry.decode())
        services.on_change(self._changed)
        self._services = services

    def __call__(self, new: Json, old: Json | None) -> Callable[[bool], None] | None:
        """Fill in what the service needs; see `kaa.server.call.Reserve`."""
        spec = new.get("spec") or {}
        key = f"{new['metadata']['namespace']}/{new['metadata']['name']}"
        taken_ips: list[str] = []
        taken_ports: list[tuple[int, str]] = []

        def finish(done: bool) -> None:
            if done:
                return
            for ip in taken_ips:
                self._ips.pop(ip, None)
            for port in taken_ports:
                self._node_ports.pop(port, None)

        try:
            self._cluster_ip(new, key, spec, (old or {}).get("spec") or {}, taken_ips)
            self._ports_of(new, key, spec, taken_ports)
        except errors.StatusError:
            finish(False)
            raise
        return finish if taken_ips or taken_ports else None

    # --- cluster IPs

    def _cluster_ip(self, new: Json, key: str, spec: Json, was: Json, taken: list[str]) -> None:
        if spec.get("type") == "ExternalName":
            return
        ip = spec.get("clusterIP") or ""
        if ip == "None":
            spec["clusterIPs"] = ["None"]
            return
        if not ip and was.get("type") not in (None, "ExternalName") and was.get("clusterIP"):
            ip = was["clusterIP"]
        if ip:
            self._check_ip(new, key, ip)
            if ip not in self._ips:
                self._ips[ip] = key
                taken.append(ip)
        else:
            ip = self._free_ip(new)
            self._ips[ip] = key
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
        if self._ips.get(ip, key) != key:
            raise _refuse(new, invalid(path, [ip], f"failed to allocate IP {ip}: provided IP is already allocated"))

    def _free_ip(self, new: Json) -> str:
        base = int(self.network.network_address) + 1
        dynamic = self._size - self._static
        start = ids.choice(range(dynamic))
        for step in range(self._size):
            # First around the dynamic part from a random place, then the part kept for fixed addresses.
            offset = self._static + (start + step) % dynamic if step < dynamic else step - dynamic
            ip = str(ipaddress.ip_address(base + offset))
            if ip not in self._ips:
                return ip
        raise errors.internal(f"failed to allocate a serviceIP: range {self.network} is full")

    # --- node ports

    def _ports_of(self, new: Json, key: str, spec: Json, taken: list[tuple[int, str]]) -> None:
        wants = spec.get("type") == "NodePort" or (
            spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        ports = spec.get("ports") or []
        for index, port in enumerate(ports):
            protocol = port.get("protocol", "TCP")
            number = port.get("nodePort") or 0
            if not number and not wants:
                continue
            if number:
                holder = self._node_ports.get((number, protocol))
                path = Path("spec") / "ports"
                if not self._ports[0] <= number <= self._ports[1]:
                    raise _refuse(new, invalid(path[index] / "nodePort", number, "provided port is not in the valid "
                                  f"range. The range of valid ports is {self._ports[0]}-{self._ports[1]}"))  # fmt: skip
                if holder is not None and holder != key:
                    raise _refuse(new, invalid(path[index] / "nodePort", number, "provided port is already allocated"))
                if holder is None:
                    self._node_ports[number, protocol] = key
                    taken.append((number, protocol))
                continue
            port["nodePort"] = number = self._free_port(protocol, ports)
            self._node_ports[number, protocol] = key
            taken.append((number, protocol))
        if spec.get("externalTrafficPolicy") == "Local" and spec.get("type") == "LoadBalancer":
            if not spec.get("healthCheckNodePort"):
                spec["healthCheckNodePort"] = self._free_port("TCP", ports)
            number = spec["healthCheckNodePort"]
            if (number, "TCP") not in self._node_ports:
                self._node_ports[number, "TCP"] = key
                taken.append((number, "TCP"))

    def _free_port(self, protocol: str, ports: list[Json]) -> int:
        # Ports of one service that differ by protocol only share a node port, as in the original.
        low, high = self._ports
        asked = {port.get("nodePort") for port in ports}
        start = ids.choice(range(low, high + 1))
        for step in range(high - low + 1):
            number = low + (start - low + step) % (high - low + 1)
            if number not in asked and not any((number, each) in self._node_ports for each in ("TCP", "UDP", "SCTP")):
                return number
        raise errors.internal(f"failed to allocate a nodePort: range {low}-{high} is full")

    # --- following the services

    def _changed(self, change: Change) -> None:
        if change.old is not None:
            self._release(change.old.key)
        if change.new is not None:
            self._take(change.new.key, change.new.decode())

    def _release(self, key: str) -> None:
        for ip in [ip for ip, holder in self._ips.items() if holder == key]:
            del self._ips[ip]
        for port in [port for port, holder in self._node_ports.items() if holder == key]:
            del self._node_ports[port]

    def _take(self, key: str, service: Json) -> None:
        spec = service.get("spec") or {}
        for ip in spec.get("clusterIPs") or ():
            if ip != "None":
                self._ips[ip] = key
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                self._node_ports[port["nodePort"], port.get("protocol", "TCP")] = key
        if spec.get("healthCheckNodePort"):
            self._node_ports[spec["healthCheckNodePort"], "TCP"] = key


def _refuse(service: Json, problem: Problem) -> errors.StatusError:
    from kaa.meta.resource import Resource

    resource = Resource("", "v1", "services", "Service", True)
    return errors.invalid(resource, service["metadata"]["name"], [problem])
