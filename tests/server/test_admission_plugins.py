"""The plugins one by one, against the server: what they fill in, what they refuse, and how they say it."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.server.world import DEPLOYMENTS, PODS, SERVICES, Api, World, obj, pod, running, service

from kaa.server.admission.defaults import KNOWN, PLUGINS
from kaa.server.admission.noderestriction import forbidden_labels
from kaa.server.admission.tolerations import conflict, covers, merged

Json = dict[str, Any]
RANGES = "/api/v1/namespaces/default/limitranges"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODES = "/api/v1/nodes"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def test_the_list_is_the_originals() -> None:
    assert len(set(KNOWN)) == len(KNOWN)
    assert KNOWN[-1] == "ResourceQuota"  # what counts comes last
    order = [KNOWN.index(name) for name in ("NamespaceLifecycle", "LimitRanger", "ServiceAccount", "NodeRestriction",
             "TaintNodesByCondition", "PodSecurity", "Priority", "DefaultTolerationSeconds", "DefaultStorageClass",
             "RuntimeClass", "CertificateApproval", "DefaultIngressClass", "PodTopologyLabels")]  # fmt: skip
    assert order == sorted(order)
    off = {each.name for each in PLUGINS if not each.default}
    assert off == {
        "NamespaceAutoProvision", "NamespaceExists", "LimitPodHardAntiAffinityTopology", "NodeRestriction",
        "AlwaysPullImages", "PodNodeSelector", "PodTolerationRestriction", "EventRateLimit",
        "ExtendedResourceToleration", "OwnerReferencesPermissionEnforcement", "DenyServiceExternalIPs",
    }  # fmt: skip


# --- LimitRanger


def limit_range(name: str, *limits: Json) -> Json:
    return obj("LimitRange", name, spec={"limits": list(limits)})


def sized(requests: Json | None = None, limits: Json | None = None, name: str = "c") -> Json:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return {"name": name, "image": "x", "resources": resources}


@pytest.mark.conformance("LimitRange, resources")
async def test_containers_get_what_they_did_not_ask_for(api: Api) -> None:
    await _ranged(api, {"type": "Container", "default": {"cpu": "500m", "memory": "500Mi"},
                        "defaultRequest": {"cpu": "100m", "memory": "200Mi"}, "min": {"cpu": "50m"},
                        "max": {"cpu": "1"}})  # fmt: skip
    made = (await api.post(PODS, pod("a", initContainers=[{"name": "i", "image": "x"}]))).ok(201)
    wanted = {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"cpu": "500m", "memory": "500Mi"}}
    assert made["spec"]["containers"][0]["resources"] == wanted
    assert made["spec"]["initContainers"][0]["resources"] == wanted
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )
    partly = (await api.post(PODS, pod("b", containers=[sized({"cpu": "300m"})]))).ok(201)
    assert partly["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "300m", "memory": "200Mi"}
    assert (await api.post(PODS, pod("small", containers=[sized({"cpu": "10m"})]))).message == (
        'pods "small" is forbidden: minimum cpu usage per Container is 50m, but request is 10m'
    )
    assert (await api.post(PODS, pod("big", containers=[sized(limits={"cpu": "2"})]))).message == (
        'pods "big" is forbidden: [maximum cpu usage per Container is 1, but limit is 2]'
    ).replace("[", "").replace("]", "")
    # A change of the range counts for what comes after it; a pod that stands is left alone.
    (await api.merge(f"{RANGES}/r", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]}})).ok()
    assert (await api.merge(f"{PODS}/a", {"metadata": {"labels": {"a": "b"}}})).code == 200
    assert (await api.post(PODS, pod("c", containers=[sized(limits={"cpu": "200m"})]))).code == 403
    (await api.delete(f"{RANGES}/r")).ok()
    (await api.post(PODS, pod("c", containers=[sized(limits={"cpu": "9"})]))).ok(201)


@pytest.mark.conformance("LimitRange, list, patch and delete a LimitRange by collection")
async def test_limit_ranges_by_collection(api: Api) -> None:
    for namespace in ("default", "other"):
        if namespace != "default":
            (await api.post("/api/v1/namespaces", obj("Namespace", namespace))).ok(201)
        body = limit_range("bounds", {"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}})
        body["metadata"]["labels"] = {"set": "one"}
        (await api.post(f"/api/v1/namespaces/{namespace}/limitranges", body)).ok(201)
    listed = (await api.get("/api/v1/limitranges", labelSelector="set=one")).ok()["items"]
    assert [each["metadata"]["namespace"] for each in listed] == ["default", "other"]
    patch = {"metadata": {"labels": {"bounds": "patched"}},
             "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}  # fmt: skip
    patched = (await api.ask("PATCH", f"{RANGES}/bounds", patch, media="application/strategic-merge-patch+json")).ok()
    assert patched["metadata"]["labels"] == {"set": "one", "bounds": "patched"}
    assert patched["spec"]["limits"][0]["max"] == {"cpu": "2"}
    (await api.post(PODS, pod("two", containers=[sized(limits={"cpu": "2"})]))).ok(201)
    (await api.delete(RANGES, labelSelector="bounds=patched")).ok()
    left = (await api.get("/api/v1/limitranges", labelSelector="set=one")).ok()["items"]
    assert [each["metadata"]["namespace"] for each in left] == ["other"]


async def _ranged(api: Api, *limits: Json) -> None:
    (await api.post(RANGES, limit_range("r", *limits))).ok(201)


@pytest.mark.parametrize(
    ("limits", "containers", "why"),
    [
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}, [sized({"cpu": "100m"}, {"cpu": "250m"})],
         "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}, [sized({"cpu": "100m"})],
         "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"),
        ({"type": "Pod", "max": {"cpu": "1"}}, [sized(limits={"cpu": "600m"}), sized(limits={"cpu": "600m"}, name="d")],
         "maximum cpu usage per Pod is 1, but limit is 1200m"),
        ({"type": "Pod", "min": {"memory": "1Gi"}}, [sized()],
         "minimum memory usage per Pod is 1Gi.  No request is specified"),
        ({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}}, [sized()],
         "[maximum cpu usage per Pod is 1.  No limit is specified, maximum memory usage per Pod is 1Gi.  No limit is "
         "specified]"),
    ],
)  # fmt: skip
async def test_what_is_out_of_bounds(api: Api, limits: Json, containers: list[Json], why: str) -> None:
    await _ranged(api, limits)
    assert (await api.post(PODS, pod("p", containers=containers))).message == f'pods "p" is forbidden: {why}'


async def test_claims_have_bounds_too(api: Api) -> None:
    await _ranged(api, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}})

    def claim(size: str) -> Json:
        return obj("PersistentVolumeClaim", "v", spec={"accessModes": ["ReadWriteOnce"],
                                                       "resources": {"requests": {"storage": size}}})  # fmt: skip

    assert (await api.post(CLAIMS, claim("500Mi"))).message == (
        'persistentvolumeclaims "v" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request '
        "is 500Mi"
    )
    assert (
        "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"
        in (await api.post(CLAIMS, claim("3Gi"))).message
    )
    (await api.post(CLAIMS, claim("2Gi"))).ok(201)


# --- Priority


async def test_priorities_of_pods(api: Api) -> None:
    plain = (await api.post(PODS, pod("a"))).ok(201)["spec"]
    assert (plain["priority"], plain["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert "priorityClassName" not in plain
    critical = (await api.post(PODS, pod("b", priorityClassName="system-node-critical"))).ok(201)["spec"]
    assert critical["priority"] == 2_000_001_000
    assert (await api.post(PODS, pod("c", priorityClassName="x"))).message == (
        'pods "c" is forbidden: no PriorityClass with name x was found'
    )
    high = obj("PriorityClass", "high", "scheduling.k8s.io/v1", value=10, preemptionPolicy="Never", globalDefault=True)
    (await api.post(CLASSES, high)).ok(201)
    made = (await api.post(PODS, pod("c"))).ok(201)["spec"]
    assert (made["priority"], made["preemptionPolicy"], made["priorityClassName"]) == (10, "Never", "high")
    assert (await api.post(PODS, pod("d", priorityClassName="high", priority=3))).message == (
        'pods "d" is forbidden: the integer value of priority (3) must not be provided in pod spec; priority admission '
        "controller computed 10 from the given PriorityClass name"
    )
    assert (await api.post(PODS, pod("d", preemptionPolicy="PreemptLowerPriority"))).message == (
        'pods "d" is forbidden: the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in '
        "pod spec; priority admission controller computed Never from the given PriorityClass name"
    )
    second = obj("PriorityClass", "other", "scheduling.k8s.io/v1", value=1, globalDefault=True)
    assert (await api.post(CLASSES, second)).message == (
        'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass high is already marked as default. Only '
        "one default can exist"
    )
    (await api.delete(f"{CLASSES}/high")).ok()
    assert (await api.post(PODS, pod("e"))).ok(201)["spec"]["priority"] == 0
    names = (await api.get(CLASSES)).names
    assert names == ["system-cluster-critical", "system-node-critical"]


# --- RuntimeClass


@pytest.mark.conformance("RuntimeClass Overhead field must be respected.")
@pytest.mark.conformance("Pod with the non-existing RuntimeClass is rejected.")
@pytest.mark.conformance("Pod with the deleted RuntimeClass is rejected.")
async def test_runtime_classes(api: Api) -> None:
    scheduling = {"nodeSelector": {"kata": "yes"}, "tolerations": [{"key": "kata", "operator": "Exists"}]}
    kata = obj("RuntimeClass", "kata", "node.k8s.io/v1", handler="kata", overhead={"podFixed": {"cpu": "250m"}},
               scheduling=scheduling)  # fmt: skip
    (await api.post(RUNTIMES, kata)).ok(201)
    made = (await api.post(PODS, pod("a", runtimeClassName="kata", nodeSelector={"zone": "z"}))).ok(201)["spec"]
    assert made["overhead"] == {"cpu": "250m"}
    assert made["nodeSelector"] == {"zone": "z", "kata": "yes"}
    assert {"key": "kata", "operator": "Exists"} in made["tolerations"]
    for spec, why in (
        ({"runtimeClassName": "none"}, 'pod rejected: RuntimeClass "none" not found'),
        ({"runtimeClassName": "kata", "overhead": {"cpu": "1"}},
         "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        ({"overhead": {"cpu": "1"}},
         "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ({"runtimeClassName": "kata", "nodeSelector": {"kata": "no"}},
         "conflict: runtimeClass.scheduling.nodeSelector[kata] = yes; pod.spec.nodeSelector[kata] = no"),
    ):  # fmt: skip
        assert (await api.post(PODS, pod("b", **spec))).message == f'pods "b" is forbidden: {why}'
    (await api.delete(f"{RUNTIMES}/kata")).ok()
    assert 'RuntimeClass "kata" not found' in (await api.post(PODS, pod("b", runtimeClassName="kata"))).message


# --- storage and network


async def test_default_classes(api: Api) -> None:
    for name, made in (("old", "true"), ("plain", "false"), ("zz", "true")):
        body = obj("StorageClass", name, "storage.k8s.io/v1", provisioner="p", allowVolumeExpansion=name == "zz",
                   metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": made}})  # fmt: skip
        (await api.post(STORAGE, body)).ok(201)
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim = (await api.post(CLAIMS, obj("PersistentVolumeClaim", f"of-{name}", spec=spec))).ok(201)
    assert claim["spec"]["storageClassName"] in ("old", "zz")
    assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    none = obj("PersistentVolumeClaim", "none", spec={**spec, "storageClassName": ""})
    assert (await api.post(CLAIMS, none)).ok(201)["spec"]["storageClassName"] == ""
    volume = obj("PersistentVolume", "v", spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                                                "hostPath": {"path": "/x"}})  # fmt: skip
    made = (await api.post("/api/v1/persistentvolumes", volume)).ok(201)
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    name = "ingressclass.kubernetes.io/is-default-class"
    body = obj("IngressClass", "mine", "networking.k8s.io/v1", spec={"controller": "x.io/y"},
               metadata={"annotations": {name: "true"}})  # fmt: skip
    (await api.post("/apis/networking.k8s.io/v1/ingressclasses", body)).ok(201)
    backend = {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    ingress = obj("Ingress", "i", "networking.k8s.io/v1", spec=backend)
    assert (await api.post(INGRESSES, ingress)).ok(201)["spec"]["ingressClassName"] == "mine"


async def test_claims_grow_where_their_class_lets_them(api: Api) -> None:
    for name in ("rigid", "soft"):
        body = obj("StorageClass", name, "storage.k8s.io/v1", provisioner="p", allowVolumeExpansion=name == "soft")
        (await api.post(STORAGE, body)).ok(201)
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "volumeName": "v",
                "resources": {"requests": {"storage": "1Gi"}}}  # fmt: skip
        (await api.post(CLAIMS, obj("PersistentVolumeClaim", name, spec=spec))).ok(201)
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    bound = {"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}}
    for name in ("rigid", "soft"):
        (await api.merge(f"{CLAIMS}/{name}/status", bound)).ok()
    assert (await api.merge(f"{CLAIMS}/rigid", more)).message == (
        'persistentvolumeclaims "rigid" is forbidden: only dynamically provisioned pvc can be resized and the '
        "storageclass that provisions the pvc must support resize"
    )
    (await api.merge(f"{CLAIMS}/soft", more)).ok()


# --- nodes


async def test_new_nodes_are_not_ready_and_bound_pods_have_their_place(api: Api) -> None:
    labels = {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1", "other": "x"}
    node = (await api.post(NODES, obj("Node", "n", labels=labels))).ok(201)
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    # What a binding says goes before what the pod said: the place it is bound to is where it is.
    (await api.post(PODS, pod("a", labels={"topology.kubernetes.io/zone": "elsewhere"}))).ok(201)
    binding = obj("Binding", "a", target={"kind": "Node", "name": "n"})
    (await api.post(f"{PODS}/a/binding", binding)).ok(201)
    assert (await api.get(f"{PODS}/a")).ok()["metadata"]["labels"] == {
        "topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1"
    }  # fmt: skip
    made = (await api.post(PODS, pod("b", nodeName="n"))).ok(201)
    assert made["metadata"]["labels"]["topology.kubernetes.io/zone"] == "z1"


def test_the_labels_a_node_may_set() -> None:
    new = {"kubernetes.io/hostname": "a", "kubelet.kubernetes.io/x": "1", "a.node.kubernetes.io/y": "1", "own": "z",
           "foo.k8s.io/a": "1", "kubernetes.io/role": "x", "node-restriction.kubernetes.io/b": "1"}  # fmt: skip
    assert forbidden_labels(new, {}) == ["foo.k8s.io/a", "kubernetes.io/role", "node-restriction.kubernetes.io/b"]
    assert forbidden_labels(new, new) == []
    assert forbidden_labels({}, {"kubernetes.io/role": "x"}) == ["kubernetes.io/role"]


async def test_nodes_write_only_what_is_theirs() -> None:
    async for world in running(enable_admission_plugins=("NodeRestriction",), authorization_mode=("AlwaysAllow",)):
        admin, node = world.admin, world.as_user("system:node:n", "system:nodes")

        async def refused(answer: Any, why: str) -> None:
            assert answer.code == 403, answer.body
            assert answer.message.endswith(f"is forbidden: {why}")

        await refused(await node.post(NODES, obj("Node", "m")), 'node "n" is not allowed to modify node "m"')
        await refused(
            await node.post(NODES, obj("Node", "n", labels={"node-restriction.kubernetes.io/a": "b"})),
            'node "n" is not allowed to set the following labels: node-restriction.kubernetes.io/a',
        )
        made = (await node.post(NODES, obj("Node", "n", labels={"kubernetes.io/os": "linux"}))).ok(201)
        uid = made["metadata"]["uid"]
        await refused(await node.merge(f"{NODES}/n", {"spec": {"taints": []}}),
                      'node "n" is not allowed to modify taints')  # fmt: skip
        await refused(await node.merge(f"{NODES}/n", {"metadata": {"labels": {"x.kubernetes.io/a": "b"}}}),
                      "is not allowed to modify labels: x.kubernetes.io/a")  # fmt: skip
        (await node.merge(f"{NODES}/n/status", {"status": {"capacity": {"cpu": "1"}}})).ok()
        # pods: mirrors of its own
        await refused(await node.post(PODS, pod("p")),
                      'pod does not have "kubernetes.io/config.mirror" annotation, node "n" can only create mirror '
                      "pods")  # fmt: skip
        mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": uid, "controller": True}]}  # fmt: skip
        for bad, why in (
            (pod("p", metadata=mirror), 'node "n" can only create pods with spec.nodeName set to itself'),
            (pod("p", metadata={**mirror, "ownerReferences": []}, nodeName="n"),
             'node "n" can only create pods with an owner reference set to itself'),
            (pod("p", metadata=mirror, nodeName="n", volumes=[{"name": "s", "secret": {"secretName": "s"}}]),
             'node "n" can not create pods that reference secrets'),
            (pod("p", metadata=mirror, nodeName="n", serviceAccountName="default"),
             'node "n" can not create pods that reference a service account'),
        ):  # fmt: skip
            await refused(await node.post(PODS, bad), why)
        (await node.post(PODS, pod("mirror", metadata=mirror, nodeName="n"))).ok(201)
        (await admin.post(PODS, pod("foreign", nodeName="m"))).ok(201)
        await refused(await node.delete(f"{PODS}/foreign"),
                      'node "n" can only delete pods with spec.nodeName set to itself')  # fmt: skip
        await refused(await node.merge(f"{PODS}/foreign/status", {"status": {"phase": "Running"}}),
                      'node "n" can only update pod status for pods with spec.nodeName set to itself')  # fmt: skip
        await refused(await node.merge(f"{PODS}/mirror", {"metadata": {"labels": {"a": "b"}}}),
                      'unexpected operation "UPDATE", node "n" can only create and delete mirror pods')  # fmt: skip
        eviction = obj("Eviction", "foreign", "policy/v1")
        await refused(await node.post(f"{PODS}/foreign/eviction", eviction),
                      "node n can only evict pods with spec.nodeName set to itself")  # fmt: skip
        (await node.merge(f"{PODS}/mirror/status", {"status": {"phase": "Running"}})).ok()
        # leases, CSINodes
        lease = obj("Lease", "m", "coordination.k8s.io/v1", spec={})
        await refused(await node.post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease),
                      "can only access node lease with the same name as the requesting node")  # fmt: skip
        await refused(await node.post("/apis/coordination.k8s.io/v1/namespaces/default/leases", lease),
                      'can only access leases in the "kube-node-lease" system namespace')  # fmt: skip
        csi = obj("CSINode", "m", "storage.k8s.io/v1", spec={"drivers": []})
        await refused(await node.post("/apis/storage.k8s.io/v1/csinodes", csi),
                      "can only access CSINode with the same name as the requesting node")  # fmt: skip
        # somebody whose node cannot be told
        await refused(await world.as_user("system:node:", "system:nodes").post(NODES, obj("Node", "x")),
                      'could not determine node from user "system:node:"')  # fmt: skip
        csr = request_of("x", "kubernetes.io/kubelet-serving")
        await refused(await node.post(CSRS, csr), "can only create a node CSR with CN=system:node:n")
        (await node.post(CSRS, request_of("system:node:n", "kubernetes.io/kubelet-serving"))).ok(201)


# --- certificates


def request_of(name: str, signer: str, *organizations: str) -> Json:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes)).sign(key, hashes.SHA256())
    pem = base64.b64encode(built.public_bytes(serialization.Encoding.PEM)).decode()
    return obj("CertificateSigningRequest", name.replace(":", "-") + signer.partition("/")[2], "certificates.k8s.io/v1",
               spec={"request": pem, "signerName": signer, "usages": ["client auth"]})  # fmt: skip


async def test_who_may_approve_and_sign(world: World) -> None:
    admin, clerk = world.admin, world.as_user("clerk")
    rules = [{"apiGroups": ["certificates.k8s.io"], "verbs": ["*"], "resources": [
        "certificatesigningrequests", "certificatesigningrequests/approval",
        "certificatesigningrequests/status"]}]  # fmt: skip
    (await admin.post(ROLES, obj("ClusterRole", "clerk", "rbac.authorization.k8s.io/v1", rules=rules))).ok(201)
    subject = [{"kind": "User", "name": "clerk", "apiGroup": "rbac.authorization.k8s.io"}]

    async def bind(role: str) -> None:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        body = obj("ClusterRoleBinding", role, "rbac.authorization.k8s.io/v1", subjects=subject, roleRef=reference)
        (await admin.post(BINDINGS, body)).ok(201)

    await bind("clerk")
    csr = (await clerk.post(CSRS, request_of("a", "example.com/one"))).ok(201)
    path = f"{CSRS}/{csr['metadata']['name']}"
    approved = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]}}
    refused = await clerk.merge(f"{path}/approval", approved)
    assert refused.message.endswith('user not permitted to approve requests with signerName "example.com/one"')
    signers = [{"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.com/*"],
                "verbs": ["approve"]}]  # fmt: skip
    (await admin.post(ROLES, obj("ClusterRole", "approver", "rbac.authorization.k8s.io/v1", rules=signers))).ok(201)
    await bind("approver")
    (await clerk.merge(f"{path}/approval", approved)).ok()
    failed = {"status": {"conditions": [*approved["status"]["conditions"],
                                        {"type": "Failed", "status": "True", "reason": "r"}]}}  # fmt: skip
    refused = await clerk.merge(f"{path}/status", failed)
    assert refused.message.endswith('user not permitted to sign requests with signerName "example.com/one"')
    (await admin.merge(f"{path}/status", failed)).ok()
    refused = await admin.post(CSRS, request_of("boss", "kubernetes.io/kube-apiserver-client", "system:masters"))
    assert refused.message.endswith(
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )


# --- off by default


async def test_owners_are_given_by_those_who_may_delete() -> None:
    async for world in running(enable_admission_plugins=("OwnerReferencesPermissionEnforcement",)):
        admin, user = world.admin, world.as_user("u")
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "update", "patch", "get"]}]
        (await admin.post(ROLES, obj("ClusterRole", "w", "rbac.authorization.k8s.io/v1", rules=rules))).ok(201)
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "w"}
        subject = [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]
        (await admin.post(BINDINGS, obj("ClusterRoleBinding", "w", "rbac.authorization.k8s.io/v1", subjects=subject,
                                        roleRef=reference))).ok(201)  # fmt: skip
        maps = "/api/v1/namespaces/default/configmaps"
        (await user.post(maps, obj("ConfigMap", "free"))).ok(201)
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1", "blockOwnerDeletion": True}
        owned = obj("ConfigMap", "owned", metadata={"ownerReferences": [owner]})
        assert "cannot set an ownerRef on a resource you can't delete" in (await user.post(maps, owned)).message
        rules[0]["verbs"].append("delete")
        (await admin.merge(f"{ROLES}/w", {"rules": rules})).ok()
        refused = await user.post(maps, owned)
        assert "an ownerReference refers to a resource you can't set finalizers on" in refused.message
        rules.append({"apiGroups": [""], "resources": ["pods/finalizers"], "verbs": ["update"]})
        (await admin.merge(f"{ROLES}/w", {"rules": rules})).ok()
        (await user.post(maps, owned)).ok(201)


async def test_where_pods_of_a_namespace_go(tmp_path) -> None:
    path = tmp_path / "admission.yaml"
    path.write_text("""
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodNodeSelector
  configuration: {podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: pool=common, default: "pool=own,a=b"}}
- name: PodTolerationRestriction
  configuration: {kind: Configuration, default: [], whitelist: []}
""")
    names = ("PodNodeSelector", "PodTolerationRestriction", "AlwaysPullImages", "ExtendedResourceToleration",
             "LimitPodHardAntiAffinityTopology")  # fmt: skip
    async for world in running(enable_admission_plugins=names, admission_control_config_file=path):
        api = world.admin
        refused = await api.post(PODS, pod("a"))
        assert refused.message.endswith("pod node label selector labels conflict with its namespace whitelist")
        space = "/api/v1/namespaces/default"
        notes = {
            "scheduler.alpha.kubernetes.io/node-selector": "pool=own",
            "scheduler.alpha.kubernetes.io/defaultTolerations": '[{"key":"own","operator":"Exists"}]',
            "scheduler.alpha.kubernetes.io/tolerationsWhitelist":
                '[{"key":"own","operator":"Exists"},{"effect":"NoExecute","operator":"Exists"},'
                '{"key":"x.io/gpu","operator":"Exists"}]',
        }  # fmt: skip
        (await api.merge(space, {"metadata": {"annotations": notes}})).ok()
        container = {"name": "c", "image": "x", "resources": {"limits": {"x.io/gpu": "1"}}}
        made = (await api.post(PODS, pod("a", containers=[container]))).ok(201)["spec"]
        assert made["nodeSelector"] == {"pool": "own"}
        keys = [each["key"] for each in made["tolerations"]]
        assert "own" in keys
        assert "x.io/gpu" in keys
        assert made["containers"][0]["imagePullPolicy"] == "Always"
        refused = await api.post(PODS, pod("b", nodeSelector={"pool": "other"}))
        assert refused.message.endswith("pod node label selector conflicts with its namespace node label selector")
        refused = await api.post(PODS, pod("b", tolerations=[{"key": "foreign", "operator": "Exists"}]))
        assert "conflict with its namespace whitelist" in refused.message
        anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {}}]}}  # fmt: skip
        refused = await api.post(PODS, pod("b", affinity=anti))
        assert refused.message.endswith(
            "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key "
            "kubernetes.io/hostname is allowed"
        )


async def test_namespaces_are_made_and_external_ips_denied() -> None:
    names = ("NamespaceAutoProvision", "DenyServiceExternalIPs", "NamespaceExists")
    async for world in running(enable_admission_plugins=names):
        api = world.admin
        (await api.post("/api/v1/namespaces/fresh/configmaps", obj("ConfigMap", "a"))).ok(201)
        assert (await api.get("/api/v1/namespaces/fresh")).ok()["status"]["phase"] == "Active"
        assert (await api.post(SERVICES, service("a", externalIPs=["192.0.2.1"]))).message == (
            'services "a" is forbidden: Use of external IPs is denied by admission control'
        )
        (await api.post(SERVICES, service("a"))).ok(201)
        assert (await api.merge(f"{SERVICES}/a", {"spec": {"externalIPs": ["192.0.2.1"]}})).code == 403


async def test_floods_of_events(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"EventRateLimit.*limits: at least one"):
        await anext(running(enable_admission_plugins=("EventRateLimit",)))
    path = tmp_path / "admission.yaml"
    path.write_text("""
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: EventRateLimit
  path: events.yaml
""")
    (tmp_path / "events.yaml").write_text("limits: [{type: Namespace, qps: 1, burst: 3}]")
    async for world in running(enable_admission_plugins=("EventRateLimit",), admission_control_config_file=path):
        api, events = world.admin, "/api/v1/namespaces/default/events"
        about = {"kind": "Pod", "namespace": "default", "name": "p"}
        codes = []
        for number in range(5):
            answer = await api.post(events, obj("Event", f"e{number}", involvedObject=about, reason="r", type="Normal"))
            codes.append(answer.code)
        assert codes == [201, 201, 201, 429, 429]
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Other", "must be kind AdmissionConfiguration"),
        ("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: [{name: LimitRanger}]",
         "LimitRanger.*takes no configuration"),
        ("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugin: []", 'unknown field "plugin"'),
    ],
)  # fmt: skip
async def test_a_configuration_that_cannot_be_used_stops_the_server(tmp_path, text: str, why: str) -> None:
    path = tmp_path / "admission.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=why):
        await anext(running(admission_control_config_file=path))


def test_what_tolerations_cover() -> None:
    everything = {"operator": "Exists"}
    one = {"key": "a", "operator": "Equal", "value": "1", "effect": "NoExecute", "tolerationSeconds": 10}
    assert covers(everything, one)
    assert not covers(one, everything)
    assert covers(one, {**one, "tolerationSeconds": 5})
    assert not covers(one, {**one, "tolerationSeconds": 20})
    assert merged([one], [everything]) == [everything]
    assert merged([one], [dict(one)]) == [one]
    assert conflict([one], [{**one, "value": "2"}])
    assert not conflict([one], [dict(one)])


async def test_workloads_are_not_pods(api: Api) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}],
                                                             "priorityClassName": "none"}}  # fmt: skip
    body = obj("Deployment", "d", "apps/v1", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template})
    (await api.post(DEPLOYMENTS, body)).ok(201)  # its pods will be refused, not it
