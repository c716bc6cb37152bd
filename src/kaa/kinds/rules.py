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
        "PersistentVolume": "volumes.volume",
        "PersistentVolumeClaim": "volumes.claims",
        "Pod": "core.pod",
        "PodTemplate": "core.limits:POD_TEMPLATE",
        "ReplicationController": "apps.replicaset:CONTROLLER_RULES",
        "ResourceQuota": "core.limits:QUOTA",
        "Secret": "core.data:SECRET",
        "Service": "core.service",
        "ServiceAccount": "core.data:SERVICE_ACCOUNT",
    },
    "admissionregistration.k8s.io": {
        "MutatingAdmissionPolicy": "admissionregistration.policies:MUTATING",
        "MutatingAdmissionPolicyBinding": "admissionregistration.bindings:MUTATING",
        "MutatingWebhookConfiguration": "admissionregistration.webhooks:MUTATING",
        "ValidatingAdmissionPolicy": "admissionregistration.policies:VALIDATING",
        "ValidatingAdmissionPolicyBinding": "admissionregistration.bindings:VALIDATING",
        "ValidatingWebhookConfiguration": "admissionregistration.webhooks:VALIDATING",
    },
    "apiextensions.k8s.io": {"CustomResourceDefinition": "custom.definition:CRD"},
    "apiregistration.k8s.io": {"APIService": "apiregistration.apiservice"},
    "apps": {
        "ControllerRevision": "apps.statefulset:REVISION_RULES",
        "DaemonSet": "apps.daemonset",
        "Deployment": "apps.deployment",
        "ReplicaSet": "apps.replicaset",
        "StatefulSet": "apps.statefulset",
    },
    "autoscaling": {
        "HorizontalPodAutoscaler": "autoscaling.autoscaler",
        "HorizontalPodAutoscaler/v1": "autoscaling.autoscaler:RULES_V1",
        "Scale": "autoscaling.scale",
    },
    "batch": {"CronJob": "batch.cronjob", "Job": "batch.job"},
    "certificates.k8s.io": {"CertificateSigningRequest": "certificates.request"},
    "coordination.k8s.io": {"Lease": "coordination.lease"},
    "discovery.k8s.io": {"EndpointSlice": "discovery.slices"},
    "events.k8s.io": {"Event": "events.event"},
    "flowcontrol.apiserver.k8s.io": {
        "FlowSchema": "flowcontrol.schema",
        "PriorityLevelConfiguration": "flowcontrol.level",
    },
    "networking.k8s.io": {
        "IPAddress": "networking.addresses:IP_ADDRESS",
        "Ingress": "networking.ingress",
        "IngressClass": "networking.ingressclass",
        "NetworkPolicy": "networking.policy",
        "ServiceCIDR": "networking.addresses:SERVICE_CIDR",
    },
    "node.k8s.io": {"RuntimeClass": "node.runtimeclass"},
    "policy": {"PodDisruptionBudget": "policy.budget"},
    "rbac.authorization.k8s.io": {
        "ClusterRole": "rbac.roles:CLUSTER_ROLE",
        "ClusterRoleBinding": "rbac.roles:CLUSTER_BINDING",
        "Role": "rbac.roles:ROLE",
        "RoleBinding": "rbac.roles:BINDING",
    },
    "resource.k8s.io": {
        "DeviceClass": "resource.classes",
        "ResourceClaim": "resource.claims:CLAIM",
        "ResourceClaimTemplate": "resource.claims:TEMPLATE",
        "ResourceSlice": "resource.slices",
    },
    "scheduling.k8s.io": {"PriorityClass": "scheduling.priority"},
    "storage.k8s.io": {
        "CSIDriver": "volumes.csi:DRIVER",
        "CSINode": "volumes.csi:NODE",
        "CSIStorageCapacity": "volumes.csi:CAPACITY",
        "StorageClass": "volumes.classes:STORAGE_CLASS",
        "VolumeAttachment": "volumes.attachment",
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
