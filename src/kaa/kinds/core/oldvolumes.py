"""What is validated of volume sources that live in the original's own tree: cloud disks, network file systems."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds.core.paths import local_path
from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["OLD_SOURCES"]

Json = dict[str, Any]
Check = Callable[[Json, Path], Iterator[Problem]]


def _needs(*fields: str) -> Check:
    """A source that only has to say where its data is."""

    def check(source: Json, path: Path) -> Iterator[Problem]:
        for field in fields:
            if not source.get(field):
                yield required(path / field)

    return check


def _disk(field: str) -> Check:
    def check(source: Json, path: Path) -> Iterator[Problem]:
        if not source.get(field):
            yield required(path / field)
        # 0 is allowed (no partition), though the text says otherwise, as in the original.
        if not 0 <= source.get("partition", 0) <= 255:
            yield invalid(path / "partition", source["partition"], "must be between 1 and 255, inclusive")

    return check


def _git_repo(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("repository"):
        yield required(path / "repository")
    yield from local_path(source.get("directory", ""), path / "directory")


_QUALIFIED = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[A-Za-z0-9]{16}$"),
    "naa": re.compile(r"^naa.[A-Za-z0-9]{32}$"),
}


def _initiator(name: str, path: Path) -> Iterator[Problem]:
    shape = _QUALIFIED.get(name[:3])
    if shape is None:
        yield invalid(path, name, "must be valid format starting with iqn, eui, or naa")
    elif not shape.search(name):
        yield invalid(path, name, "must be valid format")


def _iscsi(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("targetPortal"):
        yield required(path / "targetPortal")
    if not source.get("iqn"):
        yield required(path / "iqn")
    else:
        yield from _initiator(source["iqn"], path / "iqn")
    yield from _lun(source.get("lun", 0), path)
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        yield required(path / "secretRef")
    if source.get("initiatorName") is not None:
        yield from _initiator(source["initiatorName"], path / "initiatorname")


def _lun(lun: int, path: Path) -> Iterator[Problem]:
    if not 0 <= lun <= 255:
        yield invalid(path / "lun", lun, "must be between 0 and 255, inclusive")


def _flocker(source: Json, path: Path) -> Iterator[Problem]:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        yield required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        yield invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        yield invalid(path / "datasetName", name, "must not contain '/'")


def _cinder(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("volumeID"):
        yield required(path / "volumeID")
    yield from _secret_name(source, path)


def _secret_name(source: Json, path: Path) -> Iterator[Problem]:
    if source.get("secretRef") is not None and not source["secretRef"].get("name"):
        yield required(path / "secretRef" / "name")


_PAIRS = "must be a host:port pair or multiple pairs separated by commas"


def _quobyte(source: Json, path: Path) -> Iterator[Problem]:
    registry = source.get("registry", "")
    if not registry:
        yield required(path / "registry", _PAIRS)
    elif len(source.get("tenant", "")) >= 65:
        yield required(path / "tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:]*", pair):
                yield invalid(path / "registry", registry, _PAIRS)
    if not source.get("volume"):
        yield required(path / "volume")


def _fibre(source: Json, path: Path) -> Iterator[Problem]:
    targets, wide = source.get("targetWWNs") or [], source.get("wwids") or []
    if not targets and not wide:
        yield required(path / "targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if targets and wide:
        yield invalid(path / "targetWWNs", targets, "targetWWNs and wwids can not be specified simultaneously")
    if targets:
        if source.get("lun") is None:
            yield required(path / "lun", "lun is required if targetWWNs is specified")
        else:
            yield from _lun(source["lun"], path)


def _flex(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("driver"):
        yield required(path / "driver")
    for key in source.get("options") or ():
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            yield invalid((path / "options")[key], key, "kubernetes.io and k8s.io namespaces are reserved")


def _azure_disk(source: Json, path: Path) -> Iterator[Problem]:
    yield from _needs("diskName", "diskURI")(source, path)
    uri, kind = source.get("diskURI", ""), source.get("kind")
    caching, cachings = source.get("cachingMode"), ("None", "ReadOnly", "ReadWrite")
    if caching is not None and caching not in cachings:
        yield not_supported(path / "cachingMode", caching, cachings)
    if kind is None:
        return
    if kind not in ("Dedicated", "Managed", "Shared"):
        yield not_supported(path / "kind", kind, ("Dedicated", "Managed", "Shared"))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        managed = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
        yield not_supported(path / "diskURI", uri, (managed,))
    if kind != "Managed" and not uri.startswith("https://"):
        blob = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        yield not_supported(path / "diskURI", uri, (blob,))


def _storage_os(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("volumeName"):
        yield required(path / "volumeName")
    for field in ("volumeName", "volumeNamespace"):
        for wrong in names.dns1123_label(source[field]) if source.get(field) else ():
            yield invalid(path / field, source[field], wrong)
    yield from _secret_name(source, path)


OLD_SOURCES: dict[str, Check] = {
    "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "iscsi": _iscsi,
    "glusterfs": _needs("endpoints", "path"),
    "flocker": _flocker,
    "rbd": _needs("monitors", "image"),
    "cinder": _cinder,
    "cephfs": _needs("monitors"),
    "quobyte": _quobyte,
    "fc": _fibre,
    "flexVolume": _flex,
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "scaleIO": _needs("gateway", "system", "volumeName"),
}
