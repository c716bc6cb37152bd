"""Typed, read-only views of objects: one per kind, holding the fields that Kaa's own parts read.

A view is decoded straight from wire bytes. It drops what it does not name, so it is never written back: changes go
out as patches, new objects as plain JSON. What must survive whole (a pod template) is kept as plain JSON here too.

Attributes are the wire names in snake case: `podIP` is `pod_ip`, `clusterIPs` is `cluster_ips`.
"""

from kaa.kinds.views.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from kaa.kinds.views.base import (
    LabelSelectorView,
    ObjectMeta,
    OwnerReference,
    View,
    decoder,
    resource_of,
)
from kaa.kinds.views.core import (
    ConfigMap,
    Endpoints,
    EventView,
    Namespace,
    Node,
    Pod,
    PriorityClass,
    ReplicationController,
    Secret,
    Service,
    ServiceAccount,
)
from kaa.kinds.views.net import EndpointSlice, Lease
from kaa.kinds.views.policy import PodDisruptionBudget

__all__ = [
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Endpoints",
    "EventView",
    "LabelSelectorView",
    "Lease",
    "Namespace",
    "Node",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodDisruptionBudget",
    "PriorityClass",
    "ReplicaSet",
    "ReplicationController",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "View",
    "decoder",
    "resource_of",
]
