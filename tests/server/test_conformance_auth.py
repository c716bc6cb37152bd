"""The conformance suite's stories of accounts, their tokens and reviews, told to this server."""

import pytest
from tests.server.test_authentication import REVIEWS, token
from tests.server.test_authorization import AUTHORIZATION, RBAC, rule
from tests.server.test_impersonation import acting
from tests.server.world import ACCOUNTS, PODS, World, obj, pod

from kaa.server.authn.jwt import public_keys, read_token, verifies


@pytest.mark.conformance("ServiceAccount, create and review token")
async def test_a_token_is_made_and_reviewed(world: World) -> None:
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok(201)
    raw = await token(world, "robot")
    assert raw
    body = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": raw})
    status = (await world.admin.post(REVIEWS, body)).ok(201)["status"]
    assert status["authenticated"] and not status.get("error")


@pytest.mark.conformance("OIDC Discovery (ServiceAccountIssuerDiscovery)")
async def test_a_pod_verifies_its_own_token(world: World) -> None:
    made = (await world.admin.post(PODS, pod("p"))).ok(201)
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": made["metadata"]["uid"]}
    raw = await token(world, boundObjectRef=bound, audiences=["oidc-discovery-test"])
    api = world.with_token(await token(world))
    answer = await api.get("/.well-known/openid-configuration")
    configuration = answer.ok(200)
    assert answer.headers["cache-control"] == "public, max-age=3600"
    read = read_token(raw)
    assert read is not None and read.claims["iss"] == configuration["issuer"]
    assert read.algorithm in configuration["id_token_signing_alg_values_supported"]
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    keys = await api.get("/openid/v1/jwks")
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert any(kid == read.key_id and verifies(read, key) for kid, _, key in public_keys(keys.ok(200)))
    assert read.claims["aud"] == ["oidc-discovery-test"]
    assert read.claims["kubernetes.io"]["pod"] == {"name": "p", "uid": made["metadata"]["uid"]}


@pytest.mark.conformance("SubjectReview, API Operations")
async def test_reviews_say_what_happens(world: World) -> None:
    """What is said of an account is what it then meets, when somebody acts as it."""
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok(201)
    user, groups = "system:serviceaccount:default:robot", ["system:authenticated"]
    api = acting(world.admin, world, user=user)
    asked = {"verb": "list", "resource": "configmaps", "namespace": "kube-system", "version": "v1"}

    async def said() -> list[bool]:
        spec = {"user": user, "groups": groups, "resourceAttributes": asked}
        found = []
        for kind, path, body in (
            ("SubjectAccessReview", "subjectaccessreviews", spec),
            ("LocalSubjectAccessReview", "namespaces/kube-system/localsubjectaccessreviews", spec),
        ):
            review = obj(kind, "", "authorization.k8s.io/v1", spec=body)
            found.append((await world.admin.post(f"{AUTHORIZATION}/{path}", review)).ok(201)["status"]["allowed"])
        own = obj("SelfSubjectAccessReview", "", "authorization.k8s.io/v1", spec={"resourceAttributes": asked})
        found.append((await api.post(f"{AUTHORIZATION}/selfsubjectaccessreviews", own)).ok(201)["status"]["allowed"])
        found.append((await api.get("/api/v1/namespaces/kube-system/configmaps")).code == 200)
        return found

    assert await said() == [False] * 4
    at = f"{RBAC}/namespaces/kube-system"
    role = obj("Role", "reader", "rbac.authorization.k8s.io/v1", rules=[rule("list", "configmaps")])
    (await world.admin.post(f"{at}/roles", role)).ok(201)
    binding = obj("RoleBinding", "reader", "rbac.authorization.k8s.io/v1",
                  subjects=[{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"})  # fmt: skip
    (await world.admin.post(f"{at}/rolebindings", binding)).ok(201)
    assert await said() == [True] * 4
