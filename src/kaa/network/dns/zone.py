"""The names of a cluster, by the DNS specification 1.1.0 of Kubernetes. Pure.

Fed with services, endpoint slices and namespaces; asked with a name and a type. Every change raises `epoch`, which is
what the server's cache of finished answers lives by. TTL and SOA are those that kubeadm's configuration of CoreDNS
gives; where the specification is silent, the answer is CoreDNS's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from kaa.kinds.views import EndpointSlice, Service
from kaa.network.dns.wire import (
    AAAA,
    ANY,
    CNAME,
    NOERROR,
    NS,
    NXDOMAIN,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Name,
    Record,
    text_name,
)  # fmt: skip

__all__ = ["Answer", "Zone"]

SPEC_VERSION = "1.1.0"
TTL_SECONDS = 30
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_ADDRESS_TYPES = (A, AAAA)


@dataclass(slots=True)
class Answer:
    """What the zone says about a question."""

    rcode: int = NOERROR
    records: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    extra: list[Record] = field(default_factory=list)
    chase: Name | None = None
    """The records end in a CNAME to this name outside the zone; who asked for an address wants its addresses too."""


@dataclass(frozen=True, slots=True)
class _Target:
    """One endpoint of a headless service, by name."""

    hostname: str
    ip: str
    ports: tuple[tuple[str, str, int], ...]
    """(name, protocol, number)."""


class _Entry:
    """One service, ready to answer."""

    __slots__ = ("cluster_ips", "external", "headless", "ports", "targets")

    def __init__(self, service: Service, slices: Iterable[EndpointSlice]) -> None:
        spec = service.spec
        self.external = text_name(spec.external_name) if spec.type == "ExternalName" else None
        self.headless = self.external is None and spec.cluster_ip == "None"
        given = spec.cluster_ips or (spec.cluster_ip,)
        self.cluster_ips = () if self.headless or self.external is not None else tuple(ip for ip in given if ip)
        self.ports = tuple((p.name, p.protocol.lower(), p.port) for p in spec.ports)
        self.targets: dict[str, list[_Target]] = {}
        if self.external is None:
            # Of services with an address too: endpoints with a hostname have names, and PTR records.
            for target in _targets(slices, all_of_them=spec.publish_not_ready_addresses):
                self.targets.setdefault(target.hostname, []).append(target)

    def all_targets(self) -> Iterator[_Target]:
        for targets in self.targets.values():
            yield from targets


def _targets(slices: Iterable[EndpointSlice], *, all_of_them: bool) -> Iterator[_Target]:
    seen: set[tuple[str, str]] = set()
    for piece in slices:
        if piece.address_type == "FQDN":
            continue
        ports = tuple((p.name, p.protocol.lower(), p.port) for p in piece.ports if p.port is not None)
        for part in piece.endpoints:
            if part.conditions.ready is False and not all_of_them:
                continue
            for address in part.addresses:
                # CoreDNS names an endpoint without a hostname by its address.
                hostname = part.hostname.lower() or address.replace(".", "-").replace(":", "-")
                if (hostname, address) not in seen:
                    seen.add((hostname, address))
                    yield _Target(hostname, address, ports)


class Zone:
    """Names below `domain`, and the reverse names of what has one."""

    def __init__(self, domain: str = "cluster.local", *, dns_ips: Iterable[str] = (), serial: int = 1) -> None:
        """`dns_ips`: the addresses of the DNS service itself, which the NS record leads to."""
        self.domain = text_name(domain)
        self.dns_ips = tuple(dns_ips)
        self.epoch = 0
        """Raised by every change: an answer made under another epoch is stale."""
        self.namespaces: set[str] | None = None
        """Known namespaces; None until they are fed, and then only those that have services exist."""
        self._services: dict[tuple[str, str], Service] = {}
        self._slices: dict[tuple[str, str], dict[str, EndpointSlice]] = {}
        self._owner: dict[tuple[str, str], tuple[str, str]] = {}
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._reverse: dict[str, dict[tuple[str, str], Name]] = {}
        self._serial = serial

    # --- feeding --------------------------------------------------------------------------------------------------

    def set_service(self, service: Service) -> None:
        """A service was added or changed."""
        key = (service.namespace, service.name)
        self._services[key] = service
        self._remake(key)

    def delete_service(self, namespace: str, name: str) -> None:
        """A service is gone."""
        if self._services.pop((namespace, name), None) is not None:
            self._remake((namespace, name))

    def set_slice(self, piece: EndpointSlice) -> None:
        """An endpoint slice was added or changed."""
        at = (piece.namespace, piece.name)
        owner = (piece.namespace, piece.labels.get(SERVICE_NAME_LABEL, ""))
        if self._owner.get(at) != owner:
            self.delete_slice(*at)
        self._owner[at] = owner
        self._slices.setdefault(owner, {})[piece.name] = piece
        self._remake(owner)

    def delete_slice(self, namespace: str, name: str) -> None:
        """An endpoint slice is gone."""
        owner = self._owner.pop((namespace, name), None)
        if owner is None:
            return
        held = self._slices[owner]
        held.pop(name, None)
        if not held:
            del self._slices[owner]
        self._remake(owner)

    def set_namespace(self, name: str, *, exists: bool = True) -> None:
        """A namespace was added, or is gone."""
        self.namespaces = self.namespaces or set()
        (self.namespaces.add if exists else self.namespaces.discard)(name)
        self.epoch += 1

    def _remake(self, key: tuple[str, str]) -> None:
        namespace, name = key
        self.epoch += 1
        held = self._entries.setdefault(namespace, {})
        old = held.pop(name, None)
        if old is not None:
            for ip in {*old.cluster_ips, *(t.ip for t in old.all_targets())}:
                names = self._reverse.get(ip, {})
                names.pop(key, None)
                if not names:
                    self._reverse.pop(ip, None)
        service = self._services.get(key)
        if service is None:
            if not held:
                del self._entries[namespace]
            return
        entry = held[name] = _Entry(service, [p for _, p in sorted(self._slices.get(key, {}).items())])
        base = (name, namespace, "svc", *self.domain)
        for ip in entry.cluster_ips:
            self._reverse.setdefault(ip, {})[key] = base
        for target in entry.all_targets() if entry.headless else ():
            self._reverse.setdefault(target.ip, {})[key] = (target.hostname, *base)

    # --- answering ------------------------------------------------------------------------------------------------

    def covers(self, name: Name) -> bool:
        """The zone answers for this name: it is below the domain, or the reverse of a known address."""
        if name[-len(self.domain) :] == self.domain:
            return True
        address = reverse_address(name)
        return address is not None and address in self._reverse

    def answer(self, name: Name, type_: int) -> Answer:
        """The answer to a question that the zone covers, in lower case."""
        if name[-len(self.domain) :] != self.domain:
            return self._pointers(name, type_)
        found = self._look(name[: -len(self.domain)], name, type_)
        if found is None:
            return Answer(NXDOMAIN, authority=[self.soa()])
        if not found.records:
            found.authority = [self.soa()]
        return found

    def soa(self) -> Record:
        """The start of authority, which every negative answer carries."""
        data = (("ns", "dns", *self.domain), ("hostmaster", *self.domain), self._serial, 7200, 1800, 86400, TTL_SECONDS)
        return Record(self.domain, SOA, TTL_SECONDS, data)

    def _look(self, labels: Name, name: Name, type_: int) -> Answer | None:
        """None: no such name. An answer without records: the name exists, but nothing of this type."""
        match labels:
            case ():
                return self._apex(type_)
            case ("dns-version",):
                return _of_type(type_, [Record(name, TXT, TTL_SECONDS, SPEC_VERSION)])
            case ("dns",) | ("svc",) | ("pod",):
                return Answer()
            case ("ns", "dns"):
                return _of_type(type_, _addresses(name, self.dns_ips))
            case (namespace, "svc") | (namespace, "pod"):
                return Answer() if self._has_namespace(namespace) else None
            case (ip, namespace, "pod"):
                return self._pod(ip, namespace, name, type_)
            case (*before, service, namespace, "svc"):
                entry = self._entries.get(namespace, {}).get(service)
                return self._service(tuple(before), entry, name, type_) if entry is not None else None
        return None

    def _has_namespace(self, namespace: str) -> bool:
        return namespace in (self.namespaces if self.namespaces is not None else self._entries)

    def _apex(self, type_: int) -> Answer:
        nameserver = ("ns", "dns", *self.domain)
        found = _of_type(type_, [self.soa(), Record(self.domain, NS, TTL_SECONDS, nameserver)])
        if type_ in (NS, ANY):
            found.extra = _addresses(nameserver, self.dns_ips)
        return found

    def _pod(self, dashed: str, namespace: str, name: Name, type_: int) -> Answer | None:
        # As CoreDNS with `pods insecure`: any address is its own proof, in a namespace that exists.
        if not self._has_namespace(namespace):
            return None
        address = _undashed(dashed)
        return None if address is None else _of_type(type_, _addresses(name, [address]))

    def _service(self, before: Name, entry: _Entry, name: Name, type_: int) -> Answer | None:
        if entry.external is not None:
            return self._external(before, entry, name, type_)
        base = name[len(before) :]
        match before:
            case ():
                ips = [t.ip for t in entry.all_targets()] if entry.headless else entry.cluster_ips
                found = _of_type(type_, _addresses(name, dict.fromkeys(ips)))
                if type_ == SRV:
                    return self._srv(entry, name, base, "", "")
                # A headless service without endpoints has no name yet; CoreDNS says so as well.
                return None if entry.headless and not ips else found
            case (port, protocol) if port.startswith("_") and protocol.startswith("_"):
                found = self._srv(entry, name, base, port[1:], protocol[1:])
                if not found.records:
                    return None
                return found if type_ in (SRV, ANY) else Answer()
            case (protocol,) if protocol.startswith("_"):
                # An empty name between: it exists while something below it does.
                return Answer() if any(p == protocol[1:] and n for n, p, _ in _ports(entry)) else None
            case (hostname,):
                targets = entry.targets.get(hostname)
                return None if targets is None else _of_type(type_, _addresses(name, [t.ip for t in targets]))
        return None

    def _external(self, before: Name, entry: _Entry, name: Name, type_: int) -> Answer | None:
        if before:
            return None
        assert entry.external is not None
        found = Answer(records=[Record(name, CNAME, TTL_SECONDS, entry.external)])
        if type_ not in _ADDRESS_TYPES:
            return found
        target = entry.external
        # One step inside the zone, which may be an ExternalName again: bounded, since two may name each other.
        for _ in range(8):
            if target[-len(self.domain) :] != self.domain:
                found.chase = target
                return found
            inner = self._look_plain(target, type_)
            found.records += inner
            if not inner or inner[-1].type != CNAME:
                return found
            target = inner[-1].data  # type: ignore[assignment]
        return found

    def _look_plain(self, name: Name, type_: int) -> list[Record]:
        match name[: -len(self.domain)]:
            case (service, namespace, "svc"):
                entry = self._entries.get(namespace, {}).get(service)
                if entry is not None and entry.external is not None:
                    return [Record(name, CNAME, TTL_SECONDS, entry.external)]
        answer = self._look(name[: -len(self.domain)], name, type_)
        return answer.records if answer else []

    def _srv(self, entry: _Entry, name: Name, base: Name, port: str, protocol: str) -> Answer:
        """SRV records of one port, or of all (an empty `port`), with the addresses that they lead to."""
        wanted = [p for p in _ports(entry) if not port or (p[0], p[1]) == (port, protocol)]
        found = Answer()
        if not entry.headless:
            leads = [(number, base) for _, _, number in wanted]
            found.extra = _addresses(base, entry.cluster_ips) if leads else []
        else:
            leads = []
            for target in entry.all_targets():
                at = (target.hostname, *base)
                numbers = [n for name_, proto, n in target.ports if not port or (name_, proto) == (port, protocol)]
                leads += [(number, at) for number in numbers]
                if numbers:
                    found.extra += _addresses(at, [target.ip])
        leads = list(dict.fromkeys(leads))
        weight = max(1, 100 // len(leads)) if leads else 0
        found.records = [Record(name, SRV, TTL_SECONDS, (0, weight, number, at)) for number, at in leads]
        return found

    def _pointers(self, name: Name, type_: int) -> Answer:
        address = reverse_address(name)
        names = self._reverse.get(address or "", {})
        records = [Record(name, PTR, TTL_SECONDS, names[key]) for key in sorted(names)]
        found = _of_type(type_, records)
        if not found.records:
            found.rcode = NOERROR if records else NXDOMAIN
            found.authority = [self.soa()]
        return found


def _ports(entry: _Entry) -> Iterable[tuple[str, str, int]]:
    if not entry.headless:
        return entry.ports
    return dict.fromkeys(port for target in entry.all_targets() for port in target.ports)


def _addresses(name: Name, ips: Iterable[str]) -> list[Record]:
    return [Record(name, AAAA if ":" in ip else A, TTL_SECONDS, ip) for ip in ips]


def _of_type(type_: int, records: list[Record]) -> Answer:
    return Answer(records=[r for r in records if type_ in (r.type, ANY)])


def _undashed(label: str) -> str | None:
    """`1-2-3-4` -> `1.2.3.4`, `fd00--1` -> `fd00::1`; None for anything else."""
    for text in (label.replace("-", "."), label.replace("-", ":")):
        try:
            return str(ip_address(text))
        except ValueError:
            continue
    return None


def reverse_address(name: Name) -> str | None:
    """The address that a reverse name is about: `4.3.2.1.in-addr.arpa` -> `1.2.3.4`."""
    try:
        if name[-2:] == ("in-addr", "arpa") and len(name) == 6:
            return str(ip_address(".".join(reversed(name[:4]))))
        if name[-2:] == ("ip6", "arpa") and len(name) == 34:
            digits = "".join(reversed(name[:32]))
            return str(ip_address(":".join(digits[i : i + 4] for i in range(0, 32, 4))))
    except ValueError:
        pass
    return None
