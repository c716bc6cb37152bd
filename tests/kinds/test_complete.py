"""Every kind of core, apps and batch: an object that says all it can passes, and wrong ones are told everything."""

# ruff: noqa: E501 (what the API says stands on one line)

import copy
from typing import Any

import pytest
from builders import container, created, pod, service, spec_of, template, updated, workload
from maximal import job_spec, objects, pod_spec

from kaa.meta import errors

Json = dict[str, Any]


@pytest.mark.parametrize("kind", sorted(objects()))
def test_all_that_can_be_said_passes(kind: str) -> None:
    obj = copy.deepcopy(objects()[kind])
    kept, problems = created(obj)
    assert problems == []
    # Saying the same again changes nothing, and is no change.
    again = copy.deepcopy(kept)
    assert updated(again, kept) == []
    assert again == kept


def _one(**more: Any) -> Json:
    return {"containers": [container(**more)]}


_NOT_INIT = "may not be set for init containers without restartPolicy=Always"
_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_RANGE = "must be between 0 and 2147483647, inclusive"
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"

PODS: list[tuple[str, Json, list[str]]] = [
    # -- volumes
    ("empty volumes", {"volumes": [{"name": "v", "secret": {}}, {"name": "w", "configMap": {"items": [{}]}}]}, [
        "spec.volumes[0].secret.secretName: Required value",
        "spec.volumes[1].configMap.name: Required value",
        "spec.volumes[1].configMap.items[0].key: Required value",
        "spec.volumes[1].configMap.items[0].path: Required value",
    ]),
    ("names", {"volumes": [{"emptyDir": {}}, {"name": "A", "emptyDir": {}}, {"name": "v", "emptyDir": {}},
                           {"name": "v", "emptyDir": {}}]}, [
        "spec.volumes[0].name: Required value",
        f'spec.volumes[1].name: Invalid value: "A": {_LABEL}',
        'spec.volumes[3].name: Duplicate value: "v"',
    ]),
    ("two sources", {"volumes": [{"name": "v", "nfs": {"path": "a"}, "cephfs": {}, "csi": {}}]}, [
        "spec.volumes[0].nfs.server: Required value",
        'spec.volumes[0].nfs.path: Invalid value: "a": must be an absolute path',
        "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type",
        "spec.volumes[0].csi: Forbidden: may not specify more than 1 volume type",
    ]),
    ("host path", {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b", "type": "Odd"}}]}, [
        'spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain \'..\'',
        'spec.volumes[0].hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", '
        '"Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
    ]),
    ("old sources", {"volumes": [
        {"name": "a", "gitRepo": {"directory": "/d"}}, {"name": "b", "gcePersistentDisk": {"partition": 300}},
        {"name": "c", "iscsi": {"iqn": "odd", "lun": -1, "chapAuthSession": True, "initiatorName": "iqn.x"}},
        {"name": "d", "glusterfs": {}}, {"name": "e", "flocker": {}}, {"name": "f", "rbd": {}},
        {"name": "g", "cinder": {"secretRef": {}}}, {"name": "h", "cephfs": {}}, {"name": "i", "quobyte": {}},
        {"name": "j", "fc": {}}, {"name": "k", "flexVolume": {"options": {"a.k8s.io/b": ""}}},
        {"name": "l", "azureFile": {}}, {"name": "m", "vsphereVolume": {}}, {"name": "n", "photonPersistentDisk": {}},
        {"name": "o", "portworxVolume": {}}, {"name": "p", "azureDisk": {"cachingMode": "x", "kind": "Managed"}},
        {"name": "q", "storageos": {"secretRef": {}}}, {"name": "r", "scaleIO": {}},
        {"name": "s", "awsElasticBlockStore": {}},
    ]}, [
        "spec.volumes[0].gitRepo.repository: Required value",
        'spec.volumes[0].gitRepo.directory: Invalid value: "/d": must be a relative path',
        "spec.volumes[1].persistentDisk.pdName: Required value",
        "spec.volumes[1].persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive",
        "spec.volumes[2].iscsi.targetPortal: Required value",
        'spec.volumes[2].iscsi.iqn: Invalid value: "odd": must be valid format starting with iqn, eui, or naa',
        "spec.volumes[2].iscsi.lun: Invalid value: -1: must be between 0 and 255, inclusive",
        "spec.volumes[2].iscsi.secretRef: Required value",
        'spec.volumes[2].iscsi.initiatorname: Invalid value: "iqn.x": must be valid format',
        "spec.volumes[3].glusterfs.endpoints: Required value",
        "spec.volumes[3].glusterfs.path: Required value",
        "spec.volumes[4].flocker: Required value: one of datasetName and datasetUUID is required",
        "spec.volumes[5].rbd.monitors: Required value",
        "spec.volumes[5].rbd.image: Required value",
        "spec.volumes[6].cinder.volumeID: Required value",
        "spec.volumes[6].cinder.secretRef.name: Required value",
        "spec.volumes[7].cephfs.monitors: Required value",
        "spec.volumes[8].quobyte.registry: Required value: must be a host:port pair or multiple pairs separated by commas",
        "spec.volumes[8].quobyte.volume: Required value",
        "spec.volumes[9].fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both",
        "spec.volumes[10].flexVolume.driver: Required value",
        'spec.volumes[10].flexVolume.options[a.k8s.io/b]: Invalid value: "a.k8s.io/b": '
        "kubernetes.io and k8s.io namespaces are reserved",
        "spec.volumes[11].azureFile.secretName: Required value",
        "spec.volumes[11].azureFile.shareName: Required value",
        "spec.volumes[12].vsphereVolume.volumePath: Required value",
        "spec.volumes[13].photonPersistentDisk.pdID: Required value",
        "spec.volumes[14].portworxVolume.volumeID: Required value",
        "spec.volumes[15].azureDisk.diskName: Required value",
        "spec.volumes[15].azureDisk.diskURI: Required value",
        'spec.volumes[15].azureDisk.cachingMode: Unsupported value: "x": '
        'supported values: "None", "ReadOnly", "ReadWrite"',
        'spec.volumes[15].azureDisk.diskURI: Unsupported value: "": supported values: "/subscriptions/{sub-id}/'
        'resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
        "spec.volumes[16].storageos.volumeName: Required value",
        "spec.volumes[16].storageos.secretRef.name: Required value",
        "spec.volumes[17].scaleIO.gateway: Required value",
        "spec.volumes[17].scaleIO.system: Required value",
        "spec.volumes[17].scaleIO.volumeName: Required value",
        "spec.volumes[18].awsElasticBlockStore.volumeID: Required value",
    ]),
    ("projected", {"serviceAccountName": "a", "volumes": [{"name": "v", "projected": {"defaultMode": 4096, "sources": [
        {"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}},
        {"configMap": {"items": [{"key": "k", "path": "p"}]}},
        {"serviceAccountToken": {"path": "..t", "expirationSeconds": 1}},
        {"downwardAPI": {"items": [{"path": "q", "fieldRef": {"fieldPath": "spec.nodeName"}}]}},
        {"clusterTrustBundle": {"path": "b"}},
        {"podCertificate": {"signerName": "x", "keyType": "DSA", "maxExpirationSeconds": 1}},
        {"secret": {"name": "s"}, "configMap": {"name": "c"}},
    ]}}]}, [
        f"spec.volumes[0].projected.defaultMode: Invalid value: 4096: {_MODE}",
        "spec.volumes[0].projected.sources[1].configMap.name: Required value",
        'spec.volumes[0].projected: Invalid value: "": conflicting duplicate paths',
        "spec.volumes[0].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 1: "
        "may not specify a duration less than 10 minutes",
        'spec.volumes[0].projected.path: Invalid value: "..t": must not start with \'..\'',
        'spec.volumes[0].projected.sources[3].downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": '
        'supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", '
        '"metadata.uid"',
        "spec.volumes[0].projected.sources[4].clusterTrustBundle: Required value: "
        "either name or signerName must be specified",
        'spec.volumes[0].projected.sources[5].podCertificate.signerName: Invalid value: "x": '
        "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        'spec.volumes[0].projected.sources[5].podCertificate.keyType: Unsupported value: "DSA": supported values: '
        '"ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"',
        "spec.volumes[0].projected.sources[5].podCertificate.maxExpirationSeconds: Invalid value: 1: "
        "if provided, maxExpirationSeconds must be >= 3600",
        "spec.volumes[0].projected.sources[5].podCertificate: Required value: "
        "specify at least one of credentialBundlePath, keyPath, and certificateChainPath",
        "spec.volumes[0].projected.sources[6]: Forbidden: may not specify more than 1 volume type per source",
    ]),
    ("a token without an account", {"volumes": [
        {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}, [
        "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: "
        "must not be specified when serviceAccountName is not set",
    ]),
    # -- mounts
    ("mounts", {"volumes": [{"name": "v", "emptyDir": {}}], **_one(
        volumeMounts=[
            {"name": "", "mountPath": ""},
            {"name": "v", "mountPath": "/a", "subPath": "../b", "subPathExpr": "c"},
            {"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional", "recursiveReadOnly": "Enabled"},
        ],
        volumeDevices=[{"name": "v", "devicePath": "/dev/../x"}],
    )}, [
        "spec.containers[0].volumeMounts[0].name: Required value",
        'spec.containers[0].volumeMounts[0].name: Not found: ""',
        "spec.containers[0].volumeMounts[0].mountPath: Required value",
        'spec.containers[0].volumeMounts[1].name: Invalid value: "v": must not already exist in volumeDevices',
        'spec.containers[0].volumeMounts.subPath: Invalid value: "../b": must not contain \'..\'',
        'spec.containers[0].volumeMounts[1].subPathExpr: Invalid value: "c": '
        "subPathExpr and subPath are mutually exclusive",
        'spec.containers[0].volumeMounts[2].mountPath: Invalid value: "/a": must be unique',
        'spec.containers[0].volumeMounts[2].name: Invalid value: "v": must not already exist in volumeDevices',
        "spec.containers[0].volumeMounts.mountPropagation: Forbidden: "
        "Bidirectional mount propagation is available only to privileged containers",
        "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
        "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: "
        "may only be specified when mountPropagation is None or not specified",
        'spec.containers[0].volumeDevices[0].name: Invalid value: "v": '
        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
        'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps (\'..\')',
        'spec.containers[0].volumeDevices[0].name: Invalid value: "v": must not already exist in volumeMounts',
    ]),
    # -- environment
    ("env", _one(env=[
        {"name": ""}, {"name": "a=b"}, {"name": "A", "valueFrom": {}},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.odd"}}},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
        {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "2"}}},
        {"name": "E", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}},
        {"name": "F", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "/p", "key": "k"}}},
    ]), [
        "spec.containers[0].env[0].name: Required value",
        'spec.containers[0].env[1].name: Invalid value: "a=b": '
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
        'spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, '
        "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        'spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: Invalid value: "spec.odd": '
        "error converting fieldPath: field label not supported: spec.odd",
        'spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported '
        'values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", '
        '"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
        'spec.containers[0].env[5].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.memory": only divisor\'s '
        "values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
        "spec.containers[0].env[6].valueFrom.secretKeyRef.key: Required value",
        'spec.containers[0].env[6].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        'spec.containers[0].env[7].valueFrom.fileKeyRef.path: Invalid value: "/p": must be a relative path',
        'spec.containers[0].env[7].valueFrom.fileKeyRef.volumeName: Not found: "v"',
    ]),
    ("envFrom", _one(envFrom=[{}, {"configMapRef": {}, "secretRef": {"name": "s"}}]), [
        'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        "spec.containers[0].envFrom[1].configMapRef.name: Required value",
        'spec.containers[0].envFrom: Invalid value: "": may not have more than one field specified at a time',
    ]),
    # -- ports, probes, lifecycle
    ("ports", {"containers": [
        container(ports=[{"name": "a--b", "containerPort": 0}, {"name": "x", "containerPort": 1, "hostPort": 5},
                         {"name": "x", "containerPort": 2, "hostPort": 5, "protocol": "tcp"}]),
        container(name="d", ports=[{"containerPort": 3, "hostPort": 5}]),
    ]}, [
        'spec.containers[0].ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens',
        "spec.containers[0].ports[0].containerPort: Required value",
        'spec.containers[0].ports[2].name: Duplicate value: "x"',
        'spec.containers[0].ports[2].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"',
        'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//5"',
    ]),
    ("probes", _one(
        livenessProbe={"exec": {}, "grpc": {"port": 1}, "successThreshold": 2, "periodSeconds": -1},
        readinessProbe={"httpGet": {"port": "", "scheme": "FTP", "httpHeaders": [{"name": "a b", "value": "c"}]},
                        "terminationGracePeriodSeconds": 0},
        lifecycle={"preStop": {"sleep": {"seconds": 31}}, "postStart": {}},
    ), [
        "spec.containers[0].lifecycle.postStart: Required value: must specify a handler type",
        "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: "
        "must be non-negative and less than terminationGracePeriodSeconds (30)",
        "spec.containers[0].livenessProbe.exec.command: Required value",
        "spec.containers[0].livenessProbe.grpc: Forbidden: may not specify more than 1 handler type",
        "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "": '
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        'spec.containers[0].readinessProbe.httpGet.port: Invalid value: "": must contain at least one letter (a-z)',
        'spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
        'spec.containers[0].readinessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist '
        "of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: "
        "must not be set for readinessProbes",
    ]),
    # -- resources
    ("resources", _one(resources={
        "limits": {"cpu": "1", "odd": "1", "hugepages-2Mi": "3Mi", "example.com/gpu": "1500m"},
        "requests": {"cpu": "2", "memory": "-1", "example.com/gpu": "1", "a/b/c": "1", "example.com/other": "1"},
        "claims": [{"name": "x"}, {"name": "x"}, {}],
    }), [
        'spec.containers[0].resources.limits[odd]: Invalid value: "odd": '
        "must be a standard resource type or fully qualified",
        'spec.containers[0].resources.limits[odd]: Invalid value: "odd": must be a standard resource for containers',
        'spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": '
        "3Mi is not positive integer multiple of hugepages-2Mi",
        'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
        'spec.containers[0].resources.requests: Invalid value: "1": '
        "must be equal to example.com/gpu limit of 1500m",
        'spec.containers[0].resources.requests[a/b/c]: Invalid value: "a/b/c": a valid label key must consist of '
        "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
        "'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
        "(e.g. 'example.com/MyName')",
        'spec.containers[0].resources.requests[a/b/c]: Invalid value: "a/b/c": '
        "doesn't follow extended resource name standard",
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
        # what has a limit only is requested as much
        'spec.containers[0].resources.requests[odd]: Invalid value: "odd": '
        "must be a standard resource type or fully qualified",
        'spec.containers[0].resources.requests[odd]: Invalid value: "odd": must be a standard resource for containers',
        'spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: "3Mi": '
        "3Mi is not positive integer multiple of hugepages-2Mi",
        'spec.containers[0].resources.claims[0]: Not found: "x": '
        "must be one of the names in pod.spec.resourceClaims which is empty",
        'spec.containers[0].resources.claims[1]: Duplicate value: "x"',
        'spec.containers[0].resources.claims[1]: Not found: "x": '
        "must be one of the names in pod.spec.resourceClaims which is empty",
        "spec.containers[0].resources.claims[2]: Required value",
    ]),
    ("pod resources", {
        "resources": {"requests": {"cpu": "1", "example.com/x": "1"}, "limits": {"cpu": "2", "example.com/x": "1"}},
        "containers": [container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "3"}})],
    }, [
        'spec.resources.limits[example.com/x]: Unsupported value: "example.com/x": '
        'supported values: "cpu", "hugepages-", "memory"',
        'spec.resources.requests[example.com/x]: Unsupported value: "example.com/x": '
        'supported values: "cpu", "hugepages-", "memory"',
        'spec.resources.requests[cpu]: Invalid value: "1": '
        "must be greater than or equal to aggregate container requests of 2",
        'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
    ]),
    # -- containers
    ("nothing", {"containers": []}, ["spec.containers: Required value"]),
    ("bare", {"containers": [{"name": "", "terminationMessagePolicy": "x", "imagePullPolicy": "Sometimes"}]}, [
        "spec.containers[0].name: Required value",
        "spec.containers[0].image: Required value",
        'spec.containers[0].terminationMessagePolicy: Unsupported value: "x": '
        'supported values: "File", "FallbackToLogsOnError"',
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
        'supported values: "Always", "IfNotPresent", "Never"',
    ]),
    ("image", _one(image=" nginx "), [
        'spec.containers[0].image: Invalid value: " nginx ": must not have leading or trailing whitespace'
    ]),
    ("names twice", {"containers": [container(), container()], "initContainers": [container()]}, [
        'spec.containers[1].name: Duplicate value: "c"',
        'spec.initContainers[0].name: Duplicate value: "c"',
    ]),
    ("init", {"initContainers": [container(name="i", lifecycle={}, startupProbe={"exec": {"command": ["a"]}})]}, [
        f"spec.initContainers[0].lifecycle: Forbidden: {_NOT_INIT}",
        f"spec.initContainers[0].startupProbe: Forbidden: {_NOT_INIT}",
    ]),
    ("restart rules", _one(restartPolicyRules=[
        {"action": "Stop", "exitCodes": {"values": [1]}}, {"action": "Restart"}]), [
        "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
        'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Stop": '
        'supported values: "Restart", "RestartAllContainers"',
        'spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "": '
        'supported values: "In", "NotIn"',
        "spec.containers[0].restartPolicyRules[1].exitCodes: Required value: must be specified",
    ]),
    ("resize", {"restartPolicy": "Never", **_one(resizePolicy=[
        {"resourceName": "cpu", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu", "restartPolicy": "x"}])}, [
        'spec.containers[0].resizePolicy: Invalid value: "RestartContainer": '
        "must be 'NotRequired' when `restartPolicy` is 'Never'",
        'spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"',
        'spec.containers[0].resizePolicy: Unsupported value: "x": supported values: "NotRequired", "RestartContainer"',
        "spec.containers[0].resizePolicy: Invalid value: \"x\": must be 'NotRequired' when `restartPolicy` is 'Never'",
    ]),
    # -- security
    ("container security", _one(securityContext={
        "runAsUser": -1, "procMount": "Unmasked", "seccompProfile": {"type": "Localhost"},
        "appArmorProfile": {"type": ""}, "windowsOptions": {"runAsUserName": "a\\b\\c"},
    }), [
        f"spec.containers[0].securityContext.runAsUser: Invalid value: -1: {_RANGE}",
        'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": '
        "`hostUsers` must be false to use `Unmasked`",
        "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: "
        "must be set when seccomp type is Localhost",
        'spec.containers[0].securityContext.windowsOptions.runAsUserName: Invalid value: "a\\\\b\\\\c": '
        "runAsUserName cannot contain more than one backslash",
        "spec.containers[0].securityContext.appArmorProfile.type: Required value: "
        "type is required when appArmorProfile is set",
    ]),
    ("pod security", {"hostNetwork": True, "securityContext": {
        "fsGroup": -1, "supplementalGroups": [-2], "fsGroupChangePolicy": "x", "supplementalGroupsPolicy": "y",
        "seLinuxChangePolicy": "z", "sysctls": [{"name": "net.a", "value": ""}, {"name": "A", "value": ""}],
        "seccompProfile": {"type": "Odd", "localhostProfile": "x"},
    }}, [
        f"spec.securityContext.fsGroup: Invalid value: -1: {_RANGE}",
        f"spec.securityContext.supplementalGroups[0]: Invalid value: -2: {_RANGE}",
        'spec.securityContext.sysctls[0].name: Invalid value: "net.a": may not be specified when \'hostNetwork\' is true',
        'spec.securityContext.sysctls[1].name: Invalid value: "A": must have at most 253 characters and match regex '
        "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
        'spec.securityContext.fsGroupChangePolicy: Unsupported value: "x": supported values: "Always", "OnRootMismatch"',
        'spec.securityContext.seccompProfile.type: Unsupported value: "Odd": '
        'supported values: "Localhost", "RuntimeDefault", "Unconfined"',
        'spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"type":"Odd","localhostProfile":"x"}: '
        "can only be set when seccomp type is Localhost",
        'spec.securityContext.supplementalGroupsPolicy: Unsupported value: "y": supported values: "Merge", "Strict"',
        'spec.securityContext.seLinuxChangePolicy: Unsupported value: "z": supported values: "MountOption", "Recursive"',
    ]),
    ("windows", {"os": {"name": "windows"}, "hostPID": True, "securityContext": {"fsGroup": 1},
                 **_one(securityContext={"privileged": False})}, [
        "spec.hostPID: Forbidden: cannot be set for a windows pod",
        "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod",
        "spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod",
    ]),
    ("host users", {"hostUsers": False, "hostNetwork": True, "hostPID": True}, [
        "spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false",
        "spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false",
    ]),
    # -- placing
    ("affinity", {"affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Odd"}],
                 "matchFields": [{"key": "x", "operator": "Exists"}]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {}}]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "", "namespaces": ["A"], "matchLabelKeys": ["k"]}]},
    }}, [
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        ".matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        '.matchExpressions[1].operator: Invalid value: "Odd": not a valid selector operator',
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        '.matchFields[0].operator: Invalid value: "Exists": not a valid selector operator',
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        '.matchFields[0].key: Invalid value: "x": not a valid field selector key',
        "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: "
        "must be in the range 1-100",
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace: "
        f'Invalid value: "A": {_LABEL}',
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: Forbidden: "
        "must not be specified when labelSelector is not set",
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: "
        "can not be empty",
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "
        'Invalid value: "": name part must be non-empty',
        "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "
        f'Invalid value: "": {_NAME}',
    ]),
    ("spread", {"topologySpreadConstraints": [
        {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x", "minDomains": 0, "matchLabelKeys": ["a"]},
        {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "q"},
        {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}]}, [
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
        'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "x": '
        'supported values: "DoNotSchedule", "ScheduleAnyway"',
        "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero",
        "spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: "
        "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not x",
        "spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: "
        "must not be specified when labelSelector is not set",
        'spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: "{z, ScheduleAnyway}"',
        'spec.topologySpreadConstraints[1].nodeTaintsPolicy: Unsupported value: "q": supported values: "Honor", "Ignore"',
    ]),
    ("tolerations", {"tolerations": [{"key": "a", "operator": "Exists", "value": "b", "effect": "No"}, {"key": "a",
                     "operator": "Near"}]}, [
        'spec.tolerations[0].operator: Invalid value: "b": value must be empty when `operator` is \'Exists\'',
        'spec.tolerations[0].effect: Unsupported value: "No": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        'spec.tolerations[1].operator: Unsupported value: "Near": supported values: "Equal", "Exists"',
    ]),
    # -- the rest
    ("words", {"restartPolicy": "x", "dnsPolicy": "y", "preemptionPolicy": "z", "os": {"name": "bsd"}}, [
        'spec.restartPolicy: Unsupported value: "x": supported values: "Always", "OnFailure", "Never"',
        'spec.dnsPolicy: Unsupported value: "y": '
        'supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
        'spec.preemptionPolicy: Unsupported value: "z": supported values: "PreemptLowerPriority", "Never"',
        'spec.os: Unsupported value: "bsd": supported values: "linux", "windows"',
    ]),
    ("dns", {"dnsConfig": {"nameservers": ["a"], "searches": ["A"], "options": [{}]}}, [
        'spec.dnsConfig.nameservers[0]: Invalid value: "a": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'spec.dnsConfig.searches[0]: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case '
        "alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. "
        "'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*"
        "[a-z0-9])?)*')",
        "spec.dnsConfig.options[0]: Required value: must not be empty",
    ]),
    ("dns none", {"dnsPolicy": "None"}, [
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"
    ]),
    ("names of the rest", {"serviceAccountName": "A_", "hostname": "a.b", "hostAliases": [{"ip": "x"}],
                           "resourceClaims": [{"name": "g"}, {"name": "g", "resourceClaimName": "c"}]}, [
        'spec.resourceClaims[0]: Invalid value: {"name":"g"}: '
        "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
        'spec.resourceClaims[1].name: Duplicate value: "g"',
        'spec.serviceAccountName: Invalid value: "A_": a lowercase RFC 1123 subdomain must consist of lower case '
        "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
        "'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
        "[a-z0-9])?)*')",
        'spec.hostname: Invalid value: "a.b": must not contain dots',
        'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ]),
    ("gated and bound", {"nodeName": "n", "schedulingGates": [{"name": "a"}, {"name": "a"}]}, [
        'spec.schedulingGates[1]: Duplicate value: "a"',
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "problems"), [each[1:] for each in PODS], ids=[each[0] for each in PODS])
def test_pods_are_told_everything(spec: Json, problems: list[str]) -> None:
    assert created(pod(**copy.deepcopy(spec)))[1] == problems


def _job(**more: Any) -> Json:
    spec = {"template": {"spec": {"containers": [container()], "restartPolicy": "Never"}}, **more}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": spec}


def _cron(**more: Any) -> Json:
    spec = {"schedule": "@daily", "jobTemplate": {"spec": _job()["spec"]}, **more}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {}, "spec": spec}


def _core(kind: str, **more: Any) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {}, **more}


_ODD = {"type": "Odd"}
OTHERS: list[tuple[str, Json, list[str]]] = [
    ("deployment", workload("Deployment", replicas=-1, strategy=_ODD, minReadySeconds=600, selector={}), [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        'spec.strategy: Unsupported value: {"type":"Odd"}: supported values: "Recreate", "RollingUpdate"',
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
    ]),
    ("rolling", workload("Deployment", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}), [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'
    ]),
    ("percent", workload("Deployment", strategy={"rollingUpdate": {"maxSurge": "x", "maxUnavailable": "101%"}}), [
        'spec.strategy.rollingUpdate.maxSurge: Invalid value: "x": a valid percent string must be a numeric string '
        "followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
    ]),
    ("template", workload("ReplicaSet", template=template({"app": "x"}, restartPolicy="Never",
                                                          activeDeadlineSeconds=5)), [
        'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ]),
    ("daemonset", workload("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}), [
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"
    ]),
    ("daemonset 0", workload("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}), [
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"
    ]),
    ("statefulset", workload("StatefulSet", podManagementPolicy="x", updateStrategy=_ODD, ordinals={"start": -1},
                             persistentVolumeClaimRetentionPolicy={"whenDeleted": "y"}), [
        "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'",
        "spec.updateStrategy: Invalid value: {\"type\":\"Odd\"}: must be 'RollingUpdate' or 'OnDelete'",
        'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "y": '
        'supported values: "Retain", "Delete"',
        "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
    ]),
    ("revision", {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {}, "revision": -1}, [
        "data: Required value: data is mandatory",
        "revision: Invalid value: -1: must be greater than or equal to 0",
    ]),
    ("job", _job(template=template(), parallelism=-1, completionMode="x", managedBy="me", maxFailedIndexes=1), [
        "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
        'spec.completionMode: Unsupported value: "x": supported values: "NonIndexed", "Indexed"',
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]),
    ("job policies", _job(
        completionMode="Indexed", completions=3, podReplacementPolicy="TerminatingOrFailed",
        podFailurePolicy={"rules": [
            {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [0, 3, 3, 2], "containerName": "z"}},
            {"action": "Odd", "onPodConditions": [{"type": "T", "status": "Maybe"}]}, {"action": ""}]},
        successPolicy={"rules": [{}, {"succeededIndexes": "0-5", "succeededCount": 4}]}), [
        'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": '
        "requires the backoffLimitPerIndex to be set",
        'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "z": '
        "must be one of the container or initContainer names in the pod template",
        "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
        "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,3,3,2]: must be ordered",
        'spec.podFailurePolicy.rules[1].action: Unsupported value: "Odd": '
        'supported values: "Count", "FailIndex", "FailJob", "Ignore"',
        'spec.podFailurePolicy.rules[1].onPodConditions[0].status: Unsupported value: "Maybe": '
        'supported values: "False", "True", "Unknown"',
        'spec.podFailurePolicy.rules[2].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
        "spec.podFailurePolicy.rules[2]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
        "spec.successPolicy.rules[0]: Required value: "
        "at least one of succeededCount or succeededIndexes must be specified",
        'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0-5": '
        'error parsing succeededIndexes: too large index: "5"',
        "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: "
        "must be less than or equal to 3 (the number of specified completions)",
        "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: "
        "must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)",
        'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    ]),
    ("cron job", _cron(schedule="", timeZone="Local", concurrencyPolicy="x", failedJobsHistoryLimit=-1,
                       jobTemplate={"spec": {**_job()["spec"], "manualSelector": True}}), [
        "spec.schedule: Required value",
        'spec.timeZone: Invalid value: "Local": '
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        'spec.concurrencyPolicy: Unsupported value: "x": supported values: "Allow", "Forbid", "Replace"',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
        "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
    ]),
    ("time zone", _cron(timeZone="Mars/Olympus"), [
        'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'
    ]),
    ("service", service(sessionAffinity="x", externalIPs=["127.0.0.1", "z"], loadBalancerClass="a",
                        loadBalancerSourceRanges=["1.2.3.4"], trafficDistribution="q"), [
        'spec.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"',
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.externalIPs[1]: Invalid value: "z": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "1.2.3.4": '
        "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        'spec.trafficDistribution: Unsupported value: "q": '
        'supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ]),
    ("service addresses", service(clusterIP="10.0.0.1", clusterIPs=["10.0.0.1", "10.0.0.2"], ipFamilies=["IPv6", "IPv4"],
                                  ipFamilyPolicy="RequireDualStack", ports=[{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]), [
        'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family',
        'spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
        'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}',
    ]),
    ("endpoints", _core("Endpoints", subsets=[{}, {"addresses": [{"ip": "::1"}, {"ip": "x"}]}]), [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        'subsets[1].addresses[0].ip: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'subsets[1].addresses[1].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'subsets[1].addresses[1].ip: Invalid value: "x": must be a valid IP address',
    ]),
    ("node", _core("Node", spec={"taints": [{"key": "a", "effect": "x"}, {"key": "a", "effect": "x"}],
                                 "podCIDRs": ["10.0.0.0/24", "10.0.0.0/24"]},
                   status={"capacity": {"pods": "1500m"}}), [
        'metadata.taints[0].effect: Unsupported value: "x": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        'metadata.taints[1].effect: Unsupported value: "x": '
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        'metadata.taints[1]: Duplicate value: {"key":"a","effect":"x"}: taints must be unique by key and effect pair',
        'status.capacity.pods: Invalid value: "1500m": must be an integer',
        'status.allocatable.pods: Invalid value: "1500m": must be an integer',
        'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.0.0/24"]: may specify no more than one CIDR for each IP family',
        'spec.podCIDRs[1]: Duplicate value: "10.0.0.0/24"',
    ]),
    ("namespace", _core("Namespace", spec={"finalizers": ["mine"]}), [
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified'
    ]),
    ("limit range", _core("LimitRange", spec={"limits": [
        {"type": "Pod", "default": {"cpu": "1"}, "max": {"odd": "1"}}, {"type": "PersistentVolumeClaim"},
        {"type": "Container", "min": {"cpu": "3"}, "max": {"cpu": "2"}, "default": {"cpu": "1"},
         "defaultRequest": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "500m"}}]}), [
        'spec.limits[0].max[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
        'spec.limits[0].max[odd]: Invalid value: "odd": must be a standard resource for containers',
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
        "spec.limits[1].limits: Required value: "
        "either minimum or maximum storage value is required, but neither was provided",
        'spec.limits[2].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
        'spec.limits[2].defaultRequest[cpu]: Invalid value: "1": min value 3 is greater than default request value 1',
        'spec.limits[2].default[cpu]: Invalid value: "3": min value 3 is greater than default value 1',
        'spec.limits[2].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
    ]),
    ("quota", _core("ResourceQuota", spec={"hard": {"odd": "1", "services": "1500m"}, "scopes": ["BestEffort", "X",
                    "NotBestEffort"], "scopeSelector": {"matchExpressions": [
                        {"scopeName": "Terminating", "operator": "In"}]}}), [
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
        'spec.hard[odd]: Invalid value: "odd": must be a standard resource for quota',
        'spec.hard[services]: Invalid value: "1500m": must be an integer',
        'spec.scopes: Invalid value: ["BestEffort","X","NotBestEffort"]: unsupported scope applied to resource',
        'spec.scopes: Invalid value: ["BestEffort","X","NotBestEffort"]: unsupported scope',
        'spec.scopes: Invalid value: ["BestEffort","X","NotBestEffort"]: unsupported scope applied to resource',
        'spec.scopes: Invalid value: ["BestEffort","X","NotBestEffort"]: conflicting scopes',
        'spec.scopeSelector.matchExpressions: Invalid value: {"matchExpressions":[{"scopeName":"Terminating",'
        '"operator":"In"}]}: unsupported scope applied to resource',
        'spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be \'Exists\' when scope is any of '
        "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
        "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        "spec.scopeSelector.matchExpressions.values: Required value: "
        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
    ]),
    ("secrets", _core("Secret", type="kubernetes.io/dockercfg", data={".dockercfg": "Ww=="}), [
        'data[.dockercfg]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'
    ]),
    ("config map", _core("ConfigMap", data={"a": "1"}, binaryData={"a": "AAAA"}), [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]),
    ("replication controller", _core("ReplicationController", spec={"replicas": -1}), [
        "spec.selector: Required value",
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        "spec.template: Required value",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("obj", "problems"), [each[1:] for each in OTHERS], ids=[each[0] for each in OTHERS])
def test_other_kinds_are_told_everything(obj: Json, problems: list[str]) -> None:
    assert created(copy.deepcopy(obj))[1] == problems


def test_what_the_client_reads() -> None:
    """One problem stands by itself, several in brackets; causes are as many as problems."""
    spec = spec_of("apps/v1", "Deployment")
    for replicas, deadline, said in (
        (-1, 600, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (-1, 0, "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, "
         "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds]"),
    ):  # fmt: skip
        obj, _ = created(workload("Deployment", replicas=replicas, progressDeadlineSeconds=deadline))
        status = errors.invalid(spec.resource, "x", spec.validate(obj)).to_status()
        assert status["message"] == f'Deployment.apps "x" is invalid: {said}'
        assert status["code"] == 422
        assert status["details"]["causes"][0] == {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: -1: must be greater than or equal to 0",
            "field": "spec.replicas",
        }
        assert len(status["details"]["causes"]) == said.count("Invalid value")


def test_the_pod_of_the_maximal_template_is_warned_of_old_volumes() -> None:
    spec = spec_of("v1", "Pod")
    obj, _ = created({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a.b"}, "spec": pod_spec()})
    found = spec.warnings(obj, None)
    assert [each for each in found if "deprecated" in each] == [
        "spec.volumes[12].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
        "spec.volumes[15].glusterfs: deprecated in v1.25, non-functional in v1.26+",
        "spec.volumes[16].flocker: deprecated in v1.22, non-functional in v1.25+",
        "spec.volumes[17].rbd: deprecated in v1.28, non-functional in v1.31+",
        "spec.volumes[19].cephfs: deprecated in v1.28, non-functional in v1.31+",
        "spec.volumes[20].quobyte: deprecated in v1.22, non-functional in v1.25+",
        "spec.volumes[25].photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
        "spec.volumes[28].storageOS: deprecated in v1.22, non-functional in v1.25+",
        "spec.volumes[29].scaleIO: deprecated in v1.16, non-functional in v1.22+",
    ]
    assert spec.warnings(obj, obj) == []


WARNED: list[tuple[Json, list[str]]] = [
    (_one(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}]), [
        'spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply'
    ]),
    (_one(ports=[{"containerPort": 80}, {"containerPort": 80, "name": "b"}, {"containerPort": 81, "hostIP": "10.0.0.1"}]), [
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
        "spec.containers[0].ports[2]: hostIP set without hostPort: "
        "{Name: HostPort:0 ContainerPort:81 Protocol:TCP HostIP:10.0.0.1}",
    ]),
    (_one(resources={"limits": {"memory": "100m"}}), [
        'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
    ]),
    ({"nodeSelector": {"beta.kubernetes.io/os": "linux"}}, [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]),
    ({"terminationGracePeriodSeconds": -1}, [
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
    ]),
    ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]}, [
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"
    ]),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]}, [
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.imagePullSecrets[2].name: invalid empty name ""',
    ]),
    ({"volumes": [{"name": "v", "configMap": {"name": "c", "items": [
        {"key": "a", "path": "p"}, {"key": "b", "path": "p/q"}]}}]}, [
        'volume "v" (ConfigMap "c"): overlapping paths: "p/q" with "p"'
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "said"), WARNED)
def test_pods_are_warned(spec: Json, said: list[str]) -> None:
    obj, problems = created(pod(**copy.deepcopy(spec)))
    assert problems == []
    assert spec_of("v1", "Pod").warnings(obj, None) == said


def test_templates_are_warned_of_at_their_own_path() -> None:
    spec = template(terminationGracePeriodSeconds=-1)
    for obj, path in (
        (workload("Deployment", template=spec), "spec.template"),
        (_core("PodTemplate", template=spec), "template"),
        (_cron(jobTemplate={"spec": {"template": {**spec, "spec": {**spec["spec"], "restartPolicy": "Never"}}}}),
         "spec.jobTemplate.spec.template"),
    ):  # fmt: skip
        kept, problems = created(copy.deepcopy(obj))
        assert problems == []
        assert spec_of(obj["apiVersion"], obj["kind"]).warnings(kept, None) == [
            f"{path}.spec.terminationGracePeriodSeconds: must be >= 0; "
            "negative values are invalid and will be treated as 1"
        ]


def test_a_job_s_template_may_be_moved_while_it_waits() -> None:
    old, _ = created({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": job_spec()})
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    new["spec"]["completions"] = new["spec"]["parallelism"] = 7
    assert updated(new, old) == []
    new["spec"]["completions"] = 6
    new["spec"]["managedBy"] = "example.com/other"
    assert updated(new, old) == [
        "spec.completions: Invalid value: 6: can only be modified in tandem with spec.parallelism",
        'spec.managedBy: Invalid value: "example.com/other": field is immutable',
    ]
