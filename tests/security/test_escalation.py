"""Nobody comes to hold what they were not given: by roles, by being taken for another, by others' credentials."""

import base64

import pytest
from tests.security.town import EVERYTHING, GROUP, MINE, RBAC, THEIRS, binding, grant, rule, user, with_headers
from tests.server.test_authentication import who
from tests.server.world import Api, World, obj, pod

ROLES, BINDINGS = f"{RBAC}/namespaces/mine/roles", f"{RBAC}/namespaces/mine/rolebindings"
JSON, MERGE, STRATEGIC, APPLY = (
    f"application/{each}" for each in ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json",
                                       "apply-patch+yaml")
)  # fmt: skip
SECRETS = rule("get", "secrets")
HELD = rule("get", "configmaps")


def role(name: str, *rules: dict, kind: str = "Role", **rest) -> dict:
    return obj(kind, name, f"{GROUP}/v1", rules=list(rules), **rest)


@pytest.fixture
async def jane(world: World) -> Api:
    """May write roles and bindings, and holds little herself."""
    rights = rule("create update patch get delete", "roles rolebindings", GROUP)
    return await grant(world, "mine", "jane", HELD, rights)


async def test_roles_grant_no_more_than_their_writer_holds(world: World, jane: Api) -> None:
    (await world.admin.post(ROLES, role("small", HELD))).ok()
    (await jane.post(ROLES, role("twin", HELD))).ok(201)
    attempts = [
        ("POST", ROLES, role("big", SECRETS), "application/json"),
        ("POST", ROLES, role("big", EVERYTHING), "application/json"),
        ("POST", f"{ROLES}?dryRun=All", role("big", SECRETS), "application/json"),
        ("PUT", f"{ROLES}/small", role("small", SECRETS), "application/json"),
        ("PUT", f"{ROLES}/new", role("new", SECRETS), "application/json"),
        ("PATCH", f"{ROLES}/small", {"rules": [SECRETS]}, MERGE),
        ("PATCH", f"{ROLES}/small", {"rules": [SECRETS]}, STRATEGIC),
        ("PATCH", f"{ROLES}/small", [{"op": "add", "path": "/rules/-", "value": SECRETS}], JSON),
        ("PATCH", f"{ROLES}/small", [{"op": "add", "path": "/rules/0/verbs/-", "value": "*"}], JSON),
        ("PATCH", f"{ROLES}/small", [{"op": "replace", "path": "/rules/0/resources/0", "value": "secrets"}], JSON),
        ("PATCH", f"{ROLES}/small?fieldManager=m&force=true", role("small", SECRETS), APPLY),
        ("PATCH", f"{ROLES}/fresh?fieldManager=m", role("fresh", SECRETS), APPLY),
        ("POST", ROLES, role("big", rule("impersonate", "users groups")), "application/json"),
        ("POST", ROLES, role("big", rule("escalate bind", "roles", GROUP)), "application/json"),
        ("POST", ROLES, role("big", rule("get", "configmaps/*")), "application/json"),
        ("POST", ROLES, role("big", rule("get", "*")), "application/json"),
        ("POST", ROLES, role("big", rule("*", "configmaps")), "application/json"),
        ("POST", ROLES, role("big", rule("get", "configmaps", "*")), "application/json"),
    ]
    for method, path, body, media in attempts:
        refused = await jane.ask(method, path, body, media=media)
        assert refused.code == 403, (method, path, body, refused.body)
        assert "attempting to grant RBAC permissions not currently held" in refused.message
    assert {each["metadata"]["name"] for each in (await world.admin.get(ROLES)).json["items"]} == {
        "of-jane", "of-mallory", "small", "twin"}  # fmt: skip
    assert (await world.admin.get(f"{ROLES}/small")).json["rules"] == [HELD]
    # Labels of a role that holds more are hers to set; its rules stay as they are.
    (await world.admin.post(ROLES, role("of-others", SECRETS))).ok()
    (await jane.merge(f"{ROLES}/of-others", {"metadata": {"labels": {"a": "b"}}})).ok()


async def test_bindings_grant_no_more_than_their_writer_holds(world: World, jane: Api) -> None:
    await world.admin.post(ROLES, role("small", HELD))
    await world.admin.post(ROLES, role("big", SECRETS))
    await world.admin.post(BINDINGS, binding("standing", "big", user("boss")))
    (await jane.post(BINDINGS, binding("ok", "small", user("eve")))).ok(201)
    eve = user("eve")
    for method, path, body, media in [
        ("POST", BINDINGS, binding("x", "big", eve), "application/json"),
        ("POST", BINDINGS, binding("x", "cluster-admin", eve, "ClusterRole"), "application/json"),
        ("POST", BINDINGS, binding("x", "admin", user("jane"), "ClusterRole"), "application/json"),
        ("PUT", f"{BINDINGS}/x", binding("x", "big", eve), "application/json"),
        ("PATCH", f"{BINDINGS}/x?fieldManager=m", binding("x", "big", eve), APPLY),
        ("PATCH", f"{BINDINGS}/standing", {"subjects": [user("jane")]}, MERGE),
        ("PATCH", f"{BINDINGS}/standing", [{"op": "add", "path": "/subjects/-", "value": user("jane")}], JSON),
        ("PATCH", f"{BINDINGS}/standing", [{"op": "replace", "path": "/subjects/0/name", "value": "jane"}], JSON),
        ("PATCH", f"{BINDINGS}/standing?fieldManager=m&force=true", binding("standing", "big", user("jane")), APPLY),
    ]:
        refused = await jane.ask(method, path, body, media=media)
        assert refused.code == 403, (method, path, refused.body)
    # What a binding refers to never changes, whoever asks.
    for patch, media in (({"roleRef": {"name": "big"}}, MERGE), ({"roleRef": {"name": "big"}}, STRATEGIC),
                         ([{"op": "replace", "path": "/roleRef/name", "value": "big"}], JSON)):  # fmt: skip
        assert (await jane.ask("PATCH", f"{BINDINGS}/ok", patch, media=media)).code in (403, 422)
    # A role that is not there cannot be bound, to be made later by somebody who knows nothing of it.
    assert (await jane.post(BINDINGS, binding("x", "to-come", eve))).code == 404
    assert (await world.as_user("jane").get(f"{MINE}/secrets/any")).code == 403
    # `bind` is the explicit way out, for that role alone; `escalate` that for roles.
    await grant(
        world, "mine", "jane", rule("bind", "roles", GROUP, "big"), rule("escalate", "roles", GROUP), name="out"
    )
    (await jane.post(BINDINGS, binding("x", "big", eve))).ok(201)
    assert (await jane.post(BINDINGS, binding("y", "cluster-admin", eve, "ClusterRole"))).code == 403
    (await jane.post(ROLES, role("huge", EVERYTHING))).ok(201)


async def test_roles_of_the_cluster_gather_nothing_for_free(world: World) -> None:
    rights = rule("create update patch", "clusterroles clusterrolebindings", GROUP)
    jane = await grant(world, "", "jane", rights, HELD)
    at = f"{RBAC}/clusterroles"
    aggregation = {"clusterRoleSelectors": [{"matchLabels": {"any": "thing"}}]}
    view = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    for method, path, body, media in [
        ("POST", at, {**role("x", kind="ClusterRole"), "aggregationRule": aggregation}, "application/json"),
        ("POST", at, role("x", SECRETS, kind="ClusterRole", labels=view), "application/json"),
        ("PATCH", f"{at}/of-jane", {"aggregationRule": aggregation}, MERGE),
        ("PATCH", f"{at}/view", {"aggregationRule": aggregation}, MERGE),
        ("PATCH", f"{at}/of-jane", {"rules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}, MERGE),
        ("POST", f"{RBAC}/clusterrolebindings", {**binding("x", "cluster-admin", user("jane"), "ClusterRole"),
                                                 "kind": "ClusterRoleBinding"}, "application/json"),
    ]:  # fmt: skip
        refused = await jane.ask(method, path, body, media=media)
        assert refused.code == 403, (method, path, refused.body)
    (await jane.post(at, role("x", HELD, kind="ClusterRole", labels=view))).ok(201)


async def test_nobody_is_taken_for_another_without_the_right(world: World) -> None:
    robot = "system:serviceaccount:theirs:default"
    may_users = await grant(world, "", "jane", rule("impersonate", "users", names="bob"), rule("get", "configmaps"))
    for fields in (
        [("Impersonate-User", "admin")], [("Impersonate-User", "system:admin")], [("Impersonate-User", robot)],
        [("Impersonate-User", "bob"), ("Impersonate-Group", "system:masters")],
        [("Impersonate-User", "bob"), ("Impersonate-Group", "dev"), ("Impersonate-Group", "system:masters")],
        [("Impersonate-User", "bob"), ("Impersonate-Group", "dev, system:masters")],
        [("Impersonate-User", "bob"), ("impersonate-group", "system:masters")],
        [("Impersonate-User", "bob"), ("IMPERSONATE-GROUP", "system:masters")],
        [("Impersonate-User", "bob"), ("Impersonate-Group", "system:nodes")],
        [("Impersonate-User", "system:node:n1"), ("Impersonate-Group", "system:nodes")],
        [("Impersonate-User", "bob"), ("Impersonate-Uid", "1")],
        [("Impersonate-User", "bob"), ("Impersonate-Extra-Scopes", "all")],
        [("Impersonate-User", "bob"), ("Impersonate-Extra-%53copes", "all")],
        [("Impersonate-User", "bob"), ("Impersonate-User", "admin")],
        [("Impersonate-User", "bob, admin")], [("Impersonate-User", "BOB")], [("Impersonate-User", " ")],
        [("Impersonate-User", "b%6fb")], [("Impersonate-User", "bob\t")], [("Impersonate-User", "")],
        [("Impersonate-User", "bob"), ("Impersonate-Group", "system:unauthenticated")],
        [("Impersonate-Group", "system:masters")], [("Impersonate-Uid", "1")],
    ):  # fmt: skip
        refused = await with_headers(world, may_users, *fields).get("/api/v1/namespaces/kube-system/secrets")
        assert refused.code in (403, 500), (fields, refused.code, refused.body)
        if refused.code == 500:  # as the original: it makes no sense without a user
            assert "without impersonating a user" in refused.message
        assert "cannot list resource" in refused.message or "impersonat" in refused.message, (fields, refused.message)
    asked = await who(with_headers(world, may_users, ("Impersonate-User", "bob")))
    assert asked["username"] == "bob"
    # Rights of the asker do not come along.
    refused = await with_headers(world, may_users, ("Impersonate-User", "bob")).get(f"{MINE}/configmaps/x")
    assert refused.code == 403 and 'User "bob"' in refused.message
    # Nor does anything in a namespace give the right to be somebody of the cluster.
    mallory = world.as_user("mallory")
    for fields in ([("Impersonate-User", "admin")], [("Impersonate-User", "bob"), ("Impersonate-Group", "dev")],
                   [("Impersonate-User", robot)]):  # fmt: skip
        assert (await with_headers(world, mallory, *fields).get(f"{MINE}/configmaps")).code == 403
    own = with_headers(world, mallory, ("Impersonate-User", "system:serviceaccount:mine:default"))
    assert (await who(own))["username"] == "system:serviceaccount:mine:default"


async def test_tokens_of_accounts_elsewhere_are_not_to_be_had(world: World, mallory: Api) -> None:
    await world.admin.post(f"{THEIRS}/pods", pod("it"))
    request = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"audiences": []})
    assert (await mallory.post(f"{THEIRS}/serviceaccounts/default/token", request)).code == 403
    for body, codes in (
        ({**request, "metadata": {"namespace": "theirs"}}, (400, 422)),
        ({**request, "metadata": {"name": "other"}}, (422,)),
        ({**request, "spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "it"}}}, (404,)),
        ({**request, "spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "../theirs/it"}}}, (404,)),
        ({**request, "spec": {"expirationSeconds": 2**62}}, (422,)),
        ({**request, "spec": {"expirationSeconds": 1}}, (422,)),
    ):  # fmt: skip
        answered = await mallory.post(f"{MINE}/serviceaccounts/default/token", body)
        assert answered.code in codes, (body, answered.code, answered.body)
    got = (await mallory.post(f"{MINE}/serviceaccounts/default/token", request)).ok(201)
    assert (await who(world.with_token(got["status"]["token"])))["username"] == "system:serviceaccount:mine:default"
    # A token for others is none for this server.
    aside = {**request, "spec": {"audiences": ["vault"]}}
    got = (await mallory.post(f"{MINE}/serviceaccounts/default/token", aside)).ok(201)
    assert (await world.with_token(got["status"]["token"]).get("/version")).code == 401


async def test_a_secret_names_no_account_of_another_namespace(world: World, mallory: Api) -> None:
    kind = "kubernetes.io/service-account-token"
    await world.admin.post(f"{THEIRS}/serviceaccounts", obj("ServiceAccount", "boss"))
    for account in ("boss", "theirs/boss", "../theirs/boss", "theirs:boss", "system:serviceaccount:theirs:boss"):
        name = f"t-{len(account)}"
        annotations = {"kubernetes.io/service-account.name": account}
        made = await mallory.post(
            f"{MINE}/secrets", obj("Secret", name, type=kind, metadata={"annotations": annotations})
        )
        if made.code != 201:
            continue
        for _ in range(50):
            left = await mallory.get(f"{MINE}/secrets/{name}")
            if left.code == 404:
                break
            assert "token" not in (left.json.get("data") or {})
            await world.clock.sleep(0.01)
        assert left.code == 404, account
    # One that brings a token of its own brings nothing that counts.
    claimed = obj("Secret", "own", type=kind, stringData={"token": "e30.e30.e30"},
                  metadata={"annotations": {"kubernetes.io/service-account.name": "default"}})  # fmt: skip
    (await mallory.post(f"{MINE}/secrets", claimed)).ok()
    assert (await world.with_token("e30.e30.e30").get("/version")).code == 401


CLUSTER = [
    ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
    ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
    ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "CustomResourceDefinition"),
    ("/apis/apiregistration.k8s.io/v1/apiservices", "APIService"),
    ("/apis/certificates.k8s.io/v1/certificatesigningrequests", "CertificateSigningRequest"),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", "PriorityClass"),
    ("/apis/node.k8s.io/v1/runtimeclasses", "RuntimeClass"),
    ("/apis/storage.k8s.io/v1/storageclasses", "StorageClass"),
    ("/apis/storage.k8s.io/v1/csidrivers", "CSIDriver"),
    ("/api/v1/persistentvolumes", "PersistentVolume"), ("/api/v1/nodes", "Node"), ("/api/v1/namespaces", "Namespace"),
    (f"{RBAC}/clusterroles", "ClusterRole"), (f"{RBAC}/clusterrolebindings", "ClusterRoleBinding"),
    ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "SubjectAccessReview"),
    ("/apis/authentication.k8s.io/v1/tokenreviews", "TokenReview"),
]  # fmt: skip


async def test_what_is_of_the_cluster_takes_rights_in_the_cluster(world: World, mallory: Api) -> None:
    await grant(world, "mine", "adam", rule("get", "nothing"), name="nothing")
    (await world.admin.post(f"{RBAC}/namespaces/mine/rolebindings",
                            binding("admin", "cluster-admin", user("adam"), "ClusterRole"))).ok()  # fmt: skip
    for api in (mallory, world.as_user("adam")):
        for path, kind in CLUSTER:
            group = path.removeprefix("/apis/").rpartition("/")[0] if path.startswith("/apis") else "v1"
            body = obj(kind, "x", group)
            for method, at, media in (("POST", path, "application/json"), ("GET", path, ""), ("DELETE", path, ""),
                                      ("PUT", f"{path}/x", "application/json"), ("GET", f"{path}/x", ""),
                                      ("PATCH", f"{path}/x", MERGE), ("PATCH", f"{path}/x?fieldManager=m", APPLY),
                                      ("PUT", f"{path}/x/approval", "application/json"),
                                      ("PUT", f"{path}/x/status", "application/json"),
                                      ("GET", f"{path}/x/proxy/pods", "")):  # fmt: skip
                answered = await api.ask(method, at, body if media else None, media=media)
                assert answered.code == 403, (method, at, answered.code, answered.body)
    # One's own namespace is an object that rights in it reach: as in the original, PodSecurity labels are the admin's.
    (await mallory.merge(MINE, {"metadata": {"labels": {"a": "b"}}})).ok()
    assert (await mallory.merge(THEIRS, {"metadata": {"labels": {"a": "b"}}})).code == 403


async def test_default_roles_of_people_do_not_touch_the_levels_of_their_namespace(world: World) -> None:
    """`admin` of a namespace may not loosen its Pod Security: the default roles do not write Namespaces."""
    for name in ("admin", "edit", "view"):
        (await world.admin.post(BINDINGS, binding(f"as-{name}", name, user(f"u-{name}"), "ClusterRole"))).ok()
        api = world.as_user(f"u-{name}")
        assert (await api.merge(MINE, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}})
                ).code == 403  # fmt: skip
        assert (await api.get(MINE)).code == 200
        secrets = await api.get(f"{MINE}/secrets")
        assert secrets.code == (403 if name == "view" else 200)
        assert (await api.post(f"{MINE}/resourcequotas", obj("ResourceQuota", "q", spec={}))).code == 403
        assert (await api.get("/api/v1/nodes")).code == 403
        assert (await api.get(f"{THEIRS}/pods")).code == 403


def of_level(level: str) -> dict:
    return {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}


SAFE = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip


def safe_pod(name: str, **spec) -> dict:
    return obj("Pod", name, spec={"containers": [{"name": "c", "image": "x", "securityContext": SAFE}], **spec})


async def test_pod_security_is_not_walked_around(world: World) -> None:
    (await world.admin.merge(MINE, of_level("restricted"))).ok()
    jane = await grant(world, "mine", "jane", rule("* ", "pods pods/ephemeralcontainers pods/resize pods/status"),
                       rule("*", "deployments", "apps"))  # fmt: skip
    at = f"{MINE}/pods"
    (await jane.post(at, safe_pod("good"))).ok(201)
    bad = {"name": "i", "image": "x", "securityContext": {**SAFE, "privileged": True, "allowPrivilegeEscalation": True}}
    for spec in (
        {"hostNetwork": True}, {"hostPID": True}, {"hostIPC": True}, {"initContainers": [bad]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/etc", "type": "Directory"}}]},
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        {"securityContext": {"windowsOptions": {"hostProcess": True}}, "hostNetwork": True},
        {"securityContext": {"runAsUser": 0}}, {"containers": [{**bad, "name": "c"}]},
        {"containers": [{"name": "c", "image": "x", "securityContext": {**SAFE, "procMount": "Unmasked"}}]},
        {"containers": [{"name": "c", "image": "x", "securityContext": SAFE, "ports": [
            {"containerPort": 80, "hostPort": 80}]}]},
        {"containers": [{"name": "c", "image": "x", "securityContext": {**SAFE, "capabilities": {
            "drop": ["ALL"], "add": ["SYS_ADMIN"]}}}]},
        {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
    ):  # fmt: skip
        for refused in (await jane.post(at, safe_pod("bad", **spec)),
                        await jane.apply(f"{at}/bad", safe_pod("bad", **spec))):  # fmt: skip
            assert refused.code in (403, 422), (spec, refused.body)
            assert refused.code == 422 or "violates PodSecurity" in refused.message, refused.message
    debugger = {"ephemeralContainers": [{"name": "d", "image": "x", "securityContext": {"privileged": True}}]}
    for media, patch in (
        (STRATEGIC, {"spec": debugger}),
        (MERGE, {"spec": debugger}),
        (JSON, [{"op": "add", "path": "/spec/ephemeralContainers", "value": debugger["ephemeralContainers"]}]),
    ):
        refused = await jane.ask("PATCH", f"{at}/good/ephemeralcontainers", patch, media=media)
        assert refused.code == 403 and "violates PodSecurity" in refused.message, refused.body
    fine = {"ephemeralContainers": [{"name": "d", "image": "x", "securityContext": SAFE}]}
    (await jane.ask("PATCH", f"{at}/good/ephemeralcontainers", {"spec": fine}, media=STRATEGIC)).ok()
    # Neither status, resize nor annotations loosen what stands.
    before = (await world.admin.get(f"{at}/good")).json["spec"]
    for path in ("status", "resize"):
        await jane.ask("PATCH", f"{at}/good/{path}", {"spec": {"hostNetwork": True, "hostPID": True}}, media=MERGE)
        assert (await world.admin.get(f"{at}/good")).json["spec"] == before
    # A label on the pod, or a body that says it is in another namespace, is no way out.
    loose = safe_pod("x", hostNetwork=True)
    loose["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "privileged"}
    assert (await jane.post(at, loose)).code == 403
    loose["metadata"]["namespace"] = "theirs"
    assert (await jane.post(at, loose)).code == 400
    # The level does not come off while a namespace is written by who may not.
    assert (await jane.merge(MINE, of_level("privileged"))).code == 403


async def test_accounts_of_pods_are_those_of_their_namespace(world: World, mallory: Api) -> None:
    await world.admin.post(f"{THEIRS}/serviceaccounts", obj("ServiceAccount", "boss"))
    for name in ("boss", "theirs/boss", "theirs:boss", "../theirs/boss"):
        assert (await mallory.post(f"{MINE}/pods", pod("x", serviceAccountName=name))).code in (403, 422), name
    (await mallory.post(f"{MINE}/pods", pod("x", serviceAccountName="default"))).ok()
    # Whose pod it is never changes.
    assert (await mallory.merge(f"{MINE}/pods/x", {"spec": {"serviceAccountName": "boss"}})).code == 422
    source = {"serviceAccountToken": {"path": "t", "audience": "", "expirationSeconds": 10}}
    volume = {"name": "t", "projected": {"sources": [source]}}
    assert (await mallory.post(f"{MINE}/pods", pod("y", volumes=[volume]))).code == 422


async def test_reviews_answer_about_oneself_alone(world: World, mallory: Api) -> None:
    authorization = "/apis/authorization.k8s.io/v1"
    about = {"namespace": "theirs", "verb": "get", "resource": "secrets"}
    review = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1", spec={"resourceAttributes": about})
    assert (await mallory.post(f"{authorization}/selfsubjectaccessreviews", review)).ok()["status"]["allowed"] is False
    about = {**about, "namespace": "mine"}
    review["spec"] = {"resourceAttributes": about}
    assert (await mallory.post(f"{authorization}/selfsubjectaccessreviews", review)).ok()["status"]["allowed"] is True
    local = obj(
        "LocalSubjectAccessReview",
        "",
        "authorization.k8s.io/v1",
        spec={"user": "admin", "groups": ["system:masters"], "resourceAttributes": {**about, "namespace": "theirs"}},
    )
    assert (await mallory.post(f"{authorization}/namespaces/theirs/localsubjectaccessreviews", local)).code == 403
    assert (await mallory.post(f"{authorization}/namespaces/mine/localsubjectaccessreviews", local)).code == 400
    rules = obj("SelfSubjectRulesReview", "", "authorization.k8s.io/v1", spec={"namespace": "theirs"})
    listed = (await mallory.post(f"{authorization}/selfsubjectrulesreviews", rules)).ok()["status"]["resourceRules"]
    assert not any("secrets" in each["resources"] or "*" in each["resources"] for each in listed)


async def test_a_token_is_not_reviewed_for_everybody(world: World, mallory: Api) -> None:
    token = base64.b64encode(b"x").decode()
    review = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": token})
    assert (await mallory.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).code == 403
    assert (await world.admin.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).ok()["status"]["user"] == {}
