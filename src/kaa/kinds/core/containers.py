"""What is validated of containers: names, images, ports, environment, mounts, probes, resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.environment import validate_env, validate_env_from
from kaa.kinds.core.probes import LIFECYCLE_HANDLERS, validate_handler, validate_probe
from kaa.meta import names, quantity
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    forbidden_field,
    invalid,
    not_found_field,
    not_supported,
    required,
)

__all__ = ["validate_containers", "validate_ephemeral", "validate_resources"]

Json = dict[str, Any]

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})


def validate_containers(
    containers: list[Json], path: Path, volumes: Mapping[str, Json], *, init: bool, taken: set[str], host_network: bool
) -> Iterator[Problem]:
    """Containers or init containers. Names found are added to `taken`: they are unique across both."""
    if not containers:
        if not init:
            yield required(path)
        return
    host_ports: set[str] = set()
    for at, container in enumerate(containers):
        here = path[at]
        yield from _common(container, here, volumes, taken)
        sidecar = init and container.get("restartPolicy") == "Always"
        policy = container.get("restartPolicy")
        if policy and policy not in ("Always", "Never", "OnFailure"):
            yield not_supported(here / "restartPolicy", policy, ("Always", "Never", "OnFailure"))
        for name in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(name)
            if probe is None:
                continue
            if init and not sidecar:
                yield forbidden_field(here / name, "may not be set for init containers without restartPolicy=Always")
            else:
                yield from validate_probe(
                    probe, here / name, once=name != "readinessProbe", readiness=name == "readinessProbe"
                )
        lifecycle = container.get("lifecycle")
        if lifecycle:
            if init and not sidecar:
                yield forbidden_field(
                    here / "lifecycle", "may not be set for init containers without restartPolicy=Always"
                )
            else:
                for name in ("postStart", "preStop"):
                    if lifecycle.get(name) is not None:
                        yield from validate_handler(lifecycle[name], here / "lifecycle" / name, LIFECYCLE_HANDLERS)
        for place, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort")
            if not number:
                continue
            where = (here / "ports")[place]
            key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
            if key in host_ports and not init:
                yield duplicate(where / "hostPort", key)
            host_ports.add(key)
            if host_network and number != port.get("containerPort"):
                yield invalid(
                    where / "containerPort",
                    port.get("containerPort"),
                    "must match `hostPort` when `hostNetwork` is true",
                )


_EPHEMERAL_FORBIDDEN = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy")


def validate_ephemeral(
    containers: list[Json], path: Path, volumes: Mapping[str, Json], *, taken: set[str], others: Iterable[str]
) -> Iterator[Problem]:
    """Ephemeral containers: no ports, probes, lifecycle nor resources."""
    known = set(others)
    for at, container in enumerate(containers):
        here = path[at]
        yield from _common(container, here, volumes, taken)
        for name in _EPHEMERAL_FORBIDDEN:
            if container.get(name):
                yield forbidden_field(here / name, "cannot be set for an Ephemeral Container")
        if any(container.get("resources", {}).values()):
            yield forbidden_field(here / "resources", "cannot be set for an Ephemeral Container")
        target = container.get("targetContainerName")
        if target and target not in known:
            yield not_found_field(here / "targetContainerName", target)


def _common(container: Json, here: Path, volumes: Mapping[str, Json], taken: set[str]) -> Iterator[Problem]:
    name = container.get("name", "")
    if not name:
        yield required(here / "name")
    else:
        for wrong in names.dns1123_label(name):
            yield invalid(here / "name", name, wrong)
        if name in taken:
            yield duplicate(here / "name", name)
        taken.add(name)
    image = container.get("image", "")
    if not image:
        yield required(here / "image")
    elif image != image.strip():
        yield invalid(here / "image", image, "must not have leading or trailing whitespace")
    yield from checks.one_of(
        container, "terminationMessagePolicy", ("FallbackToLogsOnError", "File"), here, needed=True
    )
    ports = container.get("ports")
    if ports:
        yield from _ports(ports, here / "ports")
    variables = container.get("env")
    if variables:
        yield from validate_env(variables, here / "env")
    sources = container.get("envFrom")
    if sources:
        yield from validate_env_from(sources, here / "envFrom")
    mounts = container.get("volumeMounts")
    if mounts:
        yield from _mounts(mounts, here / "volumeMounts", volumes)
    devices = container.get("volumeDevices")
    if devices:
        yield from _devices(devices, here / "volumeDevices", volumes, mounts or ())
    yield from checks.one_of(container, "imagePullPolicy", PULL_POLICIES, here, needed=True)
    resources = container.get("resources")
    if resources:
        yield from validate_resources(resources, here / "resources")
    for at, policy in enumerate(container.get("resizePolicy") or ()):
        where = (here / "resizePolicy")[at]
        yield from checks.one_of(policy, "resourceName", ("cpu", "memory"), where, needed=True)
        yield from checks.one_of(policy, "restartPolicy", ("NotRequired", "RestartContainer"), where, needed=True)
    context = container.get("securityContext")
    if context:
        yield from _security(context, here / "securityContext")


def _ports(ports: list[Json], path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, port in enumerate(ports):
        here = path[at]
        name = port.get("name")
        if name:
            wrongs = names.port_name(name)
            for wrong in wrongs:
                yield invalid(here / "name", name, wrong)
            if not wrongs:
                if name in seen:
                    yield duplicate(here / "name", name)
                seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            yield required(here / "containerPort")
        else:
            for wrong in names.port_number(number):
                yield invalid(here / "containerPort", number, wrong)
        if port.get("hostPort"):
            for wrong in names.port_number(port["hostPort"]):
                yield invalid(here / "hostPort", port["hostPort"], wrong)
        yield from checks.one_of(port, "protocol", PROTOCOLS, here, needed=True)


def _mounts(mounts: list[Json], path: Path, volumes: Mapping[str, Json]) -> Iterator[Problem]:
    points: set[str] = set()
    for at, mount in enumerate(mounts):
        here = path[at]
        name = mount.get("name", "")
        if not name:
            yield required(here / "name")
        elif name not in volumes:
            yield not_found_field(here / "name", name)
        point = mount.get("mountPath", "")
        if not point:
            yield required(here / "mountPath")
        if point in points:
            yield invalid(here / "mountPath", point, "must be unique")
        points.add(point)
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield from local_path(mount[field], here / field)
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield invalid(here / "subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
        yield from checks.one_of(mount, "mountPropagation", ("Bidirectional", "HostToContainer", "None"), here)
        recursive = mount.get("recursiveReadOnly")
        if recursive is not None:
            if recursive not in ("Disabled", "Enabled", "IfPossible"):
                yield not_supported(here / "recursiveReadOnly", recursive, ("Disabled", "Enabled", "IfPossible"))
            elif recursive != "Disabled" and not mount.get("readOnly"):
                yield forbidden_field(here / "recursiveReadOnly", "may only be specified when readOnly is true")


def local_path(value: str, path: Path) -> Iterator[Problem]:
    """A path that stays below where it starts."""
    if value.startswith("/"):
        yield invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        yield invalid(path, value, "must not contain '..'")


def _devices(devices: list[Json], path: Path, volumes: Mapping[str, Json], mounts: Iterable[Json]) -> Iterator[Problem]:
    mounted = {mount.get("name") for mount in mounts}
    seen: set[str] = set()
    for at, device in enumerate(devices):
        here = path[at]
        name, point = device.get("name", ""), device.get("devicePath", "")
        if not name:
            yield required(here / "name")
        elif name not in volumes:
            yield not_found_field(here / "name", name)
        elif not {"persistentVolumeClaim", "ephemeral"} & volumes[name].keys():
            yield invalid(
                here / "name",
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )
        if not point:
            yield required(here / "devicePath")
        if point in seen:
            yield invalid(here / "devicePath", point, "must be unique")
        seen.add(point)
        if name in mounted:
            yield invalid(here / "name", name, "must not already exist in volumeMounts")


def _security(context: Json, path: Path) -> Iterator[Problem]:
    for name in ("runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= 0x7FFFFFFF:
            yield invalid(path / name, value, "must be between 0 and 2147483647, inclusive")
    yield from checks.one_of(context, "procMount", ("Default", "Unmasked"), path)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            yield invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        for each in (context.get("capabilities") or {}).get("add") or ():
            if each == "CAP_SYS_ADMIN":
                yield invalid(
                    path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                )
    yield from validate_profiles(context, path)


def validate_profiles(context: Json, path: Path) -> Iterator[Problem]:
    """Seccomp and AppArmor profiles."""
    for field in ("seccompProfile", "appArmorProfile"):
        profile = context.get(field)
        if profile is None:
            continue
        kind = profile.get("type", "")
        if not kind:
            yield required(path / field / "type")
        elif kind not in ("Localhost", "RuntimeDefault", "Unconfined"):
            yield not_supported(path / field / "type", kind, ("Localhost", "RuntimeDefault", "Unconfined"))
        local = profile.get("localhostProfile")
        if kind == "Localhost" and not local:
            yield required(
                path / field / "localhostProfile",
                "must be set when seccomp type is Localhost"
                if field == "seccompProfile"
                else "must be set when AppArmor type is Localhost",
            )
        elif kind != "Localhost" and local is not None:
            yield invalid(
                path / field / "localhostProfile",
                local,
                "can only be set when seccomp type is Localhost"
                if field == "seccompProfile"
                else "can only be set when AppArmor type is Localhost",
            )


def is_overcommittable(name: str) -> bool:
    """Whether a request may be below its limit: extended resources and huge pages are whole or nothing."""
    return "/" not in name.replace("kubernetes.io/", "") and not name.startswith("hugepages-")


def validate_resources(resources: Json, path: Path) -> Iterator[Problem]:
    """Requests and limits of a container: known names, no negatives, requests within limits."""
    limits: Mapping[str, str] = resources.get("limits") or {}
    requests: Mapping[str, str] = resources.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = (path / kind)[name]
            if name not in STANDARD_RESOURCES:
                yield from resource_name(name, where)
            parsed = quantity.parse(amount)
            if parsed.nano < 0:
                yield invalid(where, amount, "must be greater than or equal to 0")
            elif name not in STANDARD_RESOURCES and parsed.nano % quantity.NANO:
                yield invalid(where, amount, "must be an integer")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if not is_overcommittable(name):
                yield required(path / "limits", "Limit must be set for non overcommitable resources")
            continue
        if amount == limit:
            continue
        if not is_overcommittable(name):
            yield invalid(path / "requests", amount, f"must be equal to {name} limit of {limit}")
        elif quantity.parse(amount) > quantity.parse(limit):
            yield invalid(path / "requests", amount, f"must be less than or equal to {name} limit of {limit}")
    claims: set[tuple[str, str]] = set()
    for at, claim in enumerate(resources.get("claims") or ()):
        here = (path / "claims")[at]
        if not claim.get("name"):
            yield required(here / "name")
        key = (claim.get("name", ""), claim.get("request", ""))
        if key in claims:
            yield duplicate(here, claim)
        claims.add(key)


def resource_name(name: str, path: Path) -> Iterator[Problem]:
    """A resource a container may ask for: standard, huge pages, or one with a domain."""
    wrongs = names.qualified_name(name)
    for wrong in wrongs:
        yield invalid(path, name, wrong)
    if wrongs:
        return
    if "/" not in name and not name.startswith("hugepages-"):
        yield invalid(path, name, "must be a standard resource type or fully qualified")
        yield invalid(path, name, "must be a standard resource for containers")
