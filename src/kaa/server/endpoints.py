"""What is behind a port of a service, as its EndpointSlices say: whom proxies and webhooks call."""

from typing import Any, NamedTuple

from kaa.server.objects import Objects

__all__ = ["Endpoint", "endpoints_of"]

Json = dict[str, Any]
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class Endpoint(NamedTuple):
    """An address that is ready, and what it says it is the address of."""

    address: str
    port: int
    target: Json


def endpoints_of(objects: Objects, namespace: str, service: str, port_name: str) -> tuple[list[Endpoint], bool]:
    """The ready endpoints of a service's port (by its name), and whether the service has any, ready or not."""
    slices = objects.registry.get("discovery.k8s.io", "v1", "endpointslices")
    assert slices is not None
    ready: list[Endpoint] = []
    known = False
    for entry in objects.of(slices).in_namespace(namespace):
        if entry.labels.get(SERVICE_NAME_LABEL) != service:
            continue
        piece = entry.decode()
        number = next((each["port"] for each in piece.get("ports") or ()
                       if each.get("name", "") == port_name and each.get("port")), None)  # fmt: skip
        for endpoint in piece.get("endpoints") or ():
            known = True
            if number is not None and (endpoint.get("conditions") or {}).get("ready", True):
                target = endpoint.get("targetRef") or {}
                ready += [Endpoint(address, number, target) for address in endpoint["addresses"]]
    return ready, known
