"""What is validated of a container's environment, and of references to the pod's own fields and resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.meta import names
from kaa.meta.problems import Path, Problem, invalid, not_supported, required

__all__ = ["VOLUME_FIELD_PATHS", "validate_env", "validate_env_from", "validate_field_ref"]

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
#: Container resources an environment variable may read.
RESOURCE_FIELDS = frozenset(
    {
        "limits.cpu", "limits.memory", "limits.ephemeral-storage",
        "requests.cpu", "requests.memory", "requests.ephemeral-storage",
    }
)  # fmt: skip

_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_env(variables: list[Json], path: Path) -> Iterator[Problem]:
    for at, variable in enumerate(variables):
        name = variable.get("name", "")
        if not name:
            yield required(path[at] / "name")
        else:
            for wrong in names.env_var_name_relaxed(name):
                yield invalid(path[at] / "name", name, wrong)
        source = variable.get("valueFrom")
        if source is None:
            continue
        here = path[at] / "valueFrom"
        given = [each for each in _ENV_SOURCES if source.get(each) is not None]
        if not given:
            yield invalid(
                here,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                "`fileKeyRef`",
            )
        elif variable.get("value"):
            yield invalid(here, "", "may not be specified when `value` is not empty")
        elif len(given) > 1:
            yield invalid(here, "", "may not have more than one field specified at a time")
        if "fieldRef" in source:
            yield from validate_field_ref(source["fieldRef"], here / "fieldRef", FIELD_PATHS)
        if "resourceFieldRef" in source:
            yield from _resource_ref(source["resourceFieldRef"], here / "resourceFieldRef", volume=False)
        if "fileKeyRef" in source:
            for each in ("volumeName", "path", "key"):
                if not source["fileKeyRef"].get(each):
                    yield required(here / "fileKeyRef" / each)
        for each in ("configMapKeyRef", "secretKeyRef"):
            reference = source.get(each)
            if reference is not None:
                if not reference.get("name"):
                    yield required(here / each / "name")
                key = reference.get("key", "")
                if not key:
                    yield required(here / each / "key")
                else:
                    for wrong in names.config_map_key(key):
                        yield invalid(here / each / "key", key, wrong)


def validate_field_ref(reference: Json, path: Path, allowed: frozenset[str]) -> Iterator[Problem]:
    """A field of the pod, by path; labels and annotations may be named with a key."""
    if not reference.get("apiVersion"):
        yield required(path / "apiVersion")
        return
    field = reference.get("fieldPath", "")
    if not field:
        yield required(path / "fieldPath")
        return
    base, bracket, rest = field.partition("['")
    if bracket and rest.endswith("']") and base in ("metadata.labels", "metadata.annotations"):
        key = rest[:-2]
        for wrong in names.qualified_name(key.lower() if base == "metadata.annotations" else key):
            yield invalid(path, field, wrong)
    elif field not in FIELD_PATHS | VOLUME_FIELD_PATHS:
        yield invalid(path / "fieldPath", field, f"error converting fieldPath: field label not supported: {field}")
    elif field not in allowed:
        yield not_supported(path / "fieldPath", field, allowed)


def _resource_ref(reference: Json, path: Path, *, volume: bool) -> Iterator[Problem]:
    if volume and not reference.get("containerName"):
        yield required(path / "containerName")
    name = reference.get("resource", "")
    if not name:
        yield required(path / "resource")
    elif name not in RESOURCE_FIELDS and not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        yield not_supported(path / "resource", name, RESOURCE_FIELDS)


def validate_env_from(sources: list[Json], path: Path) -> Iterator[Problem]:
    for at, source in enumerate(sources):
        here = path[at]
        if source.get("prefix"):
            for wrong in names.env_var_name_relaxed(source["prefix"]):
                yield invalid(here / "prefix", source["prefix"], wrong)
        given = [each for each in ("configMapRef", "secretRef") if source.get(each) is not None]
        for each in given:
            if not source[each].get("name"):
                yield required(here / each / "name")
        if not given:
            yield invalid(here, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield invalid(here, "", "may not have more than one field specified at a time")
