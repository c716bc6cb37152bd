"""The roles of every cluster: all there, gathered by label, reconciled, and not to be outgrown by who writes them."""

import pytest
from tests.server.test_authorization import GROUP, JANE, RBAC, bind, rule
from tests.server.world import World, obj

from kaa.server import roles

ROLES, BINDINGS = f"{RBAC}/clusterroles", f"{RBAC}/clusterrolebindings"

#: What release 1.36 of the original has, by name.
NAMES = """
admin cluster-admin edit view
system:aggregate-to-admin system:aggregate-to-edit system:aggregate-to-view system:auth-delegator system:basic-user
system:certificates.k8s.io:certificatesigningrequests:nodeclient
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
system:certificates.k8s.io:kube-apiserver-client-approver
system:certificates.k8s.io:kube-apiserver-client-kubelet-approver system:certificates.k8s.io:kubelet-serving-approver
system:certificates.k8s.io:legacy-unknown-approver system:discovery system:heapster system:kube-aggregator
system:kube-controller-manager system:kube-dns system:kube-scheduler system:kubelet-api-admin system:monitoring
system:node system:node-bootstrapper system:node-problem-detector system:node-proxier
system:persistent-volume-provisioner system:public-info-viewer system:service-account-issuer-discovery
system:volume-scheduler
""".split()
CONTROLLERS = """
attachdetach-controller certificate-controller clusterrole-aggregation-controller cronjob-controller
daemon-set-controller deployment-controller disruption-controller endpoint-controller endpointslice-controller
endpointslicemirroring-controller ephemeral-volume-controller expand-controller generic-garbage-collector
horizontal-pod-autoscaler job-controller legacy-service-account-token-cleaner namespace-controller node-controller
persistent-volume-binder pod-garbage-collector pv-protection-controller pvc-protection-controller
replicaset-controller replication-controller resource-claim-controller resourcequota-controller
root-ca-cert-publisher route-controller selinux-warning-controller service-account-controller service-cidrs-controller
service-controller statefulset-controller ttl-after-finished-controller ttl-controller
validatingadmissionpolicy-status-controller volumeattributesclass-protection-controller
""".split()


async def test_all_are_there(world: World) -> None:
    found = {each["metadata"]["name"]: each for each in (await world.admin.get(ROLES)).json["items"]}
    assert {*NAMES, *(f"system:controller:{name}" for name in CONTROLLERS)} == {
        name for name in found if not name.startswith("kaa:")
    }
    for name, role in found.items():
        assert role["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
        assert role["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] == "true"
        assert role["rules"], name
    bound = {each["metadata"]["name"]: each for each in (await world.admin.get(BINDINGS)).json["items"]}
    for name in CONTROLLERS:
        binding = bound[f"system:controller:{name}"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}]
    assert "subjects" not in bound["system:node"]  # the Node authorizer's
    listed = (await world.admin.get(f"{RBAC}/namespaces/kube-system/roles")).names
    assert {"extension-apiserver-authentication-reader", "system:controller:bootstrap-signer",
            "system:controller:token-cleaner", "system::leader-locking-kube-scheduler"} <= set(listed)  # fmt: skip


FACTS = [
    ("system:kube-dns", rule("list watch", "endpoints services")),
    ("system:auth-delegator", rule("create", "tokenreviews", "authentication.k8s.io")),
    ("system:controller:job-controller", rule("get list patch update watch", "jobs", "batch")),
    ("system:controller:disruption-controller", rule("get", "*/scale", "*")),
    ("system:controller:certificate-controller", rule("approve", "signers", "certificates.k8s.io",
                                                      names="kubernetes.io/kube-apiserver-client-kubelet")),
    ("system:discovery", rule("get", urls="/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz "
                              "/version /version/")),
    ("cluster-admin", rule("*", urls="*")),
    ("system:node", rule("get list watch", "configmaps secrets")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wanted"), FACTS, ids=[row[0] for row in FACTS])
async def test_rules(name: str, wanted: dict) -> None:
    role = next(each for each in roles.cluster_roles() if each["metadata"]["name"] == name)
    normal = {key: sorted(value) for key, value in wanted.items()}
    assert normal in [{key: sorted(value) for key, value in each.items()} for each in role["rules"]]


async def rules_of(world: World, name: str) -> list[dict]:
    return (await world.admin.get(f"{ROLES}/{name}")).ok()["rules"]


async def settled(world: World, name: str, wanted: dict, present: bool = True) -> None:
    for _ in range(200):
        if (wanted in await rules_of(world, name)) == present:
            return
        await world.clock.sleep(0.005)
    raise AssertionError(await rules_of(world, name))


async def test_a_role_gathers_the_rules_of_others(world: World) -> None:
    crontabs = rule("get list watch", "crontabs", "stable.example.com")
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    more = obj("ClusterRole", "crontabs-view", f"{GROUP}/v1", labels=label, rules=[crontabs])
    (await world.admin.post(ROLES, more)).ok()
    for name in ("view", "edit", "admin"):  # edit gathers view, and admin edit
        await settled(world, name, crontabs)
    jane = world.as_user("jane")
    assert "aggregationRule" in (await world.admin.get(f"{ROLES}/admin")).json
    (await world.admin.merge(f"{ROLES}/crontabs-view", {"metadata": {"labels": {
        "rbac.authorization.k8s.io/aggregate-to-view": None}}})).ok()  # fmt: skip
    for name in ("view", "edit", "admin"):
        await settled(world, name, crontabs, present=False)
    # Rules that are written into such a role by hand do not stay.
    by_hand = rule("delete", "nodes")
    (await world.admin.merge(f"{ROLES}/view", {"rules": [by_hand]})).ok()
    await settled(world, "view", by_hand, present=False)
    assert (await jane.get("/api/v1/nodes")).code == 403


async def test_a_role_of_ones_own_gathers(world: World) -> None:
    gather = {"clusterRoleSelectors": [{"matchLabels": {"team": "a"}}, {"matchExpressions": [
        {"key": "team", "operator": "In", "values": ["b"]}]}]}  # fmt: skip
    (await world.admin.post(ROLES, obj("ClusterRole", "teams", f"{GROUP}/v1", aggregationRule=gather, rules=[]))).ok()
    for team, resource in (("a", "pods"), ("b", "services"), ("c", "nodes")):
        (await world.admin.post(ROLES, obj("ClusterRole", f"of-{team}", f"{GROUP}/v1", labels={"team": team},
                                           rules=[rule("get", resource)]))).ok()  # fmt: skip
    await settled(world, "teams", rule("get", "pods"))
    await settled(world, "teams", rule("get", "services"))
    assert rule("get", "nodes") not in await rules_of(world, "teams")
    # Two that gather each other come to rest.
    for name, other in (("left", "right"), ("right", "left")):
        ring = {"clusterRoleSelectors": [{"matchLabels": {"ring": other}}, {"matchLabels": {"team": "c"}}]}
        (await world.admin.post(ROLES, obj("ClusterRole", name, f"{GROUP}/v1", labels={"ring": name},
                                           aggregationRule=ring, rules=[]))).ok()  # fmt: skip
    await settled(world, "left", rule("get", "nodes"))
    await settled(world, "right", rule("get", "nodes"))
    revision = (await world.admin.get(ROLES)).revision
    await world.clock.sleep(0.05)
    assert (await world.admin.get(ROLES)).revision == revision


def role(name: str, *rules: dict, **more) -> dict:
    return {**obj("ClusterRole", name, f"{GROUP}/v1", metadata=more), "rules": list(rules)}


RECONCILED = [
    # wanted, standing, what becomes of the rules (None: nothing to do)
    ([rule("get", "pods")], [rule("get", "pods")], None),
    ([rule("get", "pods")], [rule("get list", "pods services")], None),
    ([rule("get", "pods")], [rule("*", "*", "*")], None),
    ([rule("get list", "pods")], [rule("get", "pods")], [rule("get", "pods"), rule("list", "pods")]),
    ([rule("get", "pods")], [rule("delete", "nodes")], [rule("delete", "nodes"), rule("get", "pods")]),
    ([rule("get", "pods")], [rule("get", "pods", names="a")], [rule("get", "pods", names="a"), rule("get", "pods")]),
    ([rule("get", urls="/a")], [rule("get", urls="/*")], None),
    ([rule("get", "pods/status")], [rule("get", "*/status")], None),
]


@pytest.mark.parametrize(("wanted", "standing", "expected"), RECONCILED)
def test_reconciling_adds_and_takes_nothing_away(wanted: list, standing: list, expected: list | None) -> None:
    meta = {"labels": dict(roles.LABELS), "annotations": {roles.AUTOUPDATE: "true"}}
    found = roles.reconciled(role("r", *wanted, **meta), role("r", *standing, **meta))
    assert (found or {}).get("rules") == expected
    told = {**meta, "annotations": {roles.AUTOUPDATE: "false"}}
    assert roles.reconciled(role("r", *wanted, **meta), role("r", *standing, **told)) is None
    bare = roles.reconciled(role("r", *wanted, **meta), role("r", *wanted))
    assert bare is not None and bare["metadata"]["labels"] == roles.LABELS


async def test_what_is_missing_is_said_rule_by_rule(world: World) -> None:
    await bind(world.admin, "writer", [rule("create update get", "clusterroles clusterrolebindings", GROUP),
                                       rule("get", "pods")], JANE)  # fmt: skip
    jane = world.as_user("jane")
    wanted = obj("ClusterRole", "more", f"{GROUP}/v1", rules=[
        rule("get list watch", "pods secrets"), rule("get", "secrets", names="one two"), rule("get post", urls="/x"),
        rule("*", "*", "apps")])  # fmt: skip
    answer = await jane.post(ROLES, wanted)
    assert (answer.code, answer.message) == (403, (
        'clusterroles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["system:authenticated"]) is '
        'attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}\n'
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["one"], Verbs:["get"]}\n'
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["two"], Verbs:["get"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}\n'
        '{APIGroups:["apps"], Resources:["*"], Verbs:["*"]}\n'
        '{NonResourceURLs:["/x"], Verbs:["get"]}\n'
        '{NonResourceURLs:["/x"], Verbs:["post"]}'))  # fmt: skip
    # A rule that gathers may come to hold anything.
    gather = obj("ClusterRole", "g", f"{GROUP}/v1", aggregationRule={"clusterRoleSelectors": [
        {"matchLabels": {"x": "y"}}]}, rules=[])  # fmt: skip
    assert (await jane.post(ROLES, gather)).code == 403
    await bind(world.admin, "escalator", [rule("escalate", "clusterroles", GROUP)], JANE)
    assert (await jane.post(ROLES, wanted)).code == 201
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = obj("ClusterRoleBinding", "mine", f"{GROUP}/v1", subjects=[JANE], roleRef=reference)
    refused = await jane.post(BINDINGS, binding)
    assert refused.code == 403 and '{NonResourceURLs:["*"], Verbs:["*"]}' in refused.message
    await bind(world.admin, "binder", [rule("bind", "clusterroles", GROUP, names="cluster-admin")], JANE)
    assert (await jane.post(BINDINGS, binding)).code == 201
    assert (await jane.get("/api/v1/nodes")).code == 200


async def test_decisions_name_their_binding(world: World) -> None:
    async def reason(user: str, *groups: str, **attributes) -> dict:
        spec = {"user": user, "groups": list(groups), "resourceAttributes": {"verb": "get", "resource": "pods",
                "namespace": "default", **attributes}}  # fmt: skip
        body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec=spec)
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return (await world.admin.post(path, body)).ok(201)["status"]

    await bind(
        world.admin, "everywhere", [rule("get", "services")], {"kind": "Group", "apiGroup": GROUP, "name": "dev"}
    )
    await bind(world.admin, "here", [rule("get", "pods")], JANE, "default")
    account = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    await bind(world.admin, "robots", [rule("get", "secrets")], account, "default")
    assert await reason("jane") == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "here/default" of Role "here" to User "jane"',
    }
    assert await reason("joe", "dev", resource="services") == {
        "allowed": True,
        "reason": 'RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "everywhere" to Group "dev"',
    }
    assert (await reason("system:serviceaccount:default:robot", resource="secrets"))["reason"] == (
        'RBAC: allowed by RoleBinding "robots/default" of Role "robots" to ServiceAccount "robot/default"')  # fmt: skip
    assert await reason("joe") == {"allowed": False}
    (await world.admin.delete(f"{RBAC}/namespaces/default/roles/here")).ok()
    assert await reason("jane") == {"allowed": False, "reason": f'RBAC: role.{GROUP} "here" not found'}
