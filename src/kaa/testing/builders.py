"""Objects for tests, in few words: `pod("a").on("node-a").ready()`.

Each builder makes the wire form step by step; `.json()` is a copy of it, `.view()` the typed view. Times are seconds
since the epoch.
"""

import copy
from typing import Any, Generic, Self, TypeVar

import msgspec

from kaa.base.clock import format_seconds
from kaa.kinds.views import Deployment, Node, Pod, ReplicaSet, Service
from kaa.kinds.views.base import View

__all__ = ["Builder", "deployment", "node", "pod", "replica_set", "service"]

Json = dict[str, Any]
V = TypeVar("V", bound=View)


class Builder(Generic[V]):
    """What every object has."""

    def __init__(self, view: type[V], name: str, namespace: str = "default") -> None:
        self._view = view
        metadata: Json = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
        if view.resource.namespaced:
            metadata["namespace"] = namespace
        self.metadata = metadata
        self.spec: Json = {}
        self.status: Json = {}

    def json(self) -> Json:
        """The wire form."""
        resource = self._view.resource
        obj: Json = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": self.metadata}
        if self.spec:
            obj["spec"] = self.spec
        if self.status:
            obj["status"] = self.status
        return copy.deepcopy(obj)

    def view(self) -> V:
        """The typed view."""
        return msgspec.convert(self.json(), self._view)

    def labels(self, **labels: str) -> Self:
        """Set labels."""
        self.metadata.setdefault("labels", {}).update(labels)
        return self

    def label(self, name: str, value: str) -> Self:
        """Set a label whose name is no Python name."""
        self.metadata.setdefault("labels", {})[name] = value
        return self

    def annotation(self, name: str, value: str) -> Self:
        """Set an annotation."""
        self.metadata.setdefault("annotations", {})[name] = value
        return self

    def uid(self, uid: str) -> Self:
        """Another UID than `uid-<name>`."""
        self.metadata["uid"] = uid
        return self

    def generation(self, generation: int) -> Self:
        """The spec's generation."""
        self.metadata["generation"] = generation
        return self

    def created(self, at: float) -> Self:
        """When it was made."""
        self.metadata["creationTimestamp"] = format_seconds(at)
        return self

    def deleting(self, at: float = 0.0) -> Self:
        """Its deletion has begun."""
        self.metadata["deletionTimestamp"] = format_seconds(at)
        return self

    def finalizers(self, *names: str) -> Self:
        """What holds it back."""
        self.metadata["finalizers"] = list(names)
        return self

    def owned_by(self, owner: View, *, controller: bool = True, blocks: bool = True) -> Self:
        """Another owner."""
        self.metadata.setdefault("ownerReferences", []).append(
            {
                "apiVersion": owner.resource.api_version, "kind": owner.resource.kind, "name": owner.name,
                "uid": owner.uid, "controller": controller, "blockOwnerDeletion": blocks,
            }
        )  # fmt: skip
        return self

    def condition(self, type_: str, status: str = "True", *, since: float | None = None, **more: Any) -> Self:
        """Set a condition."""
        conditions = self.status.setdefault("conditions", [])
        conditions[:] = [each for each in conditions if each["type"] != type_]
        shown: Json = {"type": type_, "status": status, **more}
        if since is not None:
            shown["lastTransitionTime"] = format_seconds(since)
        conditions.append(shown)
        return self


class PodBuilder(Builder[Pod]):
    """A pod with one container `web`."""

    def on(self, node: str) -> Self:
        """Bound to a node."""
        self.spec["nodeName"] = node
        return self

    def phase(self, phase: str) -> Self:
        """Its phase."""
        self.status["phase"] = phase
        return self

    def ready(self, since: float = 1.0) -> Self:
        """Running and ready."""
        self.status["phase"] = "Running"
        return self.condition("Ready", since=since)

    def not_ready(self) -> Self:
        """Running and not ready."""
        self.status["phase"] = "Running"
        return self.condition("Ready", "False")

    def ip(self, *addresses: str) -> Self:
        """Its addresses."""
        self.status["podIP"] = addresses[0]
        self.status["podIPs"] = [{"ip": each} for each in addresses]
        return self

    def port(self, number: int, name: str = "", protocol: str = "TCP") -> Self:
        """A port of its container."""
        port = {"containerPort": number, "protocol": protocol, **({"name": name} if name else {})}
        self.spec["containers"][0].setdefault("ports", []).append(port)
        return self

    def restarted(self, times: int) -> Self:
        """How often its container was."""
        self.status["containerStatuses"] = [{"name": "web", "restartCount": times}]
        return self

    def tolerates(self, key: str, effect: str = "", seconds: int | None = None, operator: str = "Exists") -> Self:
        """A taint it tolerates."""
        toleration: Json = {"key": key, "operator": operator, "effect": effect}
        if seconds is not None:
            toleration["tolerationSeconds"] = seconds
        self.spec.setdefault("tolerations", []).append(toleration)
        return self


class NodeBuilder(Builder[Node]):
    """A node."""

    def ready(self, status: str = "True", *, heartbeat: float | None = None) -> Self:
        """Its Ready condition."""
        more = {"lastHeartbeatTime": format_seconds(heartbeat)} if heartbeat is not None else {}
        return self.condition("Ready", status, **more)

    def taint(self, key: str, effect: str, *, added: float | None = None) -> Self:
        """A taint."""
        taint = {"key": key, "effect": effect}
        if added is not None:
            taint["timeAdded"] = format_seconds(added)
        self.spec.setdefault("taints", []).append(taint)
        return self

    def cordoned(self) -> Self:
        """Unschedulable."""
        self.spec["unschedulable"] = True
        return self

    def address(self, address: str, type_: str = "InternalIP") -> Self:
        """How it is reached."""
        self.status.setdefault("addresses", []).append({"type": type_, "address": address})
        return self

    def zone(self, zone: str) -> Self:
        """Its failure domain."""
        return self.label("topology.kubernetes.io/zone", zone)


class SetBuilder(Builder[ReplicaSet]):
    """A replica set for pods labelled `app=web`."""

    def replicas(self, wanted: int, *, have: int | None = None, available: int | None = None) -> Self:
        """How many it wants, has, and has available."""
        self.spec["replicas"] = wanted
        have = wanted if have is None else have
        available = have if available is None else available
        self.status.update(replicas=have, readyReplicas=available, availableReplicas=available)
        return self

    def template(self, image: str) -> Self:
        """Its container's image."""
        self.spec["template"] = _template(image)
        return self


class DeploymentBuilder(Builder[Deployment]):
    """A deployment of pods labelled `app=web`."""

    def replicas(self, wanted: int) -> Self:
        """How many it wants."""
        self.spec["replicas"] = wanted
        return self

    def template(self, image: str) -> Self:
        """Its container's image."""
        self.spec["template"] = _template(image)
        return self

    def rolling(self, surge: int | str, unavailable: int | str) -> Self:
        """How far a rollout may stray."""
        rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
        self.spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
        return self

    def recreate(self) -> Self:
        """First all old pods away, then the new ones."""
        self.spec["strategy"] = {"type": "Recreate"}
        return self


class ServiceBuilder(Builder[Service]):
    """A service that selects `app=web`."""

    def port(self, number: int, target: int | str | None = None, name: str = "", protocol: str = "TCP") -> Self:
        """A port."""
        port: Json = {"port": number, "targetPort": number if target is None else target, "protocol": protocol}
        if name:
            port["name"] = name
        self.spec.setdefault("ports", []).append(port)
        return self

    def with_spec(self, **fields: Any) -> Self:
        """Other fields of its spec, under their wire names."""
        self.spec.update(fields)
        return self


def _template(image: str) -> Json:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def pod(name: str = "web-1", namespace: str = "default") -> PodBuilder:
    """A pending pod labelled `app=web`."""
    made = PodBuilder(Pod, name, namespace).labels(app="web")
    made.spec["containers"] = [{"name": "web", "image": "web:1"}]
    made.status["phase"] = "Pending"
    return made


def node(name: str = "node-a") -> NodeBuilder:
    """A node that has said nothing yet."""
    return NodeBuilder(Node, name)


def replica_set(name: str = "web-1", namespace: str = "default") -> SetBuilder:
    """A replica set that wants and has one pod."""
    made = SetBuilder(ReplicaSet, name, namespace).labels(app="web").template("web:1").replicas(1)
    made.spec["selector"] = {"matchLabels": {"app": "web"}}
    return made


def deployment(name: str = "web", namespace: str = "default") -> DeploymentBuilder:
    """A deployment that wants one pod."""
    made = DeploymentBuilder(Deployment, name, namespace).template("web:1").rolling("25%", "25%").replicas(1)
    made.spec["selector"] = {"matchLabels": {"app": "web"}}
    made.spec["progressDeadlineSeconds"] = 600
    return made


def service(name: str = "web", namespace: str = "default") -> ServiceBuilder:
    """A service of pods labelled `app=web`, with an address."""
    made = ServiceBuilder(Service, name, namespace)
    made.spec = {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "type": "ClusterIP", "ipFamilies": ["IPv4"]}
    return made
