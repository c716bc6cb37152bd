"""What is validated of a pod's spec, which pods and every pod template share. The parts have modules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core import affinity, podnotes, security
from kaa.kinds.core.containers import (
    Around,
    host_network_ports,
    image_spaces,
    validate_containers,
    validate_ephemeral,
    validate_init,
)
from kaa.kinds.core.environment import validate_file_volumes
from kaa.kinds.core.resources import validate_pod_resources, validate_resources
from kaa.kinds.core.volumes import validate_volumes
from kaa.kinds.metadata import annotation_sizes, labels
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required, too_long

__all__ = ["validate_pod", "validate_spec", "validate_template"]

Json = dict[str, Any]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
NAMESERVERS_MAX = 3
SEARCHES_MAX = 32
SEARCHES_LENGTH_MAX = 2048
HOSTNAME_LENGTH_MAX = 64


def validate_template(template: Json, path: Path) -> Iterator[Problem]:
    """The pod template of a workload. Paths of labels and annotations lack `metadata`, as the original's do."""
    meta = template.get("metadata") or {}
    spec = template.get("spec") or {}
    notes = meta.get("annotations")
    if meta.get("labels"):
        yield from labels(meta["labels"], path / "labels")
    if notes:
        yield from annotation_sizes(notes, path / "annotations")
        yield from podnotes.validate_annotations(notes, spec, path / "annotations")
    yield from validate_spec(spec, path / "spec")
    if notes:
        yield from podnotes.validate_profiles_match(notes, spec, path / "spec")
    if spec.get("ephemeralContainers"):
        yield forbidden_field(path / "spec" / "ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_pod(pod: Json, path: Path) -> Iterator[Problem]:
    """A real pod, with a name: what templates leave open must be decided."""
    spec = pod["spec"]
    yield from validate_spec(spec, path, pod=pod["metadata"].get("name", ""))
    if not spec.get("serviceAccountName"):
        for at, volume in enumerate(spec.get("volumes") or ()):
            for place, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if "serviceAccountToken" in source:
                    yield forbidden_field(
                        ((path / "volumes")[at] / "projected" / "sources")[place] / "serviceAccountToken",
                        "must not be specified when serviceAccountName is not set",
                    )
    for kind in ("containers", "initContainers"):
        for at, container in enumerate(spec.get(kind) or ()):
            image = container.get("image", "")
            if image[:1].isspace() or image[-1:].isspace():
                yield from image_spaces(container, (path / kind)[at])


#: Fields that are names, in the order in which the original looks at them.
_NAMES = (
    ("serviceAccountName", names.dns1123_subdomain),
    ("nodeName", names.dns1123_subdomain),
)
_LATER_NAMES = (
    ("hostname", names.dns1123_label),
    ("subdomain", names.dns1123_label),
)
_CLASSES = ("priorityClassName", "runtimeClassName")


def validate_spec(spec: Json, path: Path, pod: str | None = None) -> Iterator[Problem]:
    """Everything of a pod's spec that can be judged without knowing the cluster.

    `pod` is the pod's name ("" where it is still to be made), and None in a template.
    """
    get = spec.get
    grace = get("terminationGracePeriodSeconds")
    if grace is None:
        yield required(path / "terminationGracePeriodSeconds")
    volumes: dict[str, Json] = {}
    if get("volumes"):
        yield from validate_volumes(spec["volumes"], path / "volumes", pod=pod, sound=volumes)
    claims: list[str] = []
    if get("resourceClaims"):
        claims = [each["name"] for each in spec["resourceClaims"] if each.get("name")]
        yield from _claims(spec["resourceClaims"], path / "resourceClaims")
    around = Around(volumes, claims, grace, get("restartPolicy", ""), get("hostUsers") is not False, [])
    yield from _containers(spec, path, around)
    if get("resources"):
        yield from validate_pod_resources(spec, path, claims)
    if get("hostNetwork"):
        yield from host_network_ports(get("containers") or [], path / "containers", pod=pod is not None)
    for name, allowed in (("restartPolicy", RESTART_POLICIES), ("dnsPolicy", DNS_POLICIES)):
        value = get(name)
        if value not in allowed:
            yield not_supported(path / name, value, allowed, as_given=True) if value else required(path / name)
    if get("nodeSelector"):
        yield from labels(spec["nodeSelector"], path / "nodeSelector")
    if get("shareProcessNamespace") and get("hostPID"):
        yield invalid(
            path / "securityContext" / "shareProcessNamespace",
            True,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        )
    if get("securityContext"):
        yield from security.validate_pod_security(spec["securityContext"], spec, path / "securityContext")
    if get("affinity"):
        yield from affinity.validate_affinity(spec["affinity"], path / "affinity")
    if "dnsConfig" in spec or get("dnsPolicy") == "None":
        yield from _dns(get("dnsConfig"), get("dnsPolicy") == "None", path / "dnsConfig")
    if get("readinessGates") or get("schedulingGates"):
        yield from _gates(spec, path)
    if get("topologySpreadConstraints"):
        yield from affinity.validate_spread(spec["topologySpreadConstraints"], path / "topologySpreadConstraints")
    if security.has_windows_options(spec):
        yield from security.validate_host_process(spec, path)
    if get("hostUsers") is False:
        for name, spelled in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if get(name):
                yield forbidden_field(path / spelled, "when `pod.Spec.HostUsers` is false")
    yield from _names_and_rest(spec, path)


def _containers(spec: Json, path: Path, pod: Around) -> Iterator[Problem]:
    regular, first = spec.get("containers") or [], spec.get("initContainers")
    yield from validate_containers(regular, path / "containers", pod)
    taken = {each.get("name", "") for each in regular}
    if first:
        yield from validate_init(first, path / "initContainers", pod, taken)
    if spec.get("ephemeralContainers"):
        taken |= {each.get("name", "") for each in first or ()}
        yield from validate_ephemeral(spec["ephemeralContainers"], path / "ephemeralContainers", pod, taken)
    if pod.files:
        for container, here in security.all_containers(spec, path):
            yield from validate_file_volumes(container.get("env") or [], here / "env", pod.volumes)


def _names_and_rest(spec: Json, path: Path) -> Iterator[Problem]:
    """What the original looks at last, in its order."""
    get = spec.get
    for field, check in _NAMES:
        if field in spec:
            yield from _named(spec, field, check, path)
    deadline = get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 0x7FFFFFFF:
        yield invalid(path / "activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive")
    for field, check in _LATER_NAMES:
        if field in spec:
            yield from _named(spec, field, check, path)
    if "hostnameOverride" in spec:
        yield from _hostname_override(spec, path)
    if get("tolerations"):
        yield from affinity.validate_tolerations(spec["tolerations"], path / "tolerations")
    for at, alias in enumerate(get("hostAliases") or ()):
        here = (path / "hostAliases")[at]
        yield from checks.ip_address(alias.get("ip", ""), here / "ip")
        for place, name in enumerate(alias.get("hostnames") or ()):
            for wrong in names.dns1123_subdomain(name):
                yield invalid((here / "hostnames")[place], name, wrong)
    for field in _CLASSES:
        if field in spec:
            yield from _named(spec, field, names.dns1123_subdomain, path)
    preemption = get("preemptionPolicy")
    if preemption is not None and preemption not in ("PreemptLowerPriority", "Never"):
        allowed = ("PreemptLowerPriority", "Never")
        here = path / "preemptionPolicy"
        yield not_supported(here, preemption, allowed, as_given=True) if preemption else required(here)
    if get("overhead"):
        # An overhead is judged as a container's limits are, and told of as such.
        yield from validate_resources({"limits": spec["overhead"]}, path / "overhead")
    if get("os") is not None:
        yield from security.validate_os(spec, path)


def _named(spec: Json, field: str, check: Any, path: Path) -> Iterator[Problem]:
    value = spec[field]
    for wrong in check(value) if value else ():
        yield invalid(path / field, value, wrong)


def _hostname_override(spec: Json, path: Path) -> Iterator[Problem]:
    """The host name a pod has whatever else would give it one."""
    name = spec["hostnameOverride"]
    here = path / "hostnameOverride"
    for wrong in names.dns1123_subdomain(name):
        yield invalid(here, name, wrong)
    if len(name) > HOSTNAME_LENGTH_MAX:
        yield too_long(here, HOSTNAME_LENGTH_MAX)
    if spec.get("setHostnameAsFQDN"):
        yield forbidden_field(here, "may not be specified when `setHostnameAsFQDN` is true")
    if spec.get("hostNetwork"):
        yield forbidden_field(here, "may not be specified when `hostNetwork` is true")


def _claims(found: list[Json], path: Path) -> Iterator[Problem]:
    """Claims on devices: one of two ways each to say which."""
    seen: set[str] = set()
    for at, claim in enumerate(found):
        here = path[at]
        name = claim.get("name", "")
        given = [each for each in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(each) is not None]
        if not name:
            yield required(here / "name")
        elif name in seen:
            yield duplicate(here / "name", name)
        else:
            for wrong in names.dns1123_label(name):
                yield invalid(here / "name", name, wrong)
            seen.add(name)
        if len(given) == 2:
            yield invalid(
                here, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
        elif not given:
            yield invalid(here, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
        for field in given:
            for wrong in names.dns1123_subdomain(claim[field]):
                yield invalid(here / field, claim[field], wrong)


def _dns(config: Json | None, none: bool, path: Path) -> Iterator[Problem]:
    if none and config is None:
        yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
        return
    servers = (config or {}).get("nameservers") or []
    if none and not servers:
        yield required(path / "nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
        return
    if config is None:
        return
    if len(servers) > NAMESERVERS_MAX:
        yield invalid(path / "nameservers", servers, f"must not have more than {NAMESERVERS_MAX} nameservers")
    for at, server in enumerate(servers):
        yield from checks.ip_address(server, (path / "nameservers")[at])
    searches = config.get("searches") or []
    if len(searches) > SEARCHES_MAX:
        yield invalid(path / "searches", searches, f"must not have more than {SEARCHES_MAX} search paths")
    if len(" ".join(searches)) > SEARCHES_LENGTH_MAX:
        yield invalid(
            path / "searches",
            searches,
            f"must not have more than {SEARCHES_LENGTH_MAX} characters (including spaces) in the search list",
        )
    for at, search in enumerate(searches):
        if search != ".":
            search = search.removesuffix(".")
            for wrong in names.dns1123_subdomain_underscore(search):
                yield invalid((path / "searches")[at], search, wrong)
    for at, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required((path / "options")[at], "must not be empty")


def _gates(spec: Json, path: Path) -> Iterator[Problem]:
    for at, gate in enumerate(spec.get("readinessGates") or ()):
        for wrong in names.qualified_name(gate.get("conditionType", "")):
            yield invalid((path / "readinessGates")[at] / "conditionType", gate.get("conditionType", ""), wrong)
    seen: set[str] = set()
    for at, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name", "")
        for wrong in names.qualified_name(name):
            yield invalid((path / "schedulingGates")[at], name, wrong)
        if name in seen:
            yield duplicate((path / "schedulingGates")[at], name)
        seen.add(name)
