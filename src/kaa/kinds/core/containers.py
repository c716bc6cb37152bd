"""What is validated of containers: what all share, and what regular, init and ephemeral ones may have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kaa.kinds.core.environment import validate_env, validate_env_from
from kaa.kinds.core.mounts import validate_devices, validate_mounts
from kaa.kinds.core.probes import validate_lifecycle, validate_probe
from kaa.kinds.core.resources import validate_resources
from kaa.kinds.core.security import validate_container_security
from kaa.meta import names
from kaa.meta.problems import (
    Path,
    Problem,
    duplicate,
    forbidden_field,
    invalid,
    not_found_field,
    not_supported,
    required,
    too_many,
)

__all__ = ["Around", "validate_containers", "validate_ephemeral", "validate_init"]

Json = dict[str, Any]

PROTOCOLS = frozenset({"SCTP", "TCP", "UDP"})
PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RULES_MAX = 20
EXIT_CODES_MAX = 255
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


class Around(NamedTuple):
    """What of its pod a container is judged by."""

    #: The pod's sound volumes, by name.
    volumes: Mapping[str, Json]
    #: The names the pod gives its claims on devices.
    claims: Iterable[str]
    #: The pod's grace period; None where it has none, or a wrong one.
    grace: int | None
    restart_policy: str
    #: The pod has the node's users.
    host_users: bool
    #: Gets an element for each variable that is read from a file: its volume is judged later.
    files: list[bool]


def validate_containers(containers: list[Json], path: Path, pod: Around) -> Iterator[Problem]:
    """Regular containers. Names and host ports are unique across them."""
    if not containers:
        yield required(path)
        return
    taken: set[str] = set()
    ports = False
    for at, container in enumerate(containers):
        yield from _common(container, path[at], pod)
        name = container.get("name", "")
        if name in taken:
            yield duplicate(path[at] / "name", name)
        taken.add(name)
        yield from _living(container, path[at], pod)
        yield from _restart(container, path[at])
        ports = ports or "ports" in container
    if ports:
        yield from _host_ports(containers, path)


_NOT_INIT = "may not be set for init containers without restartPolicy=Always"


def validate_init(containers: list[Json], path: Path, pod: Around, taken: set[str]) -> Iterator[Problem]:
    """Init containers, of which those that restart always live beside the regular ones. `taken`: names in use."""
    for at, container in enumerate(containers):
        here = path[at]
        yield from _common(container, here, pod)
        yield from _restart(container, here)
        name = container.get("name", "")
        if name in taken:
            yield duplicate(here / "name", name)
        elif name:
            taken.add(name)
        # They run one after the other, so each is judged by itself; its path is that of the first (as the original's).
        yield from _host_ports([container], path)
        if container.get("restartPolicy") == "Always":
            yield from _living(container, here, pod)
        else:
            for field in ("lifecycle", *_PROBES):
                if container.get(field) is not None:
                    yield forbidden_field(here / field, _NOT_INIT)


#: What an ephemeral container may not have, in the order of the original's fields.
_NOT_EPHEMERAL = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", *_PROBES, "lifecycle",
)  # fmt: skip
_EPHEMERAL = "cannot be set for an Ephemeral Container"


def validate_ephemeral(containers: list[Json], path: Path, pod: Around, others: set[str]) -> Iterator[Problem]:
    """Ephemeral containers: no ports, probes, lifecycle nor resources. `others`: names of the other containers."""
    taken = set(others)
    for at, container in enumerate(containers):
        here = path[at]
        yield from _common(container, here, pod)
        yield from image_spaces(container, here)
        name, target = container.get("name", ""), container.get("targetContainerName")
        if name in taken:
            yield duplicate(here / "name", name)
        taken.add(name)
        if target and target not in others:
            yield not_found_field(here / "targetContainerName", target)
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                yield forbidden_field(here / field, _EPHEMERAL)
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    yield forbidden_field((here / "volumeMounts")[place] / field, _EPHEMERAL)


def image_spaces(container: Json, path: Path) -> Iterator[Problem]:
    """The image of a pod's container, which no template fills in any more."""
    image = container.get("image", "")
    if image.strip() != image:
        yield invalid(path / "image", image, "must not have leading or trailing whitespace")


def _common(container: Json, here: Path, pod: Around) -> Iterator[Problem]:
    get = container.get
    name = get("name")
    if not name:
        yield required(here / "name")
    else:
        for wrong in names.dns1123_label(name):
            yield invalid(here / "name", name, wrong)
    if not get("image"):
        yield required(here / "image")
    policy = get("terminationMessagePolicy")
    if policy not in MESSAGE_POLICIES:
        yield _needed(policy, MESSAGE_POLICIES, here / "terminationMessagePolicy")
    ports = get("ports")
    if ports:
        yield from _ports(ports, here / "ports")
    variables = get("env")
    if variables:
        yield from validate_env(variables, here / "env", pod.files)
    sources = get("envFrom")
    if sources:
        yield from validate_env_from(sources, here / "envFrom")
    mounts = get("volumeMounts")
    if mounts:
        yield from validate_mounts(mounts, here / "volumeMounts", pod.volumes, container)
    devices = get("volumeDevices")
    if devices:
        yield from validate_devices(devices, here / "volumeDevices", pod.volumes, mounts or [])
    pull = get("imagePullPolicy")
    if pull not in PULL_POLICIES:
        yield _needed(pull, PULL_POLICIES, here / "imagePullPolicy")
    resources = get("resources")
    if resources:
        yield from validate_resources(resources, here / "resources", pod.claims)
    resizes = get("resizePolicy")
    if resizes:
        yield from _resizes(resizes, here / "resizePolicy", pod.restart_policy)
    context = get("securityContext")
    if context:
        yield from validate_container_security(context, here / "securityContext", host_users=pod.host_users)


def _needed(value: str | None, allowed: Iterable[str], path: Path) -> Problem:
    return not_supported(path, value, allowed, as_given=isinstance(allowed, tuple)) if value else required(path)


def _living(container: Json, here: Path, pod: Around) -> Iterator[Problem]:
    """What containers that stay may have."""
    lifecycle = container.get("lifecycle")
    if lifecycle:
        yield from validate_lifecycle(lifecycle, here / "lifecycle", pod.grace)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            yield from validate_probe(probe, here / name, readiness=name == "readinessProbe")


def _restart(container: Json, here: Path) -> Iterator[Problem]:
    """A container's own restart policy, and rules for exit codes beyond it."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules")
    if policy is not None and policy not in RESTART_POLICIES:
        yield not_supported(here / "restartPolicy", policy, RESTART_POLICIES)
    if not rules:
        return
    if policy is None:
        yield required(here / "restartPolicy", "must specify restartPolicy when restart rules are used")
    if len(rules) > RULES_MAX:
        yield too_many(here / "restartPolicyRules", len(rules), RULES_MAX)
    for at, rule in enumerate(rules):
        where = (here / "restartPolicyRules")[at]
        action, codes = rule.get("action", ""), rule.get("exitCodes")
        if action not in ("Restart", "RestartAllContainers"):
            yield not_supported(where / "action", action, ("Restart", "RestartAllContainers"))
        if codes is None:
            yield required(where / "exitCodes", "must be specified")
            continue
        operator, values = codes.get("operator", ""), codes.get("values") or []
        if operator not in ("In", "NotIn"):
            yield not_supported(where / "exitCodes" / "operator", operator, ("In", "NotIn"))
        if len(values) > EXIT_CODES_MAX:
            yield too_many(where / "exitCodes" / "values", len(values), EXIT_CODES_MAX)


def _ports(ports: list[Json], path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, port in enumerate(ports):
        name = port.get("name")
        if name:
            wrongs = names.port_name(name)
            for wrong in wrongs:
                yield invalid(path[at] / "name", name, wrong)
            if not wrongs:
                if name in seen:
                    yield duplicate(path[at] / "name", name)
                seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            yield required(path[at] / "containerPort")
        elif not 0 < number < 65536:
            yield invalid(path[at] / "containerPort", number, names.port_number(number)[0])
        host = port.get("hostPort", 0)
        if not 0 <= host < 65536:
            yield invalid(path[at] / "hostPort", host, names.port_number(host)[0])
        protocol = port.get("protocol")
        if protocol not in PROTOCOLS:
            yield _needed(protocol, PROTOCOLS, path[at] / "protocol")


def _host_ports(containers: list[Json], path: Path) -> Iterator[Problem]:
    taken: set[str] = set()
    for at, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort")
            if number:
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
                if key in taken:
                    yield duplicate((path[at] / "ports")[place] / "hostPort", key)
                taken.add(key)


_RESIZES = ("NotRequired", "RestartContainer")


def _resizes(policies: list[Json], path: Path, restart_policy: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, each in enumerate(policies):
        resource, policy = each.get("resourceName", ""), each.get("restartPolicy", "")
        if resource in seen:
            yield duplicate(path[at], resource)
        seen.add(resource)
        for value, allowed in ((resource, ("cpu", "memory")), (policy, _RESIZES)):
            if value not in allowed:
                yield _needed(value, allowed, path)
        if restart_policy == "Never" and policy != "NotRequired":
            yield invalid(path, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def host_network_ports(containers: list[Json], path: Path, *, pod: bool) -> Iterator[Problem]:
    """On the node's network a container's ports are the node's. A template may leave the second number open."""
    for at, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (pod or host) and host != port.get("containerPort", 0):
                yield invalid(
                    (path[at] / "ports")[place] / "hostPort",
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                )
