"""PersistentVolumes and PersistentVolumeClaims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.core.affinity import validate_node_selector
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["CLAIM", "VOLUME", "validate_claim_spec"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SHORT = {"ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOnce": "RWO", "ReadWriteOncePod": "RWOP"}
_ORDER = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_ZERO = "must be greater than zero"
#: Fields of a volume's spec that are not its source.
_NOT_SOURCES = frozenset(
    {
        "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
        "storageClassName", "volumeAttributesClassName", "volumeMode",
    }
)  # fmt: skip


def _modes(spec: Json, path: Path) -> Iterator[Problem]:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(path / "accessModes", "at least 1 access mode is required")
    for at, mode in enumerate(modes):
        if mode not in ACCESS_MODES:
            yield not_supported((path / "accessModes")[at], mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden_field(path / "accessModes", "may not use ReadWriteOncePod with other access modes")


def _size(amounts: Json | None, path: Path) -> Iterator[Problem]:
    size = (amounts or {}).get("storage")
    if size is None:
        yield required(path["storage"])
    elif quantity.parse(size).nano <= 0:
        yield invalid(path["storage"], size, _ZERO)


def _volume_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    if spec.get("hostPath") is not None:
        spec["hostPath"].setdefault("type", "")


def _volume_create(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}


def _volume_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _modes(spec, _SPEC)
    if not spec.get("capacity"):
        yield required(_SPEC / "capacity")
    else:
        yield from _size(spec["capacity"], _SPEC / "capacity")
    sources = [name for name, value in spec.items() if name not in _NOT_SOURCES and value is not None]
    if not sources:
        yield required(_SPEC, "must specify a volume type")
    for extra in sources[1:]:
        yield forbidden_field(_SPEC / extra, "may not specify more than 1 volume type")
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy not in ("Delete", "Recycle", "Retain"):
        yield not_supported(_SPEC / "persistentVolumeReclaimPolicy", policy, ("Delete", "Recycle", "Retain"))
    if "hostPath" in sources:
        if not spec["hostPath"].get("path"):
            yield required(_SPEC / "hostPath" / "path")
        elif spec["hostPath"]["path"] == "/" and policy == "Recycle":
            yield forbidden_field(
                _SPEC / "persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"
            )
    if "local" in sources:
        if not spec["local"].get("path"):
            yield required(_SPEC / "local" / "path")
        if spec.get("nodeAffinity") is None:
            yield required(_SPEC / "nodeAffinity", "Local volume requires node affinity")
    if "csi" in sources:
        for name in ("driver", "volumeHandle"):
            if not spec["csi"].get(name):
                yield required(_SPEC / "csi" / name)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            yield required(_SPEC / "nodeAffinity" / "required", "must specify required node constraints")
        else:
            yield from validate_node_selector(affinity["required"], _SPEC / "nodeAffinity" / "required")
    if spec.get("storageClassName"):
        for wrong in names.dns1123_subdomain(spec["storageClassName"]):
            yield invalid(_SPEC / "storageClassName", spec["storageClassName"], wrong)
    yield from checks.one_of(spec, "volumeMode", ("Block", "Filesystem"), _SPEC)


def _volume_update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = new.get("spec") or {}, old.get("spec") or {}

    def source(spec: Json) -> Json:
        return {name: value for name, value in spec.items() if name not in _NOT_SOURCES}

    if source(ours) != source(theirs):
        yield forbidden_field(
            _SPEC / "persistentvolumesource", "spec.persistentvolumesource is immutable after creation"
        )
    yield from checks.immutable(ours, theirs, "volumeMode", _SPEC)
    if theirs.get("nodeAffinity") is not None:
        yield from checks.immutable(ours, theirs, "nodeAffinity", _SPEC)


def _modes_text(modes: list[str] | None) -> str:
    found = set(modes or ())
    return ",".join(_SHORT[mode] for mode in _ORDER if mode in found)


def _volume_cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        obj["metadata"].get("name", ""),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes_text(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        printing.age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _class(obj: Json) -> str:
    found = (obj["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return str(found if found is not None else (obj.get("spec") or {}).get("storageClassName") or "")


VOLUME = Rules(
    default=_volume_default,
    prepare_create=_volume_create,
    validate=_volume_validate,
    validate_update=_volume_update,
    columns=(
        NAME_COLUMN,
        Column("Capacity"),
        Column("Access Modes"),
        Column("Reclaim Policy"),
        Column("Status"),
        Column("Claim"),
        Column("StorageClass"),
        Column("VolumeAttributesClass"),
        Column("Reason"),
        AGE_COLUMN,
        Column("VolumeMode", priority=1),
    ),
    cells=_volume_cells,
)


def _claim_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    # A source named the old way is also named the new way, and the other way round.
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace") and _is_old_source(reference):
        spec["dataSource"] = dict(reference)


def _is_old_source(reference: Json) -> bool:
    return (reference.get("kind"), reference.get("apiGroup") or "") in {
        ("PersistentVolumeClaim", ""),
        ("VolumeSnapshot", "snapshot.storage.k8s.io"),
    }


def _claim_create(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}


def validate_claim_spec(spec: Json, path: Path) -> Iterator[Problem]:
    """A claim's spec, also where it is a template."""
    yield from _modes(spec, path)
    yield from checks.label_selector(spec.get("selector"), path / "selector")
    yield from _size((spec.get("resources") or {}).get("requests"), path / "resources")
    if spec.get("storageClassName"):
        for wrong in names.dns1123_subdomain(spec["storageClassName"]):
            yield invalid(path / "storageClassName", spec["storageClassName"], wrong)
    yield from checks.one_of(spec, "volumeMode", ("Block", "Filesystem"), path)
    for name in ("dataSource", "dataSourceRef"):
        source = spec.get(name)
        if source is None:
            continue
        for field in ("name", "kind"):
            if not source.get(field):
                yield required(path / name / field)
        if not source.get("apiGroup") and source.get("kind") and source["kind"] != "PersistentVolumeClaim":
            yield invalid(
                path / name,
                source["kind"],
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            )


def _claim_validate(obj: Json) -> Iterator[Problem]:
    yield from validate_claim_spec(obj.get("spec") or {}, _SPEC)


def _claim_update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    asked = ((ours.get("resources") or {}).get("requests") or {}).get("storage")
    before = ((theirs.get("resources") or {}).get("requests") or {}).get("storage")
    # A claim is bound once, may take a class once, may grow, and may change its attributes.
    if not theirs.get("volumeName"):
        theirs["volumeName"] = ours.get("volumeName")
    if theirs.get("storageClassName") is None:
        theirs["storageClassName"] = ours.get("storageClassName")
    bound = (old.get("status") or {}).get("phase") == "Bound"
    for spec in (ours, theirs):
        spec.pop("volumeAttributesClassName", None)
        if bound:
            spec.pop("resources", None)
    if {k: v for k, v in ours.items() if v is not None} != {k: v for k, v in theirs.items() if v is not None}:
        yield forbidden_field(
            _SPEC,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )
    if bound and asked is not None and before is not None and quantity.parse(asked) < quantity.parse(before):
        capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage")
        if capacity is None or quantity.parse(asked) < quantity.parse(capacity):
            yield forbidden_field(
                _SPEC / "resources" / "requests" / "storage",
                "field can not be less than status.capacity",
            )


def _claim_cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        obj["metadata"].get("name", ""),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _modes_text(status.get("accessModes")) if bound else "",
        _class(obj),
        spec.get("volumeAttributesClassName") or "<unset>",
        printing.age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


CLAIM = Rules(
    default=_claim_default,
    prepare_create=_claim_create,
    validate=_claim_validate,
    validate_update=_claim_update,
    columns=(
        NAME_COLUMN,
        Column("Status"),
        Column("Volume"),
        Column("Capacity"),
        Column("Access Modes"),
        Column("StorageClass"),
        Column("VolumeAttributesClass"),
        AGE_COLUMN,
        Column("VolumeMode", priority=1),
    ),
    cells=_claim_cells,
)
