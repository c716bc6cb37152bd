"""Services: what they default to, what is validated, which allocated values an update keeps."""

from __future__ import annotations

from typing import Any

from kaa.kinds import printing
from kaa.kinds.apps.templates import format_selector
from kaa.kinds.core.servicecheck import service_warnings, validate, validate_status, validate_update, wants_health_port
from kaa.kinds.spec import AGE_COLUMN, NAME_COLUMN, Column, Rules
from kaa.meta import names

__all__ = ["RULES"]

Json = dict[str, Any]
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
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        spec["externalTrafficPolicy"] = spec.get("externalTrafficPolicy") or "Cluster"
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for each in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if each.get("ip"):
                each.setdefault("ipMode", "VIP")
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
    if kept and not spec.get("healthCheckNodePort") and wants_health_port(spec) and wants_health_port(was):
        spec["healthCheckNodePort"] = kept
    if kind != before:
        _drop_dependents(spec, was, str(kind))


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
        found = sorted({each.get("ip") or each.get("hostname") or "" for each in ingress} - {""})
        return ",".join(found + given) or "<pending>"
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
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=service_warnings,
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
