"""Which module holds the rules of which kind. A kind that is not listed has none: its tables say all.

Modules are loaded when a kind is first used, so that starting costs nothing for kinds nobody writes.
"""

from importlib import import_module

from kaa.kinds.spec import Rules

__all__ = ["modules", "rules_of"]

#: group -> kind -> module below this package, and the attribute where it is not `RULES`.
_MODULES: dict[str, dict[str, str]] = {
    "": {
        "ComponentStatus": "core.limits:COMPONENT_STATUS",
        "ConfigMap": "core.data:CONFIG_MAP",
        "Endpoints": "core.endpoints",
        "Event": "core.event",
        "LimitRange": "core.limits:LIMIT_RANGE",
        "Namespace": "core.namespace",
        "Node": "core.node",
        "PersistentVolume": "volumes.claims:VOLUME",
        "PersistentVolumeClaim": "volumes.claims:CLAIM",
        "Pod": "core.pod",
        "PodTemplate": "core.limits:POD_TEMPLATE",
        "ReplicationController": "apps.replicaset:CONTROLLER_RULES",
        "ResourceQuota": "core.limits:QUOTA",
        "Secret": "core.data:SECRET",
        "Service": "core.service",
        "ServiceAccount": "core.data:SERVICE_ACCOUNT",
    },
    "admissionregistration.k8s.io": {
        "MutatingAdmissionPolicy": "policy.extensions:POLICY",
        "MutatingAdmissionPolicyBinding": "policy.extensions:POLICY_BINDING",
        "MutatingWebhookConfiguration": "policy.extensions:MUTATING_WEBHOOK",
        "ValidatingAdmissionPolicy": "policy.extensions:POLICY",
        "ValidatingAdmissionPolicyBinding": "policy.extensions:POLICY_BINDING",
        "ValidatingWebhookConfiguration": "policy.extensions:VALIDATING_WEBHOOK",
    },
    "apiextensions.k8s.io": {"CustomResourceDefinition": "policy.extensions:CRD"},
    "apiregistration.k8s.io": {"APIService": "policy.extensions:API_SERVICE"},
    "apps": {
        "ControllerRevision": "apps.statefulset:REVISION_RULES",
        "DaemonSet": "apps.daemonset",
        "Deployment": "apps.deployment",
        "ReplicaSet": "apps.replicaset",
        "StatefulSet": "apps.statefulset",
    },
    "autoscaling": {
        "HorizontalPodAutoscaler": "policy.scaling:HPA",
        "HorizontalPodAutoscaler/v1": "policy.scaling:HPA_V1",
        "Scale": "policy.scaling:SCALE",
    },
    "batch": {"CronJob": "batch.cronjob", "Job": "batch.job"},
    "certificates.k8s.io": {"CertificateSigningRequest": "policy.cluster:CSR"},
    "coordination.k8s.io": {"Lease": "policy.cluster:LEASE"},
    "discovery.k8s.io": {"EndpointSlice": "core.endpoints:SLICE"},
    "events.k8s.io": {"Event": "core.event:NEW_RULES"},
    "flowcontrol.apiserver.k8s.io": {
        "FlowSchema": "policy.cluster:FLOW_SCHEMA",
        "PriorityLevelConfiguration": "policy.cluster:PRIORITY_LEVEL",
    },
    "networking.k8s.io": {
        "IPAddress": "networking.policy:IP_ADDRESS",
        "Ingress": "networking.ingress",
        "IngressClass": "networking.ingress:CLASS",
        "NetworkPolicy": "networking.policy",
        "ServiceCIDR": "networking.policy:SERVICE_CIDR",
    },
    "node.k8s.io": {"RuntimeClass": "policy.cluster:RUNTIME_CLASS"},
    "policy": {"PodDisruptionBudget": "policy.scaling:BUDGET"},
    "rbac.authorization.k8s.io": {
        "ClusterRole": "rbac.roles:CLUSTER_ROLE",
        "ClusterRoleBinding": "rbac.roles:CLUSTER_BINDING",
        "Role": "rbac.roles:ROLE",
        "RoleBinding": "rbac.roles:BINDING",
    },
    "resource.k8s.io": {
        "DeviceClass": "policy.extensions:DEVICE_CLASS",
        "ResourceClaim": "policy.extensions:RESOURCE_CLAIM",
        "ResourceClaimTemplate": "policy.extensions:RESOURCE_CLAIM_TEMPLATE",
        "ResourceSlice": "policy.extensions:RESOURCE_SLICE",
    },
    "scheduling.k8s.io": {"PriorityClass": "policy.cluster:PRIORITY_CLASS"},
    "storage.k8s.io": {
        "CSIDriver": "volumes.classes:DRIVER",
        "CSINode": "volumes.classes:NODE",
        "CSIStorageCapacity": "volumes.classes:CAPACITY",
        "StorageClass": "volumes.classes:CLASS",
        "VolumeAttachment": "volumes.classes:ATTACHMENT",
        "VolumeAttributesClass": "volumes.classes:ATTRIBUTES_CLASS",
    },
}


def modules() -> dict[tuple[str, str], str]:
    """(group, kind) -> the module with its rules."""
    return {(group, kind): place for group, kinds in _MODULES.items() for kind, place in kinds.items()}


def rules_of(group: str, version: str, kind: str) -> Rules:
    """The rules of a kind, or empty ones. A version with rules of its own is listed as `Kind/version`."""
    kinds = _MODULES.get(group, {})
    place = kinds.get(f"{kind}/{version}") or kinds.get(kind)
    if place is None:
        return Rules()
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"kaa.kinds.{module}"), attribute or "RULES")
    assert isinstance(found, Rules)
    return found
