"""Endpoints and EndpointSlices: which addresses stand behind a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.core.addresses import non_special_ip
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, invalid, not_supported, required, too_many

__all__ = ["RULES", "SLICE"]

Json = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
ENDPOINTS_MAX = 1000
PORTS_MAX = 20000


def _default(obj: Json) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"


def _validate(obj: Json) -> Iterator[Problem]:
    for at, subset in enumerate(obj.get("subsets") or ()):
        here = (Path() / "subsets")[at]
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(here, "must specify `addresses` or `notReadyAddresses`")
        for kind in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(kind) or ()):
                where = (here / kind)[place]
                ip = address.get("ip", "")
                yield from checks.ip_address(ip, where / "ip")
                if address.get("hostname"):
                    for wrong in names.dns1123_label(address["hostname"]):
                        yield invalid(where / "hostname", address["hostname"], wrong)
                if address.get("nodeName"):
                    for wrong in names.dns1123_subdomain(address["nodeName"]):
                        yield invalid(where / "nodeName", address["nodeName"], wrong)
                yield from non_special_ip(ip, where / "ip")
        ports = subset.get("ports") or ()
        for place, port in enumerate(ports):
            where = (here / "ports")[place]
            name = port.get("name", "")
            if not name and len(ports) > 1:
                yield required(where / "name")
            for wrong in names.dns1123_label(name) if name else ():
                yield invalid(where / "name", name, wrong)
            for wrong in names.port_number(port.get("port", 0)):
                yield invalid(where / "port", port.get("port", 0), wrong)
            yield from checks.one_of(port, "protocol", PROTOCOLS, where, needed=True)
            if port.get("appProtocol") is not None:
                for wrong in names.qualified_name(port["appProtocol"]):
                    yield invalid(where / "appProtocol", port["appProtocol"], wrong)


def _shown(subsets: list[Json]) -> str:
    if not subsets:
        return "<none>"
    out: list[str] = []
    for subset in subsets:
        addresses = [each.get("ip", "") for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            out += addresses
        for port in ports:
            out += [f"[{ip}]:{port.get('port')}" if ":" in ip else f"{ip}:{port.get('port')}" for ip in addresses]
    text = ",".join(out[:3])
    return f"{text} + {len(out) - 3} more..." if len(out) > 3 else text


def _warnings(_obj: Json, _old: Json | None) -> Iterator[str]:
    yield "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


RULES = Rules(
    default=_default,
    validate=_validate,
    warnings=_warnings,
    allow_create_on_update=True,
    columns=(NAME_COLUMN, Column("Endpoints"), AGE_COLUMN),
    cells=lambda obj, now: [obj["metadata"].get("name", ""), _shown(obj.get("subsets") or []), printing.age(obj, now)],
)


def _slice_default(obj: Json) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _slice_validate(obj: Json) -> Iterator[Problem]:
    kind = obj.get("addressType", "")
    if not kind:
        yield required(Path() / "addressType")
    elif kind not in ("FQDN", "IPv4", "IPv6"):
        yield not_supported(Path() / "addressType", kind, ("FQDN", "IPv4", "IPv6"))
    endpoints, ports = obj.get("endpoints") or [], obj.get("ports") or []
    if len(endpoints) > ENDPOINTS_MAX:
        yield too_many(Path() / "endpoints", len(endpoints), ENDPOINTS_MAX)
        return
    for at, each in enumerate(endpoints):
        here = (Path() / "endpoints")[at]
        addresses = each.get("addresses") or ()
        if not addresses:
            yield required(here / "addresses", "must contain at least 1 address")
        elif len(addresses) > 100:
            yield too_many(here / "addresses", len(addresses), 100)
        for place, address in enumerate(addresses):
            where = (here / "addresses")[place]
            if kind == "FQDN":
                for wrong in names.dns1123_subdomain(address):
                    yield invalid(where, address, wrong)
            elif kind in ("IPv4", "IPv6"):
                if not checks.is_ip(address) or (":" in address) != (kind == "IPv6"):
                    yield invalid(where, address, f"must be a valid {kind} address")
                else:
                    yield from non_special_ip(address, where)
        if each.get("nodeName"):
            for wrong in names.dns1123_subdomain(each["nodeName"]):
                yield invalid(here / "nodeName", each["nodeName"], wrong)
        if each.get("hostname"):
            for wrong in names.dns1123_label(each["hostname"]):
                yield invalid(here / "hostname", each["hostname"], wrong)
    if len(ports) > PORTS_MAX:
        yield too_many(Path() / "ports", len(ports), PORTS_MAX)
        return
    seen: set[str] = set()
    for at, port in enumerate(ports):
        here = (Path() / "ports")[at]
        name = port.get("name") or ""
        for wrong in names.dns1123_label(name) if name else ():
            yield invalid(here / "name", name, wrong)
        if name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
        yield from checks.one_of(port, "protocol", PROTOCOLS, here, needed=True)
        if port.get("port") is not None:
            for wrong in names.port_number(port["port"]):
                yield invalid(here / "port", port["port"], wrong)


def _slice_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "addressType", Path())


def _some(values: list[str]) -> str:
    if not values:
        return "<unset>"
    text = ",".join(values[:3])
    return f"{text} + {len(values) - 3} more..." if len(values) > 3 else text


def _slice_cells(obj: Json, now: float) -> list[Any]:
    ports = [str(port["port"]) if port.get("port") is not None else "*" for port in obj.get("ports") or ()]
    addresses = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    return [
        obj["metadata"].get("name", ""),
        obj.get("addressType", ""),
        _some(ports),
        _some(addresses),
        printing.age(obj, now),
    ]


SLICE = Rules(
    default=_slice_default,
    validate=_slice_validate,
    validate_update=_slice_update,
    generation=True,
    columns=(NAME_COLUMN, Column("AddressType"), Column("Ports"), Column("Endpoints"), AGE_COLUMN),
    cells=_slice_cells,
)
