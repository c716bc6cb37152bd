"""ServiceCIDRs, the ranges that services take their addresses from, and IPAddresses, the ones that are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, required

__all__ = ["IP_ADDRESS", "SERVICE_CIDR"]

Json = dict[str, Any]
_CIDRS = Path() / "spec" / "cidrs"
_PARENT = Path() / "spec" / "parentRef"


def _range_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    ranges = spec.get("cidrs") or []
    if not ranges:
        yield required(_CIDRS, "at least one CIDR required")
        return
    if len(ranges) > 2:
        # The value shown is the internal struct, whose field is written in capitals.
        yield invalid(_CIDRS, {"CIDRs": ranges}, "may only hold up to 2 values")
        return
    for at, each in enumerate(ranges):
        yield from formats.cidr(each, _CIDRS[at])
    parsed = [formats.parsed_cidr(each) for each in ranges]
    if len(parsed) == 2 and parsed[0] and parsed[1] and parsed[0].version == parsed[1].version:
        yield invalid(
            _CIDRS, ranges, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        )


def _range_update(new: Json, old: Json) -> Iterator[Problem]:
    """A range stays; one of the other family may be added once."""
    ours, theirs = (new.get("spec") or {}).get("cidrs") or [], (old.get("spec") or {}).get("cidrs") or []
    if len(ours) == len(theirs) or (len(theirs), len(ours)) == (1, 2):
        for at, each in enumerate(theirs):
            if ours[at] != each:
                yield invalid(_CIDRS[at], ours[at], checks.IMMUTABLE)
    else:
        yield invalid(_CIDRS, ours, checks.IMMUTABLE)


SERVICE_CIDR = Rules(
    validate=_range_validate,
    complete=True,
    validate_update=_range_update,
    columns=(NAME_COLUMN, Column("CIDRs", description="the address ranges, at most one of each family"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        ",".join((obj.get("spec") or {}).get("cidrs") or ()),
        printing.age(obj, now),
    ],
)


def _ip_name(name: str) -> Iterator[str]:
    for problem in formats.address(name, Path()):
        yield problem.detail_text.partition('": ')[2]


def _ip_validate(obj: Json) -> Iterator[Problem]:
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        yield required(_PARENT)
        return
    if parent.get("group"):
        yield from formats.each_wrong(names.dns1123_subdomain, parent["group"], _PARENT / "group")
    for field in ("resource", "name"):
        if not parent.get(field):
            yield required(_PARENT / field)
        else:
            yield from formats.each_wrong(names.path_segment, parent[field], _PARENT / field)
    if parent.get("namespace"):
        yield from formats.each_wrong(names.path_segment, parent["namespace"], _PARENT / "namespace")


def _ip_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new.get("spec") or {}, old.get("spec") or {}, "parentRef", Path() / "spec")


def _parent(obj: Json) -> str:
    found = (obj.get("spec") or {}).get("parentRef")
    if not found:
        return "<none>"
    kind = f"{found.get('resource', '')}.{found['group']}" if found.get("group") else found.get("resource", "")
    where = [kind.lower(), *([found["namespace"]] if found.get("namespace") else []), found.get("name", "")]
    return "/".join(where)


IP_ADDRESS = Rules(
    validate=_ip_validate,
    complete=True,
    validate_update=_ip_update,
    name_check=_ip_name,
    selectable={
        "spec.parentRef.name": lambda obj: str(((obj.get("spec") or {}).get("parentRef") or {}).get("name", ""))
    },
    columns=(NAME_COLUMN, Column("ParentRef", description="what the address belongs to")),
    cells=lambda obj, _now: [obj["metadata"].get("name", ""), _parent(obj)],
)
