"""What is validated of a pod's spec, which pods and every pod template share; containers and volumes have modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core import affinity
from kaa.kinds.core.containers import (
    resource_name,
    validate_containers,
    validate_ephemeral,
    validate_profiles,
    validate_resources,
)
from kaa.kinds.core.volumes import validate_volumes
from kaa.kinds.metadata import annotation_sizes, labels
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["validate_spec", "validate_template"]

Json = dict[str, Any]

RESTART_POLICIES = ("Always", "Never", "OnFailure")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")


def validate_template(template: Json, path: Path) -> Iterator[Problem]:
    """The pod template of a workload: its labels, annotations and spec."""
    meta = template.get("metadata") or {}
    if meta.get("labels"):
        yield from labels(meta["labels"], path / "metadata" / "labels")
    if meta.get("annotations"):
        yield from annotation_sizes(meta["annotations"], path / "metadata" / "annotations")
    spec = template.get("spec") or {}
    yield from validate_spec(spec, path / "spec")
    if spec.get("ephemeralContainers"):
        yield forbidden_field(path / "spec" / "ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_spec(spec: Json, path: Path) -> Iterator[Problem]:
    """Everything of a pod's spec that can be judged without knowing the cluster."""
    volumes = spec.get("volumes") or []
    if volumes:
        yield from validate_volumes(volumes, path / "volumes")
    by_name = {volume.get("name", ""): volume for volume in volumes}
    taken: set[str] = set()
    host_network = bool(spec.get("hostNetwork"))
    for kind in ("containers", "initContainers"):
        yield from validate_containers(
            spec.get(kind) or [],
            path / kind,
            by_name,
            init=kind == "initContainers",
            taken=taken,
            host_network=host_network,
        )
    if spec.get("ephemeralContainers"):
        others = [each.get("name", "") for each in (spec.get("containers") or []) + (spec.get("initContainers") or [])]
        yield from validate_ephemeral(
            spec["ephemeralContainers"], path / "ephemeralContainers", by_name, taken=taken, others=others
        )
    yield from checks.one_of(spec, "restartPolicy", RESTART_POLICIES, path, needed=True)
    yield from checks.one_of(spec, "dnsPolicy", DNS_POLICIES, path, needed=True)
    yield from _numbers(spec, path)
    if spec.get("nodeSelector"):
        yield from labels(spec["nodeSelector"], path / "nodeSelector")
    for field, check in (
        ("serviceAccountName", names.dns1123_subdomain),
        ("nodeName", names.dns1123_subdomain),
        ("hostname", names.dns1123_label),
        ("subdomain", names.dns1123_label),
        ("priorityClassName", names.dns1123_subdomain),
        ("runtimeClassName", names.dns1123_subdomain),
        ("schedulerName", names.qualified_name),
    ):
        value = spec.get(field)
        if value:
            for wrong in check(value):
                yield invalid(path / field, value, wrong)
    if spec.get("securityContext"):
        yield from _security(spec["securityContext"], spec, path / "securityContext")
    if spec.get("affinity"):
        yield from affinity.validate_affinity(spec["affinity"], path / "affinity")
    if spec.get("tolerations"):
        yield from affinity.validate_tolerations(spec["tolerations"], path / "tolerations")
    if spec.get("topologySpreadConstraints"):
        yield from affinity.validate_spread(spec["topologySpreadConstraints"], path / "topologySpreadConstraints")
    for at, alias in enumerate(spec.get("hostAliases") or ()):
        yield from checks.ip_address(alias.get("ip", ""), (path / "hostAliases")[at] / "ip")
        for place, name in enumerate(alias.get("hostnames") or ()):
            for wrong in names.dns1123_subdomain(name):
                yield invalid(((path / "hostAliases")[at] / "hostnames")[place], name, wrong)
    yield from _dns(spec, path)
    for at, gate in enumerate(spec.get("readinessGates") or ()):
        for wrong in names.qualified_name(gate.get("conditionType", "")):
            yield invalid((path / "readinessGates")[at] / "conditionType", gate.get("conditionType", ""), wrong)
    yield from _gates(spec, path)
    yield from checks.one_of(spec, "preemptionPolicy", ("Never", "PreemptLowerPriority"), path)
    for name in spec.get("overhead") or ():
        if name not in ("cpu", "memory", "ephemeral-storage"):
            yield from resource_name(name, (path / "overhead")[name])
    os = spec.get("os")
    if os is not None:
        if not os.get("name"):
            yield required(path / "os" / "name", "cannot be empty")
        elif os["name"] not in ("linux", "windows"):
            yield not_supported(path / "os" / "name", os["name"], ("linux", "windows"))
    if spec.get("resources"):
        yield from validate_resources(spec["resources"], path / "resources")


def _numbers(spec: Json, path: Path) -> Iterator[Problem]:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 0x7FFFFFFF:
        yield invalid(path / "activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    yield from checks.non_negative(spec, "terminationGracePeriodSeconds", path)


def _security(context: Json, spec: Json, path: Path) -> Iterator[Problem]:
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= 0x7FFFFFFF:
            yield invalid(path / name, value, "must be between 0 and 2147483647, inclusive")
    for at, value in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= value <= 0x7FFFFFFF:
            yield invalid((path / "supplementalGroups")[at], value, "must be between 0 and 2147483647, inclusive")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        yield invalid(path / "shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    yield from checks.one_of(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path)
    yield from checks.one_of(context, "supplementalGroupsPolicy", ("Merge", "Strict"), path)
    seen: set[str] = set()
    for at, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name", "")
        here = (path / "sysctls")[at] / "name"
        if not name:
            yield required(here)
        elif name in seen:
            yield duplicate(here, name)
        seen.add(name)
    yield from validate_profiles(context, path)


def _dns(spec: Json, path: Path) -> Iterator[Problem]:
    config = spec.get("dnsConfig")
    here = path / "dnsConfig"
    if spec.get("dnsPolicy") == "None" and not (config and config.get("nameservers")):
        yield required(here / "nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if not config:
        return
    servers = config.get("nameservers") or []
    if len(servers) > 3:
        yield invalid(here / "nameservers", servers, "must not have more than 3 nameservers")
    for at, server in enumerate(servers):
        yield from checks.ip_address(server, (here / "nameservers")[at])
    searches = config.get("searches") or []
    if len(searches) > 32:
        yield invalid(here / "searches", searches, "must not have more than 32 search paths")
    for at, search in enumerate(searches):
        for wrong in names.dns1123_subdomain(search.rstrip(".")) if search != "." else ():
            yield invalid((here / "searches")[at], search, wrong)
    for at, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required((here / "options")[at], "must not be empty")


def _gates(spec: Json, path: Path) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name", "")
        for wrong in names.qualified_name(name):
            yield invalid((path / "schedulingGates")[at], name, wrong)
        if name in seen:
            yield duplicate((path / "schedulingGates")[at], name)
        seen.add(name)
