"""Nodes: created with the status their kubelet reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.core.affinity import TAINT_EFFECTS
from kaa.kinds.core.resources import quantity_problems
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"


def _default(obj: Json) -> None:
    status = obj.setdefault("status", {})
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])
    spec = obj.setdefault("spec", {})
    # The two spellings of the pod range are kept in step.
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _taints(spec.get("taints") or ())
    yield from _resources(obj)
    ranges = spec.get("podCIDRs") or []
    path = _SPEC / "podCIDRs"
    for at, each in enumerate(ranges):
        yield from checks.cidr(each, path[at])
    if len(ranges) > 1:
        if len(ranges) > 2 or len({":" in each for each in ranges}) < 2:
            yield invalid(path, ranges, "may specify no more than one CIDR for each IP family")
        for at, each in enumerate(ranges):
            if each in ranges[:at]:
                yield duplicate(path[at], each)


def _taints(taints: Iterable[Json]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for at, taint in enumerate(taints):
        here = (Path() / "metadata" / "taints")[at]  # the original's path, though they stand in the spec
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        for wrong in names.qualified_name(key):
            yield invalid(here / "key", key, wrong)
        wrongs = names.label_value(value)
        if wrongs:
            yield invalid(here / "value", value, ";".join(wrongs))
        if not effect:
            yield required(here / "effect")
        elif effect not in TAINT_EFFECTS:
            yield not_supported(here / "effect", effect, TAINT_EFFECTS, as_given=True)
        if (key, effect) in seen:
            yield duplicate(here, taint, "taints must be unique by key and effect pair")
        seen.add((key, effect))


def _resources(obj: Json) -> Iterator[Problem]:
    status = obj.get("status") or {}
    for field in ("capacity", "allocatable"):
        for name, amount in (status.get(field) or {}).items():
            yield from quantity_problems(name, amount, Path(name, Path() / "status" / field))


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = new.get("spec") or {}, old.get("spec") or {}
    yield from _addresses(new)
    if theirs.get("podCIDRs") and ours.get("podCIDRs") != theirs["podCIDRs"]:
        yield forbidden_field(_SPEC / "podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if theirs.get("providerID") and ours.get("providerID") != theirs["providerID"]:
        yield forbidden_field(_SPEC / "providerID", 'node updates may not change providerID except from "" to valid')
    if ours.get("externalID") != theirs.get("externalID"):
        yield forbidden_field(_SPEC / "externalID", "may not be updated")


def _addresses(obj: Json) -> Iterator[Problem]:
    found = (obj.get("status") or {}).get("addresses") or []
    for at, each in enumerate(found):
        if each in found[:at]:
            yield duplicate((Path() / "status" / "addresses")[at], each)


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    yield from _resources(new)
    yield from _addresses(new)


def _warnings(obj: Json, _old: Json | None) -> Iterator[str]:
    if (obj.get("spec") or {}).get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"


_ROLE = "node-role.kubernetes.io/"


def _cells(obj: Json, now: float) -> list[Any]:
    meta, spec, status = obj.get("metadata", {}), obj.get("spec", {}), obj.get("status", {})
    ready = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    found = meta.get("labels") or {}
    roles = sorted(
        {key[len(_ROLE) :] for key in found if key.startswith(_ROLE) and len(key) > len(_ROLE)}
        | ({found["kubernetes.io/role"]} if found.get("kubernetes.io/role") else set())
    )
    info = status.get("nodeInfo") or {}
    addresses: dict[str, str] = {}
    for each in status.get("addresses") or ():
        addresses.setdefault(each.get("type", ""), each.get("address", ""))
    return [
        meta.get("name", ""),
        ",".join(words),
        ",".join(roles) or "<none>",
        printing.age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or "<none>",
        addresses.get("ExternalIP") or "<none>",
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


RULES = Rules(
    default=_default,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    warnings=_warnings,
    status_on_create=True,
    selectable={"spec.unschedulable": lambda obj: "true" if obj.get("spec", {}).get("unschedulable") else "false"},
    columns=(
        NAME_COLUMN,
        Column("Status"),
        Column("Roles"),
        AGE_COLUMN,
        Column("Version"),
        Column("Internal-IP", priority=1),
        Column("External-IP", priority=1),
        Column("OS-Image", priority=1),
        Column("Kernel-Version", priority=1),
        Column("Container-Runtime", priority=1),
    ),
    cells=_cells,
)
