"""What lies behind a PersistentVolume: one check per kind of source.

Most are those of a pod's volume; where a volume of the cluster says more (the namespace of a secret), it adds to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import formats
from kaa.kinds.core.oldvolumes import OLD_SOURCES
from kaa.kinds.core.paths import no_backsteps
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["SOURCES"]

Json = dict[str, Any]
#: A source, its path and the volume's name.
SourceCheck = Callable[[Json, Path, str], Iterator[Problem]]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def _as_in_pods(field: str) -> SourceCheck:
    check = OLD_SOURCES[field]
    return lambda source, path, _name: check(source, path)


def _missing(source: Json, path: Path, *fields: str) -> Iterator[Problem]:
    for field in fields:
        if not source.get(field):
            yield required(path / field)


def _secret_namespace(field: str) -> SourceCheck:
    """As in a pod, and a secret has to say its namespace."""

    def check(source: Json, path: Path, _name: str) -> Iterator[Problem]:
        yield from OLD_SOURCES[field](source, path)
        if source.get("secretRef") is not None:
            yield from _missing(source["secretRef"], path / "secretRef", "namespace")

    return check


def _host_path(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    if not source.get("path"):
        yield required(path / "path")
        return
    yield from no_backsteps(source["path"], path / "path")
    if source.get("type") is not None and source["type"] not in HOST_PATH_TYPES:
        yield not_supported(path / "type", source["type"], HOST_PATH_TYPES)


def _local(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    if not source.get("path"):
        yield required(path / "path")
        return
    yield from no_backsteps(source["path"], path / "path")


def _glusterfs(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    yield from OLD_SOURCES["glusterfs"](source, path)
    namespace, here = source.get("endpointsNamespace"), path / "endpointsNamespace"
    if namespace == "":
        yield invalid(here, "", "if the endpointnamespace is set, it must be a valid namespace name")
    elif namespace is not None:
        yield from formats.each_wrong(names.dns1123_label, namespace, here)


def _nfs(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    yield from _missing(source, path, "server", "path")
    if not source.get("path", "").startswith("/"):
        yield invalid(path / "path", source.get("path", ""), "must be an absolute path")


def _iscsi(source: Json, path: Path, name: str) -> Iterator[Problem]:
    portal = source.get("targetPortal", "")
    if source.get("initiatorName") is not None and len(f"{name}:{portal}") > 64:
        yield invalid(
            path / "targetportal",
            portal,
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
            "specified.",
        )
    yield from OLD_SOURCES["iscsi"](source, path)
    if source.get("secretRef") is not None:
        yield from _missing(source["secretRef"], path / "secretRef", "name")


def _azure_file(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    yield from OLD_SOURCES["azureFile"](source, path)
    if source.get("secretNamespace") == "":
        yield required(path / "secretNamespace")


_SECRETS = (
    "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef",
)  # fmt: skip


def _csi(source: Json, path: Path, _name: str) -> Iterator[Problem]:
    yield from formats.driver_name(source.get("driver", ""), path / "driver")
    yield from _missing(source, path, "volumeHandle")
    for field in _SECRETS:
        if source.get(field) is not None:
            yield from _secret(source[field], path / field)


def _secret(found: Json, path: Path) -> Iterator[Problem]:
    for field, check in (("name", names.dns1123_subdomain), ("namespace", names.dns1123_label)):
        if not found.get(field):
            yield required(path / field)
        else:
            yield from formats.each_wrong(check, found[field], path / field)


#: The sources in the order they are looked at: field -> (what its problems call it, the check).
SOURCES: dict[str, tuple[str, SourceCheck]] = {
    "hostPath": ("hostPath", _host_path),
    "gcePersistentDisk": ("persistentDisk", _as_in_pods("gcePersistentDisk")),
    "awsElasticBlockStore": ("awsElasticBlockStore", _as_in_pods("awsElasticBlockStore")),
    "glusterfs": ("glusterfs", _glusterfs),
    "flocker": ("flocker", _as_in_pods("flocker")),
    "nfs": ("nfs", _nfs),
    "rbd": ("rbd", _as_in_pods("rbd")),
    "quobyte": ("quobyte", _as_in_pods("quobyte")),
    "cephfs": ("cephfs", _as_in_pods("cephfs")),
    "iscsi": ("iscsi", _iscsi),
    "cinder": ("cinder", _secret_namespace("cinder")),
    "fc": ("fc", _as_in_pods("fc")),
    "flexVolume": ("flexVolume", _as_in_pods("flexVolume")),
    "azureFile": ("azureFile", _azure_file),
    "vsphereVolume": ("vsphereVolume", _as_in_pods("vsphereVolume")),
    "photonPersistentDisk": ("photonPersistentDisk", _as_in_pods("photonPersistentDisk")),
    "portworxVolume": ("portworxVolume", _as_in_pods("portworxVolume")),
    "azureDisk": ("azureDisk", _as_in_pods("azureDisk")),
    "scaleIO": ("scaleIO", _as_in_pods("scaleIO")),
    "local": ("local", _local),
    "storageos": ("storageos", _secret_namespace("storageos")),
    "csi": ("csi", _csi),
}
