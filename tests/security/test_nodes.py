"""A node that was taken over is one node, and not the cluster: the Node authorizer and NodeRestriction together."""

import base64
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.security.town import GROUP, RBAC, binding, namespaces
from tests.server.world import Api, World, obj, pod, running

from kaa.cluster.home import ClusterState, Home
from kaa.cluster.up import _server_arguments

NODES, NS = "/api/v1/nodes", "/api/v1/namespaces/theirs"
PODS, SECRETS, ACCOUNTS = f"{NS}/pods", f"{NS}/secrets", f"{NS}/serviceaccounts"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
STATUS = {"status": {"phase": "Failed"}}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Two nodes with a pod each; each pod has a secret, and the account of the second may do much."""
    async for each in running(enable_admission_plugins=("NodeRestriction",)):
        await namespaces(each, "theirs")
        for name in ("n1", "n2"):
            (await each.admin.post(NODES, obj("Node", name, labels={"kubernetes.io/hostname": name}))).ok()
            (await each.admin.post(ACCOUNTS, obj("ServiceAccount", f"a-{name}"))).ok()
            (await each.admin.post(SECRETS, obj("Secret", f"s-{name}", stringData={"k": name}))).ok()
            volume = {"name": "s", "secret": {"secretName": f"s-{name}"}}
            made = pod(f"p-{name}", nodeName=name, serviceAccountName=f"a-{name}", volumes=[volume])
            (await each.admin.post(PODS, made)).ok()
            lease = obj("Lease", name, "coordination.k8s.io/v1", spec={"holderIdentity": name})
            (await each.admin.post(LEASES, lease)).ok()
        yield each


@pytest.fixture
async def node(world: World) -> Api:
    return world.as_user("system:node:n1", "system:nodes")


async def test_reading_ends_at_ones_own_pods(world: World, node: Api) -> None:
    (await node.get(f"{SECRETS}/s-n1")).ok()
    (await node.get(f"{NODES}/n1")).ok()
    (await node.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).ok()
    for path in (
        f"{SECRETS}/s-n2", SECRETS, "/api/v1/secrets", f"{SECRETS}?fieldSelector=metadata.name%3Ds-n2",
        f"{SECRETS}?watch=1", "/api/v1/namespaces/kube-system/secrets", f"{NODES}/n2", NODES, f"{NODES}/n1/proxy/pods",
        f"{NODES}/n2/proxy/pods", "/api/v1/pods", f"{PODS}/p-n2", f"{PODS}/p-n1/log", f"{PODS}/p-n1/exec?command=id",
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", "/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1",
        "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2&fieldSelector=spec.nodeName%3Dn1",
        "/api/v1/pods?fieldSelector=status.phase%3DPending", "/api/v1/pods?labelSelector=spec.nodeName%3Dn1",
        "/api/v1/watch/pods?fieldSelector=spec.nodeName%3Dn2", f"{LEASES}/n2", LEASES,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/api/v1/namespaces/theirs/configmaps",
        f"{ACCOUNTS}/a-n2", "/api/v1/persistentvolumes", "/metrics",
    ):  # fmt: skip
        answered = await node.get(path)
        assert answered.code == 403, (path, answered.code, answered.body)


async def test_writing_ends_at_ones_own_objects(world: World, node: Api) -> None:
    uid = (await world.admin.get(f"{NODES}/n1")).json["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [owner]}
    merge = "application/merge-patch+json"
    label = {"metadata": {"labels": {"node-restriction.kubernetes.io/zone": "secret"}}}
    for method, path, body in (
        ("PATCH", f"{NODES}/n2", label), ("PATCH", f"{NODES}/n2/status", {"status": {"phase": "Running"}}),
        ("PATCH", f"{NODES}/n1", label), ("PATCH", f"{NODES}/n1/status", label),
        ("PATCH", f"{NODES}/n1", {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}),
        ("PATCH", f"{NODES}/n1", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
        ("PATCH", f"{NODES}/n1", {"metadata": {"ownerReferences": [owner]}}),
        ("DELETE", f"{NODES}/n1", None), ("DELETE", f"{NODES}/n2", None), ("DELETE", NODES, None),
        ("POST", NODES, obj("Node", "n3")), ("POST", NODES, {"metadata": {"generateName": "n"}}),
        ("PATCH", f"{PODS}/p-n2/status", STATUS), ("PATCH", f"{PODS}/p-n1", {"metadata": {"labels": {"a": "b"}}}),
        ("PATCH", f"{PODS}/p-n1/status", {"metadata": {"labels": {"a": "b"}}}),
        ("DELETE", f"{PODS}/p-n2", None), ("DELETE", PODS, None),
        ("POST", f"{PODS}/p-n2/eviction", obj("Eviction", "p-n2", "policy/v1")),
        ("POST", f"{PODS}/p-n1/binding", obj("Binding", "p-n1", target={"name": "n2"})),
        ("PATCH", f"{PODS}/p-n1/ephemeralcontainers", {}),
        ("POST", PODS, pod("x", nodeName="n1")), ("POST", PODS, pod("x", metadata=mirror, nodeName="n2")),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1", serviceAccountName="a-n2")),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1",
                           volumes=[{"name": "s", "secret": {"secretName": "s-n2"}}])),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1", volumes=[
            {"name": "s", "projected": {"sources": [{"secret": {"name": "s-n2"}}]}}])),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1", volumes=[
            {"name": "s", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s-n2"}}}])),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1", containers=[{"name": "c", "image": "x", "envFrom": [
            {"secretRef": {"name": "s-n2"}}]}])),
        ("POST", PODS, pod("x", metadata=mirror, nodeName="n1", imagePullSecrets=[{"name": "s-n2"}])),
        ("PATCH", f"{LEASES}/n2", {"spec": {"holderIdentity": "n1"}}), ("DELETE", f"{LEASES}/n2", None),
        ("POST", LEASES, obj("Lease", "n3", "coordination.k8s.io/v1", spec={})),
        ("POST", SECRETS, obj("Secret", "x")), ("PATCH", f"{SECRETS}/s-n1", {"data": {}}),
        ("DELETE", f"{SECRETS}/s-n1", None), ("POST", f"{RBAC}/clusterroles", obj("ClusterRole", "x", f"{GROUP}/v1")),
        ("POST", f"{NS}/serviceaccounts", obj("ServiceAccount", "x")),
    ):  # fmt: skip
        answered = await node.ask(method, path, body, media=merge if method == "PATCH" else "application/json")
        assert answered.code == 403, (method, path, body, answered.code, answered.body)
    # No mirror pod reads a secret by being there.
    (await node.post(PODS, pod("own", metadata=mirror, nodeName="n1"))).ok(201)
    assert (await node.get(f"{SECRETS}/s-n2")).code == 403
    # What is its own, it writes.
    (await node.merge(f"{NODES}/n1/status", {"status": {"capacity": {"cpu": "1"}}})).ok()
    (await node.merge(f"{PODS}/p-n1/status", STATUS)).ok()
    (await node.merge(f"{LEASES}/n1", {"spec": {"leaseDurationSeconds": 40}})).ok()
    (await node.delete(f"{PODS}/own?gracePeriodSeconds=0")).ok()
    eviction = obj("Eviction", "p-n1", "policy/v1")
    (await node.post(f"{PODS}/p-n1/eviction", eviction)).ok(201)


def bound(name: str, uid: str, *audiences: str, **more) -> dict:
    reference = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid, **more}
    return obj("TokenRequest", "", "authentication.k8s.io/v1",
               spec={"audiences": list(audiences), "boundObjectRef": reference})  # fmt: skip


async def test_tokens_are_those_of_ones_own_pods_and_for_whom_they_are_meant(world: World, node: Api) -> None:
    own, other = [(await world.admin.get(f"{PODS}/p-{each}")).json["metadata"]["uid"] for each in ("n1", "n2")]
    at = f"{ACCOUNTS}/a-n1/token"
    for path, body, why in (
        (f"{ACCOUNTS}/a-n2/token", bound("p-n2", other), "no relationship found"),
        (f"{ACCOUNTS}/a-n2/token", bound("p-n1", own), "no relationship found"),
        (at, bound("p-n2", other), "scheduled on a different node"),
        (at, bound("p-n1", other), "does not match"), (at, bound("p-n1", ""), "without a uid"),
        (at, obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"audiences": []}), "not bound to a pod"),
        (at, bound("n1", own, kind="Node"), "not bound to a pod"),
        (at, bound("s-n1", own, kind="Secret"), "not bound to a pod"),
        (at, bound("p-n1", own, "vault"), 'audience "vault" not found in pod spec volume, system:node:n1 is not '
         "authorized to request tokens for this audience"),
        (at, bound("p-n1", own, "a", "b"), "node may only request 0 or 1 audiences"),
    ):  # fmt: skip
        refused = await node.post(path, body)
        assert refused.code == 403 and why in refused.message, (body, refused.body)
    # What the pod mounts, it gets: the server's by default, and those it names.
    (await node.post(at, bound("p-n1", own))).ok(201)
    source = {"serviceAccountToken": {"path": "t", "audience": "vault"}}
    driver = obj("CSIDriver", "d", "storage.k8s.io/v1", spec={"tokenRequests": [{"audience": "cloud"}]})
    (await world.admin.post("/apis/storage.k8s.io/v1/csidrivers", driver)).ok()
    volumes = [{"name": "t", "projected": {"sources": [source]}}, {"name": "d", "csi": {"driver": "d"}}]
    made = pod("named", nodeName="n1", serviceAccountName="a-n1", volumes=volumes)
    named = (await world.admin.post(PODS, made)).ok()["metadata"]["uid"]
    for audience in ("vault", "cloud"):
        (await node.post(at, bound("named", named, audience))).ok(201)
    assert (await node.post(at, bound("named", named, "other"))).code == 403
    # Or what a role says: the audience is the resource, the account the name.
    grants = obj("ClusterRole", "aud", f"{GROUP}/v1", rules=[
        {"verbs": ["request-serviceaccounts-token-audience"], "apiGroups": [""], "resources": ["other"]}])  # fmt: skip
    (await world.admin.post(f"{RBAC}/clusterroles", grants)).ok()
    group = {"kind": "Group", "apiGroup": GROUP, "name": "system:nodes"}
    (await world.admin.post(f"{RBAC}/namespaces/theirs/rolebindings", binding("aud", "aud", group, "ClusterRole"))).ok()
    (await node.post(at, bound("named", named, "other"))).ok(201)


def request(name: str, signer: str, *organizations: str) -> dict:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    raw = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(raw.public_bytes(serialization.Encoding.PEM)).decode()
    body = obj("CertificateSigningRequest", "", "certificates.k8s.io/v1", metadata={"generateName": "r-"})
    usage = "server auth" if "serving" in signer else "client auth"
    body["spec"] = {"request": pem, "signerName": f"kubernetes.io/{signer}", "usages": ["digital signature", usage]}
    return body


async def test_certificates_are_asked_for_oneself(world: World, node: Api) -> None:
    for asked in (request("system:node:n2", "kubelet-serving", "system:nodes"),
                  request("system:node:n2", "kube-apiserver-client-kubelet", "system:nodes"),
                  request("admin", "kube-apiserver-client", "system:masters"),
                  request("admin", "kube-apiserver-client-kubelet", "system:masters")):  # fmt: skip
        assert (await node.post(CSRS, asked)).code == 403
    made = (await node.post(CSRS, request("system:node:n1", "kubelet-serving", "system:nodes"))).ok(201)
    at = f"{CSRS}/{made['metadata']['name']}"
    # Who asked stands in it as it was, whatever the body says; and who asks neither approves nor signs.
    assert made["spec"]["username"] == "system:node:n1" and "system:nodes" in made["spec"]["groups"]
    lied = request("system:node:n1", "kubelet-serving", "system:nodes")
    lied["spec"] |= {"username": "system:admin", "groups": ["system:masters"], "uid": "1", "extra": {"a": ["b"]}}
    lied["status"] = {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="}
    stood = (await node.post(CSRS, lied)).ok(201)
    assert stood["spec"]["username"] == "system:node:n1" and stood["status"] == {}
    assert "system:masters" not in stood["spec"]["groups"]
    approved = {**made, "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]}}
    assert (await node.put(f"{at}/approval", approved)).code == 403
    assert (await node.put(f"{at}/status", {**made, "status": {"certificate": "eA=="}})).code == 403
    assert (await node.merge(at, {"status": {"certificate": "eA=="}})).code == 403
    (await world.admin.put(f"{at}/approval", approved)).ok()


async def test_who_writes_requests_does_not_approve_them(world: World) -> None:
    """Rights on `approval` and `status` alone do nothing: the signer must be granted, too."""
    named = "certificatesigningrequests"
    verbs = {"verbs": ["*"], "apiGroups": ["certificates.k8s.io"],
             "resources": [named, f"{named}/approval", f"{named}/status"]}  # fmt: skip
    (await world.admin.post(f"{RBAC}/clusterroles", obj("ClusterRole", "csr", f"{GROUP}/v1", rules=[verbs]))).ok()
    subject = {"kind": "User", "apiGroup": GROUP, "name": "jane"}
    bound_ = {**binding("csr", "csr", subject, "ClusterRole"), "kind": "ClusterRoleBinding"}
    (await world.admin.post(f"{RBAC}/clusterrolebindings", bound_)).ok()
    jane = world.as_user("jane")
    assert (await jane.post(CSRS, request("boss", "kube-apiserver-client", "system:masters"))).code == 403
    made = (await jane.post(CSRS, request("boss", "kube-apiserver-client"))).ok(201)
    at = f"{CSRS}/{made['metadata']['name']}"
    approved = {**made, "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "x"}]}}
    refused = await jane.put(f"{at}/approval", approved)
    assert refused.code == 403 and "not permitted to approve requests" in refused.message
    await jane.put(f"{at}/status", {**made, "status": {"conditions": [{"type": "Approved", "status": "True"}]}})
    assert not (await world.admin.get(at)).json["status"].get("conditions")
    approved["metadata"] = (await world.admin.get(at)).json["metadata"]
    (await world.admin.put(f"{at}/approval", approved)).ok()
    left = (await world.admin.get(at)).json
    refused = await jane.put(f"{at}/status", {**left, "status": {**left["status"], "certificate": "eA=="}})
    assert refused.code in (403, 422)


def test_a_cluster_made_by_kaa_up_restricts_its_nodes(tmp_path) -> None:
    assert "--enable-admission-plugins=NodeRestriction" in _server_arguments(Home(tmp_path), ClusterState("c"))
