"""Pods and nodes as the scheduler's tests need them, on top of the shared builders."""

from typing import Any, Self

from kaa.kinds.views import Node, Pod
from kaa.testing import builders as shared

__all__ = ["NodeBuilder", "PodBuilder", "node", "pod"]


class PodBuilder(shared.PodBuilder):
    """A pod with one container, pending, without labels."""

    @property
    def container(self) -> dict[str, Any]:
        """The last container, to be changed in place."""
        found: dict[str, Any] = self.spec["containers"][-1]
        return found

    def requests(self, requests: dict[str, Any] | None = None, **more: Any) -> Self:
        """Requests of the last container."""
        self.container.setdefault("resources", {}).setdefault("requests", {}).update(requests or {}, **more)
        return self

    def another(self, name: str, **requests: Any) -> Self:
        """One more container."""
        self.spec["containers"].append({"name": name, "image": "example.com/main:1"})
        return self.requests(requests) if requests else self

    def init(self, name: str, *, sidecar: bool = False, **requests: Any) -> Self:
        """One more init container; a sidecar restarts always."""
        each: dict[str, Any] = {"name": name, "image": "example.com/main:1", "resources": {"requests": requests}}
        if sidecar:
            each["restartPolicy"] = "Always"
        self.spec.setdefault("initContainers", []).append(each)
        return self

    def host_port(self, port: int, protocol: str = "TCP", address: str = "") -> Self:
        """A host port of the last container."""
        self.container.setdefault("ports", []).append(
            {"containerPort": port, "hostPort": port, "protocol": protocol, "hostIP": address}
        )
        return self

    def priority(self, priority: int, policy: str = "") -> Self:
        """How much it matters."""
        self.spec["priority"] = priority
        if policy:
            self.spec["preemptionPolicy"] = policy
        return self

    def started(self, at: str) -> Self:
        """Since when it runs."""
        self.status["startTime"] = at
        return self

    def gates(self, *names: str) -> Self:
        """Scheduling gates."""
        self.spec["schedulingGates"] = [{"name": name} for name in names]
        return self

    def node_selector(self, labels: dict[str, str]) -> Self:
        """Labels its node must have."""
        self.spec["nodeSelector"] = labels
        return self

    def affinity(self, affinity: dict[str, Any]) -> Self:
        """A part of `spec.affinity`."""
        self.spec.setdefault("affinity", {}).update(affinity)
        return self

    def tolerating(self, key: str = "", value: str = "", effect: str = "") -> Self:
        """One more toleration: of a value, or (without one) of any."""
        self.spec.setdefault("tolerations", []).append(
            {"key": key, "operator": "Equal" if value else "Exists", "value": value, "effect": effect}
        )
        return self

    def spread(self, key: str, skew: int = 1, *, hard: bool = True, labels: dict[str, str], **more: Any) -> Self:
        """One more topology spread constraint."""
        self.spec.setdefault("topologySpreadConstraints", []).append({
            "maxSkew": skew, "topologyKey": key,
            "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels}, **more,
        })  # fmt: skip
        return self

    def volume(self, name: str, **source: Any) -> Self:
        """One more volume."""
        self.spec.setdefault("volumes", []).append({"name": name, **source})
        return self

    def of_set(self, name: str) -> Self:
        """A replica set controls it."""
        return self.owned_by(shared.replica_set(name).view())


class NodeBuilder(shared.NodeBuilder):
    """A ready node with 4 CPUs, 8 GiB and room for 110 pods, labelled with its host name."""

    def allocatable(self, amounts: dict[str, str] | None = None, **more: str) -> Self:
        """Sets what it offers, in capacity and allocatable."""
        for part in ("capacity", "allocatable"):
            self.status.setdefault(part, {}).update(amounts or {}, **more)
        return self

    def tainted(self, key: str, value: str = "", effect: str = "NoSchedule") -> Self:
        """One more taint."""
        self.spec.setdefault("taints", []).append({"key": key, "value": value, "effect": effect})
        return self

    def holds(self, image: str, size_bytes: int) -> Self:
        """Has an image."""
        self.status.setdefault("images", []).append({"names": [image], "sizeBytes": size_bytes})
        return self


def pod(name: str = "pod", namespace: str = "default") -> PodBuilder:
    """A pending pod."""
    made = PodBuilder(Pod, name, namespace).uid(f"uid-{namespace}-{name}")
    made.spec["schedulerName"] = "default-scheduler"
    made.spec["containers"] = [{"name": "main", "image": "example.com/main:1"}]
    made.status["phase"] = "Pending"
    return made


def node(name: str = "node-a") -> NodeBuilder:
    """A ready node."""
    made = NodeBuilder(Node, name).ready().label("kubernetes.io/hostname", name)
    return made.allocatable(cpu="4", memory="8Gi", pods="110")
