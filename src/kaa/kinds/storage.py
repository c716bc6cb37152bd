"""Where each kind lives in the store, in the layout of the original's etcd, and which kinds no controller acts on.

Kinds served in two groups or versions share one place: `SHARED` names the stored form, and `convert` carries it over.
"""

__all__ = ["ACTED_ON", "SHARED", "storage_prefix"]

#: Places that are not `/registry/{plural}/`, for historical reasons: by (group, plural).
_PLACES = {
    ("", "nodes"): "minions",
    ("", "services"): "services/specs",
    ("", "endpoints"): "services/endpoints",
    ("", "replicationcontrollers"): "controllers",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("events.k8s.io", "events"): "events",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
}

#: (group, version, kind) served -> (group, version, kind) stored.
SHARED: dict[tuple[str, str, str], tuple[str, str, str]] = {
    ("events.k8s.io", "v1", "Event"): ("", "v1", "Event"),
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): ("autoscaling", "v2", "HorizontalPodAutoscaler"),
}

#: Kinds (with their group) that something in this cluster acts on, or that are data to others: no Warning header.
#: Whoever adds a controller adds its kind here.
ACTED_ON = frozenset(
    {
        # data and access: the server itself, the kubelet or clients act on these
        ("", "ConfigMap"), ("", "Secret"), ("", "Event"), ("events.k8s.io", "Event"), ("", "Node"), ("", "Pod"),
        ("", "Binding"), ("", "ComponentStatus"),
        ("coordination.k8s.io", "Lease"),
        ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "RoleBinding"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("authentication.k8s.io", "TokenReview"), ("authentication.k8s.io", "SelfSubjectReview"),
        ("authorization.k8s.io", "SubjectAccessReview"), ("authorization.k8s.io", "LocalSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"), ("authorization.k8s.io", "SelfSubjectRulesReview"),
        ("scheduling.k8s.io", "PriorityClass"), ("apps", "ControllerRevision"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        # controllers
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("", "Namespace"), ("", "ServiceAccount"), ("", "Service"), ("", "Endpoints"), ("", "ResourceQuota"),
        ("", "LimitRange"),  # by admission
        ("discovery.k8s.io", "EndpointSlice"), ("apps", "Deployment"), ("apps", "ReplicaSet"),
    }
)  # fmt: skip


def storage_prefix(group: str, plural: str) -> str:
    """The prefix of a built-in kind's keys, with its closing slash."""
    return f"/registry/{_PLACES.get((group, plural), plural)}/"
