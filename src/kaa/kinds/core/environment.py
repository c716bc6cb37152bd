"""What is validated of a container's environment, and of references to the pod's own fields and resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaa.kinds.core.paths import local_path
from kaa.meta import names, quantity
from kaa.meta.problems import Path, Problem, invalid, not_found_field, not_supported, required

__all__ = [
    "VOLUME_FIELD_PATHS",
    "validate_env",
    "validate_env_from",
    "validate_field_ref",
    "validate_file_volumes",
    "validate_resource_ref",
]

Json = dict[str, Any]

#: Field paths an environment variable may read.
FIELD_PATHS = frozenset(
    {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    }
)  # fmt: skip
VOLUME_FIELD_PATHS = frozenset(
    {"metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"}
)
#: Everything that has a label of its own; what may be read of it depends on the reader.
_LABELS = FIELD_PATHS | VOLUME_FIELD_PATHS | {"spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host"}
_WITH_KEYS = ("metadata.annotations", "metadata.labels")
#: Container resources an environment variable or a file may read.
RESOURCE_FIELDS = frozenset(
    {
        "limits.cpu", "limits.memory", "limits.ephemeral-storage",
        "requests.cpu", "requests.memory", "requests.ephemeral-storage",
    }
)  # fmt: skip
_HUGE = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")

_ONE_OF = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"


def validate_env(variables: list[Json], path: Path, files: list[bool]) -> Iterator[Problem]:
    """Names, and one source of each value. `files` gets an element for each that is read from a file."""
    wrong_name = names.env_var_name_relaxed
    for at, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            yield required(path[at] / "name")
        else:
            for wrong in wrong_name(name):
                yield invalid(path[at] / "name", name, wrong)
        if "valueFrom" in variable:
            if "fileKeyRef" in variable["valueFrom"]:
                files.append(True)
            yield from _value_from(variable["valueFrom"], bool(variable.get("value")), path[at] / "valueFrom")


def _value_from(source: Json, valued: bool, path: Path) -> Iterator[Problem]:
    count = 0
    if "fieldRef" in source:
        count += 1
        yield from validate_field_ref(source["fieldRef"], path / "fieldRef", FIELD_PATHS)
    if "resourceFieldRef" in source:
        count += 1
        yield from validate_resource_ref(source["resourceFieldRef"], path / "resourceFieldRef", volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            count += 1
            yield from _key_ref(source[kind], path / kind)
    if "fileKeyRef" in source:
        count += 1
        yield from _file_ref(source["fileKeyRef"], path / "fileKeyRef")
    if not count:
        yield invalid(path, "", _ONE_OF)
    elif valued:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _key_ref(reference: Json, path: Path) -> Iterator[Problem]:
    name, key = reference.get("name", ""), reference.get("key", "")
    for wrong in names.dns1123_subdomain(name):
        yield invalid(path / "name", name, wrong)
    if not key:
        yield required(path / "key")
    else:
        for wrong in names.config_map_key(key):
            yield invalid(path / "key", key, wrong)


def _file_ref(reference: Json, path: Path) -> Iterator[Problem]:
    if not reference.get("volumeName"):
        yield required(path / "volumeName")
    if not reference.get("path"):
        yield required(path / "path")
    else:
        yield from local_path(reference["path"], path / "path", reserved=True)
    key = reference.get("key", "")
    if not key:
        yield required(path / "key")
    else:
        for wrong in names.env_var_name_relaxed(key):
            yield invalid(path / "key", key, wrong)


def validate_file_volumes(variables: list[Json], path: Path, volumes: Mapping[str, Json]) -> Iterator[Problem]:
    """The files that variables are read from lie in empty directories of the pod."""
    for at, variable in enumerate(variables):
        reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
        name = (reference or {}).get("volumeName")
        if name:
            here = path[at] / "valueFrom" / "fileKeyRef" / "volumeName"
            if name not in volumes:
                yield not_found_field(here, name)
            elif "emptyDir" not in volumes[name]:
                yield invalid(here, name, "referenced volume must be of type emptyDir")


def validate_field_ref(reference: Json, path: Path, allowed: frozenset[str]) -> Iterator[Problem]:
    """A field of the pod, by path; labels and annotations may be named with a key."""
    if not reference.get("apiVersion"):
        yield required(path / "apiVersion")
        return
    field = reference.get("fieldPath")
    if not field:
        yield required(path / "fieldPath")
        return
    if reference["apiVersion"] != "v1":
        yield _not_converted(path, field, f"unsupported pod version: {reference['apiVersion']}")
        return
    if field in allowed:
        return
    base, bracket, rest = field.partition("['")
    if bracket and base and rest.endswith("']"):
        if base not in _WITH_KEYS:
            yield _not_converted(path, field, f"field label does not support subscript: {field}")
            return
        key = rest[:-2].lower() if base == "metadata.annotations" else rest[:-2]
        for wrong in names.qualified_name(key):
            yield invalid(path, key, wrong)
    elif field not in _LABELS:
        yield _not_converted(path, field, f"field label not supported: {field}")
    elif (label := "spec.nodeName" if field == "spec.host" else field) not in allowed:
        yield not_supported(path / "fieldPath", label, allowed)


def _not_converted(path: Path, field: str, why: str) -> Problem:
    return invalid(path / "fieldPath", field, f"error converting fieldPath: {why}")


def validate_resource_ref(reference: Json, path: Path, *, volume: bool) -> Iterator[Problem]:
    """A resource of a container, and the unit it is counted in. A file must say of which container."""
    name = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        yield required(path / "containerName")
    elif not name:
        yield required(path / "resource")
    elif name not in RESOURCE_FIELDS and not name.startswith(_HUGE):
        yield not_supported(path / "resource", name, RESOURCE_FIELDS)
    divisor = reference.get("divisor", "0")
    if not quantity.parse(divisor):
        return
    kind = name.partition(".")[2]
    if name in ("limits.cpu", "requests.cpu"):
        if divisor not in ("1m", "1"):
            yield invalid(path / "divisor", name, "only divisor's values 1m and 1 are supported with the cpu resource")
        return
    words = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}
    word = "hugepages" if name.startswith(_HUGE) else words.get(kind, "") if name in RESOURCE_FIELDS else ""
    if word and divisor not in _BYTE_DIVISORS:
        yield invalid(
            path / "divisor",
            name,
            f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the {word} resource",
        )


def validate_env_from(sources: list[Json], path: Path) -> Iterator[Problem]:
    """Whole ConfigMaps and Secrets as variables. Whether there is one source is told of the list (as the original)."""
    for at, source in enumerate(sources):
        if source.get("prefix"):
            for wrong in names.env_var_name_relaxed(source["prefix"]):
                yield invalid(path[at] / "prefix", source["prefix"], wrong)
        given = [each for each in ("configMapRef", "secretRef") if each in source]
        for each in given:
            name = source[each].get("name", "")
            if not name:
                yield required(path[at] / each / "name")
            else:
                for wrong in names.dns1123_subdomain(name.rstrip("-") or name):
                    yield invalid(path[at] / each / "name", name, wrong)
        if not given:
            yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield invalid(path, "", "may not have more than one field specified at a time")
