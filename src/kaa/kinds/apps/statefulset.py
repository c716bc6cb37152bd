"""StatefulSets, and ControllerRevisions, their history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import container_cells, selector_problems, template_problems
from kaa.kinds.core.podspec import default_template
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["REVISION_RULES", "RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_STATUS = Path() / "status"


def _default(obj: Json) -> None:
    spec = obj["spec"]
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    strategy = spec.setdefault("updateStrategy", {})
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention["whenDeleted"] = retention.get("whenDeleted") or "Retain"
    retention["whenScaled"] = retention.get("whenScaled") or "Retain"
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec["template"])
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim["status"] = {**(claim.get("status") or {}), "phase": "Pending"}


def _prepare_create(obj: Json) -> None:
    obj["status"] = {"replicas": 0, "availableReplicas": 0}


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    yield from checks.one_of(spec, "podManagementPolicy", ("OrderedReady", "Parallel"), _SPEC, needed=True)
    strategy, path = spec.get("updateStrategy") or {}, _SPEC / "updateStrategy"
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            yield invalid(path / "rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        if rolling:
            yield from checks.non_negative(rolling, "partition", path / "rollingUpdate")
            most = rolling.get("maxUnavailable")
            if most is not None:
                here = path / "rollingUpdate" / "maxUnavailable"
                yield from checks.int_or_percent(most, here)
                yield from checks.not_over_100_percent(most, here)
                if most in (0, "0%"):
                    yield invalid(here, most, "cannot be 0")
    else:
        yield not_supported(path, kind, ("OnDelete", "RollingUpdate"))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        yield from checks.one_of(
            retention, name, ("Delete", "Retain"), _SPEC / "persistentVolumeClaimRetentionPolicy", needed=True
        )
    yield from checks.non_negative(spec, "replicas", _SPEC)
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    yield from checks.non_negative(spec, "revisionHistoryLimit", _SPEC)
    ordinals = spec.get("ordinals")
    if ordinals:
        yield from checks.non_negative(ordinals, "start", _SPEC / "ordinals")
    service = spec.get("serviceName")
    if service:
        for wrong in names.dns1123_label(service):
            yield invalid(_SPEC / "serviceName", service, wrong)
    yield from selector_problems(spec, _SPEC, "statefulset")
    yield from template_problems(spec, _SPEC, kind="StatefulSet")


_MAY_CHANGE = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
               "persistentVolumeClaimRetentionPolicy", "minReadySeconds")  # fmt: skip


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    def fixed(spec: Json) -> Json:
        return {name: value for name, value in spec.items() if name not in _MAY_CHANGE}

    if fixed(new["spec"]) != fixed(old["spec"]):
        yield forbidden_field(
            _SPEC,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        )


def _validate_status(new: Json, old: Json) -> Iterator[Problem]:
    status, was = new.get("status") or {}, old.get("status") or {}
    for name in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
                 "observedGeneration", "collisionCount"):  # fmt: skip
        yield from checks.non_negative(status, name, _STATUS)
    for name in ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
        if status.get(name, 0) > status.get("replicas", 0):
            yield invalid(_STATUS / name, status.get(name, 0), "cannot be greater than status.replicas")
    if status.get("collisionCount", 0) < was.get("collisionCount", 0):
        yield invalid(_STATUS / "collisionCount", status.get("collisionCount"), "cannot be decremented")


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        obj["metadata"].get("name", ""),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        printing.age(obj, now),
        *container_cells(spec.get("template")),
    ]


RULES = Rules(
    default=_default,
    prepare_create=_prepare_create,
    validate=_validate,
    validate_update=_validate_update,
    validate_status=_validate_status,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("Ready"),
        AGE_COLUMN,
        Column("Containers", priority=1),
        Column("Images", priority=1),
    ),
    cells=_cells,
)


def _revision_validate(obj: Json) -> Iterator[Problem]:
    if obj.get("data") is None:
        yield required(Path() / "data", "data is mandatory")
    yield from checks.non_negative(obj, "revision", Path())


def _revision_update(new: Json, old: Json) -> Iterator[Problem]:
    yield from checks.immutable(new, old, "data", Path())


def _revision_cells(obj: Json, now: float) -> list[Any]:
    owners = obj["metadata"].get("ownerReferences") or ()
    owner = next((each for each in owners if each.get("controller")), None)
    text = "<none>"
    if owner is not None:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        kind = owner.get("kind", "").lower()
        text = f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
    return [obj["metadata"].get("name", ""), text, obj.get("revision", 0), printing.age(obj, now)]


REVISION_RULES = Rules(
    validate=_revision_validate,
    validate_update=_revision_update,
    columns=(NAME_COLUMN, Column("Controller"), Column("Revision", "integer"), AGE_COLUMN),
    cells=_revision_cells,
)
