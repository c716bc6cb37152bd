"""PersistentVolumes: one source, a size, who may use it and from where."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, formats, printing
from kaa.kinds.core.affinity import validate_node_selector
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.kinds.volumes.modes import access_modes, modes_text, storage_class
from kaa.kinds.volumes.sources import SOURCES
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_supported, required

__all__ = ["RULES", "validate_inline_spec"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
_INLINE = "in the context of inline volumes"


def _default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    default_spec(spec)


def default_spec(spec: Json) -> None:
    """Defaults of a volume's spec, also where it is written inline."""
    spec.setdefault("volumeMode", "Filesystem")
    if spec.get("hostPath") is not None:
        spec["hostPath"].setdefault("type", "")
    if spec.get("iscsi") is not None:
        spec["iscsi"]["iscsiInterface"] = spec["iscsi"].get("iscsiInterface") or "default"
    if spec.get("rbd") is not None:
        for field, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
            spec["rbd"][field] = spec["rbd"].get(field) or value
    if spec.get("azureDisk") is not None:
        disk = spec["azureDisk"]
        for field, usual in (("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4"), ("readOnly", False)):
            disk.setdefault(field, usual)
    if spec.get("scaleIO") is not None:
        for field, value in (("storageMode", "ThinProvisioned"), ("fsType", "xfs")):
            spec["scaleIO"][field] = spec["scaleIO"].get(field) or value


def _create(obj: Json) -> None:
    obj["status"] = {"phase": "Pending"}


def _validate(obj: Json) -> Iterator[Problem]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name", "")
    yield from access_modes(spec, _SPEC)
    yield from _capacity(spec.get("capacity") or {}, _SPEC / "capacity")
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in RECLAIM_POLICIES:
        yield not_supported(_SPEC / "persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        here = _SPEC / "nodeAffinity" / "required"
        if affinity.get("required") is None:
            yield required(here, "must specify required node constraints")
        else:
            yield from validate_node_selector(affinity["required"], here)
    yield from _sources(spec, name, _SPEC)
    host = spec.get("hostPath")
    if host is not None and posixpath.normpath(host.get("path") or ".") == "/" and policy == "Recycle":
        yield forbidden_field(
            _SPEC / "persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"
        )
    if spec.get("storageClassName"):
        yield from formats.each_wrong(names.dns1123_subdomain, spec["storageClassName"], _SPEC / "storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        yield not_supported(_SPEC / "volumeMode", mode, VOLUME_MODES)
    yield from _attributes(spec, _SPEC)


def _attributes(spec: Json, path: Path) -> Iterator[Problem]:
    name = spec.get("volumeAttributesClassName")
    if name is None:
        return
    here = path / "volumeAttributesClassName"
    if not name:
        yield required(here, "an empty string is disallowed")
    else:
        yield from formats.each_wrong(names.dns1123_subdomain, name, here)
    if spec.get("csi") is None:
        yield required(path / "csi", "has to be specified when using volumeAttributesClassName")


def _capacity(found: Json, path: Path) -> Iterator[Problem]:
    if not found:
        yield required(path)
    if "storage" not in found or len(found) > 1:
        wrong = not_supported(path, found or None, ("storage",))
        yield wrong if found else formats.of_nothing(wrong)
    for name, amount in found.items():
        size = quantity.parse(amount)
        if size.value < 0:
            yield invalid(path[name], size.value, "must be a valid resource quantity")
        if size.nano <= 0:
            yield invalid(path[name], amount, "must be greater than zero")


def _sources(spec: Json, name: str, path: Path) -> Iterator[Problem]:
    """One source there must be; a second one is only named."""
    count = 0
    for field, (called, check) in SOURCES.items():
        source = spec.get(field)
        if source is None:
            continue
        # The original counts a flexVolume, but does not refuse it beside another source.
        if count and field != "flexVolume":
            yield forbidden_field(path / _SECOND.get(field, field), "may not specify more than 1 volume type")
            continue
        count += 1
        yield from check(source, path / called, name)
        if field == "local" and (spec.get("nodeAffinity") or {}).get("required") is None:
            yield required(path / "nodeAffinity", "Local volume requires node affinity")
    if not count:
        yield required(path, "must specify a volume type")


#: What a source is called where it is one too many.
_SECOND = {"cephfs": "cephFS"}


def validate_inline_spec(spec: Json, path: Path) -> Iterator[Problem]:
    """The spec of a volume that a VolumeAttachment carries instead of a name: only CSI volumes are written so."""
    for field, wrong in (("claimRef", spec.get("claimRef") is not None), ("capacity", bool(spec.get("capacity")))):
        if wrong:
            yield forbidden_field(path / field, f"may not be specified {_INLINE}")
    if spec.get("csi") is None:
        yield required(path / "csi", f"has to be specified {_INLINE}")
    yield from access_modes(spec, path)
    policy, mode = spec.get("persistentVolumeReclaimPolicy"), spec.get("volumeMode")
    if policy and policy != "Retain":
        yield forbidden_field(path / "persistentVolumeReclaimPolicy", f"may only be Retain {_INLINE}")
    if spec.get("nodeAffinity") is not None:
        yield forbidden_field(path / "nodeAffinity", f"may not be specified {_INLINE}")
    yield from _sources(spec, "", path)
    if spec.get("storageClassName"):
        yield forbidden_field(path / "storageClassName", f"may not be specified {_INLINE}")
    if mode is not None and mode != "Filesystem":
        yield forbidden_field(path / "volumeMode", f"may not specify volumeMode other than Filesystem {_INLINE}")


def _update(new: Json, old: Json) -> Iterator[Problem]:
    ours, theirs = new.get("spec") or {}, old.get("spec") or {}

    def source(spec: Json) -> Json:
        return {name: value for name, value in spec.items() if name in SOURCES and value is not None}

    before, after = source(theirs), source(ours)
    # The secret for growing a volume may be added later.
    if "csi" in before and "csi" in after and before["csi"].get("controllerExpandSecretRef") is None:
        after["csi"] = {name: value for name, value in after["csi"].items() if name != "controllerExpandSecretRef"}
    if before != after:
        yield forbidden_field(
            _SPEC / "persistentvolumesource", "spec.persistentvolumesource is immutable after creation"
        )
    yield from checks.immutable(ours, theirs, "volumeMode", Path())
    # Affinity may be set once; where it stands, only old names of its labels may become new ones.
    affinity = theirs.get("nodeAffinity")
    if affinity is not None and _renamed(ours.get("nodeAffinity")) != _renamed(affinity):
        yield invalid(Path() / "nodeAffinity", ours.get("nodeAffinity"), checks.IMMUTABLE)
    if theirs.get("volumeAttributesClassName") is not None and ours.get("volumeAttributesClassName") is None:
        yield forbidden_field(_SPEC / "volumeAttributesClassName", "update from non-nil value to nil is forbidden")


_RENAMED = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _renamed(found: Any) -> Any:
    """The same affinity, with the labels that got new names called by these."""
    if isinstance(found, dict):
        return {
            name: _RENAMED.get(value, value) if name == "key" and isinstance(value, str) else _renamed(value)
            for name, value in found.items()
        }
    return [_renamed(each) for each in found] if isinstance(found, list) else found


_OUT_OF_USE = {
    "storageos": ("storageOS", "v1.22", "v1.25+"),
    "photonPersistentDisk": ("photonPersistentDisk", "v1.11", "v1.16+"),
    "scaleIO": ("scaleIO", "v1.16", "v1.22+"),
    "glusterfs": ("glusterfs", "v1.25", "v1.26+"),
    "quobyte": ("quobyte", "v1.22", "v1.25+"),
    "flocker": ("flocker", "v1.22", "v1.25+"),
    "cephfs": ("cephfs", "v1.28", "v1.31+"),
    "rbd": ("rbd", "v1.28", "v1.31+"),
}


def _warnings(obj: Json, _old: Json | None) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if storage_class(obj, annotation_only=True) is not None:
        yield (
            "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; "
            'use "storageClassName" attribute instead'
        )
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    for field, (called, deprecated, gone) in _OUT_OF_USE.items():
        if spec.get(field) is not None:
            yield f"spec.{called}: deprecated in {deprecated}, non-functional in {gone}"
    size = (spec.get("capacity") or {}).get("storage")
    if size is not None and quantity.parse(size).nano % 1_000_000_000:
        yield f'spec.capacity[storage]: fractional byte value "{size}" is invalid, must be an integer'


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    attributes = spec.get("volumeAttributesClassName")
    return [
        obj["metadata"].get("name", ""),
        (spec.get("capacity") or {}).get("storage", "0"),
        modes_text(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim is not None else "",
        storage_class(obj) or "",
        attributes if attributes is not None else "<unset>",
        status.get("reason", ""),
        printing.age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


RULES = Rules(
    default=_default,
    prepare_create=_create,
    validate=_validate,
    complete=True,
    validate_update=_update,
    warnings=_warnings,
    columns=(
        NAME_COLUMN,
        Column("Capacity", description="how much the volume holds"),
        Column("Access Modes", description="how it may be mounted: RWO, ROX, RWX, RWOP"),
        Column("Reclaim Policy", description="what becomes of the volume once its claim is gone"),
        Column("Status", description="whether it is available, bound, released or failed"),
        Column("Claim", description="the claim it is bound to"),
        Column("StorageClass", description="the class it belongs to"),
        Column("VolumeAttributesClass", description="the class of the attributes it has"),
        Column("Reason", description="why it is in a failed state"),
        AGE_COLUMN,
        Column("VolumeMode", priority=1, description="a file system, or a bare block device"),
    ),
    cells=_cells,
)
