"""One object of every kind that can be created, richer than it has to be: what every form of the API must carry."""

from typing import Any

Json = dict[str, Any]

TEMPLATE: Json = {
    "metadata": {"labels": {"app": "x"}, "annotations": {"a": "\u00e4"}},
    "spec": {
        "containers": [
            {
                "name": "c", "image": "busybox", "command": ["sh", "-c", "true"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {
                    "resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m", "containerName": "c"}}}],
                "ports": [{"containerPort": 80, "name": "web"}],
                "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "1"}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "web"}},
                "livenessProbe": {"tcpSocket": {"port": 80}, "terminationGracePeriodSeconds": 5},
                "securityContext": {"runAsUser": 0, "privileged": False},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            }
        ],
        "volumes": [{"name": "v", "configMap": {"name": "cm", "optional": False,
                                               "items": [{"key": "k", "path": "p", "mode": 0}]}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}],
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
    },
}  # fmt: skip
SELECTOR = {"matchLabels": {"app": "x"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
HOOK = {"name": "h.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 5,
        "clientConfig": {"url": "https://h.example.com/"}, "rules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]}  # fmt: skip
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "name": "view"}
MATCH = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]}
RBAC, NET, ADMISSION = "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1", "admissionregistration.k8s.io/v1"
RESOURCE, STORAGE = "resource.k8s.io/v1", "storage.k8s.io/v1"

#: (apiVersion, path after the namespace or the version, kind, namespaced, what it holds beside its name)
SAMPLES: list[tuple[str, str, str, bool, Json]] = [
    ("v1", "configmaps", "ConfigMap", True, {"data": {"a": "", "b": "\u4e2d"}, "binaryData": {"c": "AP8="}}),
    ("v1", "secrets", "Secret", True, {"data": {"a": "AAE="}, "type": "Opaque", "immutable": False}),
    ("v1", "endpoints", "Endpoints", True, {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]}]}),
    ("v1", "limitranges", "LimitRange", True, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}),
    ("v1", "namespaces", "Namespace", False, {"spec": {"finalizers": ["kubernetes"]}}),
    ("v1", "nodes", "Node", False, {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": True}}),
    ("v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, {"spec": CLAIM}),
    ("v1", "persistentvolumes", "PersistentVolume", False, {"spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x", "type": ""}}}),
    ("v1", "pods", "Pod", True, TEMPLATE),
    ("v1", "podtemplates", "PodTemplate", True, {"template": TEMPLATE}),
    ("v1", "replicationcontrollers", "ReplicationController", True, {"spec": {
        "replicas": 0, "selector": {"app": "x"}, "template": TEMPLATE}}),
    ("v1", "resourcequotas", "ResourceQuota", True, {"spec": {"hard": {"pods": "0", "requests.cpu": "1500m"}}}),
    ("v1", "serviceaccounts", "ServiceAccount", True, {"automountServiceAccountToken": False}),
    ("v1", "services", "Service", True, {"spec": {
        "ports": [{"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 81, "targetPort": 8081}],
        "selector": {"app": "x"}, "clusterIP": "None"}}),
    ("apps/v1", "controllerrevisions", "ControllerRevision", True, {"revision": 1, "data": {"x": [1, None, "y"]}}),
    ("apps/v1", "daemonsets", "DaemonSet", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "deployments", "Deployment", True, {"spec": {
        "replicas": 0, "selector": SELECTOR, "template": TEMPLATE,
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}}}),
    ("apps/v1", "replicasets", "ReplicaSet", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "statefulsets", "StatefulSet", True, {"spec": {
        "serviceName": "s", "selector": SELECTOR, "template": TEMPLATE, "ordinals": {"start": 0},
        "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM}]}}),
    ("autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True, {"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1,
        "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True, {"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": {
            "name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}),
    ("batch/v1", "cronjobs", "CronJob", True, {"spec": {
        "schedule": "*/5 * * * *", "suspend": False, "successfulJobsHistoryLimit": 0, "jobTemplate": {"spec": {
            "template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}}}}),
    ("batch/v1", "jobs", "Job", True, {"spec": {
        "backoffLimit": 0, "suspend": True, "template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}}),
    (NET, "ingressclasses", "IngressClass", False, {"spec": {"controller": "example.com/c", "parameters": {
        "apiGroup": "k.example.com", "kind": "P", "name": "p", "scope": "Cluster"}}}),
    (NET, "ingresses", "Ingress", True, {"spec": {"rules": [{"host": "a.example.com", "http": {"paths": [{
        "path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}),
    (NET, "networkpolicies", "NetworkPolicy", True, {"spec": {
        "podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{
        "ports": [{"port": "web"}, {"port": 80, "endPort": 90}],
        "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]}}),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True, {"spec": {
        "minAvailable": "50%", "selector": SELECTOR}}),
    (RBAC, "clusterroles", "ClusterRole", False, {"rules": [*RULES, {"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
    (RBAC, "roles", "Role", True, {"rules": RULES}),
    (RBAC, "clusterrolebindings", "ClusterRoleBinding", False, {
        "roleRef": {**ROLE, "kind": "ClusterRole"}, "subjects": [{"kind": "User", "name": "u"}]}),
    (RBAC, "rolebindings", "RoleBinding", True, {
        "roleRef": {**ROLE, "kind": "ClusterRole"},
        "subjects": [{"kind": "ServiceAccount", "name": "u", "namespace": "default"}]}),
    (STORAGE, "csidrivers", "CSIDriver", False, {"spec": {"attachRequired": False, "podInfoOnMount": True}}),
    (STORAGE, "csinodes", "CSINode", False, {"spec": {"drivers": [{
        "name": "d.example.com", "nodeID": "n", "topologyKeys": ["a/b"], "allocatable": {"count": 0}}]}}),
    (STORAGE, "csistoragecapacities", "CSIStorageCapacity", True, {
        "storageClassName": "s", "capacity": "100Gi", "nodeTopology": {"matchLabels": {"a": "b"}}}),
    (STORAGE, "storageclasses", "StorageClass", False, {
        "provisioner": "p.example.com", "parameters": {"a": "b"}, "allowVolumeExpansion": False}),
    (STORAGE, "volumeattachments", "VolumeAttachment", False, {"spec": {
        "attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "p"}}}),
    (STORAGE, "volumeattributesclasses", "VolumeAttributesClass", False, {
        "driverName": "d.example.com", "parameters": {"a": "b"}}),
    (ADMISSION, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False, {
        "webhooks": [{**HOOK, "reinvocationPolicy": "Never"}]}),
    (ADMISSION, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False, {"webhooks": [HOOK]}),
    (ADMISSION, "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False, {"spec": {
        "matchConstraints": MATCH, "failurePolicy": "Fail", "variables": [{"name": "n", "expression": "1"}],
        "validations": [{"expression": "true", "message": "m"}]}}),
    (ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False, {"spec": {
        "policyName": "p", "validationActions": ["Audit"]}}),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", False, {"spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "PLURAL", "kind": "KIND"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {
                "a": {"type": "array", "items": {"type": "integer", "minimum": 0, "default": 0}},
                "b": {"type": "object", "additionalProperties": {"type": "string"}}}}}}]}}),
    ("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", False, {"value": 0, "description": "d"}),
    ("coordination.k8s.io/v1", "leases", "Lease", True, {"spec": {
        "holderIdentity": "h", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.000006Z"}}),
    ("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", False, {
        "handler": "runc", "overhead": {"podFixed": {"cpu": "1m"}}}),
    ("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", True, {
        "addressType": "IPv4", "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}]}),
    (RESOURCE, "deviceclasses", "DeviceClass", False, {"spec": {"selectors": [{"cel": {"expression": "true"}}]}}),
    (RESOURCE, "resourceclaims", "ResourceClaim", True, {"spec": {"devices": {"requests": [{
        "name": "r", "exactly": {"deviceClassName": "d", "allocationMode": "ExactCount", "count": 1}}]}}}),
    ("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", False, {"spec": {
        "type": "Limited", "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}}}}),
    ("flowcontrol.apiserver.k8s.io/v1", "flowschemas", "FlowSchema", False, {"spec": {
        "priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1000}}),
    ("events.k8s.io/v1", "events", "Event", True, {
        "eventTime": "2026-01-02T03:04:05.000006Z", "action": "a", "reason": "r", "type": "Normal",
        "reportingController": "c.example.com/c", "reportingInstance": "i", "note": "n",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"}}),
]  # fmt: skip

#: The rest of what can be created, which the tables of some tests do not ask about.
MORE_SAMPLES: list[tuple[str, str, str, bool, Json]] = [
    ("v1", "events", "Event", True, {
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "r", "message": "m",
        "type": "Normal", "count": 2, "firstTimestamp": "2026-01-02T03:04:05Z", "source": {"component": "c"}}),
    (NET, "servicecidrs", "ServiceCIDR", False, {"spec": {"cidrs": ["10.111.0.0/16"]}}),
    (NET, "ipaddresses", "IPAddress", False, {"spec": {"parentRef": {
        "resource": "services", "namespace": "default", "name": "s"}}}),
    ("apiregistration.k8s.io/v1", "apiservices", "APIService", False, {"spec": {
        "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10, "insecureSkipTLSVerify": True,
        "service": {"namespace": "default", "name": "s", "port": 443}}}),
    (ADMISSION, "mutatingadmissionpolicies", "MutatingAdmissionPolicy", False, {"spec": {
        "matchConstraints": MATCH, "failurePolicy": "Fail", "reinvocationPolicy": "Never", "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test'}]"}}]}}),
    (ADMISSION, "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", False, {"spec": {
        "policyName": "p"}}),
    (RESOURCE, "resourceclaimtemplates", "ResourceClaimTemplate", True, {"spec": {"spec": {"devices": {"requests": [{
        "name": "r", "exactly": {"deviceClassName": "d", "adminAccess": False}}]}}}}),
    (RESOURCE, "resourceslices", "ResourceSlice", False, {"spec": {
        "driver": "d.example.com", "nodeName": "n", "pool": {"name": "n", "generation": 0, "resourceSliceCount": 1},
        "devices": [{"name": "g", "attributes": {"a": {"bool": False}, "b": {"int": 0}, "c": {"string": "s"}},
                     "capacity": {"memory": {"value": "1Gi"}}}]}}),
]  # fmt: skip


def path_of(api_version: str, plural: str, namespaced: bool) -> str:
    """Where objects of the kind are."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return f"{root}/namespaces/default/{plural}" if namespaced else f"{root}/{plural}"


def sample(api_version: str, kind: str, name: str, content: Json) -> Json:
    """An object by that name."""
    metadata = {**content.get("metadata", {}), "name": name, "labels": {"of": kind.lower()}}
    made = {**content, "kind": kind, "apiVersion": api_version, "metadata": metadata}
    if kind == "CustomResourceDefinition":
        plural = name.replace("-", "") + "s"
        made["spec"] = {**made["spec"], "names": {"plural": plural, "kind": plural.capitalize()}}
        metadata["name"] = f"{plural}.example.com"
    elif kind == "IPAddress":
        metadata["name"] = f"10.99.0.{len(name)}"
    elif kind == "APIService":
        made["spec"] = {**made["spec"], "group": f"{name}.example.com"}
        metadata["name"] = f"v1.{name}.example.com"
    return made
