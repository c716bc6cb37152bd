"""Tokens of Secrets: bootstrap tokens, legacy tokens of accounts; and what bounds the life of the others."""

import base64
import datetime

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.server.test_authentication import REVIEWS, token, who
from tests.server.world import ACCOUNTS, CM, PODS, Api, StoppedClock, World, obj, pod, running

from kaa.base.clock import format_seconds
from kaa.http.api import Peer
from kaa.http.inprocess import InProcess

SECRETS = "/api/v1/namespaces/default/secrets"
SYSTEM_SECRETS = "/api/v1/namespaces/kube-system/secrets"
ID, SECRET = "abcdef", "0123456789abcdef"


def bootstrap_secret(**data: str | None) -> dict:
    values: dict[str, str | None] = {"token-id": ID, "token-secret": SECRET, "usage-bootstrap-authentication": "true"}
    values.update({name.replace("_", "-"): value for name, value in data.items()})
    return obj(
        "Secret",
        f"bootstrap-token-{ID}",
        type="bootstrap.kubernetes.io/token",
        stringData={name: value for name, value in values.items() if value is not None},
    )


async def test_a_bootstrap_token() -> None:
    async for world in running(enable_bootstrap_token_auth=True):
        (await world.admin.post(SYSTEM_SECRETS, bootstrap_secret(auth_extra_groups="system:bootstrappers:b,"
                                                                 "system:bootstrappers:a"))).ok()  # fmt: skip
        user = await who(world.with_token(f"{ID}.{SECRET}"))
        assert user["username"] == "system:bootstrap:abcdef"
        assert user["groups"] == ["system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b",
                                  "system:authenticated"]  # fmt: skip
        for wrong in (f"{ID}.{SECRET[:-1]}0", f"{ID}.{SECRET}0", f"abcdeg.{SECRET}", ID, f"{ID}."):
            assert (await world.with_token(wrong).get("/version")).code == 401, wrong
        (await world.admin.delete(f"{SYSTEM_SECRETS}/bootstrap-token-{ID}")).ok()
        assert (await world.with_token(f"{ID}.{SECRET}").get("/version")).code == 401


@pytest.mark.parametrize(
    ("data", "good"),
    [
        ({}, True),
        ({"expiration": "2020-01-01T00:00:00Z"}, False),
        ({"expiration": "2100-01-01T00:00:00Z"}, True),
        ({"usage_bootstrap_authentication": "false"}, False),
        ({"usage_bootstrap_authentication": None}, False),
        ({"auth_extra_groups": "system:masters"}, False),
        ({"auth_extra_groups": "system:bootstrappers:"}, False),
    ],
)
async def test_what_a_bootstrap_token_must_say(data: dict, good: bool) -> None:
    async for world in running(enable_bootstrap_token_auth=True):
        made = await world.admin.post(SYSTEM_SECRETS, bootstrap_secret(**data))
        assert made.code == 201, made.body
        assert (await world.with_token(f"{ID}.{SECRET}").get("/version")).code == (200 if good else 401)


async def test_bootstrap_tokens_are_off_by_default_and_of_one_namespace_and_type(world: World) -> None:
    (await world.admin.post(SYSTEM_SECRETS, bootstrap_secret())).ok()
    assert (await world.with_token(f"{ID}.{SECRET}").get("/version")).code == 401
    async for other in running(enable_bootstrap_token_auth=True):
        (await other.admin.post(SECRETS, {**bootstrap_secret(), "type": "Opaque"})).ok()
        (await other.admin.post(SYSTEM_SECRETS, {**bootstrap_secret(), "type": "Opaque"})).ok()
        assert (await other.with_token(f"{ID}.{SECRET}").get("/version")).code == 401


# --- legacy tokens


def account_secret(name: str = "robot-token", account: str = "default") -> dict:
    return obj("Secret", name, type="kubernetes.io/service-account-token",
               metadata={"annotations": {"kubernetes.io/service-account.name": account}})  # fmt: skip


async def filled(world: World, name: str = "robot-token") -> dict:
    """The Secret, once it has its token."""
    for _ in range(200):
        secret = (await world.admin.get(f"{SECRETS}/{name}")).ok()
        if (secret.get("data") or {}).get("token"):
            return secret
        await world.clock.sleep(0.005)
    raise AssertionError("no token")


async def eventually(world: World, path: str, code: int) -> None:
    for _ in range(200):
        if (await world.admin.get(path)).code == code:
            return
        await world.clock.sleep(0.005)
    raise AssertionError(f"{path} is not {code}")


async def test_a_secret_of_an_account_gets_a_token(tmp_path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("the authority")
    async for world in running(root_ca_file=ca):
        (await world.admin.post(SECRETS, account_secret())).ok()
        secret = await filled(world)
        account = (await world.admin.get(f"{ACCOUNTS}/default")).ok()
        assert secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == account["metadata"]["uid"]
        assert base64.b64decode(secret["data"]["ca.crt"]) == b"the authority"
        assert base64.b64decode(secret["data"]["namespace"]) == b"default"
        raw = base64.b64decode(secret["data"]["token"]).decode()
        claims = orjson.loads(base64.urlsafe_b64decode(raw.split(".")[1] + "=="))
        assert claims == {
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": "default",
            "kubernetes.io/serviceaccount/secret.name": "robot-token",
            "kubernetes.io/serviceaccount/service-account.name": "default",
            "kubernetes.io/serviceaccount/service-account.uid": account["metadata"]["uid"],
            "sub": "system:serviceaccount:default:default",
        }
        api = world.with_token(raw)
        user = await who(api)
        assert user["username"] == "system:serviceaccount:default:default"
        assert "extra" not in user
        for _ in range(200):  # the day of its use is written down
            labels = (await world.admin.get(f"{SECRETS}/robot-token")).json["metadata"].get("labels") or {}
            if labels:
                break
            await world.clock.sleep(0.005)
        assert labels["kubernetes.io/legacy-token-last-used"] == format_seconds(world.clock.now())[:10]
        # Marked invalid, it is none; and it ends with its Secret.
        path = f"{SECRETS}/robot-token"
        mark = {"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}}}
        (await world.admin.merge(path, mark)).ok()
        assert (await api.get("/version")).code == 401
        (
            await world.admin.merge(path, {"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": None}}})
        ).ok()
        assert (await api.get("/version")).code == 200
        (await world.admin.delete(path)).ok()
        assert (await api.get("/version")).code == 401


async def test_a_legacy_token_goes_with_its_account(world: World) -> None:
    (await world.admin.post(ACCOUNTS, obj("ServiceAccount", "robot"))).ok()
    (await world.admin.post(SECRETS, account_secret(account="robot"))).ok()
    secret = await filled(world)
    raw = base64.b64decode(secret["data"]["token"]).decode()
    assert (await world.with_token(raw).get("/version")).code == 200
    (await world.admin.delete(f"{ACCOUNTS}/robot")).ok()
    assert (await world.with_token(raw).get("/version")).code == 401
    await eventually(world, f"{SECRETS}/robot-token", 404)
    # One of an account that is not there is not kept, either; one of another type is nobody's business.
    (await world.admin.post(SECRETS, account_secret("lost", "nobody"))).ok()
    await eventually(world, f"{SECRETS}/lost", 404)
    (await world.admin.post(SECRETS, {**account_secret("other", "nobody"), "type": "Opaque"})).ok()
    assert (await world.admin.get(f"{SECRETS}/other")).code == 200


async def test_a_token_is_what_the_secret_says_it_is(world: World) -> None:
    (await world.admin.post(SECRETS, account_secret())).ok()
    old = base64.b64decode((await filled(world))["data"]["token"]).decode()
    (await world.admin.merge(f"{SECRETS}/robot-token", {"data": {"token": None}})).ok()
    new = base64.b64decode((await filled(world))["data"]["token"]).decode()
    assert new != old
    assert (await world.with_token(new).get("/version")).code == 200
    assert (await world.with_token(old).get("/version")).code == 401


# --- lives of the others


async def test_pods_get_a_year_and_uses_past_the_hour_are_counted(world: World) -> None:
    assert isinstance(world.clock, StoppedClock)
    (await world.admin.post(PODS, pod("p"))).ok()
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
    body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={
        "boundObjectRef": reference, "expirationSeconds": 3607})  # fmt: skip
    made = (await world.admin.post(f"{ACCOUNTS}/default/token", body)).ok(201)
    claims = orjson.loads(base64.urlsafe_b64decode(made["status"]["token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600 and made["spec"]["expirationSeconds"] == 3607
    assert claims["kubernetes.io"]["warnafter"] - claims["iat"] == 3607
    api = world.with_token(made["status"]["token"])
    assert (await api.get("/version")).code == 200
    assert world.server.tokens.stale_uses == 0
    world.clock.ahead = 3700
    assert (await api.get("/version")).code == 200
    assert world.server.tokens.stale_uses == 1
    # Others get what they ask for: for another audience, another time, or bound to nothing.
    for spec in ({"boundObjectRef": reference, "expirationSeconds": 3608}, {"expirationSeconds": 3607},
                 {"boundObjectRef": reference, "expirationSeconds": 3607, "audiences": ["vault"]}):  # fmt: skip
        raw = await token(world, **spec)
        claims = orjson.loads(base64.urlsafe_b64decode(raw.split(".")[1] + "=="))
        assert claims["exp"] - claims["iat"] == spec["expirationSeconds"], spec


async def test_why_a_review_says_no(world: World) -> None:
    assert isinstance(world.clock, StoppedClock)

    async def error(raw: str) -> str:
        body = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": raw})
        status = (await world.admin.post(REVIEWS, body)).ok(201)["status"]
        assert not status.get("authenticated")
        return status["error"]

    raw = await token(world)
    assert await error("nonsense") == "[invalid bearer token]"
    assert "error in cryptographic primitive" in await error(raw[:-6] + "AAAAAA")
    assert "is invalid for the target audiences" in await error(await token(world, audiences=["vault"]))
    world.clock.ahead = 4000
    assert await error(raw) == "[invalid bearer token, service account token has expired]"
    empty = obj("TokenReview", "", "authentication.k8s.io/v1", spec={})
    answer = await world.admin.post(REVIEWS, empty)
    assert (answer.code, answer.message) == (400, "token is required for TokenReview in authentication")


# --- certificates


def certificate(begins: float, ends: float, usage=None, name: str = "jane") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    at = lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC)  # noqa: E731
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(at(begins)).not_valid_after(at(ends))
    )  # fmt: skip
    if usage is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def test_certificates_in_and_out_of_their_time(world: World) -> None:
    now = world.clock.now()
    cases = [
        (certificate(now - 60, now + 60), 200),
        (certificate(now - 60, now - 1), 401),
        (certificate(now + 3600, now + 7200), 401),
        (certificate(now - 60, now + 60, ExtendedKeyUsageOID.CLIENT_AUTH), 200),
        (certificate(now - 60, now + 60, ExtendedKeyUsageOID.SERVER_AUTH), 401),
        (certificate(now - 60, now + 60, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE), 200),
    ]
    for der, code in cases:
        api = Api(InProcess(world.server.app, Peer("test", der)))
        assert (await api.get("/version")).code == code
    # A connection that was made in time ends up without a user: the certificate counts at each request.
    assert isinstance(world.clock, StoppedClock)
    api = Api(InProcess(world.server.app, Peer("test", cases[0][0])))
    user = await who(api)
    assert user["extra"]["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")
    world.clock.ahead = 61
    assert (await api.get(CM)).code == 401
    # A good token beside it counts.
    raw = await token(world)
    bearer = InProcess(
        world.server.app, Peer("test", cases[0][0]), headers=lambda: (("Authorization", f"Bearer {raw}"),)
    )
    assert (await Api(bearer).get("/version")).code == 200
