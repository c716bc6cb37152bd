"""Services: what they default to, what is validated, which allocated values an update keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaa.kinds import checks, printing
from kaa.kinds.apps.templates import format_selector
from kaa.kinds.metadata import labels
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names
from kaa.meta.problems import Path, Problem, duplicate, forbidden_field, invalid, required

__all__ = ["RULES"]

Json = dict[str, Any]
_SPEC = Path() / "spec"
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
CLIENT_IP_SECONDS = 10800


def _default(obj: Json) -> None:
    spec = obj["spec"]
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", CLIENT_IP_SECONDS)
    kind = spec["type"] = spec.get("type") or "ClusterIP"
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    if kind in ("NodePort", "LoadBalancer"):
        spec["externalTrafficPolicy"] = spec.get("externalTrafficPolicy") or "Cluster"
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    # The two spellings of the address are kept in step.
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and "clusterIP" not in spec:
        spec["clusterIP"] = spec["clusterIPs"][0]
    if kind != "ExternalName":
        families = spec.setdefault("ipFamilies", [])
        if not families:
            given = [ip for ip in spec.get("clusterIPs") or () if ip != "None"]
            families += ["IPv6" if ":" in ip else "IPv4" for ip in given] or ["IPv4"]
        spec.setdefault("ipFamilyPolicy", "RequireDualStack" if len(families) > 1 else "SingleStack")


def _prepare_update(new: Json, old: Json) -> None:
    spec, was = new["spec"], old["spec"]
    kind, before = spec.get("type"), was.get("type")
    # A client that replaces a service without naming its allocations means to keep them.
    if "ExternalName" not in (kind, before) and not spec.get("clusterIP") and was.get("clusterIP"):
        spec["clusterIP"], spec["clusterIPs"] = was["clusterIP"], list(was.get("clusterIPs") or ())
        if was.get("ipFamilies") and len(spec.get("ipFamilies") or ()) <= 1:
            spec["ipFamilies"] = list(was["ipFamilies"])
    node_ports = ("NodePort", "LoadBalancer")
    if kind in node_ports and before in node_ports:
        used = {port.get("nodePort") for port in spec.get("ports") or ()}
        known = {port.get("name", ""): port.get("nodePort", 0) for port in was.get("ports") or ()}
        for port in spec.get("ports") or ():
            value = known.get(port.get("name", ""), 0)
            if not port.get("nodePort") and value and value not in used:
                port["nodePort"] = value
    kept = was.get("healthCheckNodePort")
    if kept and not spec.get("healthCheckNodePort") and _wants_health_port(spec) and _wants_health_port(was):
        spec["healthCheckNodePort"] = kept
    if kind != before:
        _drop_dependents(spec, was, str(kind))


def _wants_health_port(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop_dependents(spec: Json, was: Json, kind: str) -> None:
    """A change of type lets go of what the old type had allocated, unless the client changed it itself."""

    def drop(name: str) -> None:
        if spec.get(name) == was.get(name):
            spec.pop(name, None)

    if kind == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            drop(name)
    if kind in ("ClusterIP", "ExternalName"):
        before = {port.get("name", ""): port.get("nodePort") for port in was.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") == before.get(port.get("name", "")):
                port.pop("nodePort", None)
        if not spec.get("externalIPs"):
            drop("externalTrafficPolicy")
    if kind != "LoadBalancer":
        drop("allocateLoadBalancerNodePorts")
        drop("loadBalancerClass")
        drop("healthCheckNodePort")


def _validate(obj: Json) -> Iterator[Problem]:
    spec = obj["spec"]
    kind = spec.get("type", "")
    ips = spec.get("clusterIPs") or []
    headless = bool(ips) and ips[0] == "None"
    ports = spec.get("ports") or []
    if not ports and not headless and kind != "ExternalName":
        yield required(_SPEC / "ports")
    if kind in ("LoadBalancer", "NodePort"):
        if headless:
            yield invalid((_SPEC / "clusterIPs")[0], "None", f"may not be set to 'None' for {kind} services")
    elif kind == "ExternalName":
        if ips or spec.get("clusterIP"):
            yield forbidden_field(_SPEC / "clusterIPs", "may not be set for ExternalName services")
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(name):
                yield forbidden_field(_SPEC / name, "may not be set for ExternalName services")
        name = (spec.get("externalName") or "").rstrip(".")
        if not name:
            yield required(_SPEC / "externalName")
        for wrong in names.dns1123_subdomain(name) if name else ():
            yield invalid(_SPEC / "externalName", spec.get("externalName"), wrong)
    yield from _ports(ports, kind, _SPEC / "ports")
    if spec.get("selector"):
        yield from labels(spec["selector"], _SPEC / "selector")
    yield from checks.one_of(spec, "sessionAffinity", ("ClientIP", "None"), _SPEC, needed=True)
    if spec.get("sessionAffinity") == "ClientIP":
        seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", 0)
        if not 0 < seconds <= 86400:
            yield invalid(
                _SPEC / "sessionAffinityConfig" / "clientIP" / "timeoutSeconds",
                seconds,
                "must be greater than 0 and less than 86400",
            )
    elif spec.get("sessionAffinityConfig") is not None:
        yield forbidden_field(_SPEC / "sessionAffinityConfig", "must not be set when session affinity is None")
    yield from _addresses(spec, ips)
    yield from checks.one_of(spec, "type", TYPES, _SPEC, needed=True)
    yield from _policies(spec, kind)


def _ports(ports: list[Json], kind: str, path: Path) -> Iterator[Problem]:
    seen_names: set[str] = set()
    node_ports: set[tuple[str, int]] = set()
    pairs: set[tuple[str, int]] = set()
    for at, port in enumerate(ports):
        here = path[at]
        name, number, protocol = port.get("name", ""), port.get("port", 0), port.get("protocol", "")
        if not name:
            if len(ports) > 1:
                yield required(here / "name")
        else:
            for wrong in names.dns1123_label(name):
                yield invalid(here / "name", name, wrong)
            if name in seen_names:
                yield duplicate(here / "name", name)
            seen_names.add(name)
        for wrong in names.port_number(number):
            yield invalid(here / "port", number, wrong)
        yield from checks.one_of(port, "protocol", ("SCTP", "TCP", "UDP"), here, needed=True)
        yield from checks.port_name_or_number(port.get("targetPort", 0), here / "targetPort")
        if port.get("appProtocol"):
            for wrong in names.qualified_name(port["appProtocol"]):
                yield invalid(here / "appProtocol", port["appProtocol"], wrong)
        node_port = port.get("nodePort", 0)
        if node_port:
            if kind in ("ClusterIP", "ExternalName"):
                yield forbidden_field(here / "nodePort", f"may not be used when `type` is '{kind}'")
            if (protocol, node_port) in node_ports:
                yield duplicate(here / "nodePort", node_port)
            node_ports.add((protocol, node_port))
        if (protocol, number) in pairs:
            yield duplicate(here, {"protocol": protocol, "port": number})
        pairs.add((protocol, number))


def _addresses(spec: Json, ips: list[str]) -> Iterator[Problem]:
    first = spec.get("clusterIP", "")
    if ips and first != ips[0]:
        yield invalid(_SPEC / "clusterIPs", ips, "first value must match `clusterIP`")
    if len(ips) > 2:
        yield invalid(_SPEC / "clusterIPs", ips, "may only hold up to 2 values")
    for at, ip in enumerate(ips):
        here = (_SPEC / "clusterIPs")[at]
        if ip == "None":
            if len(ips) > 1:
                yield invalid(here, ip, "'None' must be the first and only value")
        elif ip:
            yield from checks.ip_address(ip, here)
    for at, ip in enumerate(spec.get("externalIPs") or ()):
        yield from checks.ip_address(ip, (_SPEC / "externalIPs")[at])
    families = spec.get("ipFamilies") or ()
    for at, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            yield from checks.one_of({"ipFamilies": family}, "ipFamilies", ("IPv4", "IPv6"), (_SPEC))
        elif family in families[:at]:
            yield duplicate((_SPEC / "ipFamilies")[at], family)
    yield from checks.one_of(spec, "ipFamilyPolicy", ("PreferDualStack", "RequireDualStack", "SingleStack"), _SPEC)
    for at, ip in enumerate(ips):
        if at < len(families) and checks.is_ip(ip) and (":" in ip) != (families[at] == "IPv6"):
            yield invalid(
                (_SPEC / "clusterIPs")[at], ip, f"expected an {families[at]} value as indicated by `ipFamilies[{at}]`"
            )


def _policies(spec: Json, kind: str) -> Iterator[Problem]:
    balanced = kind == "LoadBalancer"
    external = spec.get("externalTrafficPolicy")
    if external:
        if kind not in ("LoadBalancer", "NodePort") and not spec.get("externalIPs"):
            yield invalid(
                _SPEC / "externalTrafficPolicy", external, "may only be set for externally-accessible services"
            )
        else:
            yield from checks.one_of(spec, "externalTrafficPolicy", ("Cluster", "Local"), _SPEC)
    yield from checks.one_of(spec, "internalTrafficPolicy", ("Cluster", "Local"), _SPEC)
    for name in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) is not None and not balanced:
            yield forbidden_field(_SPEC / name, "may only be used when `type` is 'LoadBalancer'")
    for at, each in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from checks.cidr(each.strip(), (_SPEC / "loadBalancerSourceRanges")[at])
    if spec.get("healthCheckNodePort") and not _wants_health_port(spec):
        yield invalid(
            _SPEC / "healthCheckNodePort",
            spec["healthCheckNodePort"],
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )
    yield from checks.one_of(spec, "trafficDistribution", ("PreferClose", "PreferSameNode", "PreferSameZone"), _SPEC)


def _validate_update(new: Json, old: Json) -> Iterator[Problem]:
    spec, was = new["spec"], old["spec"]
    if "ExternalName" in (spec.get("type"), was.get("type")):
        return
    ours, theirs = spec.get("clusterIPs") or [], was.get("clusterIPs") or []
    if theirs and theirs[0]:
        if not ours:
            yield invalid((_SPEC / "clusterIPs")[0], ours, "primary clusterIP can not be unset")
        elif ours[0] != theirs[0]:
            yield invalid((_SPEC / "clusterIPs")[0], ours, "may not change once set")
    if was.get("ipFamilies") and spec.get("ipFamilies") and was["ipFamilies"][0] != spec["ipFamilies"][0]:
        yield invalid((_SPEC / "ipFamilies")[0], spec["ipFamilies"], "may not change once set")
    balanced = spec.get("type") == was.get("type") == "LoadBalancer"
    if balanced and spec.get("loadBalancerClass") != was.get("loadBalancerClass"):
        yield invalid(_SPEC / "loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")


def _ports_text(ports: list[Json]) -> str:
    out = []
    for port in ports:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        out.append(f"{port.get('port', 0)}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(out) or "<none>"


def _external(spec: Json, status: Json) -> str:
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    given = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
        found = [each.get("ip") or each.get("hostname") or "" for each in ingress] + given
        return ",".join(each for each in found if each) or "<pending>"
    return ",".join(given) or "<none>"


def _cells(obj: Json, now: float) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    return [
        obj["metadata"].get("name", ""),
        spec.get("type", ""),
        spec.get("clusterIP") or "<none>",
        _external(spec, status),
        _ports_text(spec.get("ports") or []),
        printing.age(obj, now),
        format_selector({"matchLabels": spec.get("selector") or {}}),
    ]


RULES = Rules(
    default=_default,
    prepare_update=_prepare_update,
    validate=_validate,
    validate_update=_validate_update,
    name_check=names.dns1035_label,
    selectable={
        "spec.clusterIP": lambda obj: str(obj.get("spec", {}).get("clusterIP", "")),
        "spec.type": lambda obj: str(obj.get("spec", {}).get("type", "")),
    },
    columns=(
        NAME_COLUMN,
        Column("Type"),
        Column("Cluster-IP"),
        Column("External-IP"),
        Column("Port(s)"),
        AGE_COLUMN,
        Column("Selector", priority=1),
    ),
    cells=_cells,
)
