"""What a node may see: what the pods bound to it refer to, and itself."""

import pytest
from tests.server.world import Api, World, obj, pod

NS = "/api/v1/namespaces/default"
PODS, SECRETS, MAPS = f"{NS}/pods", f"{NS}/secrets", f"{NS}/configmaps"
CLAIMS, VOLUMES, ACCOUNTS = f"{NS}/persistentvolumeclaims", "/api/v1/persistentvolumes", f"{NS}/serviceaccounts"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CSI, SLICES = "/apis/storage.k8s.io/v1/csinodes", "/apis/resource.k8s.io/v1/resourceslices"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
UNRELATED = "no relationship found between node 'n1' and this object"


def node(world: World, name: str) -> Api:
    return world.as_user(f"system:node:{name}", "system:nodes")


FULL = {
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "image": "x", "envFrom": [{"secretRef": {"name": "env-all"}}]}],
    "containers": [{"name": "c", "image": "x", "env": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env-one", "key": "k"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "map-one", "key": "k"}}}],
        "envFrom": [{"configMapRef": {"name": "map-all"}}]}],
    "volumes": [
        {"name": "a", "secret": {"secretName": "volume"}},
        {"name": "b", "configMap": {"name": "map-volume"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "map-part"}}]}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}},
        {"name": "f", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "driver"}}},
    ],
}  # fmt: skip


@pytest.fixture
async def placed(world: World) -> World:
    """A pod that refers to everything on n1, and one that refers to nothing on n2."""
    (await world.admin.post(PODS, pod("full", nodeName="n1", **FULL))).ok()
    (await world.admin.post(PODS, pod("other", nodeName="n2"))).ok()
    (await world.admin.post(PODS, pod("waiting"))).ok()
    return world


async def say(api: Api, method: str, path: str, body=None) -> str:
    """What is said: "allowed", or the reason of the refusal."""
    answer = await api.ask(method, path, body)
    if answer.code != 403:
        return "allowed"
    return answer.message.rpartition("the cluster scope" if "the cluster scope" in answer.message else '"default"')[2][
        2:
    ]


@pytest.mark.parametrize(
    "path",
    [
        *(f"{SECRETS}/{name}" for name in ("pull", "env-all", "env-one", "volume", "part", "driver")),
        *(f"{MAPS}/{name}" for name in ("map-one", "map-all", "map-volume", "map-part")),
        *(f"{CLAIMS}/{name}" for name in ("claim", "full-e")), f"{PODS}/full",
    ],
)  # fmt: skip
async def test_what_its_pods_refer_to(placed: World, path: str) -> None:
    assert await say(node(placed, "n1"), "GET", path) == "allowed"
    assert await say(node(placed, "n2"), "GET", path) == UNRELATED.replace("n1", "n2")
    # A name says nothing in another namespace.
    other = path.replace("/default/", "/kube-system/")
    assert (await node(placed, "n1").get(other)).code == 403


CASES = [
    ("GET", f"{SECRETS}/none", UNRELATED),
    ("GET", SECRETS, "No Object name found"),
    ("GET", f"{SECRETS}?fieldSelector=metadata.name%3Dpull", "allowed"),
    ("GET", f"{SECRETS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dvolume", "allowed"),
    ("GET", f"{SECRETS}?fieldSelector=metadata.name%3Dnone", UNRELATED),
    ("GET", f"{SECRETS}?fieldSelector=metadata.name!%3Dnone", "No Object name found"),
    ("GET", "/api/v1/secrets?fieldSelector=metadata.name%3Dpull", "can only read namespaced object of this type"),
    ("POST", SECRETS, "can only read resources of this type"),
    ("DELETE", f"{SECRETS}/pull", "can only read resources of this type"),
    ("DELETE", f"{MAPS}/map-all", "can only read resources of this type"),
    ("GET", CLAIMS, "can only get individual resources of this type"),
    ("PUT", f"{CLAIMS}/claim", "can only get individual resources of this type"),
    ("PATCH", f"{CLAIMS}/claim/status", "allowed"),
    ("PATCH", f"{CLAIMS}/none/status", UNRELATED),
    ("GET", f"{CLAIMS}/claim/status", "can only get/update/patch this type"),
    ("GET", VOLUMES, "can only get individual resources of this type"),
    ("GET", f"{VOLUMES}/none", UNRELATED),
    ("POST", f"{ACCOUNTS}/default/token", "allowed"),
    ("POST", f"{ACCOUNTS}/robot/token", UNRELATED),
    ("GET", f"{ACCOUNTS}/default", "allowed"),
    ("GET", ACCOUNTS, "can only create tokens for individual service accounts"),
    ("DELETE", f"{ACCOUNTS}/default", "can only create tokens for individual service accounts"),
    ("GET", "/api/v1/nodes/n1", "allowed"),
    ("GET", "/api/v1/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
    ("GET", "/api/v1/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
    ("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn1", "allowed"),
    ("GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dn2", "node 'n1' cannot read 'n2', only its own Node object"),
    ("POST", "/api/v1/nodes", "allowed"),
    ("PATCH", "/api/v1/nodes/n1/status", "allowed"),
    ("DELETE", "/api/v1/nodes/n1", ""),
    ("GET", "/api/v1/nodes/n1/proxy/pods", ""),
    ("GET", PODS, "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", "allowed"),
    ("GET", "/api/v1/pods?watch=1&timeoutSeconds=1&fieldSelector=spec.nodeName%3Dn1", "allowed"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2",
     "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1",
     "can only list/watch pods with spec.nodeName field selector"),
    ("GET", "/api/v1/pods?labelSelector=spec.nodeName%3Dn1",
     "can only list/watch pods with spec.nodeName field selector"),
    ("GET", f"{PODS}?fieldSelector=metadata.name%3Dfull", "allowed"),
    ("GET", f"{PODS}?fieldSelector=metadata.name%3Dother", UNRELATED),
    ("GET", f"{PODS}/other", UNRELATED),
    ("GET", f"{PODS}/waiting", UNRELATED),
    ("GET", f"{PODS}/full/log", ""),
    ("POST", f"{PODS}/full/exec", ""),
    ("PATCH", f"{PODS}/full", ""),
    ("PATCH", f"{PODS}/full/status", "allowed"),
    ("POST", f"{PODS}/full/eviction", "allowed"),
    ("POST", f"{PODS}/full/binding", ""),
    ("DELETE", f"{PODS}/full", "allowed"),
    ("DELETE", PODS, ""),
    ("GET", f"{LEASES}/n1", "allowed"),
    ("GET", f"{LEASES}/n2", "can only access node lease with the same name as the requesting node"),
    ("GET", LEASES, "can only get, create, update, patch, or delete a node lease"),
    ("GET", f"{CSI}/n1", "allowed"),
    ("GET", f"{CSI}/n2", "can only access CSINode with the same name as the requesting node"),
    ("GET", CSI, "can only get, create, update, patch, or delete a CSINode"),
    ("GET", SLICES, "can only list/watch/deletecollection resourceslices with nodeName field selector"),
    ("GET", f"{SLICES}?fieldSelector=spec.nodeName%3Dn1", "allowed"),
    ("GET", f"{SLICES}/none", UNRELATED),
    ("GET", f"{ATTACHMENTS}/none", UNRELATED),
    ("GET", ATTACHMENTS, "can only get individual resources of this type"),
    # What is not subdivided is as the node's role has it.
    ("GET", "/api/v1/services", "allowed"),
    ("GET", "/apis/storage.k8s.io/v1/csidrivers", "allowed"),
    ("GET", "/apis/node.k8s.io/v1/runtimeclasses", "allowed"),
    ("GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests", "allowed"),
    ("GET", "/apis/apps/v1/deployments", ""),
    ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles", ""),
    ("GET", "/api/v1/namespaces/default/replicationcontrollers", ""),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "expected"), CASES, ids=[f"{row[0]} {row[1]}" for row in CASES])
async def test_decisions(placed: World, method: str, path: str, expected: str) -> None:
    body = {} if method in ("POST", "PUT", "PATCH") else None
    answer = await node(placed, "n1").ask(method, path, body)
    if expected == "allowed":
        # Admission may still refuse: what authorization refuses says "cannot".
        assert answer.code != 403 or "cannot" not in answer.message, answer.message
    else:
        assert answer.code == 403, answer.body
        end = f": {expected}" if expected else ""
        assert answer.message.endswith((f'"default"{end}', f'"kube-node-lease"{end}', f"the cluster scope{end}")), (
            answer.message
        )


async def test_who_is_a_node(placed: World) -> None:
    path = f"{SECRETS}/pull"
    assert (await placed.as_user("system:node:n1", "dev").get(path)).message.endswith('"default"')  # not of the group
    assert (await placed.as_user("n1", "system:nodes").get(path)).message.endswith('"default"')
    unknown = await placed.as_user("system:node:", "system:nodes").get(path)
    assert unknown.message.endswith('unknown node for user "system:node:"')
    # What RBAC grants besides is granted to nodes, too.
    assert (await placed.as_user("system:node:n1", "system:nodes", "system:masters").get(path)).code == 404


async def test_pods_come_and_go(world: World) -> None:
    n1, path = node(world, "n1"), f"{SECRETS}/volume"
    assert (await n1.get(path)).code == 403
    (await world.admin.post(PODS, pod("p", volumes=[{"name": "v", "secret": {"secretName": "volume"}}]))).ok()
    assert (await n1.get(path)).code == 403  # not bound yet
    target = {"kind": "Node", "name": "n1"}
    (await world.admin.post(f"{PODS}/p/binding", obj("Binding", "p", target=target))).ok()
    assert (await n1.get(path)).code == 404
    (await world.admin.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})).ok()
    assert (await n1.get(path)).code == 403
    (await world.admin.post(PODS, pod("p", nodeName="n1"))).ok()  # the same name, and another pod
    assert (await n1.get(path)).code == 403
    grown = {
        "spec": {"ephemeralContainers": [{"name": "e", "image": "x", "envFrom": [{"secretRef": {"name": "late"}}]}]}
    }
    (await world.admin.ask("PATCH", f"{PODS}/p/ephemeralcontainers", grown,
                           media="application/strategic-merge-patch+json")).ok()  # fmt: skip
    assert (await n1.get(f"{SECRETS}/late")).code == 404


async def test_a_mirror_pod_grants_nothing(world: World) -> None:
    """A node makes them itself: it would be a way to read any secret."""
    mirror = pod("static", nodeName="n1", volumes=[{"name": "v", "secret": {"secretName": "volume"}}],
                 metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})  # fmt: skip
    made = await world.admin.post(PODS, mirror)
    if made.code != 201:  # ServiceAccount admission keeps secrets out of mirror pods for everyone
        mirror["spec"].pop("volumes")
        mirror["spec"]["imagePullSecrets"] = [{"name": "volume"}]
        (await world.admin.post(PODS, mirror)).ok()
    n1 = node(world, "n1")
    assert (await n1.get(f"{SECRETS}/volume")).code == 403
    assert (await n1.get(f"{PODS}/static")).code == 200


async def test_volumes_of_claims_of_pods(world: World) -> None:
    (await world.admin.post(PODS, pod("p", nodeName="n1", volumes=[
        {"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]))).ok()  # fmt: skip
    n1, n2 = node(world, "n1"), node(world, "n2")
    volume = obj("PersistentVolume", "pv", spec={
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {"name": "publish", "namespace": "storage"},
                "controllerPublishSecretRef": {"name": "control", "namespace": "storage"}}})  # fmt: skip
    (await world.admin.post(VOLUMES, volume)).ok()
    assert (await n1.get(f"{VOLUMES}/pv")).code == 403
    reference = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "claim", "uid": "u"}
    (await world.admin.merge(f"{VOLUMES}/pv", {"spec": {"claimRef": reference}})).ok()
    assert (await n1.get(f"{VOLUMES}/pv")).code == 200
    assert (await n2.get(f"{VOLUMES}/pv")).code == 403
    secrets = "/api/v1/namespaces/storage/secrets"
    assert (await n1.get(f"{secrets}/publish")).code == 404
    assert (await n1.get(f"{secrets}/control")).code == 403  # not the kubelet's
    assert (await n2.get(f"{secrets}/publish")).code == 403
    (await world.admin.delete(f"{VOLUMES}/pv")).ok()


async def test_attachments_and_slices_name_their_node(world: World) -> None:
    attachment = obj("VolumeAttachment", "va", "storage.k8s.io/v1", spec={
        "attacher": "a", "nodeName": "n1", "source": {"persistentVolumeName": "pv"}})  # fmt: skip
    (await world.admin.post(ATTACHMENTS, attachment)).ok()
    slice_ = obj("ResourceSlice", "s", "resource.k8s.io/v1", spec={
        "driver": "d.example.org", "nodeName": "n1",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}})  # fmt: skip
    made = await world.admin.post(SLICES, slice_)
    for path, standing in ((f"{ATTACHMENTS}/va", True), (f"{SLICES}/s", made.code == 201)):
        assert (await node(world, "n1").get(path)).code == (200 if standing else 403)
        assert (await node(world, "n2").get(path)).code == 403


async def test_after_a_restart_the_references_are_known(tmp_path) -> None:
    from tests.server.world import running

    from kaa.store.sqlite import SqliteStore

    async for world in running(await SqliteStore.open(str(tmp_path / "s.db"))):
        (await world.admin.post(PODS, pod("full", nodeName="n1", **FULL))).ok()
    async for world in running(await SqliteStore.open(str(tmp_path / "s.db")), account=False):
        assert (await node(world, "n1").get(f"{SECRETS}/pull")).code == 404
        assert (await node(world, "n2").get(f"{SECRETS}/pull")).code == 403


async def test_a_node_cannot_list_its_rules(world: World) -> None:
    body = obj("SelfSubjectRulesReview", "", "authorization.k8s.io/v1", spec={"namespace": "default"})
    answer = await node(world, "n1").post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)
    status = answer.ok(201)["status"]
    assert status["incomplete"] and status["evaluationError"] == "node authorizer does not support user rule resolution"
