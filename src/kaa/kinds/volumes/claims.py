"""PersistentVolumeClaims: what is asked for, and the few things of it that may change later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.kinds.volumes.modes import CLASS_ANNOTATION, modes_text, storage_class, unknown_modes
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES", "default_claim_spec", "validate_claim_spec"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
VOLUME_MODES = ("Block", "Filesystem")
RESIZE_STATES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
    "NodeResizeInfeasible",
)  # fmt: skip


def _default(obj: Json) -> None:
    default_claim_spec(obj.setdefault("spec", {}))
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def default_claim_spec(spec: Json) -> None:
    """Defaults of a claim's spec, also where it is a template."""
    spec.setdefault("volumeMode", "Filesystem")


def _sources_of(spec: Json) -> None:
    """A source named the old way is also named the new way, and the other way round."""
    source, found = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and found is None:
        spec["dataSourceRef"] = dict(source)
    elif found is not None and source is None and not found.get("namespace"):
        # A reference into another namespace cannot be said the old way.
        spec["dataSource"] = {name: value for name, value in found.items() if name in ("apiGroup", "kind", "name")}


def _is_known_source(source: Json) -> bool:
    return (source.get("kind"), source.get("apiGroup") or "") in {
        ("PersistentVolumeClaim", ""),
        ("VolumeSnapshot", "snapshot.storage.k8s.io"),
    }


def _create(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    # The old field takes claims and snapshots only, and drops everything else without a word.
    if spec.get("dataSource") is not None and not _is_known_source(spec["dataSource"]):
        del spec["dataSource"]
    _sources_of(spec)
    obj["status"] = {"phase": "Pending"}


def _prepare_update(new: Json, old: Json) -> None:
    spec = new.setdefault("spec", {})
    if (
        spec.get("dataSource") is not None
        and (old.get("spec") or {}).get("dataSource") is None
        and not _is_known_source(spec["dataSource"])
    ):
        del spec["dataSource"]
    _sources_of(spec)


def validate_claim_spec(spec: Json, path: Path) -> Iterator[Problem]:
    """A claim's spec, also where it is a template."""
    if not spec.get("accessModes"):
        yield required(path / "accessModes", "at least 1 access mode is required")
    yield from checks.label_selector(spec.get("selector"), path / "selector")
    yield from unknown_modes(spec.get("accessModes") or (), path / "accessModes")
    here = (path / "resources")["storage"]
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        yield required(here)
    elif quantity.parse(size).nano <= 0:
        yield invalid(here, size, "must be greater than zero")
    if spec.get("storageClassName"):
        yield from formats.each_wrong(names.dns1123_subdomain, spec["storageClassName"], path / "storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        yield not_supported(path / "volumeMode", mode, VOLUME_MODES)
    source, found = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        yield from _source(source, path / "dataSource")
    if found is not None:
        yield from _source(found, path / "dataSourceRef")
        if found.get("namespace"):
            yield from formats.each_wrong(names.dns1123_label, found["namespace"], path / "dataSourceRef" / "namespace")
    if source is not None and found is not None:
        # The original shows a field path as the value: a struct with nothing to show.
        if found.get("namespace"):
            yield invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified")
        elif any(source.get(name) != found.get(name) for name in ("apiGroup", "kind", "name")):
            yield invalid(path, {}, "must match dataSourceRef")
    if spec.get("volumeAttributesClassName"):
        yield from formats.each_wrong(
            names.dns1123_subdomain, spec["volumeAttributesClassName"], path / "volumeAttributesClassName"
        )


def _source(source: Json, path: Path) -> Iterator[Problem]:
    for field in ("name", "kind"):
        if not source.get(field):
            yield required(path / field)
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        yield invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group:
        yield from formats.each_wrong(names.dns1123_subdomain, group, path / "apiGroup")


def _validate(obj: Json) -> Iterator[Problem]:
    yield from validate_claim_spec(obj.get("spec") or {}, _SPEC)


def _requests(spec: Json) -> Json:
    found: Json = (spec.get("resources") or {}).get("requests") or {}
    return found


def _size(amounts: Json | None) -> int:
    return quantity.parse((amounts or {}).get("storage", 0)).nano


def _class_may_change(new: Json, old: Json) -> bool:
    """A class may be named once: by taking over what the annotation said, or where nothing was said."""
    named, before = (new.get("spec") or {}).get("storageClassName"), (old.get("spec") or {}).get("storageClassName")
    if named is None or before is not None:
        return False
    noted = (old["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    still = (new["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return bool(noted is None or (named == noted and (still is None or still == noted)))


def _update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = new.get("spec") or {}, old.get("spec") or {}
    noted = (old["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    still = (new["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    moved = _class_may_change(new, old)
    if not (moved and noted is not None) and noted != still:
        here = Path() / "metadata" / "annotations" / CLASS_ANNOTATION
        yield invalid(here, still or "", checks.IMMUTABLE)
    yield from _spec_change(ours, theirs, moved, bound=(old.get("status") or {}).get("phase") == "Bound")
    if _size(_requests(ours)) < _size(_requests(theirs)) and _size(_requests(ours)) <= _size(
        (old.get("status") or {}).get("capacity")
    ):
        # Growing that failed may be taken back, but never below what is there.
        here = _SPEC / "resources" / "requests" / "storage"
        yield forbidden_field(here, "field can not be less than status.capacity")
    yield from checks.immutable(ours, theirs, "volumeMode", Path())
    before, after = theirs.get("volumeAttributesClassName"), ours.get("volumeAttributesClassName")
    if before is not None and after != before:
        here = _SPEC / "volumeAttributesClassName"
        if after is None:
            yield forbidden_field(here, "update from non-nil value to nil is forbidden")
        elif not after:
            yield forbidden_field(here, "update from non-nil value to an empty string is forbidden")


def _spec_change(ours: Json, theirs: Json, class_moved: bool, *, bound: bool) -> Iterator[Problem]:
    new, old = dict(ours), dict(theirs)
    if not old.get("volumeName"):
        old["volumeName"] = new.get("volumeName")
    if class_moved:
        old["storageClassName"] = new.get("storageClassName")
    if bound:
        if _requests(new):
            resources = new["resources"]
            new["resources"] = {**resources, "requests": {**resources["requests"], **_only_storage(_requests(old))}}
        if new.get("volumeAttributesClassName") is not None:
            new["volumeAttributesClassName"] = old.get("volumeAttributesClassName")
    if _plain(new) != _plain(old):
        yield forbidden_field(
            _SPEC,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )


def _only_storage(amounts: Json) -> Json:
    return {"storage": amounts["storage"]} if "storage" in amounts else {}


def _plain(spec: Json) -> Json:
    return {name: value for name, value in spec.items() if value is not None}


def _validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    status, path = new.get("status") or {}, Path() / "status"
    for name, amount in (status.get("capacity") or {}).items():
        yield from _not_negative(amount, (path / "capacity")[name])
    for name, state in (status.get("allocatedResourceStatuses") or {}).items():
        here = path / "allocatedResourceStatus"
        yield from _resource_key(name, here)
        if state not in RESIZE_STATES:
            yield not_supported(here, name, RESIZE_STATES)
    for name, amount in (status.get("allocatedResources") or {}).items():
        wrongs = list(_resource_key(name, path / "allocatedResources"))
        yield from wrongs or _not_negative(amount, (path / "allocatedResources")[name])


def _not_negative(amount: Any, path: Path) -> Iterator[Problem]:
    size = quantity.parse(amount)
    if size.value < 0:
        yield invalid(path, size.value, "must be a valid resource quantity")


def _resource_key(name: str, path: Path) -> Iterator[Problem]:
    wrongs = list(formats.label_name(name, path))
    yield from wrongs
    if not wrongs and ("/" not in name or "kubernetes.io/" in name) and name != "storage":
        yield not_supported(path, name, ("storage",))


def _warnings(obj: Json, _old: Json | None) -> Iterator[str]:
    if storage_class(obj, annotation_only=True) is not None:
        yield (
            f'metadata.annotations[{CLASS_ANNOTATION}]: deprecated since v1.8; use "storageClassName" attribute instead'
        )
    size = _requests(obj.get("spec") or {}).get("storage")
    if size is not None and quantity.parse(size).nano % 1_000_000_000:
        yield f'spec.resources.requests[storage]: fractional byte value "{size}" is invalid, must be an integer'


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    attributes = spec.get("volumeAttributesClassName")
    return [
        obj["metadata"].get("name", ""),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        modes_text(status.get("accessModes")) if bound else "",
        storage_class(obj) or "",
        attributes if attributes is not None else "<unset>",
        printing.age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


RULES = Rules(
    default=_default,
    prepare_create=_create,
    prepare_update=_prepare_update,
    validate=_validate,
    complete=True,
    validate_update=_update,
    validate_status=_validate_status,
    warnings=_warnings,
    columns=(
        NAME_COLUMN,
        Column("Status", description="whether the claim is pending, bound or lost"),
        Column("Volume", description="the volume it is bound to"),
        Column("Capacity", description="how much the bound volume holds"),
        Column("Access Modes", description="how the bound volume may be mounted: RWO, ROX, RWX, RWOP"),
        Column("StorageClass", description="the class it asks for"),
        Column("VolumeAttributesClass", description="the class of the attributes it asks for"),
        AGE_COLUMN,
        Column("VolumeMode", priority=1, description="a file system, or a bare block device"),
    ),
    cells=_cells,
)
