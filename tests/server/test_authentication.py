"""Who asks: certificates, tokens of accounts and of a file; and what nobody may see."""

import base64

import pytest
from tests.server.world import ACCOUNTS, CM, PODS, Api, StoppedClock, World, config_map, obj, pod, running

PUBLIC = ["/healthz", "/livez", "/readyz", "/version"]
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


async def who(api: Api) -> dict:
    answer = await api.post(WHO, obj("SelfSubjectReview", "", "authentication.k8s.io/v1"))
    return answer.ok(201)["status"]["userInfo"]


async def token(world: World, account: str = "default", **spec) -> str:
    body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec=spec)
    return (await world.admin.post(f"{ACCOUNTS}/{account}/token", body)).ok(201)["status"]["token"]


async def test_a_certificate_is_a_user_and_groups(world: World) -> None:
    user = await who(world.as_user("jane", "dev", "ops"))
    assert user["username"] == "jane" and user["groups"] == ["dev", "ops", "system:authenticated"]
    nameless = await world.as_user("", "dev").get("/version")
    assert nameless.code == 401


@pytest.mark.parametrize("path", PUBLIC)
async def test_nobody_sees_health_and_version(world: World, path: str) -> None:
    assert (await world.nobody().get(path)).code == 200


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api", 'forbidden: User "system:anonymous" cannot get path "/api"'),
        ("/apis", 'forbidden: User "system:anonymous" cannot get path "/apis"'),
        ("/metrics", 'forbidden: User "system:anonymous" cannot get path "/metrics"'),
        ("/openapi/v3", 'forbidden: User "system:anonymous" cannot get path "/openapi/v3"'),
        ("/nothing", 'forbidden: User "system:anonymous" cannot get path "/nothing"'),
        (
            "/api/v1/namespaces/default/pods",
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
            '"default"',
        ),
        (
            "/api/v1/nodes/n1",
            'nodes "n1" is forbidden: User "system:anonymous" cannot get resource "nodes" in API group "" at the '
            "cluster scope",
        ),
        (
            "/apis/apps/v1/namespaces/x/deployments/d/scale",
            'deployments.apps "d" is forbidden: User "system:anonymous" cannot get resource "deployments/scale" in API '
            'group "apps" in the namespace "x"',
        ),
    ],
)
async def test_nobody_sees_no_more(world: World, path: str, message: str) -> None:
    answer = await world.nobody().get(path)
    assert (answer.code, answer.reason, answer.message) == (403, "Forbidden", message)


BAD = ["Bearer nonsense", "Bearer a.b.c", "Bearer ", "Basic dXNlcjpwYXNz", "Negotiate x", "Bearer " + "x" * 100_000,
       "Bearer é.ü.ß", "Bearer eyJhbGciOiJub25lIn0.e30."]  # fmt: skip


@pytest.mark.parametrize("header", BAD)
async def test_what_is_claimed_and_not_proven_is_401(world: World, header: str) -> None:
    for path in ("/version", CM):
        answer = await world.with_header("Authorization", header).get(path)
        assert (answer.code, answer.reason, answer.message) == (401, "Unauthorized", "Unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_without_anonymous_everything_needs_credentials() -> None:
    async for world in running(anonymous_auth=False):
        assert (await world.nobody().get("/healthz")).code == 401
        assert (await world.admin.get("/healthz")).code == 200


async def test_a_file_of_tokens(tmp_path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('# who\nsecret1,alice,uid1,"dev,system:masters"\nsecret2,bob,uid2\n')
    async for world in running(token_auth_file=file):
        alice = await who(world.with_token("secret1"))
        assert (alice["username"], alice["uid"]) == ("alice", "uid1")
        assert alice["groups"] == ["dev", "system:masters", "system:authenticated"]
        assert (await world.with_token("secret1").get(CM)).code == 200
        assert (await world.with_token("secret2").get(CM)).code == 403
        assert (await world.with_token("secret").get(CM)).code == 401
        # Tokens of accounts are good beside it.
        assert (await who(world.with_token(await token(world))))["username"] == "system:serviceaccount:default:default"


async def test_an_account_s_token(world: World) -> None:
    raw = await token(world)
    user = await who(world.with_token(raw))
    assert user["username"] == "system:serviceaccount:default:default"
    assert user["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert user["uid"] == (await world.admin.get(f"{ACCOUNTS}/default")).json["metadata"]["uid"]
    # Browsers cannot set headers on a WebSocket: the token comes as a subprotocol.
    wrapped = base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")
    protocol = f"base64url.bearer.authorization.k8s.io.{wrapped}, v5.channel.k8s.io"
    assert (await who(world.with_header("Sec-WebSocket-Protocol", protocol)))["username"] == user["username"]
    # A token with something changed is none.
    head, claims, signature = raw.split(".")
    for other in (f"{head}.{claims}.{signature[:-4]}AAAA", f"{head}.{claims[:-2]}AA.{signature}", raw + "x", raw[1:]):
        assert (await world.with_token(other).get("/version")).code == 401


async def test_a_token_expires(world: World) -> None:
    assert isinstance(world.clock, StoppedClock)
    raw = await token(world, expirationSeconds=600)
    assert (await world.with_token(raw).get("/version")).code == 200
    world.clock.ahead = 599
    assert (await world.with_token(raw).get("/version")).code == 200
    world.clock.ahead = 601
    assert (await world.with_token(raw).get("/version")).code == 401


async def test_what_a_token_request_may_ask(world: World) -> None:
    for spec, code in (
        ({"expirationSeconds": 599}, 422), ({"expirationSeconds": 1 << 33}, 422),
        ({"boundObjectRef": {"kind": "ConfigMap", "name": "x"}}, 400),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}, 404),
        ({"audiences": ["a", "b"]}, 201), ({}, 201),
    ):  # fmt: skip
        body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec=spec)
        answer = await world.admin.post(f"{ACCOUNTS}/default/token", body)
        assert answer.code == code, (spec, answer.body)
    made = answer.json
    assert made["spec"]["expirationSeconds"] == 3600 and made["status"]["expirationTimestamp"].endswith("Z")
    assert made["spec"]["audiences"] == ["https://kubernetes.default.svc.cluster.local"]
    assert (await world.admin.post(f"{ACCOUNTS}/none/token", body)).code == 404
    assert (await world.admin.get(f"{ACCOUNTS}/default/token")).code == 405


async def test_audiences(world: World) -> None:
    raw = await token(world, audiences=["vault"])
    assert (await world.with_token(raw).get("/version")).code == 401

    async def review(**spec) -> dict:
        body = obj("TokenReview", "", "authentication.k8s.io/v1", spec=spec)
        return (await world.admin.post(REVIEWS, body)).ok(201)["status"]

    status = await review(token=raw, audiences=["vault", "other"])
    assert status["authenticated"] and status["audiences"] == ["vault"]
    assert status["user"]["username"] == "system:serviceaccount:default:default"
    assert not (await review(token=raw)).get("authenticated")
    assert not (await review(token=raw, audiences=["other"])).get("authenticated")
    assert not (await review(token="nonsense")).get("authenticated")
    own = await review(token=await token(world))
    assert own["authenticated"] and own["audiences"] == ["https://kubernetes.default.svc.cluster.local"]


async def test_a_token_ends_with_its_account(world: World) -> None:
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok()
    raw = await token(world, "robot")
    api = world.with_token(raw)
    assert (await api.get("/version")).code == 200
    (await world.admin.delete(f"{ACCOUNTS}/robot")).ok()
    assert (await api.get("/version")).code == 401
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok()
    assert (await api.get("/version")).code == 401  # another account of the same name


@pytest.mark.parametrize("kind", ["Pod", "Secret", "Node"])
async def test_a_token_ends_with_what_it_is_bound_to(world: World, kind: str) -> None:
    path = {"Pod": PODS, "Secret": "/api/v1/namespaces/default/secrets", "Node": "/api/v1/nodes"}[kind]
    body = pod("bound") if kind == "Pod" else obj(kind, "bound")
    made = (await world.admin.post(path, body)).ok()
    reference = {"kind": kind, "apiVersion": "v1", "name": "bound"}
    raw = await token(world, boundObjectRef={**reference, "uid": made["metadata"]["uid"]})
    api = world.with_token(raw)
    user = await who(api)
    assert user["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    if kind == "Pod":
        assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["bound"]
    wrong = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"boundObjectRef": {**reference, "uid": "other"}})
    assert (await world.admin.post(f"{ACCOUNTS}/default/token", wrong)).code == 409
    (await world.admin.delete(f"{path}/bound", {"gracePeriodSeconds": 0})).ok()
    assert (await api.get("/version")).code == 401


async def test_a_pod_of_another_account_is_not_bound(world: World) -> None:
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok()
    (await world.admin.post(PODS, pod("p"))).ok()
    body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={
        "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}})  # fmt: skip
    answer = await world.admin.post(f"{ACCOUNTS}/robot/token", body)
    assert answer.code == 400 and "different serviceaccount name" in answer.message


async def test_a_pod_s_token_does_what_is_granted_and_no_more(world: World) -> None:
    api = world.with_token(await token(world))
    assert (await api.get("/api")).code == 200
    refused = await api.get(CM)
    assert (refused.code, refused.message) == (
        403,
        'configmaps is forbidden: User "system:serviceaccount:default:default" cannot list resource "configmaps" in '
        'API group "" in the namespace "default"',
    )
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    role = obj("Role", "reader", "rbac.authorization.k8s.io/v1",
               rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])  # fmt: skip
    binding = obj("RoleBinding", "reader", "rbac.authorization.k8s.io/v1",
                  roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                  subjects=[{"kind": "ServiceAccount", "name": "default", "namespace": "default"}])  # fmt: skip
    (await world.admin.post(f"{rbac}/roles", role)).ok()
    (await world.admin.post(f"{rbac}/rolebindings", binding)).ok()
    assert (await api.get(CM)).code == 200
    assert (await api.post(CM, config_map("a"))).code == 403
    assert (await api.get("/api/v1/namespaces/kube-system/configmaps")).code == 403
    assert (await api.get("/api/v1/configmaps")).code == 403
    (await world.admin.delete(f"{rbac}/rolebindings/reader")).ok()
    assert (await api.get(CM)).code == 403


async def test_keys_are_published_to_accounts(world: World) -> None:
    api = world.with_token(await token(world))
    configuration = (await api.get("/.well-known/openid-configuration")).ok()
    assert configuration["issuer"] == "https://kubernetes.default.svc.cluster.local"
    keys = (await api.get("/openid/v1/jwks")).ok()
    assert keys["keys"][0]["alg"] == "ES256"
