"""What is validated of Services: types, ports, addresses and their families, policies, and what may not change."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks
from kaa.kinds.core.addresses import non_special_ip
from kaa.kinds.metadata import labels
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, not_supported, required

__all__ = ["service_warnings", "validate", "validate_status", "validate_update", "wants_health_port"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
_IPS = _SPEC / "clusterIPs"
_NOTES = Path() / "metadata" / "annotations"
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
SECONDS_MAX = 86400
_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


def wants_health_port(spec: Json) -> bool:
    """Whether a load balancer asks each node whether it has an endpoint of its own."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_headless(spec: Json) -> bool:
    """Whether the service is only a name for its endpoints."""
    return spec.get("clusterIPs") == ["None"]


def validate(obj: Json) -> Iterator[Problem]:
    """A service by itself."""
    spec = obj["spec"]
    notes = obj["metadata"].get("annotations") or {}
    kind = spec.get("type", "")
    ports = spec.get("ports") or []
    if _MODE in notes and _HINTS in notes and notes[_MODE] != notes[_HINTS]:
        yield invalid(_NOTES[_MODE], notes[_MODE], f"must match annotations[{_HINTS}] when both are specified")
    if not ports and not is_headless(spec) and kind != "ExternalName":
        yield required(_SPEC / "ports")
    if kind in ("LoadBalancer", "NodePort"):
        if is_headless(spec):
            yield invalid(_IPS[0], "None", f"may not be set to 'None' for {kind} services")
    elif kind == "ExternalName":
        yield from _external_name(spec)
    seen: set[str] = set()
    for at, port in enumerate(ports):
        yield from _port(port, (_SPEC / "ports")[at], named=len(ports) > 1, seen=seen)
    if spec.get("selector"):
        yield from labels(spec["selector"], _SPEC / "selector")
    yield from _affinity(spec)
    if kind != "ExternalName":
        yield from _cluster_ips(spec)
    for at, ip in enumerate(spec.get("externalIPs") or ()):
        here = (_SPEC / "externalIPs")[at]
        wrongs = list(checks.ip_address(ip, here))
        yield from wrongs or non_special_ip(ip, here)
    yield from checks.one_of(spec, "type", TYPES, _SPEC, needed=True)
    yield from _port_pairs(ports, kind)
    yield from _balanced(spec, notes, kind)
    yield from _policies(spec, kind)


def _external_name(spec: Json) -> Iterator[Problem]:
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield forbidden_field(_SPEC / name, "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required(_SPEC / "externalName")
    else:
        for wrong in names.dns1123_subdomain(name):
            yield invalid(_SPEC / "externalName", name, wrong)


def _port(port: Json, here: Path, *, named: bool, seen: set[str]) -> Iterator[Problem]:
    name, number = port.get("name", ""), port.get("port", 0)
    if name:
        for wrong in names.dns1123_label(name):
            yield invalid(here / "name", name, wrong)
        if name in seen:
            yield duplicate(here / "name", name)
        seen.add(name)
    elif named:
        yield required(here / "name")
    for wrong in names.port_number(number):
        yield invalid(here / "port", number, wrong)
    yield from checks.one_of(port, "protocol", PROTOCOLS, here, needed=True)
    yield from checks.port_name_or_number(port.get("targetPort", 0), here / "targetPort")
    if port.get("appProtocol") is not None:
        for wrong in names.qualified_name(port["appProtocol"]):
            yield invalid(here / "appProtocol", port["appProtocol"], wrong)


def _affinity(spec: Json) -> Iterator[Problem]:
    kind, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    path = _SPEC / "sessionAffinityConfig"
    yield from checks.one_of(spec, "sessionAffinity", ("ClientIP", "None"), _SPEC, needed=True)
    if kind == "None" and config is not None:
        yield forbidden_field(path, "must not be set when session affinity is None")
    if kind != "ClientIP":
        return
    text = "when session affinity type is ClientIP"
    if config is None:
        yield required(path, text)
    elif config.get("clientIP") is None:
        yield required(path / "clientIP", text)
    elif config["clientIP"].get("timeoutSeconds") is None:
        yield required(path / "clientIP" / "timeoutSeconds", text)
    elif not 0 < config["clientIP"]["timeoutSeconds"] <= SECONDS_MAX:
        seconds = config["clientIP"]["timeoutSeconds"]
        yield invalid(
            path / "clientIP" / "timeoutSeconds", seconds, f"must be greater than 0 and less than {SECONDS_MAX}"
        )


def _cluster_ips(spec: Json) -> Iterator[Problem]:
    first, ips, families = spec.get("clusterIP", ""), spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    if first:
        if not ips:
            yield required(_IPS)
        elif ips[0] != first:
            yield invalid(_IPS, ips, "first value must match `clusterIP`")
    elif ips:
        yield invalid(_IPS, ips, "must be empty when `clusterIP` is not specified")
    for at, family in enumerate(families):
        here = (_SPEC / "ipFamilies")[at]
        if family not in ("IPv4", "IPv6"):
            yield not_supported(here, family, ("IPv4", "IPv6"))
        if family in families[:at]:
            yield duplicate(here, family)
    yield from checks.one_of(spec, "ipFamilyPolicy", ("PreferDualStack", "RequireDualStack", "SingleStack"), _SPEC)
    wrong = False
    for at, ip in enumerate(ips):
        if at == 0 and ip == "None":
            if len(ips) > 1:
                wrong = True
                yield invalid(_IPS, ips, "'None' must be the first and only value")
            continue
        for problem in checks.ip_address(ip, _IPS[at]):
            wrong = True
            yield problem
    if len(ips) > 2:
        yield invalid(_IPS, ips, "may only hold up to 2 values")
    if wrong:
        return
    if len(ips) > 1 and len({":" in ip for ip in ips}) < 2:
        yield invalid(_IPS, ips, "may specify no more than one IP for each IP family")
    if not is_headless(spec):
        for at, (ip, family) in enumerate(zip(ips, families, strict=False)):
            if family in ("IPv4", "IPv6") and (":" in ip) != (family == "IPv6"):
                yield invalid(_IPS[at], ip, f"expected an {family} value as indicated by `ipFamilies[{at}]`")


def _port_pairs(ports: list[Json], kind: str) -> Iterator[Problem]:
    path = _SPEC / "ports"
    if kind == "ClusterIP":
        for at, port in enumerate(ports):
            if port.get("nodePort"):
                yield forbidden_field(path[at] / "nodePort", "may not be used when `type` is 'ClusterIP'")
    for field in ("nodePort", "port"):
        seen: set[tuple[str, int]] = set()
        for at, port in enumerate(ports):
            pair = port.get("protocol", ""), port.get(field, 0)
            if field == "nodePort" and not pair[1]:
                continue
            if pair in seen and field == "nodePort":
                yield duplicate(path[at] / "nodePort", pair[1])
            elif pair in seen:
                yield duplicate(path[at], {"protocol": pair[0], "port": pair[1]})
            seen.add(pair)


def _balanced(spec: Json, notes: Json, kind: str) -> Iterator[Problem]:
    """What only load balancers have."""
    balanced = kind == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges:
        here = _SPEC / "LoadBalancerSourceRanges"  # spelled so in the original's messages
        if not balanced:
            yield forbidden_field(here, _ONLY_BALANCED)
        for at, each in enumerate(ranges):
            yield from checks.cidr(each.strip(), here[at])
    elif _RANGES in notes:
        if not balanced:
            yield forbidden_field(_NOTES[_RANGES], _ONLY_BALANCED)
        for each in notes[_RANGES].split(",") if notes[_RANGES].strip() else ():
            yield from checks.cidr(each.strip(), _NOTES[_RANGES])
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and not balanced:
        yield forbidden_field(_SPEC / "allocateLoadBalancerNodePorts", _ONLY_BALANCED)
    if allocate is None and balanced:
        yield required(Path() / "allocateLoadBalancerNodePorts")
    given = spec.get("loadBalancerClass")
    if given is not None:
        if not balanced:
            yield forbidden_field(_SPEC / "loadBalancerClass", _ONLY_BALANCED)
        for wrong in names.qualified_name(given) if balanced else ():
            yield invalid(_SPEC / "loadBalancerClass", given, wrong)


def _policies(spec: Json, kind: str) -> Iterator[Problem]:
    external = spec.get("externalTrafficPolicy", "")
    exposed = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if exposed:
        yield from checks.one_of(spec, "externalTrafficPolicy", ("Cluster", "Local"), _SPEC, needed=True)
    elif external:
        yield invalid(_SPEC / "externalTrafficPolicy", external, "may only be set for externally-accessible services")
    health = spec.get("healthCheckNodePort", 0)
    if not wants_health_port(spec):
        if health:
            yield invalid(
                _SPEC / "healthCheckNodePort",
                health,
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            )
    elif health:
        # An absent one is allocated after validation here; the original has done so before.
        for wrong in names.port_number(health):
            yield invalid(_SPEC / "healthCheckNodePort", health, wrong)
    internal = spec.get("internalTrafficPolicy")
    if internal is None and kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        yield required(_SPEC / "internalTrafficPolicy")
    yield from checks.one_of(spec, "internalTrafficPolicy", ("Cluster", "Local"), _SPEC)
    spread = spec.get("trafficDistribution")
    allowed = ("PreferClose", "PreferSameNode", "PreferSameZone")
    if spread is not None and spread not in allowed:
        yield not_supported(_SPEC / "trafficDistribution", spread, allowed)


def validate_update(new: Json, old: Json) -> Iterator[Problem]:
    """What a service keeps: its first address and family, unless it comes from or becomes a mere name."""
    spec, was = new["spec"], old["spec"]
    if "ExternalName" not in (spec.get("type"), was.get("type")):
        headless = is_headless(spec), is_headless(was)
        if headless != (True, True):
            yield from _kept(spec, was, "clusterIPs", "primary clusterIP", "secondary clusterIP")
        if headless == (False, False):
            yield from _kept(spec, was, "ipFamilies", "primary ipFamily", "secondary ipFamily")
    balanced = spec.get("type") == was.get("type") == "LoadBalancer"
    if balanced and spec.get("loadBalancerClass") != was.get("loadBalancerClass"):
        yield invalid(_SPEC / "loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")
    both = wants_health_port(spec) and wants_health_port(was)
    if both and spec.get("healthCheckNodePort") != was.get("healthCheckNodePort"):
        yield forbidden_field(_SPEC / "healthCheckNodePort", "field is immutable")


def _kept(spec: Json, was: Json, name: str, primary: str, secondary: str) -> Iterator[Problem]:
    ours, theirs = spec.get(name) or [], was.get(name) or []
    path = _SPEC / name
    if len(ours) == len(theirs):
        for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if one != other:
                yield invalid(path[at if name == "clusterIPs" else 0], ours, "may not change once set")
        return
    if not ours and theirs:
        yield invalid(path[0], ours, f"{primary} can not be unset")
    elif theirs and ours[0] != theirs[0]:
        yield invalid(path[0], ours, "may not change once set")
    if len(theirs) > len(ours) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        yield invalid(
            _SPEC / "ipFamilyPolicy",
            spec.get("ipFamilyPolicy"),
            f"must be set to 'SingleStack' when releasing the {secondary}",
        )


def validate_status(new: Json, _old: Json) -> Iterator[Problem]:
    """Where a load balancer listens."""
    path = Path() / "status" / "loadBalancer" / "ingress"
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress and new["spec"].get("type") != "LoadBalancer":
        yield forbidden_field(path, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for at, each in enumerate(ingress):
        ip, mode, host = each.get("ip", ""), each.get("ipMode"), each.get("hostname", "")
        here = path[at]
        if ip:
            yield from checks.ip_address(ip, here / "ip")
            if mode is None:
                yield required(here / "ipMode", "must be specified when `ip` is set")
        elif mode is not None:
            yield forbidden_field(here / "ipMode", "may not be specified when `ip` is not set")
        if ip and mode is not None and mode not in ("Proxy", "VIP"):
            yield not_supported(here / "ipMode", mode, ("Proxy", "VIP"))
        if host:
            for wrong in names.dns1123_subdomain(host):
                yield invalid(here / "hostname", host, wrong)
            if checks.is_ip(host):
                yield invalid(here / "hostname", host, "must be a DNS name, not an IP address")


def service_warnings(obj: Json, _old: Json | None) -> Iterator[str]:
    """What has no effect on this service, or will have none."""
    spec = obj["spec"]
    kind = spec.get("type")
    if _HINTS in (obj["metadata"].get("annotations") or {}):
        yield f"annotation {_HINTS} is deprecated, please use {_MODE} instead"
    if is_headless(spec):
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if spec.get("externalIPs"):
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity", "None") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for field in ("clusterIPs", "externalIPs"):
        for at, ip in enumerate(spec.get(field) or ()):
            if ":" in ip and checks.is_ip(ip) and str(ipaddress.ip_address(ip)) != ip:
                canonical = ipaddress.ip_address(ip)
                yield f'spec.{field}[{at}]: IPv6 address "{ip}" should be in RFC 5952 canonical format ("{canonical}")'
    if kind == "ExternalName" and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'
