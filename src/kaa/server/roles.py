"""The roles every cluster has, as data: who may do what before anyone has said anything.

A row is (verbs, groups, resources); a path rule is (verbs, paths). Names and grants are those users of RBAC know; the
parts of this cluster act under `system:kube-controller-manager`, `system:kube-scheduler` and `system:node`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["cluster_role_bindings", "cluster_roles", "namespaced_roles"]

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")
ALL = READ + WRITE
CORE, APPS, BATCH, NET = "", "apps", "batch", "networking.k8s.io"

Rule = tuple[Sequence[str], Sequence[str], Sequence[str]]


def _rules(*rules: Rule, paths: Sequence[str] = ()) -> list[Json]:
    made: list[Json] = [
        {"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)}
        for verbs, groups, resources in rules
    ]
    if paths:
        made.append({"verbs": ["get"], "nonResourceURLs": list(paths)})
    return made


def _workload_reads() -> list[Rule]:
    return [
        (READ, [CORE], ["configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods",
                        "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services",
                        "services/status", "bindings", "events", "limitranges", "namespaces/status", "pods/log",
                        "pods/status", "replicationcontrollers/status", "resourcequotas", "resourcequotas/status",
                        "namespaces"]),
        (READ, ["discovery.k8s.io"], ["endpointslices"]),
        (READ, [APPS], ["controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale",
                        "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets",
                        "statefulsets/scale", "statefulsets/status"]),
        (READ, ["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
        (READ, [BATCH], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
        (READ, ["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
        (READ, [NET], ["ingresses", "ingresses/status", "networkpolicies"]),
    ]  # fmt: skip


def _workload_writes() -> list[Rule]:
    return [
        (READ, [CORE], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
        (["impersonate"], [CORE], ["serviceaccounts"]),
        (WRITE, [CORE], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "configmaps",
                         "events", "persistentvolumeclaims", "replicationcontrollers",
                         "replicationcontrollers/scale", "secrets", "serviceaccounts", "services", "services/proxy"]),
        (["create"], [CORE], ["pods/eviction", "serviceaccounts/token"]),
        (WRITE, [APPS], ["daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets",
                         "replicasets/scale", "statefulsets", "statefulsets/scale"]),
        (WRITE, ["autoscaling"], ["horizontalpodautoscalers"]),
        (WRITE, [BATCH], ["cronjobs", "jobs"]),
        (WRITE, ["policy"], ["poddisruptionbudgets"]),
        (WRITE, [NET], ["ingresses", "networkpolicies"]),
        (ALL, ["coordination.k8s.io"], ["leases"]),
    ]  # fmt: skip


_EVENTS: Rule = (["create", "patch", "update"], [CORE, "events.k8s.io"], ["events"])
_LEASES: Rule = (["create", "get", "list", "watch", "update", "patch", "delete"], ["coordination.k8s.io"], ["leases"])
_REVIEWS: Rule = (
    ["create"],
    ["authentication.k8s.io", "authorization.k8s.io"],
    ["tokenreviews", "subjectaccessreviews"],
)

_NODE = _rules(
    _REVIEWS,
    (["create", "get", "list", "watch"], [CORE], ["nodes"]),
    (["get", "list", "watch"], [CORE], ["services", "namespaces", "configmaps", "secrets", "persistentvolumeclaims",
                                        "persistentvolumes", "endpoints", "serviceaccounts"]),
    (["patch", "update"], [CORE], ["nodes", "nodes/status"]),
    (["create", "delete", "get", "list", "watch"], [CORE], ["pods"]),
    (["patch", "update"], [CORE], ["pods/status"]),
    (["create"], [CORE], ["pods/eviction", "serviceaccounts/token"]),
    (READ, ["discovery.k8s.io"], ["endpointslices"]),
    (READ, ["node.k8s.io", "storage.k8s.io"], ["runtimeclasses", "csidrivers", "volumeattachments"]),
    (["create", "get", "list", "watch"], ["certificates.k8s.io"], ["certificatesigningrequests"]),
    _EVENTS,
    _LEASES,
)  # fmt: skip

_SCHEDULER = _rules(
    _EVENTS,
    _LEASES,
    _REVIEWS,
    (["get", "list", "watch", "delete"], [CORE], ["pods"]),
    (READ, [CORE], ["nodes", "namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers",
                    "services"]),
    (["create"], [CORE], ["pods/binding", "bindings"]),
    (["patch", "update"], [CORE], ["pods/status"]),
    (READ, [APPS], ["replicasets", "statefulsets"]),
    (READ, ["policy"], ["poddisruptionbudgets"]),
    (READ, ["storage.k8s.io", "resource.k8s.io", "scheduling.k8s.io"], ["*"]),
)  # fmt: skip

#: The controllers run under one identity here, and the garbage collector among them deletes anything.
_CONTROLLERS = _rules(
    (["*"], [CORE, APPS, BATCH, "autoscaling", "policy", "discovery.k8s.io", NET, "storage.k8s.io",
             "certificates.k8s.io", "coordination.k8s.io", "events.k8s.io", "resource.k8s.io", "scheduling.k8s.io"],
     ["*"]),
    (["create"], ["authentication.k8s.io", "authorization.k8s.io"], ["*"]),
    (["get", "list", "watch", "delete", "deletecollection", "patch", "update"], ["*"], ["*"]),
    paths=["*"],
)  # fmt: skip

_PROXY = _rules(
    (READ, [CORE], ["endpoints", "services", "nodes"]),
    (READ, ["discovery.k8s.io"], ["endpointslices"]),
    (READ, [NET], ["servicecidrs"]),
    _EVENTS,
)  # fmt: skip

_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
              "/version", "/version/")  # fmt: skip


def cluster_roles() -> Iterator[Json]:
    """Every default ClusterRole."""
    everything = [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["*"]},
    ]
    view = _workload_reads()
    edit = [*view, *_workload_writes()]
    admin: list[Rule] = [
        *edit,
        (ALL, [GROUP], ["rolebindings", "roles"]),
        (["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
    ]
    reviews: Rule = (["create"], ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"])
    who: Rule = (["create"], ["authentication.k8s.io"], ["selfsubjectreviews"])
    for name, rules in (
        ("cluster-admin", everything),
        ("admin", _rules(*admin)),
        ("edit", _rules(*edit)),
        ("view", _rules(*view)),
        ("system:discovery", _rules(paths=_DISCOVERY)),
        ("system:monitoring", _rules(paths=("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz",
                                            "/readyz/*"))),
        ("system:basic-user", _rules(reviews, who)),
        ("system:public-info-viewer", _rules(paths=("/healthz", "/livez", "/readyz", "/version", "/version/"))),
        ("system:service-account-issuer-discovery", _rules(paths=("/.well-known/openid-configuration",
                                                                  "/.well-known/openid-configuration/",
                                                                  "/openid/v1/jwks", "/openid/v1/jwks/"))),
        ("system:auth-delegator", _rules(_REVIEWS)),
        ("system:node", _NODE),
        ("system:node-proxier", _PROXY),
        ("system:kube-scheduler", _SCHEDULER),
        ("system:kube-controller-manager", _CONTROLLERS),
        ("system:kubelet-api-admin", _rules((READ, [CORE], ["nodes"]), (["proxy"], [CORE], ["nodes"]),
                                            (["*"], [CORE], ["nodes/log", "nodes/metrics", "nodes/proxy",
                                                             "nodes/stats"]))),
    ):  # fmt: skip
        yield {
            "kind": "ClusterRole",
            "apiVersion": f"{GROUP}/v1",
            "metadata": {"name": name, "labels": dict(LABELS), "annotations": dict(ANNOTATIONS)},
            "rules": rules,
        }


def cluster_role_bindings() -> Iterator[Json]:
    """Every default ClusterRoleBinding."""
    for name, role, subjects in (
        ("cluster-admin", "cluster-admin", [("Group", "system:masters")]),
        ("system:discovery", "system:discovery", [("Group", "system:authenticated")]),
        ("system:basic-user", "system:basic-user", [("Group", "system:authenticated")]),
        ("system:public-info-viewer", "system:public-info-viewer",
         [("Group", "system:authenticated"), ("Group", "system:unauthenticated")]),
        ("system:service-account-issuer-discovery", "system:service-account-issuer-discovery",
         [("Group", "system:serviceaccounts")]),
        ("system:monitoring", "system:monitoring", [("Group", "system:monitoring")]),
        ("system:node", "system:node", [("Group", "system:nodes")]),
        ("system:node-proxier", "system:node-proxier",
         [("User", "system:kube-proxy"), ("Group", "system:nodes")]),
        ("system:kube-scheduler", "system:kube-scheduler", [("User", "system:kube-scheduler")]),
        ("system:kube-controller-manager", "system:kube-controller-manager",
         [("User", "system:kube-controller-manager")]),
    ):  # fmt: skip
        yield {
            "kind": "ClusterRoleBinding",
            "apiVersion": f"{GROUP}/v1",
            "metadata": {"name": name, "labels": dict(LABELS), "annotations": dict(ANNOTATIONS)},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": kind, "apiGroup": GROUP, "name": subject} for kind, subject in subjects],
        }


def namespaced_roles() -> Iterator[Json]:
    """Roles and bindings of the cluster's own namespaces."""
    yield {
        "kind": "Role",
        "apiVersion": f"{GROUP}/v1",
        "metadata": {
            "name": "extension-apiserver-authentication-reader",
            "namespace": "kube-system",
            "labels": dict(LABELS),
            "annotations": dict(ANNOTATIONS),
        },
        "rules": [
            {
                "verbs": list(READ),
                "apiGroups": [CORE],
                "resources": ["configmaps"],
                "resourceNames": ["extension-apiserver-authentication"],
            }
        ],
    }
