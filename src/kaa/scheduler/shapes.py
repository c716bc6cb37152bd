"""What matters about a pod to the scheduler, parsed once for all pods made from one template.

Two pods of one shape pass the same nodes and score them alike, so answers are kept per shape. Labels that are
unique to each pod (`UNIQUE_LABELS`) are left out as long as no selector asks for them: else no two pods of a
stateful set were alike.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from kaa.kinds.views.core import Pod, PodSpec
from kaa.scheduler import requests
from kaa.scheduler.matching import NodeMatch, NodeTerm, Term, node_terms, pod_terms

__all__ = ["UNIQUE_LABELS", "Shape", "Shapes"]

Json = dict[str, Any]
UNIQUE_LABELS = frozenset({
    "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index",
})  # fmt: skip
_encode = msgspec.msgpack.Encoder().encode


class Shape:
    """The parsed form. Attributes are computed when first asked for; raising ones raise `SelectorError`."""

    __slots__ = ("__dict__", "__weakref__", "labels", "memo", "namespace", "owner", "spec")

    def __init__(
        self, namespace: str, labels: dict[str, str], spec: PodSpec, owner: tuple[str, str, str] | None
    ) -> None:
        self.namespace = namespace
        self.labels = labels
        self.spec = spec
        #: kind, name, UID of the controller.
        self.owner = owner
        #: For plugins: what they derive from the shape, under their own names. Lives as long as the shape.
        self.memo: dict[str, Any] = {}

    @cached_property
    def requests(self) -> dict[str, int]:
        """What the pod asks for; resources it asks nothing of are left out."""
        return {name: value for name, value in requests.pod_requests(self.spec).items() if value}

    @cached_property
    def nonzero(self) -> tuple[int, int]:
        """Milli-CPU and bytes it counts as when nodes are scored."""
        assumed = {requests.CPU: requests.CPU_DEFAULT_MILLI, requests.MEMORY: requests.MEMORY_DEFAULT_BYTES}
        total = requests.pod_requests(self.spec, missing=assumed)
        return total.get(requests.CPU, 0), total.get(requests.MEMORY, 0)

    @cached_property
    def ports(self) -> tuple[tuple[str, str, int], ...]:
        """Host ports: (address, protocol, port); the address is 0.0.0.0 for all."""
        containers = (*self.spec.containers, *(c for c in self.spec.init_containers if c.restart_policy == "Always"))
        return tuple(
            (port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)
            for container in containers
            for port in container.ports
            if port.host_port > 0
        )

    @cached_property
    def node_match(self) -> NodeMatch:
        """What it requires of its node."""
        selector = tuple(sorted(self.spec.node_selector.items()))
        required = self._node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        if required is None:
            return NodeMatch(selector)
        return NodeMatch(selector, node_terms(required.get("nodeSelectorTerms")))

    @cached_property
    def node_preferences(self) -> tuple[tuple[int, NodeTerm], ...]:
        """What it would like of its node, with weights."""
        found = []
        for each in self._node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            (term,) = node_terms((each.get("preference") or {},))
            weight = int(each.get("weight") or 0)
            if weight and not term.empty:
                found.append((weight, term))
        return tuple(found)

    @property
    def _affinity(self) -> Json:
        return self.spec.affinity or {}

    @property
    def _node_affinity(self) -> Json:
        return self._affinity.get("nodeAffinity") or {}

    @cached_property
    def affinity(self) -> tuple[tuple[Term, ...], tuple[tuple[int, Term], ...]]:
        """Pods it wants to be near to: required, preferred."""
        return pod_terms(self._affinity.get("podAffinity"), self.namespace)

    @cached_property
    def anti_affinity(self) -> tuple[tuple[Term, ...], tuple[tuple[int, Term], ...]]:
        """Pods it wants to be away from: required, preferred."""
        return pod_terms(self._affinity.get("podAntiAffinity"), self.namespace)

    @property
    def social(self) -> bool:
        """It has an opinion about other pods."""
        affinity = self._affinity
        return bool(affinity.get("podAffinity") or affinity.get("podAntiAffinity"))


class Shapes:
    """The shapes of the pods there are; alike pods share one."""

    def __init__(self) -> None:
        self._shapes: WeakValueDictionary[bytes, Shape] = WeakValueDictionary()
        #: Label keys left out of shapes; shrinks when a selector asks for one.
        self.left_out = UNIQUE_LABELS

    def of(self, pod: Pod) -> Shape:
        """The shape of a pod."""
        meta, spec = pod.metadata, pod.spec
        labels = meta.labels
        if not self.left_out.isdisjoint(labels):
            labels = {key: value for key, value in labels.items() if key not in self.left_out}
        controller = pod.controller
        owner = (controller.kind, controller.name, controller.uid) if controller is not None else None
        key = _encode((
            meta.namespace, labels, owner, spec.node_selector, spec.affinity, spec.tolerations, spec.overhead,
            spec.topology_spread_constraints, spec.resources,
            [(c.image, c.resources, c.ports) for c in spec.containers],
            [(c.image, c.resources, c.ports, c.restart_policy) for c in spec.init_containers],
            [(v.persistent_volume_claim, v.ephemeral, v.image) for v in spec.volumes],
            spec.resource_claims,
        ))  # fmt: skip
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(meta.namespace, labels, spec, owner)
        return shape

    def mention(self, key: str) -> bool:
        """A selector asks for a label; whether shapes left it out until now (then they must be made anew)."""
        if key not in self.left_out:
            return False
        self.left_out -= {key}
        self._shapes.clear()
        return True
