"""One object of each kind of core, apps and batch that says as much as one object can, and is right in all of it."""

# ruff: noqa: E501 (what the API says stands on one line)

from typing import Any

Json = dict[str, Any]

_TERM = {
    "labelSelector": {
        "matchLabels": {"a": "b"},
        "matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}],
    },
    "namespaceSelector": {},
    "namespaces": ["other"],
    "topologyKey": "topology.kubernetes.io/zone",
    "mismatchLabelKeys": ["pod-template-hash"],
}
_NODE_TERM = {
    "matchExpressions": [
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
        {"key": "cpus", "operator": "Gt", "values": ["4"]},
        {"key": "spot", "operator": "DoesNotExist"},
    ],
    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}],
}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def container(name: str, **more: Any) -> Json:
    return {
        "name": name,
        "image": "registry.example.com/team/app@sha256:" + "0" * 64,
        "command": ["/bin/app"],
        "args": ["--verbose"],
        "workingDir": "/srv",
        "env": [
            {"name": "PLAIN", "value": "x"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "TIER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
            {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "FILE", "valueFrom": {"fileKeyRef": {"volumeName": "scratch", "path": "env", "key": "FILE"}}},
        ],
        "envFrom": [{"prefix": "A_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}],
        "resources": {
            "requests": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi", "example.com/gpu": "1"},
            "limits": {"cpu": "2", "memory": "1Gi", "hugepages-2Mi": "4Mi", "example.com/gpu": "1"},
            "claims": [{"name": "gpu", "request": "one"}],
        },
        "volumeMounts": [
            {
                "name": "scratch",
                "mountPath": f"/{name}/scratch",
                "subPath": "a/b",
                "mountPropagation": "HostToContainer",
            },
            {"name": "config", "mountPath": f"/{name}/config", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        ],
        "volumeDevices": [{"name": "claim", "devicePath": "/dev/disk"}],
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "procMount": "Default",
            "readOnlyRootFilesystem": True,
            "runAsGroup": 1,
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/a.json"},
            "appArmorProfile": {"type": "Localhost", "localhostProfile": "app"},
        },
        "stdin": True,
        "stdinOnce": True,
        "tty": True,
        **more,
    }


LIVING: Json = {
    "ports": [{"name": "http", "containerPort": 80, "hostPort": 8080, "hostIP": "10.0.0.1", "protocol": "TCP"}],
    "resizePolicy": [
        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "memory", "restartPolicy": "RestartContainer"},
    ],
    "lifecycle": {
        "postStart": {"exec": {"command": ["true"]}},
        "preStop": {"sleep": {"seconds": 5}},
    },
    "livenessProbe": {"grpc": {"port": 9000, "service": "health"}, "terminationGracePeriodSeconds": 5},
    "readinessProbe": {
        "httpGet": {"path": "/ready", "port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": ""}]},
        "successThreshold": 2,
    },
    "startupProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 1, "failureThreshold": 30},
}

VOLUMES: list[Json] = [
    {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    {"name": "config", "configMap": {"name": "c", "items": [{"key": "k", "path": "a/b", "mode": 256}], "optional": True}},
    {"name": "secret", "secret": {"secretName": "s", "defaultMode": 256}},
    {"name": "claim", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}},
    {"name": "host", "hostPath": {"path": "/var/log", "type": "Directory"}},
    {"name": "down", "downwardAPI": {"items": [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "app", "resource": "requests.cpu"}},
    ]}},
    {"name": "mixed", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"secret": {"name": "s", "items": [{"key": "k", "path": "k"}]}},
        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"clusterTrustBundle": {"signerName": "example.com/ca", "labelSelector": {}, "path": "bundle.pem"}},
        {"podCertificate": {"signerName": "example.com/ca", "keyType": "ED25519", "credentialBundlePath": "cert.pem"}},
    ]}},
    {"name": "csi", "csi": {"driver": "csi.example.com", "nodePublishSecretRef": {"name": "s"}}},
    {"name": "fresh", "ephemeral": {"volumeClaimTemplate": {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }}},
    {"name": "image", "image": {"reference": "example.com/data:1", "pullPolicy": "Always"}},
    {"name": "nfs", "nfs": {"server": "nfs.example.com", "path": "/export"}},
    {"name": "iscsi", "iscsi": {
        "targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:storage.disk1", "lun": 0,
        "initiatorName": "eui.0123456789abcdef", "chapAuthSession": True, "secretRef": {"name": "s"},
    }},
    {"name": "git", "gitRepo": {"repository": "https://example.com/a.git", "directory": "a"}},
    {"name": "gce", "gcePersistentDisk": {"pdName": "d", "partition": 1}},
    {"name": "aws", "awsElasticBlockStore": {"volumeID": "vol-1"}},
    {"name": "gluster", "glusterfs": {"endpoints": "e", "path": "p"}},
    {"name": "flocker", "flocker": {"datasetName": "d"}},
    {"name": "rbd", "rbd": {"monitors": ["10.0.0.1:6789"], "image": "i"}},
    {"name": "cinder", "cinder": {"volumeID": "v", "secretRef": {"name": "s"}}},
    {"name": "ceph", "cephfs": {"monitors": ["10.0.0.1:6789"]}},
    {"name": "quobyte", "quobyte": {"registry": "a:1,[::1]:2", "volume": "v"}},
    {"name": "fc", "fc": {"targetWWNs": ["50060e801049cfd1"], "lun": 0}},
    {"name": "flex", "flexVolume": {"driver": "example.com/d", "options": {"example.com/a": "b"}}},
    {"name": "azfile", "azureFile": {"secretName": "s", "shareName": "h"}},
    {"name": "vsphere", "vsphereVolume": {"volumePath": "[ds] v.vmdk"}},
    {"name": "photon", "photonPersistentDisk": {"pdID": "p"}},
    {"name": "portworx", "portworxVolume": {"volumeID": "v"}},
    {"name": "azdisk", "azureDisk": {"diskName": "d", "diskURI": "https://a.blob.core.windows.net/c/d.vhd", "kind": "Dedicated"}},
    {"name": "storageos", "storageos": {"volumeName": "v", "volumeNamespace": "n", "secretRef": {"name": "s"}}},
    {"name": "scaleio", "scaleIO": {"gateway": "g", "system": "s", "volumeName": "v", "secretRef": {"name": "s"}}},
]  # fmt: skip


def pod_spec(**more: Any) -> Json:
    """What a pod, and the template of a workload, can say."""
    return {
        "activeDeadlineSeconds": None,
        "affinity": {
            "nodeAffinity": {
                _REQUIRED: {"nodeSelectorTerms": [_NODE_TERM]},
                _PREFERRED: [{"weight": 100, "preference": _NODE_TERM}],
            },
            "podAffinity": {_REQUIRED: [_TERM], _PREFERRED: [{"weight": 1, "podAffinityTerm": _TERM}]},
            "podAntiAffinity": {_REQUIRED: [_TERM], _PREFERRED: [{"weight": 50, "podAffinityTerm": _TERM}]},
        },
        "automountServiceAccountToken": True,
        "containers": [container("app", **LIVING)],
        "dnsConfig": {
            "nameservers": ["10.0.0.10", "fd00::1"],
            "searches": ["_tcp.example.com", "."],
            "options": [{"name": "ndots", "value": "2"}],
        },
        "dnsPolicy": "None",
        "enableServiceLinks": False,
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a.example.com"]}],
        "hostname": "host",
        "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [
            container("prepare"),
            container("sidecar", restartPolicy="Always", **{**LIVING, "ports": [{"containerPort": 81}]}),
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "os": {"name": "linux"},
        "overhead": {"cpu": "10m", "memory": "10Mi"},
        "preemptionPolicy": "Never",
        "priorityClassName": "high",
        "readinessGates": [{"conditionType": "example.com/ready"}],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpus"}],
        "restartPolicy": "Always",
        "runtimeClassName": "gvisor",
        "schedulerName": "mine",
        "schedulingGates": [{"name": "example.com/quota"}],
        "securityContext": {
            "fsGroup": 1,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": 2,
            "runAsNonRoot": True,
            "runAsUser": 3,
            "seLinuxChangePolicy": "Recursive",
            "seccompProfile": {"type": "RuntimeDefault"},
            "appArmorProfile": {"type": "RuntimeDefault"},
            "supplementalGroups": [4],
            "supplementalGroupsPolicy": "Strict",
            "sysctls": [{"name": "net/ipv4/ip_forward", "value": "1"}],
        },
        "serviceAccountName": "account",
        "setHostnameAsFQDN": True,
        "shareProcessNamespace": True,
        "subdomain": "sub",
        "terminationGracePeriodSeconds": 60,
        "tolerations": [
            {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "minDomains": 2,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}},
                "matchLabelKeys": ["pod-template-hash"],
                "nodeAffinityPolicy": "Honor",
                "nodeTaintsPolicy": "Ignore",
            }
        ],
        "volumes": VOLUMES,
        **more,
    }


_LABELS = {"app": "web"}
_SELECTOR = {"matchLabels": _LABELS, "matchExpressions": [{"key": "app", "operator": "Exists"}]}
_TEMPLATE = {"metadata": {"labels": _LABELS, "annotations": {"a": "b"}}, "spec": pod_spec()}
_CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def job_spec(**more: Any) -> Json:
    return {
        "activeDeadlineSeconds": 100,
        "backoffLimit": 3,
        "backoffLimitPerIndex": 1,
        "completionMode": "Indexed",
        "completions": 5,
        "managedBy": "example.com/manager",
        "maxFailedIndexes": 2,
        "parallelism": 2,
        "podFailurePolicy": {
            "rules": [
                {"action": "FailJob", "onExitCodes": {"containerName": "app", "operator": "In", "values": [1, 42]}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0, 1]}},
            ]
        },
        "podReplacementPolicy": "Failed",
        "successPolicy": {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]},
        "suspend": True,
        "template": {
            "spec": pod_spec(
                restartPolicy="Never", containers=[container("app", ports=LIVING["ports"])], initContainers=[]
            )
        },
        "ttlSecondsAfterFinished": 60,
        **more,
    }


def _object(api_version: str, kind: str, **more: Any) -> Json:
    meta = {
        "name": "web",
        "labels": {"example.com/a": "b"},
        "annotations": {"Example.com/A": "any text"},
        "finalizers": ["example.com/mine"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u", "controller": True}],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **more}


def objects() -> dict[str, Json]:
    """By kind."""
    found = [
        _object("v1", "Pod", spec=pod_spec(activeDeadlineSeconds=5)),
        _object("v1", "PodTemplate", template=_TEMPLATE),
        _object(
            "v1", "ReplicationController",
            spec={"replicas": 2, "minReadySeconds": 1, "selector": _LABELS, "template": _TEMPLATE},
        ),
        _object("v1", "ConfigMap", data={"a.b_c-d": "x"}, binaryData={"e": "AAA="}, immutable=True),
        _object("v1", "Secret", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "e30="}, immutable=True),
        _object("v1", "ServiceAccount", secrets=[{"name": "s"}], imagePullSecrets=[{"name": "p"}]),
        _object("v1", "Namespace", spec={"finalizers": ["example.com/mine"]}),
        _object(
            "v1", "Node",
            spec={
                "podCIDRs": ["10.1.0.0/24", "fd00:1::/64"], "providerID": "a://b", "unschedulable": True,
                "taints": [{"key": "a", "value": "b", "effect": "NoExecute"}, {"key": "a", "effect": "NoSchedule"}],
            },
            status={"capacity": {"cpu": "4", "pods": "110"}, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
        ),
        _object(
            "v1", "Service",
            spec={
                "type": "LoadBalancer", "clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5", "fd00::5"],
                "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack", "selector": _LABELS,
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080, "appProtocol": "example.com/x"},
                    {"name": "dns", "port": 80, "protocol": "UDP"},
                ],
                "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86400}},
                "externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local", "healthCheckNodePort": 30081,
                "internalTrafficPolicy": "Local", "loadBalancerSourceRanges": [" 10.0.0.0/8 "],
                "loadBalancerClass": "example.com/lb", "allocateLoadBalancerNodePorts": False,
                "publishNotReadyAddresses": True, "trafficDistribution": "PreferSameZone",
            },
        ),
        _object(
            "v1", "Endpoints",
            subsets=[{
                "addresses": [{"ip": "10.0.0.1", "hostname": "a", "nodeName": "n.example.com"}],
                "notReadyAddresses": [{"ip": "fd00::1"}],
                "ports": [{"name": "http", "port": 80, "appProtocol": "h2c"}, {"name": "dns", "port": 53, "protocol": "UDP"}],
            }],
        ),
        _object(
            "v1", "LimitRange",
            spec={"limits": [
                {
                    "type": "Container", "min": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}, "default": {"cpu": "3"},
                    "max": {"cpu": "4"}, "maxLimitRequestRatio": {"cpu": "4"},
                },
                {"type": "Pod", "max": {"memory": "1Gi"}},
                {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}},
            ]},
        ),
        _object(
            "v1", "ResourceQuota",
            spec={
                "hard": {"requests.cpu": "4", "limits.memory": "1Gi", "pods": "10"},
                "scopes": ["NotTerminating", "NotBestEffort"],
                "scopeSelector": {"matchExpressions": [
                    {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
                    {"scopeName": "NotTerminating", "operator": "Exists"},
                ]},
            },
        ),
        _object(
            "v1", "Event", involvedObject={"kind": "Pod", "namespace": "default", "name": "p"}, reason="Started",
            message="Started", type="Normal", count=1, source={"component": "kubelet"},
        ),
        _object(
            "apps/v1", "Deployment",
            spec={
                "replicas": 2, "minReadySeconds": 5, "progressDeadlineSeconds": 60, "revisionHistoryLimit": 0,
                "paused": True, "selector": _SELECTOR, "template": _TEMPLATE,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "150%", "maxUnavailable": 0}},
            },
        ),
        _object("apps/v1", "ReplicaSet", spec={"replicas": 2, "minReadySeconds": 5, "selector": _SELECTOR, "template": _TEMPLATE}),
        _object(
            "apps/v1", "DaemonSet",
            spec={
                "selector": _SELECTOR, "template": _TEMPLATE, "minReadySeconds": 5, "revisionHistoryLimit": 3,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "10%", "maxUnavailable": 0}},
            },
        ),
        _object(
            "apps/v1", "StatefulSet",
            spec={
                "replicas": 3, "serviceName": "web", "selector": _SELECTOR, "template": _TEMPLATE,
                "podManagementPolicy": "Parallel", "ordinals": {"start": 1}, "minReadySeconds": 5,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1, "maxUnavailable": "50%"}},
                "volumeClaimTemplates": [_CLAIM], "revisionHistoryLimit": 5,
            },
        ),
        _object("apps/v1", "ControllerRevision", data={"spec": {}}, revision=3),
        _object("batch/v1", "Job", spec=job_spec()),
        _object(
            "batch/v1", "CronJob",
            spec={
                "schedule": "*/5 0-12/2 1,15 jan-jun sun", "timeZone": "Europe/Zurich", "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 5, "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 2, "suspend": True,
                "jobTemplate": {"metadata": {"labels": _LABELS}, "spec": job_spec()},
            },
        ),
    ]  # fmt: skip
    return {each["kind"]: each for each in found}
