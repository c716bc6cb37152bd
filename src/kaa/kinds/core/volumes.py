"""What is validated of the volumes of a pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.containers import local_path
from kaa.kinds.core.environment import VOLUME_FIELD_PATHS, validate_field_ref
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, required

__all__ = ["validate_volumes"]

Json = dict[str, Any]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip


def validate_volumes(volumes: list[Json], path: Path) -> Iterator[Problem]:
    """Names, one source each, and the sources."""
    seen: set[str] = set()
    for at, volume in enumerate(volumes):
        here = path[at]
        sources = [name for name, value in volume.items() if name != "name" and value is not None]
        if not sources:
            yield required(here, "must specify a volume type")
        for extra in sources[1:]:
            yield forbidden_field(here / extra, "may not specify more than 1 volume type")
        for kind in sources[:1]:
            check = _SOURCES.get(kind)
            if check is not None:
                yield from check(volume[kind], here / kind)
        name = volume.get("name", "")
        if not name:
            yield required(here / "name")
        else:
            for wrong in names.dns1123_label(name):
                yield invalid(here / "name", name, wrong)
            if name in seen:
                yield duplicate(here / "name", name)
            seen.add(name)


def _mode(source: Json, field: str, path: Path) -> Iterator[Problem]:
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(path / field, mode, "must be a number between 0 and 0777 (octal), both inclusive")


def _items(source: Json, path: Path) -> Iterator[Problem]:
    for at, item in enumerate(source.get("items") or ()):
        here = (path / "items")[at]
        if not item.get("key"):
            yield required(here / "key")
        if not item.get("path"):
            yield required(here / "path")
        else:
            yield from local_path(item["path"], here / "path")
        yield from _mode(item, "mode", here)


def _empty_dir(source: Json, path: Path) -> Iterator[Problem]:
    size = source.get("sizeLimit")
    if size is not None and quantity.parse(size).nano < 0:
        yield forbidden_field(path / "sizeLimit", "SizeLimit field must be a valid resource quantity")


def _host_path(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("path"):
        yield required(path / "path")
    elif ".." in source["path"].split("/"):
        yield invalid(path / "path", source["path"], "must not contain '..'")
    yield from checks.one_of(source, "type", HOST_PATH_TYPES, path)


def _secret(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("secretName"):
        yield required(path / "secretName")
    yield from _mode(source, "defaultMode", path)
    yield from _items(source, path)


def _config_map(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("name"):
        yield required(path / "name")
    yield from _mode(source, "defaultMode", path)
    yield from _items(source, path)


def _downward(source: Json, path: Path) -> Iterator[Problem]:
    yield from _mode(source, "defaultMode", path)
    for at, item in enumerate(source.get("items") or ()):
        here = (path / "items")[at]
        if not item.get("path"):
            yield required(here / "path")
        else:
            yield from local_path(item["path"], here / "path")
        if "fieldRef" in item:
            yield from validate_field_ref(item["fieldRef"], here / "fieldRef", VOLUME_FIELD_PATHS)
            if "resourceFieldRef" in item:
                yield invalid(here, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        elif "resourceFieldRef" not in item:
            yield required(here, "one of fieldRef and resourceFieldRef is required")
        yield from _mode(item, "mode", here)


def _claim(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("claimName"):
        yield required(path / "claimName")


def _nfs(source: Json, path: Path) -> Iterator[Problem]:
    for field in ("server", "path"):
        if not source.get(field):
            yield required(path / field)
    if source.get("path") and not source["path"].startswith("/"):
        yield invalid(path / "path", source["path"], "must be an absolute path")


def _csi(source: Json, path: Path) -> Iterator[Problem]:
    driver = source.get("driver", "")
    if not driver:
        yield required(path / "driver")
    else:
        for wrong in names.dns1123_subdomain(driver.lower()):
            yield invalid(path / "driver", driver, wrong)
    reference = source.get("nodePublishSecretRef")
    if reference is not None and not reference.get("name"):
        yield required(path / "nodePublishSecretRef" / "name")


def _ephemeral(source: Json, path: Path) -> Iterator[Problem]:
    if source.get("volumeClaimTemplate") is None:
        yield required(path / "volumeClaimTemplate")


def _image(source: Json, path: Path) -> Iterator[Problem]:
    if not source.get("reference"):
        yield required(path / "reference")
    yield from checks.one_of(source, "pullPolicy", ("Always", "IfNotPresent", "Never"), path)


def _projected(source: Json, path: Path) -> Iterator[Problem]:
    yield from _mode(source, "defaultMode", path)
    for at, each in enumerate(source.get("sources") or ()):
        here = (path / "sources")[at]
        kinds = [name for name in each if each[name] is not None]
        if not kinds:
            yield required(here, "must specify at least one source")
        for extra in kinds[1:]:
            yield forbidden_field(here / extra, "may not specify more than 1 volume type per source")
        for kind in kinds[:1]:
            found = each[kind]
            if kind in ("secret", "configMap"):
                if not found.get("name"):
                    yield required(here / kind / "name")
                yield from _items(found, here / kind)
            elif kind == "downwardAPI":
                yield from _downward(found, here / kind)
            elif kind == "serviceAccountToken":
                yield from _token(found, here / kind)


def _token(source: Json, path: Path) -> Iterator[Problem]:
    seconds = source.get("expirationSeconds", 3600)
    if seconds < 600:
        yield invalid(path / "expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > 1 << 32:
        yield invalid(path / "expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not source.get("path"):
        yield required(path / "path")
    else:
        yield from local_path(source["path"], path / "path")


_SOURCES: dict[str, Callable[[Json, Path], Iterator[Problem]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "persistentVolumeClaim": _claim,
    "nfs": _nfs,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
    "projected": _projected,
}
