"""EndpointSlices: some of the addresses behind a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.core.addresses import non_special_ip
from kaa.kinds.metadata import labels
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, internal_problem, invalid, not_supported, required, too_many

__all__ = ["RULES"]

Json = dict[str, Any]
_ROOT = Path()
PROTOCOLS = ("SCTP", "TCP", "UDP")
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
ENDPOINTS_MAX = 1000
ADDRESSES_MAX = 100
PORTS_MAX = 20000
TOPOLOGY_MAX = 16
HINTS_MAX = 8
ZONE_LABEL = "topology.kubernetes.io/zone"


def _default(obj: Json) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _validate(obj: Json) -> Iterator[Problem]:
    kind = obj.get("addressType", "")
    if not kind:
        yield required(_ROOT / "addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported(_ROOT / "addressType", kind, ADDRESS_TYPES)
    yield from _ports(obj.get("ports") or [], _ROOT / "ports")
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > ENDPOINTS_MAX:
        yield too_many(_ROOT / "endpoints", len(endpoints), ENDPOINTS_MAX)
        return
    for at, each in enumerate(endpoints):
        yield from _endpoint(each, kind, (_ROOT / "endpoints")[at])


def _ports(ports: list[Json], path: Path) -> Iterator[Problem]:
    if len(ports) > PORTS_MAX:
        yield too_many(path, len(ports), PORTS_MAX)
        return
    seen: set[str] = set()
    for at, port in enumerate(ports):
        here = path[at]
        name, protocol = port.get("name") or "", port.get("protocol")
        if name:
            yield from formats.each_wrong(names.dns1123_label, name, here / "name")
        if name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
        if protocol is None:
            yield required(here / "protocol")
        elif protocol not in PROTOCOLS:
            yield not_supported(here / "protocol", protocol, PROTOCOLS)
        if port.get("appProtocol") is not None:
            yield from formats.label_name(port["appProtocol"], here / "appProtocol")


def _endpoint(each: Json, kind: str, path: Path) -> Iterator[Problem]:
    addresses = each.get("addresses") or ()
    if not addresses:
        yield required(path / "addresses", "must contain at least 1 address")
    elif len(addresses) > ADDRESSES_MAX:
        yield too_many(path / "addresses", len(addresses), ADDRESSES_MAX)
    for at, address in enumerate(addresses):
        here = (path / "addresses")[at]
        if kind == "FQDN":
            yield from formats.fully_qualified_domain(address, here)
        elif kind in ("IPv4", "IPv6"):
            yield from _address(address, kind, here)
    if each.get("nodeName") is not None:
        yield from formats.node_name(each["nodeName"], path / "nodeName")
    topology = each.get("deprecatedTopology") or {}
    here = path / "deprecatedTopology"
    if len(topology) > TOPOLOGY_MAX:
        yield too_many(here, len(topology), TOPOLOGY_MAX)
    yield from labels(topology, here)
    if ZONE_LABEL in topology:
        yield internal_problem(here[ZONE_LABEL], "reserved key was not removed in conversion")
    if each.get("hostname") is not None:
        yield from formats.each_wrong(names.dns1123_label, each["hostname"], path / "hostname")
    if each.get("hints") is not None:
        for field in ("forZones", "forNodes"):
            yield from _hints(each["hints"].get(field) or (), field, path / "hints" / field)


def _address(value: str, kind: str, path: Path) -> Iterator[Problem]:
    if not checks.is_ip(value) or (":" in value) != (kind == "IPv6"):
        yield invalid(path, value, f"must be a valid {kind} address")
    yield from non_special_ip(value, path)


def _hints(hints: Any, field: str, path: Path) -> Iterator[Problem]:
    if len(hints) > HINTS_MAX:
        yield too_many(path, len(hints), HINTS_MAX)
        return
    seen: set[str] = set()
    for at, each in enumerate(hints):
        name, here = each.get("name", ""), path[at] / "name"
        if name in seen:
            yield duplicate(here, name)
        seen.add(name)
        yield from formats.each_wrong(names.label_value if field == "forZones" else names.dns1123_subdomain, name, here)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "addressType", _ROOT)


def _some(values: list[str]) -> str:
    """The first three, and how many more there are."""
    if not values:
        return "<unset>"
    text = ",".join(values[:3])
    return f"{text} + {len(values) - 3} more..." if len(values) > 3 else text or "<unset>"


def _port_text(port: Json) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return port["name"] if port.get("name") is not None else "*"


def _cells(obj: Json, now: float) -> list[Any]:
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    return [
        obj["metadata"].get("name", ""),
        obj.get("addressType", ""),
        _some([_port_text(port) for port in obj.get("ports") or ()]),
        _some(addresses),
        printing.age(obj, now),
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("AddressType", description="what its addresses are: IPv4, IPv6 or names"),
        Column("Ports", description="the ports the endpoints serve"),
        Column("Endpoints", description="their addresses"),
        AGE_COLUMN,
    ),
    cells=_cells,
)
