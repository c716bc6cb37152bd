"""Services, data, namespaces, nodes, endpoints, events, access, storage; and the metadata of all."""

import base64
import copy
from typing import Any

import pytest
from builders import REGISTRY, created, service, spec_of, updated

Json = dict[str, Any]


def config(**more: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, **more}


# -- metadata


@pytest.mark.parametrize(
    ("meta", "fields"),
    [
        ({"name": "a/b"}, ["metadata.name"]),
        ({"name": "x", "namespace": "Bad"}, ["metadata.namespace"]),
        ({"name": "x", "labels": {"a": "b c"}}, ["metadata.labels"]),
        ({"name": "x", "annotations": {"a": "x" * 262144}}, ["metadata.annotations"]),
        ({"name": "x", "finalizers": ["mine"]}, ["metadata.finalizers"]),
        (
            {"name": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p"}]},
            ["metadata.ownerReferences.uid"],
        ),
    ],
)
def test_metadata_of_every_kind(meta: Json, fields: list[str]) -> None:
    _, problems = created(config(metadata=meta))
    assert [problem.partition(":")[0] for problem in problems] == fields


def test_two_controllers_are_one_too_many() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "uid": "u", "controller": True}
    _, problems = created(
        config(metadata={"name": "x", "ownerReferences": [{**owner, "name": "a"}, {**owner, "name": "b"}]})
    )
    assert len(problems) == 1
    assert "Only one reference can have Controller set to true" in problems[0]


def test_names_are_immutable_and_finalizers_only_go_in_deletion() -> None:
    old, _ = created(config())
    new = copy.deepcopy(old)
    new["metadata"]["uid"] = "other"
    assert updated(new, old) == ['metadata.uid: Invalid value: "other": field is immutable']
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    new = copy.deepcopy(old)
    new["metadata"]["finalizers"] = ["example.com/late"]
    assert updated(new, old) == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"example.com/late"}'
    ]


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    spec = spec_of("v1", "Node")
    assert [str(each) for each in spec.validate({"metadata": {"name": "n", "namespace": "x"}, "spec": {}})] == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


# -- services


def test_service_defaults() -> None:
    obj, problems = created(service())
    assert problems == []
    assert obj["spec"] == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert obj["status"] == {"loadBalancer": {}}
    node_port, problems = created(service(type="LoadBalancer", sessionAffinity="ClientIP"))
    assert problems == []
    assert node_port["spec"]["externalTrafficPolicy"] == "Cluster"
    assert node_port["spec"]["allocateLoadBalancerNodePorts"] is True
    assert node_port["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"ports": []}, ["spec.ports: Required value"]),
        ({"ports": [], "clusterIP": "None"}, []),
        (
            {"ports": [{"port": 1}, {"port": 2}]},
            ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        ({"type": "ExternalName", "ports": []}, ["spec.externalName: Required value"]),
        (
            {"type": "Odd"},
            [
                'spec.type: Unsupported value: "Odd": '
                'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
            ],
        ),
        (
            {"type": "NodePort", "clusterIP": "None"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            {"externalTrafficPolicy": "Local"},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        (
            {"ports": [{"port": 80, "targetPort": "UPPER"}]},
            [
                'spec.ports[0].targetPort: Invalid value: "UPPER": '
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                'spec.ports[0].targetPort: Invalid value: "UPPER": must contain at least one letter (a-z)',
            ],
        ),
    ],
)
def test_services_refused(spec: Json, problems: list[str]) -> None:
    assert created(service(**spec))[1] == problems


def test_an_update_keeps_what_was_allocated() -> None:
    old, _ = created(service(type="NodePort", clusterIP="10.0.0.7", ports=[{"port": 80, "nodePort": 30080}]))
    new = service(type="NodePort")
    new["metadata"] = copy.deepcopy(old["metadata"])
    assert updated(new, old) == []
    assert new["spec"]["clusterIP"] == "10.0.0.7"
    assert new["spec"]["ports"][0]["nodePort"] == 30080
    new["spec"]["clusterIP"] = "10.0.0.8"
    new["spec"]["clusterIPs"] = ["10.0.0.8"]
    assert updated(new, old) == ['spec.clusterIPs[0]: Invalid value: ["10.0.0.8"]: may not change once set']


def test_a_change_of_type_lets_go() -> None:
    old, _ = created(service(type="NodePort", clusterIP="10.0.0.7", ports=[{"port": 80, "nodePort": 30080}]))
    new = copy.deepcopy(old)
    new["spec"]["type"] = "ClusterIP"
    assert updated(new, old) == []
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]


# -- data


def test_config_map_keys_and_immutability() -> None:
    _, problems = created(config(data={"a b": "1"}))
    assert problems[0].startswith('data[a b]: Invalid value: "a b": a valid config key must consist of')
    old, _ = created(config(data={"a": "1"}, immutable=True))
    new = copy.deepcopy(old)
    new["data"]["a"] = "2"
    assert updated(new, old) == ["data: Forbidden: field is immutable when `immutable` is set"]


def test_secrets_take_plain_text_and_keep_their_type() -> None:
    obj, problems = created({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "stringData": {"a": "b"}})
    assert problems == []
    assert obj["type"] == "Opaque"
    assert obj["data"] == {"a": base64.b64encode(b"b").decode()}
    assert "stringData" not in obj
    new = {**copy.deepcopy(obj), "type": "other"}
    assert updated(new, obj) == ['type: Invalid value: "other": field is immutable']
    _, problems = created({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "kubernetes.io/tls"})
    assert problems == ["data[tls.crt]: Required value", "data[tls.key]: Required value"]


# -- namespaces, nodes


def test_namespaces_are_born_active() -> None:
    obj, problems = created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    assert problems == []
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert obj["status"] == {"phase": "Active"}
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    new = copy.deepcopy(obj)
    new["spec"] = {}
    updated(new, obj)
    assert new["spec"] == obj["spec"]
    spec_of("v1", "Namespace").prepare_subresource("finalize", done := {**copy.deepcopy(obj), "spec": {}}, obj)
    assert done["spec"] == {}


def test_nodes_bring_their_status() -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {}, "status": {"capacity": {"cpu": "4"}}}
    obj, problems = created(node)
    assert problems == []
    assert obj["status"]["allocatable"] == {"cpu": "4"}
    obj["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    obj["spec"]["unschedulable"] = True
    obj["metadata"]["labels"] = {"node-role.kubernetes.io/control-plane": ""}
    assert spec_of("v1", "Node").cells(obj, 0.0)[1:3] == ["Ready,SchedulingDisabled", "control-plane"]


# -- access


def test_bindings() -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:thing"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"}],
    }
    old, problems = created(binding)
    assert problems == []
    assert old["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert old["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    new = copy.deepcopy(old)
    new["roleRef"]["name"] = "edit"
    assert updated(new, old)[0].endswith("cannot change roleRef")


def test_rules_of_roles() -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {},
        "rules": [{"verbs": []}, {"verbs": ["get"], "nonResourceURLs": ["/x"]}],
    }
    _, problems = created(role)
    assert problems == [
        "rules[0].verbs: Required value: verbs must contain at least one value",
        "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        "rules[0].resources: Required value: resource rules must supply at least one resource",
        'rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ]


# -- the rest


def test_claims() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
    }
    old, problems = created(claim)
    assert problems == []
    assert old["status"] == {"phase": "Pending"}
    assert old["spec"]["resources"]["requests"]["storage"] == "1Gi"
    new = copy.deepcopy(old)
    new["spec"]["accessModes"] = ["ReadWriteMany"]
    assert updated(new, old)[0].startswith("spec: Forbidden: spec is immutable after creation except")
    bound = copy.deepcopy(old)
    bound["spec"]["volumeName"] = "pv-1"
    assert updated(bound, old) == []


def test_ingresses() -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [
        {"path": "/", "pathType": "Prefix", "backend": backend},
        {"path": "no", "pathType": "Exact", "backend": backend},
    ]
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {},
        "spec": {"rules": [{"host": "*.example.com", "http": {"paths": paths}}]},
    }
    _, problems = created(ingress)
    assert problems == ['spec.rules[0].http.paths[1].path: Invalid value: "no": must be an absolute path']


def test_network_policies_say_which_ways_they_hold() -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {},
        "spec": {"podSelector": {}},
    }
    assert created(policy)[0]["spec"]["policyTypes"] == ["Ingress"]
    policy["spec"] = {"podSelector": {}, "egress": [{"to": [{}]}]}
    obj, problems = created(policy)
    assert obj["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert problems == ["spec.egress[0].to[0]: Required value: must specify a peer"]


def test_events_in_both_forms_are_one_in_the_store() -> None:
    new_form = REGISTRY.by_kind("events.k8s.io/v1", "Event")
    assert new_form is not None
    assert new_form.conversion is not None
    obj = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "hi",
           "regarding": {"kind": "Pod", "name": "p"}, "reportingController": "k"}  # fmt: skip
    stored = new_form.conversion.to_stored(copy.deepcopy(obj))
    assert stored["apiVersion"] == "v1"
    assert (stored["message"], stored["involvedObject"]["name"], stored["reportingComponent"]) == ("hi", "p", "k")
    assert new_form.conversion.from_stored(stored) == obj


def test_autoscalers_of_v1_are_stored_as_v2() -> None:
    v1 = REGISTRY.by_kind("autoscaling/v1", "HorizontalPodAutoscaler")
    assert v1 is not None
    assert v1.conversion is not None
    obj = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
           "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}  # fmt: skip
    stored = v1.conversion.to_stored(copy.deepcopy(obj))
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert v1.conversion.from_stored(stored) == obj


def test_what_nothing_acts_on_says_so() -> None:
    assert spec_of("batch/v1", "CronJob").not_acted_on in ("", "no controller of this cluster acts on CronJob yet")
    assert spec_of("v1", "Pod").not_acted_on == ""
