"""StorageClasses, VolumeAttributesClasses, CSI drivers, nodes and capacities, and attachments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta.problems import Path, Problem, forbidden_field, not_supported, required

__all__ = ["ATTACHMENT", "ATTRIBUTES_CLASS", "CAPACITY", "CLASS", "DRIVER", "NODE"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_IS_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def _class_default(obj: Json) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _class_validate(obj: Json) -> Iterator[Problem]:
    if not obj.get("provisioner"):
        yield required(Path() / "provisioner")
    policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy not in ("Delete", "Retain"):
        yield not_supported(Path() / "reclaimPolicy", policy, ("Delete", "Retain"))
    if mode not in ("Immediate", "WaitForFirstConsumer"):
        yield not_supported(Path() / "volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))


def _class_update(new: Json, old: Json) -> Iterator[Problem]:
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        yield forbidden_field(Path() / "parameters", "updates to parameters are forbidden.")
    if new.get("provisioner") != old.get("provisioner"):
        yield forbidden_field(Path() / "provisioner", "updates to provisioner are forbidden.")
    if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
        yield forbidden_field(Path() / "reclaimPolicy", "updates to reclaimPolicy are forbidden.")
    yield from checks.immutable(new, old, "volumeBindingMode", Path())


def _name(obj: Json) -> str:
    found = obj["metadata"].get("annotations") or {}
    usual = any(found.get(key) == "true" for key in _IS_DEFAULT)
    return f"{obj['metadata'].get('name', '')}{' (default)' if usual else ''}"


CLASS = Rules(
    default=_class_default,
    validate=_class_validate,
    validate_update=_class_update,
    columns=(
        NAME_COLUMN,
        Column("Provisioner"),
        Column("ReclaimPolicy"),
        Column("VolumeBindingMode"),
        Column("AllowVolumeExpansion"),
        AGE_COLUMN,
    ),
    cells=lambda obj, now: [
        _name(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        printing.age(obj, now),
    ],
)


def _attributes_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("driverName", "parameters"):
        yield from checks.immutable(new, old, name, Path())


ATTRIBUTES_CLASS = Rules(
    validate_update=_attributes_update,
    columns=(NAME_COLUMN, Column("DriverName"), AGE_COLUMN),
    cells=lambda obj, now: [_name(obj), obj.get("driverName", ""), printing.age(obj, now)],
)


def _driver_default(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    spec.setdefault("podInfoOnMount", False)
    spec.setdefault("storageCapacity", False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
    spec.setdefault("requiresRepublish", False)
    spec.setdefault("seLinuxMount", False)


def _driver_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    yield from checks.one_of(spec, "fsGroupPolicy", policies, _SPEC)
    for at, mode in enumerate(spec.get("volumeLifecycleModes") or ()):
        if mode not in ("Ephemeral", "Persistent"):
            yield not_supported((_SPEC / "volumeLifecycleModes")[at], mode, ("Ephemeral", "Persistent"))


def _driver_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("attachRequired", "volumeLifecycleModes"):
        yield from checks.immutable(new.get("spec") or {}, old.get("spec") or {}, name, _SPEC)


def _driver_cells(obj: Json, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    tokens = ",".join(each.get("audience", "") for each in spec.get("tokenRequests") or ())
    return [
        obj["metadata"].get("name", ""),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        tokens or "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        printing.age(obj, now),
    ]


DRIVER = Rules(
    default=_driver_default,
    validate=_driver_validate,
    validate_update=_driver_update,
    generation=True,
    columns=(
        NAME_COLUMN,
        Column("AttachRequired", "boolean"),
        Column("PodInfoOnMount", "boolean"),
        Column("StorageCapacity", "boolean"),
        Column("TokenRequests"),
        Column("RequiresRepublish", "boolean"),
        Column("Modes"),
        AGE_COLUMN,
    ),
    cells=_driver_cells,
)

NODE = Rules(
    columns=(NAME_COLUMN, Column("Drivers", "integer"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        len((obj.get("spec") or {}).get("drivers") or ()),
        printing.age(obj, now),
    ],
)


def _capacity_update(new: Json, old: Json) -> Iterator[Problem]:
    for name in ("nodeTopology", "storageClassName"):
        yield from checks.immutable(new, old, name, Path())


CAPACITY = Rules(
    validate_update=_capacity_update,
    columns=(NAME_COLUMN, Column("StorageClassName"), Column("Capacity"), AGE_COLUMN),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        obj.get("storageClassName", ""),
        obj.get("capacity") or "<unset>",
        printing.age(obj, now),
    ],
)


def _attachment_validate(obj: Json) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    for name in ("attacher", "nodeName"):
        if not spec.get(name):
            yield required(_SPEC / name)
    if not any((spec.get("source") or {}).values()):
        yield required(_SPEC / "source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")


def _attachment_update(new: Json, old: Json) -> Iterator[Problem]:
    if new.get("spec") != old.get("spec"):
        yield from checks.immutable(new, old, "spec", Path())


ATTACHMENT = Rules(
    validate=_attachment_validate,
    validate_update=_attachment_update,
    columns=(
        NAME_COLUMN,
        Column("Attacher"),
        Column("PV"),
        Column("Node"),
        Column("Attached", "boolean"),
        AGE_COLUMN,
    ),
    cells=lambda obj, now: [
        obj["metadata"].get("name", ""),
        (obj.get("spec") or {}).get("attacher", ""),
        ((obj.get("spec") or {}).get("source") or {}).get("persistentVolumeName", ""),
        (obj.get("spec") or {}).get("nodeName", ""),
        bool((obj.get("status") or {}).get("attached")),
        printing.age(obj, now),
    ],
)
