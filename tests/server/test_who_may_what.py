"""Everyone by everything: subjects of every sort crossed with verbs on resources, and what the server says to each.

A letter for each question: `y` allowed, `.` refused. The questions are put as real requests are read: a SubjectAccess-
Review for each, and for one subject by impersonation as well, which must agree.
"""

import pytest
from tests.server.test_authorization import GROUP, bind, rule
from tests.server.world import World, obj, pod

QUESTIONS = [
    # verb, resource[.group][/sub], namespace, name
    ("get", "pods", "default", "p"),
    ("list", "pods", "default", ""),
    ("list", "pods", "", ""),
    ("create", "pods", "default", ""),
    ("create", "pods/exec", "default", "p"),
    ("delete", "pods", "kube-system", "p"),
    ("get", "secrets", "default", "s"),
    ("list", "secrets", "default", ""),
    ("watch", "secrets", "", ""),
    ("update", "configmaps", "default", "c"),
    ("deletecollection", "deployments.apps", "default", ""),
    ("patch", "deployments.apps/scale", "default", "d"),
    ("get", "nodes", "", "n1"),
    ("get", "nodes", "", "n2"),
    ("update", "nodes/status", "", "n1"),
    ("create", "serviceaccounts/token", "default", "default"),
    ("impersonate", "users", "", "root"),
    ("impersonate", "serviceaccounts", "default", "default"),
    ("create", "rolebindings.rbac.authorization.k8s.io", "default", ""),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", "", "x"),
    ("approve", "signers.certificates.k8s.io", "", "kubernetes.io/kube-apiserver-client-kubelet"),
    ("create", "selfsubjectaccessreviews.authorization.k8s.io", "", ""),
    ("get", "/version", "", ""),
    ("get", "/metrics", "", ""),
    ("get", "/openid/v1/jwks", "", ""),
]

ALL = "system:authenticated"
ACCOUNTS = ("system:serviceaccounts", "system:serviceaccounts:default", ALL)
SUBJECTS = [
    # user, groups, expected
    ("system:anonymous", ("system:unauthenticated",), "......................y.."),
    ("nobody", (ALL,), ".....................yy.."),
    ("root", ("system:masters", ALL), "yyyyyyyyyyyyyyyyyyyyyyyyy"),
    ("viewer", (ALL,), "yy...................yy.."),
    ("editor", (ALL,), "yy.yy.yy.yyy...y.y...yy.."),
    ("owner", (ALL,), "yy.yy.yy.yyy...y.yy..yy.."),
    ("one-secret", (ALL,), "......y..............yy.."),
    ("system:serviceaccount:default:default", ACCOUNTS, ".....................yy.y"),
    ("system:serviceaccount:kube-system:generic-garbage-collector",
     ("system:serviceaccounts", "system:serviceaccounts:kube-system", ALL), "yyy..yyyyy.yyyy......yy.y"),
    ("system:serviceaccount:kube-system:certificate-controller",
     ("system:serviceaccounts", "system:serviceaccounts:kube-system", ALL), "....................yyy.y"),
    ("system:kube-scheduler", (ALL,), "yyy..y......yy.......yy.."),
    ("system:node:n1", ("system:nodes", ALL), "y..y.yy.....y.yy.....yy.."),
    ("system:node:n2", ("system:nodes", ALL), "...y.y.......yy......yy.."),
    ("monitor", ("system:monitoring", ALL), ".....................yyy."),
    ("impersonator", (ALL,), "................y....yy.."),
]  # fmt: skip


def attributes(verb: str, what: str, namespace: str, name: str) -> dict:
    if what.startswith("/"):
        return {"nonResourceAttributes": {"verb": verb, "path": what}}
    resource, _, subresource = what.partition("/")
    resource, _, group = resource.partition(".")
    asked = {"verb": verb, "resource": resource, "group": group, "subresource": subresource, "namespace": namespace,
             "name": name}  # fmt: skip
    return {"resourceAttributes": {key: value for key, value in asked.items() if value}}


async def prepared(world: World) -> None:
    for user, role in (("viewer", "view"), ("editor", "edit"), ("owner", "admin")):
        binding = obj("RoleBinding", user, f"{GROUP}/v1", subjects=[{"kind": "User", "apiGroup": GROUP, "name": user}],
                      roleRef={"apiGroup": GROUP, "kind": "ClusterRole", "name": role})  # fmt: skip
        (await world.admin.post(f"/apis/{GROUP}/v1/namespaces/default/rolebindings", binding)).ok()
    user = {"kind": "User", "apiGroup": GROUP, "name": "one-secret"}
    await bind(world.admin, "one-secret", [rule("*", "secrets", names="s")], user, "default")
    await bind(world.admin, "impersonators", [rule("impersonate", "users")], {**user, "name": "impersonator"})
    (await world.admin.post("/api/v1/namespaces/default/pods", pod("p", nodeName="n1", volumes=[
        {"name": "v", "secret": {"secretName": "s"}}]))).ok()  # fmt: skip


@pytest.mark.parametrize(("user", "groups", "expected"), SUBJECTS, ids=[row[0] for row in SUBJECTS])
async def test_everyone_by_everything(world: World, user: str, groups: tuple[str, ...], expected: str) -> None:
    await prepared(world)
    api = world.as_user(user, *(each for each in groups if each != ALL)) if user != "system:anonymous" else None
    said = ""
    for question in QUESTIONS:
        asked = attributes(*question)
        body = obj("SubjectAccessReview", "", "authorization.k8s.io/v1", spec={
            "user": user, "groups": list(groups), **asked})  # fmt: skip
        path = "/apis/authorization.k8s.io/v1/{}subjectaccessreviews"
        allowed = (await world.admin.post(path.format(""), body)).ok(201)["status"]["allowed"]
        said += "y" if allowed else "."
        if api is not None:
            own = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1", spec=asked)
            assert (await api.post(path.format("self"), own)).ok(201)["status"]["allowed"] == allowed, question
    differing = [q for q, one, other in zip(QUESTIONS, said, expected, strict=True) if one != other]
    assert said == expected, differing
