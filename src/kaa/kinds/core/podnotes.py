"""What is validated of a pod's annotations: those that were fields' forerunners must agree with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaa.kinds.core.paths import local_path
from kaa.kinds.core.security import all_containers
from kaa.meta.problems import Path, Problem, forbidden_field, invalid

__all__ = [
    "APP_ARMOR",
    "SECCOMP_CONTAINER",
    "SECCOMP_POD",
    "validate_annotation_updates",
    "validate_annotations",
    "validate_profiles_match",
]

Json = dict[str, Any]

SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_MIRROR = "kubernetes.io/config.mirror"
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST = re.compile(r"(?:0|-?[1-9]\d*)\Z")


def validate_annotations(found: dict[str, str], spec: Json, path: Path) -> Iterator[Problem]:
    """Annotations of a pod that mean something to Kubernetes."""
    if _MIRROR in found and not spec.get("nodeName"):
        yield invalid(path[_MIRROR], found[_MIRROR], "must set spec.nodeName if mirror pod annotation is set")
    cost = found.get(_DELETION_COST)
    if cost is not None and not (_COST.match(cost) and -(2**31) <= int(cost[:12]) < 2**31):
        yield invalid(path[_DELETION_COST], cost, "must be a 32bit integer")
    for key, value in found.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            yield from _seccomp_text(value, path / key)
    for key, value in found.items():
        if key.startswith(APP_ARMOR):
            name = key.removeprefix(APP_ARMOR)
            if all(container.get("name") != name for container, _ in all_containers(spec, path)):
                yield invalid(path[key], name, "container not found")
            if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
                yield invalid(path[key], value, f'invalid AppArmor profile name: "{value}"')


def _seccomp_text(value: str, path: Path) -> Iterator[Problem]:
    if value.startswith("localhost/"):
        yield from local_path(value.removeprefix("localhost/"), path)
    elif value not in ("runtime/default", "docker/default", "unconfined"):
        yield invalid(path, value, "must be a valid seccomp profile")


def validate_profiles_match(found: dict[str, str], spec: Json, path: Path) -> Iterator[Problem]:
    """Annotation and field say the same, where both are there."""
    whole = spec.get("securityContext") or {}
    profile = whole.get("seccompProfile")
    if profile is not None and SECCOMP_POD in found:
        yield from _match(found[SECCOMP_POD], profile, path / "securityContext" / "seccompProfile", "seccomp")
    for container, here in all_containers(spec, path):
        profile = (container.get("securityContext") or {}).get("seccompProfile")
        value = found.get(SECCOMP_CONTAINER + container.get("name", ""))
        if profile is not None and value is not None:
            yield from _match(value, profile, here / "securityContext" / "seccompProfile", "seccomp")
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for container, here in all_containers(spec, path):
        profile = (container.get("securityContext") or {}).get("appArmorProfile") or whole.get("appArmorProfile")
        value = found.get(APP_ARMOR + container.get("name", ""))
        if profile is not None and value is not None:
            yield from _match(value, profile, here / "securityContext" / "appArmorProfile", "apparmor")


def _match(value: str, profile: Json, path: Path, word: str) -> Iterator[Problem]:
    expected = {
        "Unconfined": ("unconfined",),
        "RuntimeDefault": ("runtime/default", "docker/default") if word == "seccomp" else ("runtime/default",),
    }.get(profile.get("type", ""))
    if expected is not None:
        if value not in expected:
            yield forbidden_field(path / "type", f"{word} type in annotation and field must match")
    elif profile.get("type") == "Localhost":
        if not value.startswith("localhost/"):
            yield forbidden_field(path / "type", f"{word} type in annotation and field must match")
        elif value.removeprefix("localhost/") != profile.get("localhostProfile"):
            yield forbidden_field(path / "localhostProfile", f"{word} profile in annotation and field must match")


def validate_annotation_updates(new: dict[str, str], old: dict[str, str], path: Path) -> Iterator[Problem]:
    """Annotations that a pod keeps as it was created with them."""
    for key, value in old.items():
        if new.get(key) != value:
            if key.startswith(APP_ARMOR):
                yield forbidden_field(path[key], "may not remove or update AppArmor annotations")
            if key == _MIRROR:
                yield forbidden_field(path[key], "may not remove or update mirror pod annotation")
    for key in new:
        if key not in old:
            if key.startswith(APP_ARMOR):
                yield forbidden_field(path[key], "may not add AppArmor annotations")
            if key == _MIRROR:
                yield forbidden_field(path[key], "may not add mirror pod annotation")
