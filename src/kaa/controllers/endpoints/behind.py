"""Which pods stand behind a service, and on which ports. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from kaa.client.listers import Lister
from kaa.kinds.views.core import Pod, Service, ServicePortView

__all__ = [
    "HEADLESS",
    "SERVICES_BY_LABEL",
    "address_types",
    "addresses_of",
    "endpoint_ports",
    "family_of",
    "is_headless",
    "may_be_endpoint",
    "pod_matters",
    "service_index",
    "service_matters",
    "services_of",
    "sets_hostname",
    "traffic_may_wait",
    "traffic_must_stop",
]

Json = dict[str, Any]
HEADLESS = "service.kubernetes.io/headless"
SERVICES_BY_LABEL = "selector-label"


def is_headless(service: Service) -> bool:
    """It has no address of its own."""
    return service.spec.cluster_ip in ("", "None")


def family_of(address: str) -> str:
    """`IPv4` or `IPv6`; "" for what is no address."""
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return ""


def address_types(service: Service) -> tuple[str, ...]:
    """The families of addresses that a service's endpoints have."""
    if service.spec.ip_families:
        return service.spec.ip_families
    family = family_of(service.spec.cluster_ip)
    return (family or "IPv4",)


def addresses_of(pod: Pod, family: str) -> list[str]:
    """A pod's addresses of one family."""
    found = [each.ip for each in pod.status.pod_ips] or ([pod.status.pod_ip] if pod.status.pod_ip else [])
    return [ip for ip in found if (":" in ip) == (family == "IPv6")]


def may_be_endpoint(pod: Pod, *, terminating: bool) -> bool:
    """Whether a selected pod is to be named at all; `terminating` says whether those being deleted are."""
    if pod.finished or not (pod.status.pod_ip or pod.status.pod_ips):
        return False
    return terminating or not pod.deleting


def sets_hostname(pod: Pod, service: Service) -> bool:
    """The pod has a name of its own under the service's."""
    return bool(pod.spec.hostname) and pod.spec.subdomain == service.name and pod.namespace == service.namespace


def endpoint_ports(service: Service, pod: Pod) -> list[Json]:
    """The ports of a service on one pod: a named target is looked up in the pod, one that it has not is left out."""
    ports: list[Json] = []
    for port in service.spec.ports:
        number = _target(port, pod)
        if number is None:
            continue
        shown: Json = {"name": port.name, "port": number, "protocol": port.protocol}
        if port.app_protocol:
            shown["appProtocol"] = port.app_protocol
        ports.append(shown)
    return ports


def _target(port: ServicePortView, pod: Pod) -> int | None:
    target = port.target_port
    if isinstance(target, int):
        return target or port.port
    sidecars = (each for each in pod.spec.init_containers if each.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for each in container.ports:
            if each.name == target and each.protocol == port.protocol:
                return each.container_port
    return None


# --- from pods to services ------------------------------------------------------------------------------------------


def service_index(service: Service) -> Iterable[str]:
    """Under `namespace/key=value` of one pair of its selector: a pod then asks once for each of its labels."""
    if not service.spec.selector:
        return ()
    key, value = min(service.spec.selector.items())
    return (f"{service.namespace}/{key}={value}",)


def services_of(services: Lister[Service], pod: Pod) -> list[Service]:
    """The services that select a pod. Wants `SERVICES_BY_LABEL`."""
    labels = pod.metadata.labels.items()
    namespace = pod.metadata.namespace
    return [
        service
        for key, value in labels
        for service in services.by(SERVICES_BY_LABEL, f"{namespace}/{key}={value}")
        if service.spec.selector.items() <= labels
    ]


def pod_matters(old: Pod | None, new: Pod | None) -> bool:
    """Whether a change of a pod could change endpoints."""
    if old is None or new is None:
        pod = new or old
        assert pod is not None
        return may_be_endpoint(pod, terminating=True)
    return (
        _reachable(old) != _reachable(new)
        or old.ready != new.ready
        or old.deleting != new.deleting
        or old.metadata.labels != new.metadata.labels
    )


def traffic_must_stop(old: Pod | None, new: Pod | None) -> bool:
    """A change after which traffic must not go to a pod that it went to before: not one to wait with."""
    if old is None or not may_be_endpoint(old, terminating=True):
        return False
    return (
        new is None
        or (old.ready and not new.ready)
        or (new.deleting and not old.deleting)
        or _reachable(old) != _reachable(new)
        or old.metadata.labels != new.metadata.labels
    )


def traffic_may_wait(old: Pod | None, new: Pod | None) -> bool:
    """Any other change of endpoints."""
    return pod_matters(old, new) and not traffic_must_stop(old, new)


def _reachable(pod: Pod) -> tuple[bool, Sequence[Any], str, str, str]:
    status, spec = pod.status, pod.spec
    addresses = status.pod_ips or (status.pod_ip,)
    return pod.finished, addresses, spec.node_name, spec.hostname, spec.subdomain


def service_matters(old: Service | None, new: Service | None) -> bool:
    """Whether a change of a service is more than its status."""
    return (
        old is None or new is None or old.spec != new.spec or old.labels != new.labels or old.deleting != new.deleting
    )
