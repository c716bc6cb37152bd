"""RBAC as a table, and the reviews that ask it."""

import pytest
from tests.server.world import CM, Api, World, config_map, obj

RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"


def rule(verbs: str, resources: str = "", groups: str = "", names: str = "", urls: str = "") -> dict:
    if urls:
        return {"verbs": verbs.split(), "nonResourceURLs": urls.split()}
    made = {
        "verbs": verbs.split(),
        "apiGroups": [each.strip("'") for each in (groups or "''").split()],
        "resources": resources.split(),
    }
    return {**made, "resourceNames": names.split()} if names else made


async def bind(
    admin: Api, name: str, rules: list[dict], subject: dict, namespace: str = "", role_kind: str = ""
) -> None:
    """A role with these rules and a binding to it; cluster-wide without a namespace."""
    role_kind = role_kind or ("Role" if namespace else "ClusterRole")
    there = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    role_at = f"{there}/roles" if role_kind == "Role" else f"{RBAC}/clusterroles"
    (await admin.post(role_at, obj(role_kind, name, f"{GROUP}/v1", rules=rules))).ok()
    binding = obj(
        "RoleBinding" if namespace else "ClusterRoleBinding",
        name,
        f"{GROUP}/v1",
        subjects=[subject],
        roleRef={"apiGroup": GROUP, "kind": role_kind, "name": name},
    )
    (await admin.post(f"{there}/{'role' if namespace else 'clusterrole'}bindings", binding)).ok()


JANE = {"kind": "User", "apiGroup": GROUP, "name": "jane"}
DEV = {"kind": "Group", "apiGroup": GROUP, "name": "dev"}
P, D = "/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/deployments"

# rules, subject, namespace, role kind; then (method, path, allowed)
TABLE = [
    (
        "verbs",
        [rule("get list", "pods")],
        JANE,
        "default",
        "",
        [
            ("GET", P, True),
            ("GET", f"{P}/a", True),
            ("GET", f"{P}?watch=1", False),
            ("POST", P, False),
            ("DELETE", P, False),
            ("DELETE", f"{P}/a", False),
            ("PUT", f"{P}/a", False),
            ("PATCH", f"{P}/a", False),
            ("GET", "/api/v1/namespaces/kube-system/pods", False),
            ("GET", "/api/v1/pods", False),
            ("GET", f"{P}/a/log", False),
            ("GET", CM, False),
            ("GET", D, False),
        ],
    ),
    ("group", [rule("get", "pods")], DEV, "default", "", [("GET", f"{P}/a", True), ("GET", P, False)]),
    ("other", [rule("*", "*", "*")], {**JANE, "name": "joe"}, "", "", [("GET", P, False), ("GET", "/apis", True)]),
    (
        "everywhere",
        [rule("list", "pods")],
        JANE,
        "",
        "",
        [("GET", P, True), ("GET", "/api/v1/pods", True), ("GET", "/api/v1/namespaces/kube-system/pods", True)],
    ),
    (
        "cluster role in a namespace",
        [rule("list", "pods"), rule("list", "nodes")],
        JANE,
        "default",
        "ClusterRole",
        [("GET", P, True), ("GET", "/api/v1/pods", False), ("GET", "/api/v1/nodes", False)],
    ),
    (
        "all verbs",
        [rule("*", "configmaps")],
        JANE,
        "default",
        "",
        [("GET", CM, True), ("DELETE", CM, True), ("PATCH", f"{CM}/a", True), ("GET", P, False)],
    ),
    (
        "all resources",
        [rule("get", "*")],
        JANE,
        "default",
        "",
        [("GET", f"{CM}/a", True), ("GET", f"{P}/a/log", True), ("GET", f"{D}/a", False), ("GET", CM, False)],
    ),
    (
        "all groups",
        [rule("get", "deployments", "*")],
        JANE,
        "default",
        "",
        [("GET", f"{D}/a", True), ("GET", f"{D}/a/scale", False)],
    ),
    (
        "subresources",
        [rule("get update", "pods/status deployments/scale", "'' apps")],
        JANE,
        "default",
        "",
        [
            ("GET", f"{P}/a/status", True),
            ("PUT", f"{P}/a/status", True),
            ("GET", f"{P}/a", False),
            ("GET", f"{D}/a/scale", True),
            ("GET", f"{D}/a/status", False),
        ],
    ),
    (
        "a subresource of everything",
        [rule("get", "*/scale", "*")],
        JANE,
        "default",
        "",
        [("GET", f"{D}/a/scale", True), ("GET", f"{D}/a", False)],
    ),
    (
        "names",
        [rule("get update delete list watch deletecollection create", "configmaps", names="one two")],
        JANE,
        "default",
        "",
        [
            ("GET", f"{CM}/one", True),
            ("GET", f"{CM}/three", False),
            ("DELETE", f"{CM}/two", True),
            ("GET", CM, False),
            ("GET", f"{CM}?fieldSelector=metadata.name%3Done", True),
            ("GET", f"{CM}?fieldSelector=metadata.name%3Dthree", False),
            ("GET", f"{CM}?fieldSelector=metadata.name!%3Done", False),
            ("GET", f"{CM}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dtwo", True),
            ("DELETE", f"{CM}?fieldSelector=metadata.name%3Done", True),
            ("DELETE", CM, False),
            ("POST", CM, False),
        ],
    ),
    (
        "paths",
        [rule("get", urls="/metrics /logs/*")],
        JANE,
        "",
        "",
        [
            ("GET", "/metrics", True),
            ("GET", "/logs/x/y", True),
            ("GET", "/logs", False),
            ("GET", "/debug", False),
            ("POST", "/metrics", False),
        ],
    ),
    (
        "all paths",
        [rule("*", urls="*")],
        JANE,
        "",
        "",
        [("GET", "/metrics", True), ("GET", "/debug", True), ("POST", "/x", True), ("GET", P, False)],
    ),
    (
        "the namespace itself",
        [rule("get", "namespaces")],
        JANE,
        "default",
        "ClusterRole",
        [
            ("GET", "/api/v1/namespaces/default", True),
            ("GET", "/api/v1/namespaces/kube-system", False),
            ("GET", "/api/v1/namespaces", False),
        ],
    ),
    ("a default role", [], {"kind": "Group", "name": "none", "apiGroup": GROUP}, "", "", [("GET", P, False)]),
]


@pytest.mark.parametrize(
    ("name", "rules", "subject", "namespace", "kind", "cases"), TABLE, ids=[row[0] for row in TABLE]
)
async def test_rbac(world: World, name, rules, subject, namespace, kind, cases) -> None:
    await bind(world.admin, "tested", rules, subject, namespace, kind)
    jane = world.as_user("jane", "dev")
    for method, path, allowed in cases:
        body = {} if method in ("POST", "PUT", "PATCH") else None
        answer = await jane.ask(method, path, body)
        assert (answer.code != 403) == allowed, (method, path, answer.code, answer.body[:300])


async def test_the_roles_for_people(world: World) -> None:
    binding = obj(
        "RoleBinding",
        "b",
        f"{GROUP}/v1",
        subjects=[JANE],
        roleRef={"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"},
    )
    jane = world.as_user("jane")
    at = f"{RBAC}/namespaces/default/rolebindings"
    (await world.admin.post(at, binding)).ok()
    assert (await jane.get(CM)).code == 200
    assert (await jane.get("/api/v1/namespaces/default/secrets")).code == 403
    assert (await jane.post(CM, config_map("a"))).code == 403
    (await world.admin.delete(f"{at}/b")).ok()
    binding["roleRef"]["name"] = "edit"
    (await world.admin.post(at, binding)).ok()
    assert (await jane.post(CM, config_map("a"))).code == 201
    assert (await jane.get("/api/v1/namespaces/default/secrets")).code == 200
    assert (await jane.get(f"{RBAC}/namespaces/default/roles")).code == 403
    (await world.admin.delete(f"{at}/b")).ok()
    binding["roleRef"]["name"] = "admin"
    (await world.admin.post(at, binding)).ok()
    assert (await jane.get(f"{RBAC}/namespaces/default/roles")).code == 200
    assert (await jane.get("/api/v1/nodes")).code == 403


async def test_a_change_counts_at_once(both: World) -> None:
    jane = both.as_user("jane")
    await bind(both.admin, "r", [rule("list", "configmaps")], JANE, "default")
    assert (await jane.get(CM)).code == 200
    role = f"{RBAC}/namespaces/default/roles/r"
    (await both.admin.merge(role, {"rules": [rule("list", "pods")]})).ok()
    assert (await jane.get(CM)).code == 403
    assert (await jane.get(P)).code == 200
    (await both.admin.delete(role)).ok()
    assert (await jane.get(P)).code == 403
    (
        await both.admin.post(
            f"{RBAC}/namespaces/default/roles", obj("Role", "r", f"{GROUP}/v1", rules=[rule("list", "configmaps")])
        )
    ).ok()
    assert (await jane.get(CM)).code == 200
    (await both.admin.merge(f"{RBAC}/namespaces/default/rolebindings/r", {"subjects": [DEV]})).ok()
    assert (await jane.get(CM)).code == 403
    assert (await both.as_user("joe", "dev").get(CM)).code == 200


async def test_nobody_grants_more_than_they_have(world: World) -> None:
    """Escalation: a role may be written, or bound, only by those who hold all it grants (or the verbs for it)."""
    await bind(world.admin, "rbac", [rule("*", "roles rolebindings", GROUP), rule("get list", "pods")], JANE, "default")
    jane = world.as_user("jane")
    roles, bindings = f"{RBAC}/namespaces/default/roles", f"{RBAC}/namespaces/default/rolebindings"
    held = obj("Role", "held", f"{GROUP}/v1", rules=[rule("get", "pods")])
    more = obj("Role", "more", f"{GROUP}/v1", rules=[rule("delete", "pods"), rule("get", "secrets")])
    assert (await jane.post(roles, held)).code == 201
    # jane has every verb on roles, `escalate` and `bind` among them:
    assert (await jane.post(roles, more)).code == 201
    await bind(
        world.admin,
        "plain",
        [rule("get list create update patch", "roles rolebindings", GROUP), rule("get list", "pods")],
        {**JANE, "name": "joe"},
        "default",
    )
    joe = world.as_user("joe")
    assert (await joe.post(roles, {**held, "metadata": {"name": "held2"}})).code == 201
    refused = await joe.post(roles, {**more, "metadata": {"name": "more2"}})
    assert refused.code == 403 and "is attempting to grant RBAC permissions not currently held" in refused.message
    assert 'APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' in refused.message
    grown = await joe.merge(f"{roles}/held2", {"rules": more["rules"]})
    assert grown.code == 403
    applied = await joe.apply(f"{roles}/held3", {**more, "metadata": {"name": "held3"}})
    assert applied.code == 403

    def to(name: str, kind: str = "Role") -> dict:
        return obj(
            "RoleBinding",
            f"to-{name}",
            f"{GROUP}/v1",
            subjects=[{**JANE, "name": "joe"}],
            roleRef={"apiGroup": GROUP, "kind": kind, "name": name},
        )

    assert (await joe.post(bindings, to("held2"))).code == 201
    assert (await joe.post(bindings, to("more"))).code == 403
    assert (await joe.post(bindings, to("cluster-admin", "ClusterRole"))).code == 403
    assert (await joe.post(bindings, to("absent"))).code in (403, 404)
    # With `bind` on a role by name, it may be bound.
    await bind(world.admin, "binder", [rule("bind", "roles", GROUP, names="more")], {**JANE, "name": "joe"}, "default")
    assert (await joe.post(bindings, to("more"))).code == 201


async def test_reviews(world: World) -> None:
    await bind(world.admin, "r", [rule("get", "pods", names="a"), rule("list", "pods")], JANE, "default")

    async def may(path: str, kind: str, spec: dict, api: Api | None = None) -> bool:
        body = obj(kind, "", "authorization.k8s.io/v1", spec=spec)
        answer = (await (api or world.admin).post(f"{AUTHORIZATION}/{path}", body)).ok(201)
        assert answer["kind"] == kind
        return bool(answer["status"]["allowed"])

    pods = {"namespace": "default", "resource": "pods"}
    for attributes, allowed in (
        ({"verb": "list"}, True),
        ({"verb": "get"}, False),
        ({"verb": "get", "name": "a"}, True),
        ({"verb": "get", "name": "a", "subresource": "log"}, False),
        ({"verb": "list", "namespace": "x"}, False),
    ):
        asked = {"resourceAttributes": {**pods, **attributes}}
        assert await may("subjectaccessreviews", "SubjectAccessReview", {"user": "jane", **asked}) == allowed
        assert await may("selfsubjectaccessreviews", "SelfSubjectAccessReview", asked, world.as_user("jane")) == allowed
    local = "namespaces/default/localsubjectaccessreviews"
    asked = {"user": "jane", "resourceAttributes": {**pods, "verb": "list"}}
    assert await may(local, "LocalSubjectAccessReview", asked)
    masters = {"user": "x", "groups": ["system:masters"], "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert await may("subjectaccessreviews", "SubjectAccessReview", masters)
    for spec, code in (({}, 422), ({"user": "jane"}, 422), ({**asked, "nonResourceAttributes": {"path": "/"}}, 422)):
        body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec=spec)
        assert (await world.admin.post(f"{AUTHORIZATION}/subjectaccessreviews", body)).code in (code, 400), spec
    body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec=asked)
    assert (await world.as_user("jane").post(f"{AUTHORIZATION}/subjectaccessreviews", body)).code == 403


async def test_rules_of_oneself(world: World) -> None:
    await bind(world.admin, "r", [rule("list", "pods")], JANE, "default")
    body = obj("SelfSubjectRulesReview", "", "authorization.k8s.io/v1", spec={"namespace": "default"})
    status = (await world.as_user("jane").post(f"{AUTHORIZATION}/selfsubjectrulesreviews", body)).ok(201)["status"]
    assert {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]} in status["resourceRules"]
    assert any("/version" in each["nonResourceURLs"] for each in status["nonResourceRules"])
    assert not status["incomplete"]
