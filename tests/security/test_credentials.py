"""Only credentials that are good for this server, now, and as they were issued, make anybody anybody."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.security.town import MINE, THEIRS, from_peer, namespaces
from tests.server.test_authentication import who
from tests.server.world import Api, World, certificate_of, obj, pod, running

from kaa.server.authn import jwt

SECRETS = "/api/v1/namespaces/kube-system/secrets"


async def issue(world: World, account: str = "default", **spec: Any) -> str:
    body = obj("TokenRequest", "", "authentication.k8s.io/v1", spec={"audiences": [], **spec})
    answered = await world.admin.post(f"{MINE}/serviceaccounts/{account}/token", body)
    return str(answered.ok(201)["status"]["token"])


def taken_apart(token: str) -> tuple[dict, dict, bytes]:
    head, body, tail = token.split(".")
    return json.loads(jwt.unb64(head)), json.loads(jwt.unb64(body)), jwt.unb64(tail)


def put_together(head: Any, body: Any, signature: bytes = b"") -> str:
    parts = (json.dumps(head).encode(), json.dumps(body).encode(), signature)
    return ".".join(jwt.b64(each) for each in parts)


def signed(head: dict, body: dict, key: ec.EllipticCurvePrivateKey) -> str:
    text = put_together(head, body).rpartition(".")[0]
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{jwt.b64(r.to_bytes(32) + s.to_bytes(32))}"


def forgeries(world: World, token: str) -> dict[str, str]:
    """Tokens that look like a good one."""
    head, body, signature = taken_apart(token)
    own_key = world.server.tokens._key
    public = own_key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    first, second, third = token.split(".")
    found: dict[str, str] = {}
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, 0, ["ES256"], {"ES256": 1}):
        found[f"algorithm {algorithm}"] = put_together({**head, "alg": algorithm}, body)
        found[f"algorithm {algorithm}, signed"] = put_together({**head, "alg": algorithm}, body, signature)
    for name, secret in (("pem", pem), ("der", der), ("kid", head["kid"].encode()), ("nothing", b"")):
        for size in ("256", "384", "512"):
            text = put_together({**head, "alg": f"HS{size}"}, body).rpartition(".")[0]
            mac = hmac.new(secret, text.encode(), f"sha{size}").digest()
            found[f"HS{size} with the {name}"] = f"{text}.{jwt.b64(mac)}"
    other = ec.generate_private_key(ec.SECP256R1())
    found["another cluster's key"] = signed(head, body, other)
    embedded = {"kty": "EC", "crv": "P-256", "x": jwt.b64(other.public_key().public_numbers().x.to_bytes(32)),
                "y": jwt.b64(other.public_key().public_numbers().y.to_bytes(32))}  # fmt: skip
    found["a key in the header"] = signed({**head, "jwk": embedded}, body, other)
    found["a key elsewhere"] = signed({**head, "jku": "https://evil.example.com/keys"}, body, other)
    found["a certificate in the header"] = signed({**head, "x5c": [base64.b64encode(der).decode()]}, body, other)
    found["another key's name"] = signed({**head, "kid": "other"}, body, other)
    found["a path for a key's name"] = signed({**head, "kid": "../../dev/null"}, body, other)
    found["a critical extension"] = signed({**head, "crit": ["b64"], "b64": False}, body, own_key)
    found["RS256"] = put_together({**head, "alg": "RS256"}, body, signature)
    rsa_key = rsa.generate_private_key(65537, 2048)
    found["another's RSA"] = put_together(
        {**head, "alg": "RS256"},
        body,
        rsa_key.sign(
            put_together({**head, "alg": "RS256"}, body).rpartition(".")[0].encode(),
            __import__("cryptography.hazmat.primitives.asymmetric.padding", fromlist=["x"]).PKCS1v15(),
            hashes.SHA256(),
        ),
    )
    about = body["kubernetes.io"]
    changes: dict[str, dict] = {
        "another account": {"kubernetes.io": {**about, "serviceaccount": {"name": "boss", "uid": "1"}}},
        "another namespace": {"kubernetes.io": {**about, "namespace": "kube-system"}},
        "another subject": {"sub": "system:serviceaccount:kube-system:default"},
        "a longer life": {"exp": body["exp"] + 10**6},
        "another audience": {"aud": ["x"]},
    }
    for what, change in changes.items():
        found[f"{what}, unsigned"] = f"{first}.{jwt.b64(json.dumps({**body, **change}).encode())}.{third}"
    own = {
        "wrong issuer": {"iss": "https://evil.example.com"}, "no issuer": {"iss": None},
        "issuer in a list": {"iss": [body["iss"]]}, "wrong audience": {"aud": ["vault"]}, "no audience": {"aud": []},
        "the audience inside another": {"aud": [f"{body['aud'][0]}/x", body["aud"][0].upper()]},
        "expired": {"exp": int(world.clock.now()) - 1}, "never expires": {"exp": None} and {"exp": 0},
        "not yet": {"nbf": int(world.clock.now()) + 3600}, "an account that is not there": {
            "kubernetes.io": {**about, "serviceaccount": {"name": "nobody", "uid": "1"}}},
        "an account made anew": {"kubernetes.io": {**about, "serviceaccount": {**about["serviceaccount"], "uid": "1"}}},
        "a pod that is not there": {"kubernetes.io": {**about, "pod": {"name": "x", "uid": "1"}}},
        "a node that is not there": {"kubernetes.io": {**about, "node": {"name": "x", "uid": "1"}}},
        "a secret that is not there": {"kubernetes.io": {**about, "secret": {"name": "x", "uid": "1"}}},
    }  # fmt: skip
    for what, change in own.items():
        found[what] = signed(head, {**body, **change}, own_key)
    found["an empty signature"] = f"{first}.{second}."
    found["a signature of zeros"] = f"{first}.{second}.{jwt.b64(bytes(64))}"
    found["a signature in DER"] = f"{first}.{second}.{jwt.b64(own_key.sign(b'x', ec.ECDSA(hashes.SHA256())))}"
    found["cut"] = token[:-4]
    found["padded"] = f"{token}=="
    found["standard base64"] = token.replace("-", "+").replace("_", "/") + "+/"
    found["a fourth part"] = f"{token}.{third}"
    found["encrypted in five parts"] = ".".join([first, "", "", second, third])
    found["nested"] = put_together(head, token, signature)
    found["in other letters"] = token.swapcase()
    found["with a null byte"] = f"{token}\0"
    found["with other digits"] = token[:-1] + "\u0661"
    found["huge"] = put_together(head, {**body, "x": "y" * 20_000}, signature)
    found["deep"] = f"{first}.{jwt.b64(b'[' * 9000)}.{third}"
    found["no JSON"] = f"{first}.{jwt.b64(b'nothing')}.{third}"
    found["an array"] = put_together(head, [], signature)
    found["the digest"] = hashlib.sha256(token.encode()).hexdigest()
    return found


async def test_no_forged_token_counts(world: World) -> None:
    token = await issue(world)
    assert (await who(world.with_token(token)))["username"] == "system:serviceaccount:mine:default"
    tried = forgeries(world, token)
    assert len(tried) > 60
    for what, forged in tried.items():
        if what == "padded":
            continue  # padding is no part of the form, and is refused by the reader
        answered = await world.with_token(forged).get("/version")
        assert answered.code == 401, (what, answered.code, answered.body)
        assert forged not in answered.body.decode(), what
        review = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": forged})
        status = (await world.admin.post("/apis/authentication.k8s.io/v1/tokenreviews", review)).ok()["status"]
        assert not status.get("authenticated") and not status["user"], what
    assert (await world.with_token(token).get("/version")).code == 200


async def test_a_token_of_another_cluster_is_nobody_s(world: World) -> None:
    async for other in running():
        await namespaces(other, "mine")
        foreign = await issue(other)
        assert (await other.with_token(foreign).get("/version")).code == 200
        assert (await world.with_token(foreign).get("/version")).code == 401


@pytest.mark.parametrize("kind", ["ServiceAccount", "Pod", "Secret"])
async def test_what_was_deleted_and_made_again_is_another(world: World, kind: str) -> None:
    plural = {"ServiceAccount": "serviceaccounts", "Pod": "pods", "Secret": "secrets"}[kind]
    bodies = {"ServiceAccount": obj("ServiceAccount", "it"), "Pod": pod("it", serviceAccountName="it"),
              "Secret": obj("Secret", "it")}  # fmt: skip
    (await world.admin.post(f"{MINE}/serviceaccounts", bodies["ServiceAccount"])).ok()
    spec = {}
    if kind != "ServiceAccount":
        (await world.admin.post(f"{MINE}/{plural}", bodies[kind])).ok()
        spec = {"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": "it"}}
    token = await issue(world, "it", **spec)
    assert (await world.with_token(token).get("/version")).code == 200
    (await world.admin.delete(f"{MINE}/{plural}/it?gracePeriodSeconds=0")).ok()
    assert (await world.with_token(token).get("/version")).code == 401
    (await world.admin.post(f"{MINE}/{plural}", bodies[kind])).ok()
    assert (await world.with_token(token).get("/version")).code == 401
    (await world.admin.delete("/api/v1/namespaces/theirs")).ok()


async def test_the_header_says_it_once_and_as_it_is_meant(world: World) -> None:
    token = await issue(world)
    basic = base64.b64encode(b"admin:admin").decode()
    for value in (
        "", "Bearer", "Bearer ", f"Bearer{token}", f"Token {token}", token, f"Basic {basic}", f"Bearer Bearer {token}",
        f"Bearer {token}, Bearer x", f"Bearer x, Bearer {token}", f"Bearer {token} x", f'Bearer "{token}"',
        f"Bearer token={token}", f"Negotiate {token}", f"Bearer,{token}", f"Bearer\x0b{token}", f"Digest {token}",
    ):  # fmt: skip
        answered = await from_peer(world, None, ("Authorization", value)).get("/version")
        assert answered.code == 401, value
    twice = from_peer(world, None, ("Authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}"))
    assert (await twice.get("/version")).code == 401
    for value in (f"Bearer {token}", f"bearer {token}", f"BEARER  {token} "):
        assert (await from_peer(world, None, ("Authorization", value)).get("/version")).code == 200, value
    # Nowhere else is a token looked for.
    nobody = world.nobody()
    for path in (f"/api/v1/namespaces?access_token={token}", f"/api/v1/namespaces?token={token}",
                 f"/api/v1/namespaces?authorization=Bearer%20{token}"):  # fmt: skip
        refused = await nobody.get(path)
        assert refused.code == 403 and "system:anonymous" in refused.message
    for name in ("X-Authorization", "Proxy-Authorization", "Cookie", "X-Forwarded-Authorization", "Authorization_"):
        assert (await from_peer(world, None, (name, f"Bearer {token}")).get("/api/v1/namespaces")).code == 403, name


async def test_a_token_as_a_subprotocol(world: World) -> None:
    token = await issue(world)
    prefix = "base64url.bearer.authorization.k8s.io."

    async def asked(protocols: str) -> int:
        return (await from_peer(world, None, ("Sec-WebSocket-Protocol", protocols)).get("/api/v1/namespaces")).code

    for protocols in (prefix, f"{prefix}%%%", f"{prefix}{jwt.b64(b'nothing')}", f"{prefix}{jwt.b64(bytes([255]))}",
                      f"{prefix}{token}"):  # fmt: skip
        assert await asked(protocols) in (401, 403), protocols
    good = f"v4.channel.k8s.io, {prefix}{jwt.b64(token.encode())}"
    refused = await from_peer(world, None, ("Sec-WebSocket-Protocol", good)).get("/api/v1/namespaces")
    assert refused.code == 403 and "system:serviceaccount:mine:default" in refused.message


async def test_a_certificate_goes_before_a_token_and_headers_never_count(world: World) -> None:
    token = await issue(world)
    jane = certificate_of("jane", ())
    both = from_peer(world, jane, ("Authorization", f"Bearer {token}"))
    assert (await who(both))["username"] == "jane"
    assert (await who(from_peer(world, jane, ("Authorization", "Bearer wrong"))))["username"] == "jane"
    claims = [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters"), ("X-Forwarded-User", "admin"),
              ("X-Forwarded-For", "127.0.0.1"), ("X-Client-Cert", "x"), ("X-SSL-Client-Verify", "SUCCESS"),
              ("X-SSL-Client-S-DN", "CN=admin,O=system:masters"), ("X-Original-URL", "/version"),
              ("X-Rewrite-URL", "/version"), ("X-HTTP-Method-Override", "GET"), ("X-Method-Override", "GET"),
              ("X-Remote-Extra-Scopes", "all"), ("X-Remote-Uid", "1"), ("Forwarded", "for=127.0.0.1")]  # fmt: skip
    assert (await who(from_peer(world, jane, *claims)))["username"] == "jane"
    assert (await who(from_peer(world, jane, *claims)))["groups"] == ["system:authenticated"]
    refused = await from_peer(world, None, *claims).get("/api/v1/namespaces")
    assert refused.code == 403 and 'User "system:anonymous"' in refused.message
    refused = await from_peer(world, None, *claims).post("/version", {})
    assert refused.code in (403, 405)


async def test_a_certificate_without_a_name_or_with_an_empty_one_is_nobody(world: World) -> None:
    for der in (certificate_of("", ("system:masters",)), b"", b"nothing", certificate_of("a", ())[:-10]):
        assert (await from_peer(world, der).get("/api/v1/namespaces")).code == 401, der[:10]
    assert (await from_peer(world, certificate_of("a", ("system:masters",))).get("/api/v1/namespaces")).code == 200


async def test_a_bootstrap_token_ends_with_its_secret_and_is_of_its_groups(world: World) -> None:
    async for each in running(enable_bootstrap_token_auth=True):
        data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
        secret = obj("Secret", "bootstrap-token-abcdef", type="bootstrap.kubernetes.io/token", stringData=data)
        await namespaces(each, "mine")
        # Only a Secret of kube-system is one.
        (await each.admin.post(f"{MINE}/secrets", secret)).ok()
        assert (await each.with_token("abcdef.0123456789abcdef").get("/version")).code == 401
        (await each.admin.post(SECRETS, secret)).ok()
        joiner = each.with_token("abcdef.0123456789abcdef")
        assert (await who(joiner))["username"] == "system:bootstrap:abcdef"
        for path in ("/api/v1/namespaces", SECRETS, "/api/v1/nodes", f"{SECRETS}/bootstrap-token-abcdef"):
            assert (await joiner.get(path)).code == 403, path
        assert (await each.with_token("abcdef.0123456789abcdef\n").get("/version")).code in (200, 401)
        over = {"stringData": {"expiration": "2020-01-01T00:00:00Z"}}
        (await each.admin.merge(f"{SECRETS}/bootstrap-token-abcdef", over)).ok()
        assert (await joiner.get("/version")).code == 401
        (await each.admin.merge(f"{SECRETS}/bootstrap-token-abcdef", {"data": {"expiration": None}})).ok()
        assert (await joiner.get("/version")).code == 200
        (await each.admin.delete(f"{SECRETS}/bootstrap-token-abcdef")).ok()
        assert (await joiner.get("/version")).code == 401


ANONYMOUS_MAY = ["/healthz", "/livez", "/readyz", "/version", "/version/"]


async def test_nobody_in_particular_sees_health_and_version_alone(world: World) -> None:
    nobody: Api = world.nobody()
    for path in ANONYMOUS_MAY:
        assert (await nobody.get(path)).code == 200, path
    for path in (
        "/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v2", "/openapi/v3", "/metrics",
        "/metrics/", "/healthz/../metrics", "/healthz/%2e%2e/metrics", "/version/../metrics", "/logs/", "/debug/pprof/",
        "/.well-known/openid-configuration", "/openid/v1/jwks", "/configz", "/flagz", "/statusz",
        "/ui", "/swagger.json",
        "/HEALTHZ/../metrics", "/healthz;/metrics", "/livez/../api/v1/secrets", "//metrics", "/./metrics",
        "/healthz//../metrics", "/healthz%2f..%2fmetrics", "/version%00/metrics", "/api/v1/../../metrics",
        "/openapi/v3/api/v1", "/apis/admissionregistration.k8s.io", "/api/v1/namespaces", "/api/v1/nodes",
    ):  # fmt: skip
        answered = await nobody.get(path)
        assert answered.code in (403, 404), (path, answered.code, answered.body[:200])
        assert b"apiserver_request_total" not in answered.body
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "OPTIONS", "MOVE", "BREW"):
        for path in ("/api/v1/namespaces/theirs/secrets/x", "/metrics", "/version", THEIRS):
            answered = await nobody.ask(method, path, headers={"Origin": "https://evil.example.com"})
            assert answered.code in (403, 404, 405), (method, path, answered.code)
            assert not any(name.startswith("access-control-") for name in answered.headers)
    head = await nobody.ask("HEAD", "/api/v1/namespaces")
    assert head.code == 403
    jane = world.as_user("jane")
    assert (await jane.get("/api")).code == 200 and (await jane.get("/metrics")).code == 403
