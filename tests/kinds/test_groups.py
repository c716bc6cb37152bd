"""The kinds of all groups but core, apps and batch: each example is right, and what is wrong with it is all said.

A case takes an example, puts values at paths (None takes one away), and states every problem, in order.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import created, updated

Json = dict[str, Any]
KINDS = Path(__file__).parents[2] / "examples" / "kinds"
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def example(name: str, at: int = 0) -> Json:
    found: Json = list(yaml.safe_load_all((KINDS / f"{name}.yaml").read_text()))[at]
    return found


def put(obj: Json, values: Json) -> Json:
    """`spec.rules[0].host` -> value; None takes the field away."""
    for path, value in values.items():
        at: Any = obj
        steps = [int(each) if each.isdigit() else each for each in path.replace("[", ".").replace("]", "").split(".")]
        for step in steps[:-1]:
            at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
        if value is None and isinstance(at, dict):
            at.pop(steps[-1], None)
        else:
            at[steps[-1]] = value
    return obj


@pytest.mark.parametrize("file", sorted(KINDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_is_right_and_stays_so(file: Path) -> None:
    for given in yaml.safe_load_all(file.read_text()):
        obj, problems = created(given)
        assert problems == []
        if obj["kind"] in ("Pod", "Job"):  # what the server adds to these is asked of an update
            continue
        assert updated(copy.deepcopy(obj), obj) == []


CASES: list[tuple[str, int, Json, list[str]]] = [
    # -- networking
    ("ingress", 0, {"spec.rules": None}, [
        "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
    ("ingress", 0, {"spec.rules[0].host": "1.2.3.4", "spec.rules[0].http.paths[0].path": "a//b/."}, [
        'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        'spec.rules[0].http.paths[0].path: Invalid value: "a//b/.": must be an absolute path',
        "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/.\": must not contain '//'",
        "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/.\": cannot end with '/.'"]),
    ("ingress", 0, {"spec.rules[0].http.paths": []}, ["spec.rules[0].http.paths: Required value"]),
    ("ingress", 0, {"spec.rules[0].http.paths[0].pathType": "Fuzzy",
                    "spec.rules[0].http.paths[0].backend": {"service": {"name": "shop"}},
                    "spec.rules[0].http.paths[1].backend": {}}, [
        'spec.rules[0].http.paths[0].pathType: Unsupported value: "Fuzzy": supported values: "Exact", '
        '"ImplementationSpecific", "Prefix"',
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        'spec.rules[0].http.paths[1].backend: Invalid value: "": resource or service backend is required']),
    ("ingress", 0, {"metadata.annotations": {"kubernetes.io/ingress.class": "other"}}, [
        'annotations.kubernetes.io/ingress.class: Invalid value: "other": must match `ingressClassName` when both are '
        "specified"]),
    ("ingressclass", 0, {"spec.controller": "edge", "spec.parameters.namespace": None}, [
        'spec.controller: Invalid value: "edge": must be a domain-prefixed path (such as "acme.io/foo")',
        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
    ("networkpolicy", 1, {"spec.egress[0].ports[0].port": None, "spec.egress[0].to[0].ipBlock.cidr": "10.0.0.1/8",
                          "spec.policyTypes": ["Ingress", "Sideways"]}, [
        "spec.egress[0].ports[0].endPort: Invalid value: 32768: may not be specified when `port` is not specified",
        'spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix '
        "length",
        'spec.policyTypes[1]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"']),
    ("networkpolicy", 1, {"spec.egress[0].to[0].ipBlock.except": ["11.0.0.0/16"], "spec.ingress[0].from": [{}]}, [
        "spec.ingress[0].from[0]: Required value: must specify a peer",
        'spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`']),
    ("servicecidr", 0, {"spec.cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}, [
        'spec.cidrs: Invalid value: ["10.0.0.0/16","10.1.0.0/16"]: may specify no more than one IP for each IP family, '
        "i.e 192.168.0.0/24 and 2001:db8::/64"]),
    ("ipaddress", 0, {"metadata.name": "010.9.8.7", "spec.parentRef.resource": None}, [
        'metadata.name: Invalid value: "010.9.8.7": must not have leading 0s',
        "spec.parentRef.resource: Required value"]),
    # -- policy, scheduling, node, coordination, discovery
    ("poddisruptionbudget", 0, {"spec.maxUnavailable": 1, "spec.minAvailable": "150%", "spec.selector": None}, [
        'spec: Invalid value: {"MinAvailable":"150%","Selector":null,"MaxUnavailable":1,'
        '"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
        'spec.minAvailable: Invalid value: "150%": must not be greater than 100%']),
    ("priorityclass", 0, {"metadata.name": "system-mine", "preemptionPolicy": "Maybe"}, [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
        "system-mine is not a known system priority class",
        'preemptionPolicy: Unsupported value: "Maybe": supported values: "PreemptLowerPriority", "Never"']),
    ("priorityclass", 0, {"value": 1000000001}, [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
    ("runtimeclass", 0, {"handler": "Kata", "overhead.podFixed": {"cpus": "1"}}, [
        f'handler: Invalid value: "Kata": {LABEL}',
        'overhead.limits[cpus]: Invalid value: "cpus": must be a standard resource for containers']),
    ("lease", 0, {"spec.leaseDurationSeconds": 0, "spec.leaseTransitions": -1, "spec.preferredHolder": "x"}, [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"]),
    ("endpointslice", 0, {"addressType": "IPv6", "endpoints": [{"addresses": ["127.0.0.1"]}, {"addresses": []}],
                          "ports": [{"port": 1}, {"port": 2}]}, [
        'ports[1].name: Duplicate value: ""',
        'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": must be a valid IPv6 address',
        'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, '
        "::1/128)",
        "endpoints[1].addresses: Required value: must contain at least 1 address"]),
    # -- autoscaling
    ("horizontalpodautoscaler", 0, {"spec.minReplicas": 0, "spec.maxReplicas": 0, "spec.scaleTargetRef.name": "a/b"}, [
        "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
        "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"]),
    ("horizontalpodautoscaler", 0, {"spec.metrics": [
        {"type": "Resource"}, {"type": "Pods", "pods": {"metric": {"name": ""}, "target": {"type": "Value"}}},
        {"type": "External", "external": {"metric": {"name": "q"},
                                          "target": {"type": "Value", "value": "1", "averageValue": "-1"}}}]}, [
        "spec.metrics[0].resource: Required value: must populate information for the given metric source",
        "spec.metrics[1].pods.metric.name: Required value: must specify a metric name",
        "spec.metrics[1].pods.target.averageValue: Required value: must specify a positive target averageValue",
        'spec.metrics[2].external.target.averageValue: Invalid value: "-1": must be positive',
        "spec.metrics[2].external.target.value: Forbidden: may not set both a target value for metric and a per-pod "
        "target"]),
    ("horizontalpodautoscaler", 0, {"spec.behavior.scaleDown": {
        "stabilizationWindowSeconds": 4000, "selectPolicy": "Any",
        "policies": [{"type": "Cubes", "value": 0, "periodSeconds": 1801}]}}, [
        "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600",
        'spec.behavior.scaleDown.selectPolicy: Unsupported value: "Any": supported values: "Disabled", "Max", "Min"',
        'spec.behavior.scaleDown.policies[0].type: Unsupported value: "Cubes": supported values: "Percent", "Pods"',
        "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
        "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800"]),
    # -- access
    ("role", 0, {"rules": [{"verbs": [], "nonResourceURLs": ["/x"]}, {"verbs": ["get"]}]}, [
        "rules[0].verbs: Required value: verbs must contain at least one value",
        'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
        "rules[1].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[1].resources: Required value: resource rules must supply at least one resource"]),
    ("clusterrolebinding", 0, {"roleRef.kind": "Role", "subjects": [
        {"kind": "ServiceAccount", "name": "x"}, {"kind": "User", "name": "", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "Robot", "name": "r"}]}, [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        "subjects[0].namespace: Required value",
        "subjects[1].name: Required value",
        'subjects[1].name: Invalid value: "": user name cannot be empty',
        'subjects[2].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"']),
    # -- certificates
    ("certificatesigningrequest", 0, {"spec.request": "aGVsbG8=", "spec.signerName": "nodomain", "spec.usages": [],
                                      "spec.expirationSeconds": 5}, [
        'spec.request: Invalid value: "aGVsbG8=": PEM block type must be CERTIFICATE REQUEST',
        "spec.usages: Required value",
        'spec.signerName: Invalid value: "nodomain": must be a fully qualified domain and path of the form '
        "'example.com/signer-name'",
        "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)"]),
    ("certificatesigningrequest", 0, {"spec.signerName": "Example/a", "spec.usages": ["client auth", "client auth"]}, [
        'spec.usages[1]: Duplicate value: "client auth"',
        f'spec.signerName: Invalid value: "Example": validating label "Example": {LABEL}',
        'spec.signerName: Invalid value: "Example": should be a domain with at least two segments separated by dots']),
    # -- flow control
    ("flowschema", 0, {"spec.matchingPrecedence": 1, "spec.priorityLevelConfiguration.name": "", "spec.rules[0]": {
        "subjects": [{"kind": "User", "group": {"name": "g"}}], "resourceRules": [
            {"verbs": ["*", "get"], "apiGroups": [], "resources": ["pods"], "namespaces": ["A"]}],
        "nonResourceRules": [{"verbs": ["walk"], "nonResourceURLs": ["x", "/a*"]}]}}, [
        "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1",
        "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
        "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
        "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
        "spec.rules[0].resourceRules[0].verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify "
        "other verbs",
        "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a "
        f"DNS-1123 label; {LABEL}",
        'spec.rules[0].nonResourceRules[0].verbs: Unsupported value: ["walk"]: supported values: "create", "delete", '
        '"deletecollection", "get", "list", "patch", "proxy", "update", "watch"',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "x": must start with slash',
        'spec.rules[0].nonResourceRules[0].nonResourceURLs[1]: Invalid value: "/a*": wildcard can only do suffix '
        "matching"]),
    ("prioritylevelconfiguration", 0, {"spec.limited.lendablePercent": 101, "spec.exempt": {},
                                       "spec.limited.limitResponse.queuing": {"queues": 1000, "handSize": 7}}, [
        "spec.exempt: Forbidden: must be nil if the type is Limited",
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 1000 and "
        "handSize 7 should not be greater than 60",
        "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"]),
    # -- admission
    ("validatingwebhookconfiguration", 0, {
        "webhooks[0].name": "short.name", "webhooks[0].sideEffects": "Some", "webhooks[0].timeoutSeconds": 31,
        "webhooks[0].admissionReviewVersions": ["v2"], "webhooks[0].rules[0].resources": ["pods/*", "pods/log"],
        "webhooks[0].clientConfig": {"url": "http://u@h/p?q#f"}}, [
        'webhooks[0].name: Invalid value: "short.name": should be a domain with at least three segments separated by '
        "dots",
        "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify "
        "pods/log",
        'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
        "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired "
        "format: https://host[/path]",
        'webhooks[0].clientConfig.url: Invalid value: "u": user information is not permitted in the URL',
        'webhooks[0].clientConfig.url: Invalid value: "f": fragments are not permitted in the URL',
        'webhooks[0].clientConfig.url: Invalid value: "q": query parameters are not permitted in the URL',
        'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1']),
    ("mutatingwebhookconfiguration", 0, {"webhooks[0].sideEffects": None, "webhooks[0].reinvocationPolicy": "Always",
                                         "webhooks[0].matchConditions": [{"name": "a b", "expression": " "}]}, [
        "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        'webhooks[0].reinvocationPolicy: Unsupported value: "Always": supported values: "IfNeeded", "Never"',
        "webhooks[0].matchConditions[0].expression: Required value",
        'webhooks[0].matchConditions[0].name: Invalid value: "a b": name part must consist of alphanumeric characters, '
        "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
        "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]),
    ("validatingadmissionpolicy", 0, {"spec.validations": None, "spec.auditAnnotations": None,
                                      "spec.matchConstraints.resourceRules": [], "spec.variables[0].name": "in"}, [
        "spec.matchConstraints.resourceRules: Required value",
        'spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier',
        "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
        "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item"]),
    ("validatingadmissionpolicy", 0, {"spec.validations[0]": {"expression": "", "message": "a\nb", "reason": "Teapot"},
                                      "spec.paramKind": {"apiVersion": "a/b/c", "kind": ""}}, [
        'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
        "spec.paramKind.kind: Required value",
        "spec.validations[0].expression: Required value: expression is not specified",
        'spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks',
        'spec.validations[0].reason: Unsupported value: "Teapot": supported values: "Forbidden", "Invalid", '
        '"RequestEntityTooLarge"']),
    ("validatingadmissionpolicybinding", 0, {"spec.validationActions": ["Deny", "Warn"], "spec.paramRef": {}}, [
        "spec.paramRef: Required value: one of name or selector must be specified",
        'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the '
        "same validation failure information in the API response and headers serves no purpose)"]),
    ("mutatingadmissionpolicy", 0, {"spec.reinvocationPolicy": None, "spec.mutations[0].patchType": "JSONPatch",
                                    "spec.matchConstraints.resourceRules[0].operations": ["DELETE"]}, [
        'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", '
        '"CONNECT", "CREATE", "UPDATE"',
        "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
        'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified when '
        "patchType is JSONPatch",
        "spec.reinvocationPolicy: Required value"]),
    ("apiservice", 0, {"metadata.name": "x", "spec.groupPriorityMinimum": 0, "spec.caBundle": "aGVsbG8="}, [
        'metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1beta1.kettles.example.com"',
        "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000",
        "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"]),
    # -- storage
    ("persistentvolume", 0, {"spec.capacity": None, "spec.accessModes": [], "spec.hostPath": {"path": "/x"}}, [
        "spec.accessModes: Required value",
        "spec.capacity: Required value",
        'spec.capacity: Unsupported value: null: supported values: "storage"',
        "spec.nfs: Forbidden: may not specify more than 1 volume type"]),
    ("persistentvolume", 1, {"spec.nodeAffinity": None, "spec.local.path": "/a/../b"}, [
        "spec.local.path: Invalid value: \"/a/../b\": must not contain '..'",
        "spec.nodeAffinity: Required value: Local volume requires node affinity"]),
    ("persistentvolume", 2, {"spec.csi.driver": "", "spec.csi.nodePublishSecretRef": {"name": "a"},
                             "spec.accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}, [
        "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        "spec.csi.driver: Required value",
        f'spec.csi.driver: Invalid value: "": {SUBDOMAIN}',
        "spec.csi.nodePublishSecretRef.namespace: Required value"]),
    ("persistentvolumeclaim", 0, {"spec.resources": {}, "spec.accessModes": ["Often"], "spec.dataSourceRef": {
        "kind": "Thing", "name": ""}}, [
        'spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", '
        '"ReadWriteOnce", "ReadWriteOncePod"',
        "spec.resources[storage]: Required value",
        "spec.dataSource.name: Required value",
        "spec.dataSource: Invalid value: \"Thing\": must be 'PersistentVolumeClaim' when referencing the default "
        "apiGroup",
        "spec.dataSourceRef.name: Required value",
        "spec.dataSourceRef: Invalid value: \"Thing\": must be 'PersistentVolumeClaim' when referencing the default "
        "apiGroup"]),
    ("storageclass", 0, {"provisioner": "", "reclaimPolicy": "Recycle", "allowedTopologies": [
        {"matchLabelExpressions": [{"key": "a", "values": []}, {"key": "a", "values": ["x", "x"]}]}]}, [
        "provisioner: Required value",
        'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
        "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
        'allowedTopologies[0].matchLabelExpressions[1].values[1]: Duplicate value: "x"',
        'allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "a"']),
    ("volumeattributesclass", 0, {"parameters": None}, [
        "parameters: Required value: must contain at least one key/value pair"]),
    ("csidriver", 0, {"spec.fsGroupPolicy": "All", "spec.volumeLifecycleModes": ["Forever"], "spec.tokenRequests": [
        {"audience": "a", "expirationSeconds": 1}, {"audience": "a"}]}, [
        'spec.fsGroupPolicy: Unsupported value: "All": supported values: "File", "None", "ReadWriteOnceWithFSType"',
        "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes",
        'spec.tokenRequests[1].audience: Duplicate value: "a"',
        'spec.volumeLifecycleModes: Unsupported value: "Forever": supported values: "Persistent", "Ephemeral"']),
    ("csinode", 0, {"spec.drivers[0].nodeID": "", "spec.drivers[0].allocatable.count": -1}, [
        "spec.drivers[0].nodeID: Required value",
        "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0"]),
    ("csistoragecapacity", 0, {"capacity": "-1", "storageClassName": "A"}, [
        f'storageClassName: Invalid value: "A": {SUBDOMAIN}',
        'capacity: Invalid value: "-1": must be greater than or equal to 0']),
    ("volumeattachment", 0, {"spec.source": {}}, [
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"]),
    # -- devices
    ("resourceclaim", 0, {"spec.devices.requests[0].exactly.count": -1, "spec.devices.requests[1].name": "card",
                          "spec.devices.constraints[0].requests": ["link"]}, [
        "spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero",
        'spec.devices.requests[1]: Duplicate value: "card"',
        'spec.devices.constraints[0].requests[0]: Invalid value: "link": must be the name of a request in the claim or '
        "the name of a request and a subrequest separated by '/'"]),
    ("resourceclaimtemplate", 0, {"spec.spec.devices.requests[0].exactly": None, "spec.metadata.name": "x"}, [
        "spec.metadata.name: Forbidden: cannot be set",
        "spec.spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"]),
    ("deviceclass", 0, {"spec.selectors[0]": {}, "spec.config[0].opaque.parameters": None,
                        "spec.extendedResourceName": "cpu"}, [
        "spec.selectors[0].cel: Required value",
        "spec.config[0].opaque.parameters: Required value",
        'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name']),
    ("resourceslice", 0, {"spec.allNodes": True, "spec.pool.resourceSliceCount": 0, "spec.devices[0].attributes": {
        "a/b": {}, "version": {"version": "1.2"}}}, [
        "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
        'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, '
        "`perDeviceNodeSelection` is required, but multiple fields are set",
        'spec.devices[0].attributes[a/b]: Invalid value: "": exactly one value must be specified',
        'spec.devices[0].attributes[version].version: Invalid value: "1.2": must be a string compatible with '
        "semver.org spec 2.0.0"]),
    # -- events
    ("event", 1, {"action": "", "type": "Odd", "reportingController": "", "deprecatedCount": 2}, [
        "reportingController: Required value",
        'reportingController: Invalid value: "": name part must be non-empty',
        'reportingController: Invalid value: "": name part must consist of alphanumeric characters, \'-\', \'_\' or '
        "'.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
        "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        "action: Required value",
        'type: Invalid value: "": has invalid value: Odd',
        'count: Invalid value: "": needs to be unset']),
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "values", "wanted"), CASES, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(CASES)])
def test_all_that_is_wrong_is_said(name: str, at: int, values: Json, wanted: list[str]) -> None:
    _, problems = created(put(example(name, at), values))
    assert problems == wanted


CHANGES: list[tuple[str, int, Json, list[str]]] = [
    ("ingressclass", 0, {"spec.controller": "example.com/other"}, [
        'spec.controller: Invalid value: "example.com/other": field is immutable']),
    ("servicecidr", 0, {"spec.cidrs": ["10.98.0.0/16"]}, [
        'spec.cidrs[0]: Invalid value: "10.98.0.0/16": field is immutable']),
    ("servicecidr", 0, {"spec.cidrs": ["10.99.0.0/16", "fd00::/112"]}, []),
    ("rolebinding", 0, {"roleRef.name": "other"}, [
        'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"other"}: cannot change '
        "roleRef"]),
    ("priorityclass", 0, {"value": 5, "preemptionPolicy": "PreemptLowerPriority"}, [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "PreemptLowerPriority": field is immutable']),
    ("runtimeclass", 0, {"handler": "other"}, ['handler: Invalid value: "other": field is immutable']),
    ("endpointslice", 0, {"addressType": "FQDN", "endpoints": []}, [
        'addressType: Invalid value: "FQDN": field is immutable']),
    ("storageclass", 0, {"parameters": {"tier": "hdd"}, "reclaimPolicy": "Retain", "volumeBindingMode": "Immediate"}, [
        "parameters: Forbidden: updates to parameters are forbidden.",
        "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
        'volumeBindingMode: Invalid value: "Immediate": field is immutable']),
    ("volumeattributesclass", 0, {"parameters": {"iops": "1"}}, [
        "parameters: Forbidden: updates to parameters are forbidden."]),
    ("csidriver", 0, {"spec.attachRequired": False}, [
        "spec.attachedRequired: Invalid value: false: field is immutable"]),
    ("persistentvolume", 0, {"spec.nfs.path": "/other", "spec.volumeMode": "Block"}, [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
        'volumeMode: Invalid value: "Block": field is immutable']),
    ("persistentvolume", 2, {"spec.csi.controllerExpandSecretRef": {"name": "a", "namespace": "b"}}, []),
    ("persistentvolumeclaim", 0, {"spec.accessModes": ["ReadWriteOnce"]}, [
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
        "bound claims"]),
    ("persistentvolumeclaim", 0, {"spec.volumeName": "pv"}, []),
    ("resourceclaimtemplate", 0, {"spec.metadata.labels": {"a": "b"}}, [
        'spec: Invalid value: {"metadata":{"labels":{"a":"b"}},"spec":{"devices":{"requests":[{"name":"card","exactly":'
        '{"deviceClassName":"gpu","allocationMode":"ExactCount","count":1}}]}}}: field is immutable']),
    ("event", 1, {"note": "other"}, ['message: Invalid value: "other": field is immutable']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "at", "values", "wanted"), CHANGES, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(CHANGES)]
)
def test_what_may_not_change(name: str, at: int, values: Json, wanted: list[str]) -> None:
    old, problems = created(example(name, at))
    assert problems == []
    assert updated(put(copy.deepcopy(old), values), old) == wanted


def test_a_bound_claim_may_grow_and_change_its_class_of_attributes() -> None:
    old, _ = created(example("persistentvolumeclaim"))
    old["spec"]["volumeName"] = "pv"
    old["status"] = {"phase": "Bound", "capacity": {"storage": "50Gi"}}
    larger = put(copy.deepcopy(old), {"spec.resources.requests.storage": "60Gi"})
    larger["spec"]["volumeAttributesClassName"] = "gold"
    assert updated(larger, old) == []
    smaller = put(copy.deepcopy(old), {"spec.resources.requests.storage": "40Gi"})
    assert updated(smaller, old) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]
    assert updated(put(copy.deepcopy(larger), {"spec.volumeAttributesClassName": ""}), larger) == [
        "spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden"
    ]
