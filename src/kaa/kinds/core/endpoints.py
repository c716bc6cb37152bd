"""Endpoints: which addresses stand behind a service, in the old form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.core.addresses import non_special_ip
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["RULES"]

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
