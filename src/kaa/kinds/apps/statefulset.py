"""StatefulSets, and ControllerRevisions, their history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import (
    always_problems,
    container_cells,
    decremented,
    match_problems,
    selector_problems,
    workload_warnings,
)
from kaa.kinds.core.podnotes import validate_annotations
from kaa.kinds.core.podspec import default_template
from kaa.kinds.metadata import annotation_sizes, labels
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
    management = spec.get("podManagementPolicy", "")
    if not management:
        yield required(_SPEC / "podManagementPolicy")
    elif management not in ("OrderedReady", "Parallel"):
        yield invalid(_SPEC / "podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'")
    yield from _strategy(spec.get("updateStrategy") or {}, _SPEC / "updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        policy = retention.get(name, "")
        if retention and policy not in ("Retain", "Delete"):
            yield not_supported(
                _SPEC / "persistentVolumeClaimRetentionPolicy" / name, policy, ("Retain", "Delete"), as_given=True
            )
    yield from checks.non_negative(spec, "replicas", _SPEC)
    yield from checks.non_negative(spec, "minReadySeconds", _SPEC)
    if spec.get("ordinals"):
        yield from checks.non_negative(spec["ordinals"], "start", _SPEC / "ordinals")
    yield from selector_problems(spec, _SPEC, "statefulset")
    template, here = spec.get("template") or {}, _SPEC / "template"
    if not checks.is_empty(spec.get("selector")):
        yield from match_problems(spec, here)
    # The rest of the template is not judged here (nor by the original): its pods also mount the set's own claims.
    meta = template.get("metadata") or {}
    if meta.get("labels"):
        yield from labels(meta["labels"], here / "labels")
    if meta.get("annotations"):
        yield from annotation_sizes(meta["annotations"], here / "annotations")
        yield from validate_annotations(meta["annotations"], template.get("spec") or {}, here / "annotations")
    yield from always_problems(template, here, "StatefulSet")


def _validate_create(obj: Json) -> Iterator[Problem]:
    # Its pods' names are host names. Sets that were created before this was checked may still be changed.
    name = obj["metadata"].get("name", "")
    if not names.dns1123_subdomain(name):
        for wrong in names.dns1123_label(name):
            yield invalid(Path() / "metadata" / "name", name, wrong)


def _strategy(strategy: Json, path: Path) -> Iterator[Problem]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if rolling is not None:
            yield invalid(path / "rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        if rolling:
            yield from checks.non_negative(rolling, "partition", path / "rollingUpdate")
            most, here = rolling.get("maxUnavailable"), path / "rollingUpdate" / "maxUnavailable"
            if most is not None:
                yield from checks.int_or_percent(most, here)
                if checks.amount(most) == 0:
                    yield invalid(here, most, "cannot be 0")
                yield from checks.not_over_100_percent(most, here)
    else:
        yield invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")


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
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        yield invalid(
            _STATUS / "availableReplicas", status["availableReplicas"], "cannot be greater than status.readyReplicas"
        )
    yield from decremented(status, was, _STATUS)


def _warnings(obj: Json, old: Json | None) -> Iterator[str]:
    yield from workload_warnings(obj, old, named=False)
    if (obj["spec"].get("revisionHistoryLimit") or 0) < 0:
        yield (
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        )


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
    validate_create=_validate_create,
    validate_update=_validate_update,
    validate_status=_validate_status,
    warnings=_warnings,
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
    columns=(NAME_COLUMN, Column("Controller"), Column("Revision"), AGE_COLUMN),
    cells=_revision_cells,
)
