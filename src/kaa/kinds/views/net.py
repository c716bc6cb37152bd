"""Views of endpoint slices and leases."""

from typing import Any

from kaa.kinds.views.base import Part, View
from kaa.meta.resource import Resource

__all__ = ["EndpointPart", "EndpointSlice", "Lease"]

Json = dict[str, Any]


class EndpointConditions(Part, frozen=True):
    """Whether an endpoint takes traffic. None means: not said, read as true for ready and serving."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class EndpointPart(Part, frozen=True):
    """One endpoint of a slice."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: Json | None = None
    hints: Json | None = None


class EndpointPort(Part, frozen=True):
    """A port every endpoint of the slice has."""

    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(View, frozen=True):
    """Some of a service's endpoints."""

    resource = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, "endpointslice")
    address_type: str = "IPv4"
    endpoints: tuple[EndpointPart, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class LeaseSpec(Part, frozen=True):
    """Who holds a lease, and until when."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int = 0


class Lease(View, frozen=True):
    """A claim that must be renewed."""

    resource = Resource("coordination.k8s.io", "v1", "leases", "Lease", True, "lease")
    spec: LeaseSpec = LeaseSpec()
