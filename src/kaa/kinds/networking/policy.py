"""NetworkPolicies; and address ranges, ServiceCIDRs and IPAddresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import format_selector
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["IP_ADDRESS", "RULES", "SERVICE_CIDR"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    for way in ("ingress", "egress"):
        for rule in spec.get(way) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from checks.label_selector(spec.get("podSelector"), _SPEC / "podSelector")
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(spec.get(way) or ()):
            here = (_SPEC / way)[at]
            for place, port in enumerate(rule.get("ports") or ()):
                yield from _port(port, (here / "ports")[place])
            for place, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, (here / peers)[place])
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        yield invalid(_SPEC / "policyTypes", kinds, "may not specify more than two policyTypes")
    for at, kind in enumerate(kinds):
        if kind not in ("Egress", "Ingress"):
            yield not_supported((_SPEC / "policyTypes")[at], kind, ("Egress", "Ingress"))


def _port(port: Json, path: Path) -> Iterator[Problem]:
    yield from checks.one_of(port, "protocol", ("SCTP", "TCP", "UDP"), path)
    number, end = port.get("port"), port.get("endPort")
    if number is not None:
        yield from checks.port_name_or_number(number, path / "port")
        if end is not None:
            if isinstance(number, str):
                yield invalid(path / "endPort", end, "may not be specified when `port` is non-numeric")
            else:
                if end < number:
                    yield invalid(path / "endPort", end, "must be greater than or equal to `port`")
                for wrong in names.port_number(end):
                    yield invalid(path / "endPort", end, wrong)
    elif end is not None:
        yield required(path / "port", "must be specified when `endPort` is specified")


def _peer(peer: Json, path: Path) -> Iterator[Problem]:
    selectors = 0
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            selectors += 1
            yield from checks.label_selector(peer[name], path / name)
    block = peer.get("ipBlock")
    if block is not None:
        here = path / "ipBlock"
        if not block.get("cidr"):
            yield required(here / "cidr")
        else:
            found = list(checks.cidr(block["cidr"], here / "cidr"))
            yield from found
            for at, each in enumerate(block.get("except") or ()):
                where = (here / "except")[at]
                wrong = list(checks.cidr(each, where))
                yield from wrong
                if not wrong and not found:
                    outer = ipaddress.ip_network(block["cidr"], strict=False)
                    inner = ipaddress.ip_network(each, strict=False)
                    if inner.version != outer.version or inner == outer or not inner.subnet_of(outer):  # type: ignore[arg-type]
                        yield invalid(where, each, "must be a strict subset of `cidr`")
    if selectors and block is not None:
        yield forbidden_field(path, "may not specify both ipBlock and another peer")
    elif not selectors and block is None:
        yield required(path, "must specify a peer")


def _selector(obj: Json) -> str:
    return format_selector((obj.get("spec") or {}).get("podSelector") or {})


RULES = Rules(
    default=_default,
    validate=_validate,
    generation=True,
    columns=(NAME_COLUMN, Column("Pod-Selector"), AGE_COLUMN),
    cells=lambda obj, now: [obj["metadata"].get("name", ""), _selector(obj), printing.age(obj, now)],
)


def _range_validate(obj: Json) -> Iterator[Problem]:
    ranges = (obj.get("spec") or {}).get("cidrs") or []
    path = _SPEC / "cidrs"
    if not ranges:
        yield required(path, "at least one CIDR required")
    if len(ranges) > 2:
        yield invalid(path, ranges, "may only hold up to 2 values")
    for at, each in enumerate(ranges):
        yield from checks.cidr(each, path[at])
    if len(ranges) == 2 and (":" in ranges[0]) == (":" in ranges[1]):
        yield invalid(
            path, ranges, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        )


def _range_update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = (new.get("spec") or {}).get("cidrs") or [], (old.get("spec") or {}).get("cidrs") or []
    if ours[: len(theirs)] != theirs:
        yield invalid((_SPEC / "cidrs")[0], ours[:1], "field is immutable")


SERVICE_CIDR = Rules(
    validate=_range_validate,
    validate_update=_range_update,
    columns=(NAME_COLUMN, Column("CIDRs"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        ",".join((obj.get("spec") or {}).get("cidrs") or ()),
        printing.age(obj, now),
    ],
)


def _ip_name(name: str) -> tuple[str, ...]:
    return () if checks.is_ip(name) else ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)


def _ip_validate(obj: Json) -> Iterator[Problem]:
    parent, path = (obj.get("spec") or {}).get("parentRef"), _SPEC / "parentRef"
    if parent is None:
        yield required(path)
        return
    for name in ("resource", "name"):
        if not parent.get(name):
            yield required(path / name)


def _ip_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new.get("spec") or {}, old.get("spec") or {}, "parentRef", _SPEC)


def _ip_cells(obj: Json, now: float) -> list[Any]:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    kind = f"{parent.get('resource', '')}.{parent['group']}" if parent.get("group") else parent.get("resource", "")
    where = "/".join(each for each in (kind, parent.get("namespace"), parent.get("name")) if each)
    return [obj["metadata"].get("name", ""), where, printing.age(obj, now)]


IP_ADDRESS = Rules(
    validate=_ip_validate,
    validate_update=_ip_update,
    name_check=_ip_name,
    selectable={
        "spec.parentRef.name": lambda obj: str(((obj.get("spec") or {}).get("parentRef") or {}).get("name", ""))
    },
    columns=(NAME_COLUMN, Column("ParentRef"), AGE_COLUMN),
    cells=_ip_cells,
)
