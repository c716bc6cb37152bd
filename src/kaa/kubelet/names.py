"""Labels and annotations that tie runtime objects to pods (so that a restarted kubelet finds its containers), and
the identities that appear in messages and events."""

import hashlib
from typing import Any

from kaa.kinds.views import Pod
from kaa.kinds.views.core import Container

__all__ = [
    "CONTAINER_NAME",
    "HASH",
    "POD_NAME",
    "POD_NAMESPACE",
    "POD_UID",
    "RESTART_COUNT",
    "TERMINATION_PATH",
    "TERMINATION_POLICY",
    "container_hash",
    "container_ref",
    "log_directory_name",
    "pod_labels",
    "pod_ref",
    "pod_text",
]

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE = "io.kubernetes.pod.terminationGracePeriod"

Json = dict[str, Any]


def pod_labels(pod: Pod) -> dict[str, str]:
    """Labels that every sandbox and container of the pod carries."""
    return {POD_NAME: pod.name, POD_NAMESPACE: pod.namespace, POD_UID: pod.uid}


def container_hash(container: Container) -> str:
    """Changes when the running container no longer is what the spec asks for: its name and image, as in the
    original (the rest of a container's spec is immutable, or changes without a restart)."""
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:8]


def pod_text(pod: Pod) -> str:
    """`web-0_default(1234-...)`: a pod in messages."""
    return f"{pod.name}_{pod.namespace}({pod.uid})"


def log_directory_name(namespace: str, name: str, uid: str) -> str:
    """The pod's directory under the log root."""
    return f"{namespace}_{name}_{uid}"


def pod_ref(pod: Pod) -> Json:
    """The pod as an event's involvedObject."""
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "resourceVersion": pod.metadata.resource_version,
    }


def container_ref(pod: Pod, name: str) -> Json:
    """A container of the pod as an event's involvedObject: the pod with a field path."""
    ref = pod_ref(pod)
    for field, containers in (
        ("containers", pod.spec.containers),
        ("initContainers", pod.spec.init_containers),
        ("ephemeralContainers", pod.spec.ephemeral_containers),
    ):
        if any(container.name == name for container in containers):
            ref["fieldPath"] = f"spec.{field}{{{name}}}"
    return ref
