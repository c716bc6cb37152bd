"""Services and endpoint slices, compiled to one model that every backend renders. Pure.

The rules for which endpoints take traffic are those of the original's proxy: ready ones; when none is ready, those that
still serve while they terminate; for a Local policy only those of this node; and hints narrow the cluster-wide choice.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kaa.kinds.views import EndpointSlice, Service
from kaa.kinds.views.net import EndpointPart

__all__ = ["Compiler", "Endpoint", "HealthCheck", "Model", "Selection", "ServicePort", "compile_model", "select"]

HEADLESS_LABEL = "service.kubernetes.io/headless"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
AFFINITY_SECONDS_DEFAULT = 10800

PortKey = tuple[str, str, str, str]
"""namespace, service, port name, protocol: what identifies a service port."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a service port."""

    ip: str
    port: int
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False
    preferred: bool = True
    """Hints don't lead this node elsewhere: it is among those that the cluster-wide choice is narrowed to."""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one service, with everything a backend needs. Equal values need no change in the kernel."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    """`TCP`, `UDP` or `SCTP`."""
    port: int
    cluster_ips: tuple[str, ...] = ()
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    """Who may use the load balancer addresses; empty means anybody."""
    affinity_seconds: int | None = None
    """ClientIP affinity lasts this long after the last connection; None means no affinity."""
    external_policy: str = "Cluster"
    internal_policy: str = "Cluster"
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def key(self) -> PortKey:
        """What identifies this service port."""
        return (self.namespace, self.name, self.port_name, self.protocol)

    @property
    def external_local(self) -> bool:
        """Traffic from outside may only reach endpoints of the node that it arrived at."""
        return self.external_policy == "Local"

    @property
    def internal_local(self) -> bool:
        """Traffic from pods may only reach endpoints of their own node."""
        return self.internal_policy == "Local"

    @property
    def external(self) -> bool:
        """Reachable from outside the cluster by some address or port."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What a load balancer is told about a service with externalTrafficPolicy Local on this node."""

    port: int
    local_endpoints: int


@dataclass(frozen=True, slots=True)
class Model:
    """Every service port that the node must serve. Never changed after it was made."""

    ports: Mapping[PortKey, ServicePort] = field(default_factory=dict)
    health_checks: Mapping[tuple[str, str], HealthCheck] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """The endpoints of one address family that take traffic.

    `internal` and `external` follow the service's policies; `cluster` ignores them. An empty choice with
    `anywhere` true means that only other nodes have endpoints: such traffic is dropped rather than rejected.
    """

    cluster: tuple[Endpoint, ...]
    internal: tuple[Endpoint, ...]
    external: tuple[Endpoint, ...]

    @property
    def anywhere(self) -> bool:
        """Some endpoint can be reached by some way."""
        return bool(self.cluster or self.internal or self.external)


def is_ipv6(address: str) -> bool:
    """Of an address or a CIDR."""
    return ":" in address


def select(port: ServicePort, *, ipv6: bool = False) -> Selection:
    """The endpoints of one family that take traffic on this node."""
    family = tuple(e for e in port.endpoints if is_ipv6(e.ip) == ipv6)
    cluster = tuple(e for e in _available(family) if e.preferred)
    if not (port.internal_local or (port.external_local and port.external)):
        return Selection(cluster, cluster, cluster)
    local = _available(tuple(e for e in family if e.local))
    return Selection(cluster, local if port.internal_local else cluster, local if port.external_local else cluster)


def _available(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    ready = tuple(e for e in endpoints if e.ready)
    return ready or tuple(e for e in endpoints if e.serving and e.terminating)


def _away(parts: Iterable[tuple[Endpoint, EndpointPart]], node: str, zone: str) -> set[tuple[str, int]]:
    """The (address, port) that hints keep this node from using; the usable ones of each family are judged together.

    Hints count only when every usable endpoint has them and some name this node, or its zone: half a set would
    overload what it names.
    """
    parts = list(parts)
    away: set[tuple[str, int]] = set()
    for ipv6 in (False, True):
        family = tuple(e for e, _ in parts if is_ipv6(e.ip) == ipv6)
        usable = set(_available(family))
        hints = [(e, part.hints or {}) for e, part in parts if e in usable]
        for field_name, mine in (("forNodes", node), ("forZones", zone)):
            named = [(e, {h.get("name") for h in hint.get(field_name) or ()}) for e, hint in hints]
            if mine and named and all(names for _, names in named) and any(mine in names for _, names in named):
                away.update((e.ip, e.port) for e, names in named if mine not in names)
                break
    return away


class Compiler:
    """Keeps the model up to date, one object at a time; work is proportional to what changed.

    Unchanged service ports stay the same Python object from model to model, so that a backend finds the difference by
    identity first.
    """

    def __init__(self, node: str, zone: str = "") -> None:
        self.node, self.zone = node, zone
        self._services: dict[tuple[str, str], Service] = {}
        self._slices: dict[tuple[str, str], EndpointSlice] = {}
        self._slices_of: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self._ports: dict[tuple[str, str], tuple[ServicePort, ...]] = {}
        self._dirty: set[tuple[str, str]] = set()
        self._model = Model()

    def set_zone(self, zone: str) -> None:
        """The node's label topology.kubernetes.io/zone became known, or another."""
        if zone != self.zone:
            self.zone = zone
            self._dirty.update(self._services)

    def set_service(self, service: Service) -> None:
        """A service was added or changed."""
        key = (service.namespace, service.name)
        self._services[key] = service
        self._dirty.add(key)

    def delete_service(self, namespace: str, name: str) -> None:
        """A service is gone."""
        self._services.pop((namespace, name), None)
        self._dirty.add((namespace, name))

    def set_slice(self, piece: EndpointSlice) -> None:
        """An endpoint slice was added or changed; its label names the service it belongs to."""
        key = (piece.namespace, piece.name)
        self._forget(key)
        if not (service := _service_of(piece)):
            return
        self._slices[key] = piece
        self._slices_of.setdefault(service, set()).add(key)
        self._dirty.add(service)

    def delete_slice(self, namespace: str, name: str) -> None:
        """An endpoint slice is gone."""
        self._forget((namespace, name))

    def _forget(self, key: tuple[str, str]) -> None:
        old = self._slices.pop(key, None)
        if old is None or not (service := _service_of(old)):
            return
        held = self._slices_of.get(service, set())
        held.discard(key)
        if not held:
            self._slices_of.pop(service, None)
        self._dirty.add(service)

    def model(self) -> Model:
        """The model of what was set until now."""
        if not self._dirty:
            return self._model
        ports = dict(self._model.ports)
        checks = dict(self._model.health_checks)
        for key in self._dirty:
            before = {p.key: p for p in self._ports.pop(key, ())}
            service = self._services.get(key)
            made: tuple[ServicePort, ...] = ()
            checks.pop(key, None)
            if service is not None:
                slices = [self._slices[k] for k in sorted(self._slices_of.get(key, ()))]
                made = tuple(_compile(service, slices, self.node, self.zone))
                if check := _health_check(service, made):
                    checks[key] = check
            # An equal port keeps its identity.
            kept = tuple(before[p.key] if before.get(p.key) == p else p for p in made)
            for port_key in before:
                ports.pop(port_key, None)
            for port in kept:
                ports[port.key] = port
            if kept:
                self._ports[key] = kept
        self._dirty.clear()
        self._model = Model(ports, checks)
        return self._model


def compile_model(services: Iterable[Service], slices: Iterable[EndpointSlice], node: str, zone: str = "") -> Model:
    """The model of these objects, as `node` must serve it."""
    compiler = Compiler(node, zone)
    for service in services:
        compiler.set_service(service)
    for piece in slices:
        compiler.set_slice(piece)
    return compiler.model()


def _service_of(piece: EndpointSlice) -> tuple[str, str] | None:
    name = piece.labels.get(SERVICE_NAME_LABEL)
    if not name or piece.address_type == "FQDN" or HEADLESS_LABEL in piece.labels:
        return None
    return (piece.namespace, name)


def is_proxied(service: Service) -> bool:
    """This service has virtual addresses that the node must serve: not headless, not ExternalName, not another's."""
    ip = service.spec.cluster_ip
    if service.spec.type == "ExternalName" or ip in ("", "None"):
        return False
    return PROXY_NAME_LABEL not in service.labels and HEADLESS_LABEL not in service.labels


def _compile(service: Service, slices: list[EndpointSlice], node: str, zone: str) -> Iterable[ServicePort]:
    if not is_proxied(service):
        return
    spec = service.spec
    affinity = None
    if spec.session_affinity == "ClientIP":
        config = (spec.session_affinity_config or {}).get("clientIP") or {}
        affinity = int(config.get("timeoutSeconds") or AFFINITY_SECONDS_DEFAULT)
    balanced = spec.type == "LoadBalancer"
    # A load balancer in Proxy mode forwards to the node ports itself: its address is not ours to catch.
    ingress = service.status.load_balancer.ingress if balanced else ()
    balancer_ips = tuple(i.ip for i in ingress if i.ip and i.ip_mode in (None, "VIP"))
    for port in spec.ports:
        yield ServicePort(
            namespace=service.namespace,
            name=service.name,
            port_name=port.name,
            protocol=port.protocol,
            port=port.port,
            cluster_ips=spec.cluster_ips or (spec.cluster_ip,),
            node_port=port.node_port if spec.type in ("NodePort", "LoadBalancer") else 0,
            external_ips=spec.external_ips,
            load_balancer_ips=balancer_ips,
            source_ranges=_ranges(spec.load_balancer_source_ranges) if balanced else (),
            affinity_seconds=affinity,
            external_policy=spec.external_traffic_policy or "Cluster",
            internal_policy=spec.internal_traffic_policy or "Cluster",
            endpoints=_endpoints(port.name, port.protocol, slices, node, zone),
        )


def _ranges(ranges: tuple[str, ...]) -> tuple[str, ...]:
    # Normalised, because backends compare and nftables refuses host bits.
    found = []
    for text in ranges:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError:
            continue  # refused by the API server's validation; an old object may still carry it
    return tuple(found)


def _endpoints(
    port_name: str, protocol: str, slices: list[EndpointSlice], node: str, zone: str
) -> tuple[Endpoint, ...]:
    found: dict[tuple[str, int], tuple[Endpoint, EndpointPart]] = {}
    for piece in slices:
        for port in piece.ports:
            if port.name != port_name or port.protocol != protocol or port.port is None:
                continue
            for part in piece.endpoints:
                if not part.addresses:
                    continue
                endpoint = _endpoint(part, port.port, node)
                at = (endpoint.ip, endpoint.port)
                # While a pod moves between slices it is in both: what is ready counts.
                if at not in found or (endpoint.ready and not found[at][0].ready):
                    found[at] = (endpoint, part)
    away = _away(found.values(), node, zone) if any(part.hints for _, part in found.values()) else ()
    return tuple(replace(found[at][0], preferred=False) if at in away else found[at][0] for at in sorted(found))


def _endpoint(part: EndpointPart, port: int, node: str) -> Endpoint:
    conditions = part.conditions
    ready = conditions.ready is not False
    return Endpoint(
        ip=part.addresses[0],
        port=port,
        node=part.node_name,
        ready=ready,
        serving=ready if conditions.serving is None else conditions.serving,
        terminating=bool(conditions.terminating),
        local=bool(part.node_name) and part.node_name == node,
    )


def _health_check(service: Service, ports: tuple[ServicePort, ...]) -> HealthCheck | None:
    spec = service.spec
    if spec.type != "LoadBalancer" or spec.external_traffic_policy != "Local" or not spec.health_check_node_port:
        return None
    local = {e.ip for p in ports for e in p.endpoints if e.local and e.ready}
    return HealthCheck(spec.health_check_node_port, len(local))
