"""What is validated of the volumes of a pod: a name each, one source each, and the sources of today.

Sources of cloud disks and network file systems of old have a module of their own (`oldvolumes`), projected ones too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds.core.oldvolumes import OLD_SOURCES
from kaa.kinds.core.paths import no_backsteps
from kaa.kinds.core.projected import key_paths, mode_problem, validate_downward_file, validate_projected
from kaa.kinds.formats import driver_name
from kaa.kinds.metadata import annotation_sizes, labels
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["validate_volumes"]

Json = dict[str, Any]
Check = Callable[[Json, Path], Iterator[Problem]]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def validate_volumes(volumes: list[Json], path: Path, *, pod: str | None, sound: dict[str, Json]) -> Iterator[Problem]:
    """Volumes without problems are put into `sound`, by name: only these can be mounted.

    `pod` is the pod's name, "" where it has none yet, and None in a template.
    """
    made: set[str] = set()
    if pod:
        made = {f"{pod}-{volume.get('name', '')}" for volume in volumes if "ephemeral" in volume}
    for at, volume in enumerate(volumes):
        name = volume.get("name", "")
        wrong = False
        for problem in _volume(volume, name, path[at], pod):
            wrong = True
            yield problem
        if name in sound:
            wrong = True
            yield duplicate(path[at] / "name", name)
        if not wrong:
            sound[name] = volume
        if made:
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim in made:
                yield invalid(
                    path[at] / "persistentVolumeClaim" / "claimName",
                    claim,
                    "must not reference a PVC that gets created for an ephemeral volume",
                )


def _volume(volume: Json, name: str, path: Path, pod: str | None) -> Iterator[Problem]:
    if len(volume) == 2 and name:
        for kind in volume:
            if kind in _PLAIN:
                yield from _PLAIN[kind](volume[kind], path / kind)
            elif kind != "name":
                yield from _source(kind, volume[kind], name, path, pod)
    else:
        first = ""
        for kind in _SOURCES:  # in this order the original looks, whatever the order in the manifest
            if kind not in volume:
                continue
            if not first:
                first = kind
                yield from _source(kind, volume[kind], name, path, pod)
            elif kind != "emptyDir":
                yield forbidden_field(path / _SPELLED.get(kind, kind), "may not specify more than 1 volume type")
        if not first:
            yield required(path, "must specify a volume type")
    if not name:
        yield required(path / "name")
    else:
        for wrong in names.dns1123_label(name):
            yield invalid(path / "name", name, wrong)


#: Where the original's paths differ from the field's name.
_SPELLED = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
_PATHS = {"gcePersistentDisk": "persistentDisk"}


def _source(kind: str, source: Json, name: str, path: Path, pod: str | None) -> Iterator[Problem]:
    yield from _SOURCES[kind](source, path / _PATHS.get(kind, kind))
    if kind == "iscsi" and "initiatorName" in source and len(f"{name}:{source.get('targetPortal', '')}") > 64:
        yield invalid(
            path / "name",
            name,
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName "
            "is specified.",
        )
    elif kind == "ephemeral" and pod and name:
        claim = f"{pod}-{name}"
        for wrong in names.dns1123_subdomain(claim):
            yield invalid(path / "name", name, f'PVC name "{claim}": {wrong}')
    elif kind == "image" and pod is not None and not source.get("reference"):
        yield required(path / "image" / "reference")


def _empty_dir(source: Json, path: Path) -> Iterator[Problem]:
    size = source.get("sizeLimit")
    if size is not None and quantity.parse(size).nano < 0:
        yield forbidden_field(path / "sizeLimit", "SizeLimit field must be a valid resource quantity")


def _host_path(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("path"):
        yield required(path / "path")
        return
    yield from no_backsteps(source["path"], path / "path")
    kind = source.get("type", "")
    if kind not in HOST_PATH_TYPES:
        yield not_supported(path / "type", kind, HOST_PATH_TYPES)


def _secret(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("secretName"):
        yield required(path / "secretName")
    yield from mode_problem(source, "defaultMode", path)
    if source.get("items"):
        yield from key_paths(source["items"], path / "items")


def _config_map(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("name"):
        yield required(path / "name")
    yield from mode_problem(source, "defaultMode", path)
    if source.get("items"):
        yield from key_paths(source["items"], path / "items")


def _downward(source: Json, path: Path) -> Iterator[Problem]:
    yield from mode_problem(source, "defaultMode", path)
    for item in source.get("items") or ():
        yield from validate_downward_file(item, path)  # the original's paths have no index here


def _claim(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("claimName"):
        yield required(path / "claimName")


def _nfs(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("server"):
        yield required(path / "server")
    if not source.get("path"):
        yield required(path / "path")
    if not source.get("path", "").startswith("/"):
        yield invalid(path / "path", source.get("path", ""), "must be an absolute path")


def _csi(source: Json, path: Path) -> Iterator[Problem]:
    yield from driver_name(source.get("driver", ""), path / "driver")
    reference = source.get("nodePublishSecretRef")
    if reference is not None:
        name = reference.get("name", "")
        if not name:
            yield required(path / "nodePublishSecretRef" / "name")
        else:
            for wrong in names.dns1123_subdomain(name):
                yield invalid(path / "name", name, wrong)


def _ephemeral(source: Json, path: Path) -> Iterator[Problem]:
    from kaa.kinds.volumes.claims import validate_claim_spec  # claims import from this package

    template = source.get("volumeClaimTemplate")
    here = path / "volumeClaimTemplate"
    if template is None:
        yield required(here)
        return
    meta = template.get("metadata") or {}
    if meta.get("annotations"):
        yield from annotation_sizes(meta["annotations"], here / "metadata" / "annotations")
    if meta.get("labels"):
        yield from labels(meta["labels"], here / "metadata" / "labels")
    for name, value in meta.items():
        if name not in ("annotations", "labels") and value:
            yield forbidden_field(here / "metadata" / name, "cannot be set")
    yield from validate_claim_spec(template.get("spec") or {}, here / "spec")


def _image(source: Json, path: Path) -> Iterator[Problem]:
    policy = source.get("pullPolicy")
    if not policy:
        yield required(path / "pullPolicy")
    elif policy not in ("Always", "IfNotPresent", "Never"):
        yield not_supported(path / "pullPolicy", policy, ("Always", "IfNotPresent", "Never"))


def _ordered() -> dict[str, Check]:
    """Every source, in the order in which the original looks for them."""
    own: dict[str, Check] = {
        "emptyDir": _empty_dir, "hostPath": _host_path, "secret": _secret, "nfs": _nfs,
        "persistentVolumeClaim": _claim, "downwardAPI": _downward, "configMap": _config_map,
        "projected": validate_projected, "csi": _csi, "ephemeral": _ephemeral, "image": _image,
    }  # fmt: skip
    order = (
        "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
        "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
        "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume",
        "azureDisk", "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
    )  # fmt: skip
    return {kind: own.get(kind) or OLD_SOURCES[kind] for kind in order}


_SOURCES = _ordered()
#: Those that are judged by themselves alone.
_PLAIN = {kind: _SOURCES[kind] for kind in ("emptyDir", "hostPath", "secret", "configMap", "projected", "downwardAPI",
                                            "persistentVolumeClaim", "csi", "nfs")}  # fmt: skip
