"""Views of the workload kinds. Templates stay plain JSON: they are copied into what is created, whole."""

from typing import Any

from kaa.kinds.views.base import LabelSelectorView, Part, View
from kaa.kinds.views.core import PodCondition
from kaa.meta.resource import Resource

__all__ = ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]

Json = dict[str, Any]


class ReplicaSetSpec(Part, frozen=True):
    """How many pods, of what template."""

    replicas: int = 1
    min_ready_seconds: int = 0
    selector: LabelSelectorView | None = None
    template: Json = {}


class ReplicaSetStatus(Part, frozen=True):
    """How many there are."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: tuple[PodCondition, ...] = ()


class ReplicaSet(View, frozen=True):
    """A number of pods alike."""

    resource = Resource("apps", "v1", "replicasets", "ReplicaSet", True, "replicaset")
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdate(Part, frozen=True):
    """How far a rollout may stray from the stated count."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None
    partition: int | None = None


class Strategy(Part, frozen=True):
    """How old pods give way to new ones."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Part, frozen=True):
    """What a deployment should be."""

    replicas: int = 1
    selector: LabelSelectorView | None = None
    template: Json = {}
    strategy: Strategy = Strategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = 10
    paused: bool = False
    progress_deadline_seconds: int | None = 600


class DeploymentCondition(PodCondition, frozen=True):
    """A condition that also says when it was last looked at."""

    last_update_time: str | None = None


class DeploymentStatus(Part, frozen=True):
    """How a rollout is doing."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[DeploymentCondition, ...] = ()
    collision_count: int | None = None


class Deployment(View, frozen=True):
    """Replica sets, one per template, rolled from one to the next."""

    resource = Resource("apps", "v1", "deployments", "Deployment", True, "deployment")
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class DaemonSetSpec(Part, frozen=True):
    """What a daemon set should be."""

    selector: LabelSelectorView | None = None
    template: Json = {}
    update_strategy: Strategy = Strategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = 10


class DaemonSet(View, frozen=True):
    """One pod per node."""

    resource = Resource("apps", "v1", "daemonsets", "DaemonSet", True, "daemonset")
    spec: DaemonSetSpec = DaemonSetSpec()
    status: Json = {}


class StatefulSetSpec(Part, frozen=True):
    """What a stateful set should be."""

    replicas: int = 1
    selector: LabelSelectorView | None = None
    template: Json = {}
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    update_strategy: Strategy = Strategy()
    revision_history_limit: int | None = 10
    min_ready_seconds: int = 0
    volume_claim_templates: tuple[Json, ...] = ()


class StatefulSet(View, frozen=True):
    """Pods with stable names and volumes."""

    resource = Resource("apps", "v1", "statefulsets", "StatefulSet", True, "statefulset")
    spec: StatefulSetSpec = StatefulSetSpec()
    status: Json = {}
