"""What is validated of where a container mounts its volumes and devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaa.kinds.core.paths import local_path
from kaa.meta.problems import Path, Problem, forbidden_field, invalid, not_found_field, not_supported, required

__all__ = ["validate_devices", "validate_mounts"]

Json = dict[str, Any]
Volumes = Mapping[str, Json]

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")


def validate_mounts(mounts: list[Json], path: Path, volumes: Volumes, container: Json) -> Iterator[Problem]:
    """Each mounts a volume of the pod at a place of its own."""
    points: set[str] = set()
    devices = container.get("volumeDevices")
    for at, mount in enumerate(mounts):
        name, point = mount.get("name", ""), mount.get("mountPath", "")
        if name not in volumes:
            if not name:
                yield required(path[at] / "name")
            yield not_found_field(path[at] / "name", name)
        if not point:
            yield required(path[at] / "mountPath")
        if point in points:
            yield invalid(path[at] / "mountPath", point, "must be unique")
        points.add(point)
        if devices:
            if any(each.get("name", "") == name for each in devices):
                yield invalid(path[at] / "name", name, "must not already exist in volumeDevices")
            if any(each.get("devicePath", "") == point for each in devices):
                yield invalid(path[at] / "mountPath", point, "must not already exist as a path in volumeDevices")
        if len(mount) > 3 or (len(mount) == 3 and "readOnly" not in mount):
            yield from _options(mount, path, path[at], container)


def _options(mount: Json, path: Path, here: Path, container: Json) -> Iterator[Problem]:
    """What a mount may say beyond name and place. Several of the original's paths lack the mount's index."""
    below, expression = mount.get("subPath"), mount.get("subPathExpr")
    if below:
        yield from local_path(below, path / "subPath")
    if expression:
        if below:
            yield invalid(here / "subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
        yield from local_path(expression, path / "subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        if propagation not in PROPAGATIONS:
            yield not_supported(path / "mountPropagation", propagation, PROPAGATIONS)
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            yield forbidden_field(
                path / "mountPropagation",
                "Bidirectional mount propagation is available only to privileged containers",
            )
    recursive = mount.get("recursiveReadOnly")
    if recursive in ("Enabled", "IfPossible"):
        where = path / "recursiveReadOnly"
        if not mount.get("readOnly"):
            yield forbidden_field(where, "may only be specified when readOnly is true")
        if propagation not in (None, "None"):
            yield forbidden_field(where, "may only be specified when mountPropagation is None or not specified")
    elif recursive is not None and recursive != "Disabled":
        yield not_supported(path / "recursiveReadOnly", recursive, ("Disabled", "Enabled", "IfPossible"))


def validate_devices(devices: list[Json], path: Path, volumes: Volumes, mounts: list[Json]) -> Iterator[Problem]:
    """Each gives a claim of the pod as a device, at a place of its own."""
    mounted = {mount.get("name", "") for mount in mounts}
    points = {mount.get("mountPath", "") for mount in mounts}
    seen_names: set[str] = set()
    seen_points: set[str] = set()
    for at, device in enumerate(devices):
        here = path[at]
        name, point = device.get("name", ""), device.get("devicePath", "")
        if not name:
            yield required(here / "name")
        if name in seen_names:
            yield invalid(here / "name", name, "must be unique")
        if name not in volumes:
            yield not_found_field(here / "name", name)
        elif not volumes[name].keys() & {"persistentVolumeClaim", "ephemeral"}:
            yield invalid(
                here / "name",
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )
        if not point:
            yield required(here / "devicePath")
        if point in seen_points:
            yield invalid(here / "devicePath", point, "must be unique")
        if ".." in point.split("/"):
            yield invalid(here / "devicePath", point, "can not contain backsteps ('..')")
        else:
            seen_points.add(point)
        if name in mounted:
            yield invalid(here / "name", name, "must not already exist in volumeMounts")
        if point in points:
            yield invalid(here / "devicePath", point, "must not already exist as a path in volumeMounts")
        if name:
            seen_names.add(name)
