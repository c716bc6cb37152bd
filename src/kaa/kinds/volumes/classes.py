"""StorageClasses and VolumeAttributesClasses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required, too_long

__all__ = ["ATTRIBUTES_CLASS", "STORAGE_CLASS"]

Json = dict[str, Any]
_ROOT = Path()
PARAMETERS_MAX = 512
PARAMETERS_BYTES_MAX = 256 * 1024
RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def _default(obj: Json) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _provisioner(value: str, path: Path) -> Iterator[Problem]:
    if not value:
        yield required(path)
    else:
        yield from formats.label_name(value.lower(), path)


def _parameters(found: Json, path: Path, *, needed: bool) -> Iterator[Problem]:
    if len(found) > PARAMETERS_MAX:
        yield too_long(path, PARAMETERS_MAX)
        return
    if "" in found:
        yield invalid(path, "", "field can not be empty.")
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > PARAMETERS_BYTES_MAX:
        yield too_long(path, PARAMETERS_BYTES_MAX)
    if needed and not found:
        yield required(path, "must contain at least one key/value pair")


def _validate(obj: Json) -> Iterator[Problem]:
    yield from _provisioner(obj.get("provisioner", ""), _ROOT / "provisioner")
    yield from _parameters(obj.get("parameters") or {}, _ROOT / "parameters", needed=False)
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy and policy not in RECLAIM_POLICIES:
        yield not_supported(_ROOT / "reclaimPolicy", policy, RECLAIM_POLICIES)
    if mode not in BINDING_MODES:
        yield not_supported(_ROOT / "volumeBindingMode", mode, BINDING_MODES)
    yield from _topologies(obj.get("allowedTopologies") or (), _ROOT / "allowedTopologies")


def _topologies(terms: Any, path: Path) -> Iterator[Problem]:
    """Terms of which no two may ask for the same."""
    seen: list[dict[str, frozenset[str]]] = []
    for at, term in enumerate(terms):
        here = path[at] / "matchLabelExpressions"
        asked: dict[str, frozenset[str]] = {}
        for place, each in enumerate(term.get("matchLabelExpressions") or ()):
            where = here[place]
            key, values = each.get("key", ""), each.get("values") or ()
            if not values:
                yield required(where / "values")
            known: set[str] = set()
            for spot, value in enumerate(values):
                if value in known:
                    yield duplicate((where / "values")[spot], value)
                known.add(value)
            yield from formats.label_name(key, where / "key")
            if key in asked:
                yield duplicate(where / "key", key)
            asked[key] = frozenset(values)
        if asked in seen:
            yield duplicate(here, "")
        seen.append(asked)


def _update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(name) or None) != (old.get(name) or None):
            yield forbidden_field(_ROOT / name, f"updates to {name} are forbidden.")
    yield from checks.immutable(new, old, "volumeBindingMode", _ROOT)


_OLD_TOPOLOGY = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _warnings(obj: Json, _old: Json | None) -> Iterator[str]:
    for at, term in enumerate(obj.get("allowedTopologies") or ()):
        for place, each in enumerate(term.get("matchLabelExpressions") or ()):
            if each.get("key") in _OLD_TOPOLOGY:
                yield (
                    f"allowedTopologies[{at}].matchLabelExpressions[{place}].key: {each['key']} is deprecated; "
                    f"use {_OLD_TOPOLOGY[each['key']]} instead"
                )


def _name(obj: Json, *marks: str) -> str:
    found = obj["metadata"].get("annotations") or {}
    usual = any(found.get(key) == "true" for key in marks)
    return f"{obj['metadata'].get('name', '')}{' (default)' if usual else ''}"


STORAGE_CLASS = Rules(
    default=_default,
    validate=_validate,
    complete=True,
    validate_update=_update,
    warnings=_warnings,
    columns=(
        NAME_COLUMN,
        Column("Provisioner", description="who makes the volumes of this class"),
        Column("ReclaimPolicy", description="what becomes of a volume once its claim is gone"),
        Column("VolumeBindingMode", description="whether volumes are made at once, or when a pod needs them"),
        Column("AllowVolumeExpansion", description="whether volumes may grow"),
        AGE_COLUMN,
    ),
    cells=lambda obj, now: [
        _name(obj, *_IS_DEFAULT),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        printing.age(obj, now),
    ],
)


def _attributes_validate(obj: Json) -> Iterator[Problem]:
    yield from _provisioner(obj.get("driverName", ""), _ROOT / "driverName")
    yield from _parameters(obj.get("parameters") or {}, _ROOT / "parameters", needed=True)


def _attributes_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("driverName", "parameters"):
        if new.get(name) != old.get(name):
            yield forbidden_field(_ROOT / name, f"updates to {name} are forbidden.")


ATTRIBUTES_CLASS = Rules(
    validate=_attributes_validate,
    complete=True,
    validate_update=_attributes_update,
    columns=(NAME_COLUMN, Column("DriverName", description="the CSI driver that knows the parameters"), AGE_COLUMN),
    cells=lambda obj, now: [
        _name(obj, "volumeattributesclass.alpha.kubernetes.io/is-default-class"),
        obj.get("driverName", ""),
        printing.age(obj, now),
    ],
)
