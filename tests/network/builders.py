"""Services and endpoint slices, in few words, for the network tests."""

from typing import Any

import msgspec

from kaa.kinds.views import EndpointSlice, Service


def service(name: str, *, ip: str = "10.96.0.100", port: int = 80, namespace: str = "default", **spec: Any) -> Service:
    """A service with one TCP port, unless `ports` says otherwise; `ingress` sets the load balancer's addresses."""
    ingress = [{"ip": a} for a in spec.pop("ingress", [])]
    labels = spec.pop("labels", {})
    body = {"clusterIP": ip, "clusterIPs": [ip] if ip else [], "ports": [{"port": port, "protocol": "TCP"}], **spec}
    status = {"loadBalancer": {"ingress": ingress}}
    wire = {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": body, "status": status}
    return msgspec.convert(wire, Service)


def endpoint(ip: str, **fields: Any) -> dict[str, Any]:
    """One endpoint in wire form; conditions by name (`ready`, `serving`, `terminating`)."""
    conditions = {k: fields.pop(k) for k in ("ready", "serving", "terminating") if k in fields}
    return {"addresses": [ip], "conditions": conditions or {"ready": True}, **fields}


def piece(
    service_name: str, *endpoints: dict[str, Any], port: int = 8080, namespace: str = "default", name: str = "",
    ports: list[dict[str, Any]] | None = None, address_type: str = "IPv4", labels: dict[str, str] | None = None,
) -> EndpointSlice:  # fmt: skip
    """An endpoint slice of a service."""
    wire = {
        "metadata": {
            "name": name or f"{service_name}-abcde",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service_name, **(labels or {})},
        },
        "addressType": address_type,
        "endpoints": list(endpoints),
        "ports": ports or [{"name": "", "port": port, "protocol": "TCP"}],
    }
    return msgspec.convert(wire, EndpointSlice)
