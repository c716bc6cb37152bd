"""Nodes: new ones are not ready, and pods bound to one have its place."""

from typing import Any

from kaa.kinds.spec import KindSpec
from kaa.server.admission.api import Attributes, Operation, Plugin
from kaa.server.admission.lookup import creates, kind
from kaa.server.objects import Objects

__all__ = ["PodTopologyLabels", "TaintNodesByCondition"]

Json = dict[str, Any]


class TaintNodesByCondition(Plugin):
    """New nodes are tainted as not ready, until the node lifecycle controller has seen that they are: no pod is put
    on a node that nobody knows anything of yet."""

    name = "TaintNodesByCondition"
    taint = "node.kubernetes.io/not-ready"

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Creates of nodes."""
        return creates(spec, subresource, operation, "nodes")

    def mutate(self, attributes: Attributes) -> None:
        """Add the taint."""
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(each.get("key") == self.taint and each.get("effect") == "NoSchedule" for each in taints):
            spec["taints"] = [*taints, {"key": self.taint, "effect": "NoSchedule"}]


class PodTopologyLabels(Plugin):
    """Copies the labels of a node's zone and region to bindings, and to pods that are made with a node."""

    name = "PodTopologyLabels"
    labels = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._nodes = kind(objects, "", "v1", "nodes")

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Bindings, and pods that are made with a node."""
        return spec.resource.qualified == "pods" and subresource in ("", "binding") and operation == "CREATE"

    def mutate(self, attributes: Attributes) -> None:
        """Fill in the labels; a node that is not there has none."""
        obj = attributes.object
        assert obj is not None
        if attributes.subresource:
            target = obj.get("target") or {}
            name = target.get("name") if target.get("kind") == "Node" else None
        else:
            name = (obj.get("spec") or {}).get("nodeName")
        entry = self._objects.find(self._nodes, "", name) if name else None
        if entry is None:
            return
        found = {key: entry.labels[key] for key in self.labels if key in entry.labels}
        if found:
            obj["metadata"]["labels"] = {**found, **(obj["metadata"].get("labels") or {})}
