"""NetworkPolicies: who may speak to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.apps.templates import format_selector
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
PROTOCOLS = ("TCP", "UDP", "SCTP")
POLICY_TYPES = ("Ingress", "Egress")


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
        return
    for at, kind in enumerate(kinds):
        if kind not in POLICY_TYPES:
            yield not_supported((_SPEC / "policyTypes")[at], kind, POLICY_TYPES, as_given=True)


def _port(port: Json, path: Path) -> Iterator[Problem]:
    protocol = port.get("protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        yield not_supported(path / "protocol", protocol, PROTOCOLS, as_given=True)
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        if end is not None:
            yield invalid(path / "endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        if end is not None:
            yield invalid(path / "endPort", end, "may not be specified when `port` is non-numeric")
        yield from formats.each_wrong(names.port_name, number, path / "port")
    else:
        for wrong in names.port_number(number):
            yield invalid(path / "port", number, wrong)
        if end is not None:
            if end < number:
                yield invalid(path / "endPort", end, "must be greater than or equal to `port`")
            for wrong in names.port_number(end):
                yield invalid(path / "endPort", end, wrong)


def _peer(peer: Json, path: Path) -> Iterator[Problem]:
    count = 0
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            count += 1
            yield from checks.label_selector(peer[name], path / name)
    block = peer.get("ipBlock")
    if block is not None:
        count += 1
        yield from _block(block, path / "ipBlock")
    if not count:
        yield required(path, "must specify a peer")
    elif count > 1 and block is not None:
        yield forbidden_field(path, "may not specify both ipBlock and another peer")


def _block(block: Json, path: Path) -> Iterator[Problem]:
    if not block.get("cidr"):
        yield required(path / "cidr")
        return
    yield from formats.cidr(block["cidr"], path / "cidr")
    outer = formats.parsed_cidr(block["cidr"])
    if outer is None:
        return
    for at, each in enumerate(block.get("except") or ()):
        where = (path / "except")[at]
        yield from formats.cidr(each, where)
        inner = formats.parsed_cidr(each)
        if inner is None:
            continue
        within = inner.version == outer.version and inner.network_address in outer
        if not within or outer.prefixlen >= inner.prefixlen:
            yield invalid(where, each, "must be a strict subset of `cidr`")


def _selector(obj: Json) -> str:
    return format_selector((obj.get("spec") or {}).get("podSelector") or {})


RULES = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Pod-Selector", description="the pods this policy is about; all of the namespace where it is empty"),
        AGE_COLUMN,
    ),
    cells=lambda obj, now: [obj["metadata"].get("name", ""), _selector(obj), printing.age(obj, now)],
)
