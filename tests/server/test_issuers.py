"""Tokens of other issuers by the authentication configuration file, tokens a webhook knows, users a proxy names."""

import base64
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from tests.server.hooks import hook
from tests.server.test_authentication import REVIEWS, token, who
from tests.server.test_authorizers import kubeconfig
from tests.server.world import Api, World, obj, running

from kaa.cluster.pki import Authority
from kaa.http.api import Peer, Request, Response
from kaa.http.inprocess import InProcess
from kaa.http.serve import serve
from kaa.http.tls import TlsServer
from kaa.server.configfile import ConfigError
from kaa.server.server import ApiServer, ServerSettings
from kaa.store.memory import MemoryStore

RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP384R1())


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def jwk(key, kid: str, **more: str) -> dict:
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        return {"kty": "RSA", "kid": kid, "use": "sig", "n": number(numbers.n), "e": number(numbers.e), **more}
    return {"kty": "EC", "kid": kid, "crv": "P-384", "x": b64(numbers.x.to_bytes(48)), "y": b64(numbers.y.to_bytes(48)),
            **more}  # fmt: skip


def signed(claims: dict, key=RSA, kid: str = "one", alg: str = "RS256") -> str:
    head = b64(orjson.dumps({"alg": alg, "kid": kid}))
    body = f"{head}.{b64(orjson.dumps(claims))}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA384())))
        return f"{body}.{b64(r.to_bytes(48) + s.to_bytes(48))}"
    hashed = {"256": hashes.SHA256(), "512": hashes.SHA512()}[alg[2:]]
    pad = padding.PSS(padding.MGF1(hashed), hashed.digest_size) if alg[0] == "P" else padding.PKCS1v15()
    return f"{body}.{b64(key.sign(body.encode(), pad, hashed))}"


@dataclass
class Provider:
    """An issuer: its documents, and how often they were read."""

    url: str = ""
    keys: list[dict] = field(default_factory=lambda: [jwk(RSA, "one"), jwk(CURVE, "curve")])
    issuer: str | None = None
    read: list[str] = field(default_factory=list)
    ca: str = ""

    def claims(self, world: World, **more) -> dict:
        now = int(world.clock.now())
        made = {"iss": self.url, "aud": "kaa", "sub": "jane", "iat": now, "exp": now + 3600, **more}
        return {name: value for name, value in made.items() if value is not None}


@asynccontextmanager
async def provider(directory: Path) -> AsyncIterator[Provider]:
    authority = Authority(directory, "idp-ca", "idp-authority")
    certificate, key = authority.server_files("idp", "idp", ["localhost", "127.0.0.1"])
    found = Provider(ca=authority.pem.decode())

    def answer(request: Request) -> Response:
        found.read.append(request.path)
        if request.path.endswith("openid-configuration"):
            document = {"issuer": found.issuer or found.url, "jwks_uri": f"{found.url}/keys"}
            return Response(200, orjson.dumps(document))
        return Response(200, orjson.dumps({"keys": found.keys}))

    server = await serve(answer, host="127.0.0.1", tls=TlsServer(certificate, key))
    found.url = f"https://127.0.0.1:{server.port}"
    try:
        yield found
    finally:
        await server.close(0.1)


def issuer(each: Provider, **more) -> dict:
    place = more.pop("issuer", {})
    return {"issuer": {"url": each.url, "certificateAuthority": each.ca, "audiences": ["kaa"], **place},
            "claimMappings": {"username": {"claim": "sub", "prefix": "idp:"},
                              "groups": {"claim": "groups", "prefix": "idp:"}}, **more}  # fmt: skip


def configuration(path: Path, *issuers: dict, **more) -> Path:
    says = {"kind": "AuthenticationConfiguration", "jwt": list(issuers), **more}
    path.write_text(yaml.safe_dump({"apiVersion": "apiserver.config.k8s.io/v1", **says}))
    return path


@asynccontextmanager
async def trusting(tmp_path: Path, **more):
    async with provider(tmp_path) as each:
        file = configuration(tmp_path / "authn.yaml", issuer(each, **more))
        async for world in running(authentication_config=file):
            yield world, each


async def test_a_token_of_another_issuer(tmp_path) -> None:
    async with trusting(tmp_path) as (world, each):
        raw = signed(each.claims(world, groups=["dev", "ops"], jti="j1"))
        user = await who(world.with_token(raw))
        assert user == {
            "username": "idp:jane", "groups": ["idp:dev", "idp:ops", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=j1"]},
        }  # fmt: skip
        assert each.read == ["/.well-known/openid-configuration", "/keys"]
        await who(world.with_token(raw))
        await who(world.with_token(signed(each.claims(world, sub="joe"))))
        assert len(each.read) == 2  # keys are kept
        # The cluster's own tokens are good beside it.
        assert (await who(world.with_token(await token(world))))["username"] == "system:serviceaccount:default:default"
        review = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": raw})
        status = (await world.admin.post(REVIEWS, review)).ok(201)["status"]
        assert status["authenticated"] and status["user"]["username"] == "idp:jane"


@pytest.mark.parametrize(("key", "kid", "alg"), [
    (RSA, "one", "RS256"), (RSA, "one", "RS512"), (RSA, "one", "PS256"), (CURVE, "curve", "ES384")])  # fmt: skip
async def test_algorithms(tmp_path, key, kid: str, alg: str) -> None:
    async with trusting(tmp_path) as (world, each):
        raw = signed(each.claims(world), key, kid, alg)
        assert (await who(world.with_token(raw)))["username"] == "idp:jane"


async def test_what_is_no_good(tmp_path) -> None:
    async with trusting(tmp_path) as (world, each):
        now = int(world.clock.now())
        claims = each.claims(world)
        good = signed(claims)
        head, body, signature = good.split(".")
        public = RSA.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        import hmac

        # The public key taken for a shared secret, no algorithm at all, and other ways to sign without the key.
        hs = f"{b64(orjson.dumps({'alg': 'HS256', 'kid': 'one'}))}.{body}"
        confused = f"{hs}.{b64(hmac.digest(public, hs.encode(), 'sha256'))}"
        unsigned = f"{b64(orjson.dumps({'alg': 'none'}))}.{body}."
        for name, raw in {
            "confused": confused, "unsigned": unsigned, "other key": signed(claims, OTHER),
            "other key's name": signed(claims, RSA, "curve"), "no signature": f"{head}.{body}.",
            "changed": f"{head}.{b64(orjson.dumps({**claims, 'sub': 'root'}))}.{signature}",
            "wrong curve": signed(claims, CURVE, "curve", "ES256"),
            "expired": signed(each.claims(world, exp=now - 1)), "endless": signed(each.claims(world, exp=None)),
            "not yet": signed(each.claims(world, nbf=now + 600)), "other audience": signed(each.claims(world, aud="x")),
            "no audience": signed(each.claims(world, aud=None)), "other issuer": signed(each.claims(world, iss="https://x")),
            "nobody": signed(each.claims(world, sub=None)), "no name": signed(each.claims(world, sub="")),
            "a number": signed(each.claims(world, sub=7)), "groups": signed(each.claims(world, groups=[1])),
            "critical": signed(claims).replace(head, b64(orjson.dumps({"alg": "RS256", "kid": "one", "crit": ["b"]}))),
        }.items():  # fmt: skip
            assert (await world.with_token(raw).get("/version")).code == 401, name
        assert (await world.with_token(good).get("/version")).code == 200
        several = signed(each.claims(world, aud=["x", "kaa"], nbf=now + 100))
        assert (await world.with_token(several).get("/version")).code == 200


async def test_keys_turn(tmp_path) -> None:
    async with trusting(tmp_path) as (world, each):
        assert (await world.with_token(signed(each.claims(world))).get("/version")).code == 200
        each.keys = [jwk(OTHER, "two")]
        clock = world.server.clock
        later = signed(each.claims(world, sub="joe"), OTHER, "two")
        # An unknown key is looked for, but not at each request.
        count = len(each.read)
        for _ in range(20):
            assert (await world.with_token(later).get("/version")).code == 401
        assert len(each.read) == count
        real = clock.monotonic
        clock.monotonic = lambda: real() + 60  # type: ignore[method-assign]
        assert (await world.with_token(later).get("/version")).code == 200
        assert (await world.with_token(signed(each.claims(world, sub="jack"))).get("/version")).code == 401


async def test_an_issuer_that_is_another(tmp_path) -> None:
    async with trusting(tmp_path) as (world, each):
        each.issuer = "https://elsewhere.example.org"
        raw = signed(each.claims(world))
        assert (await world.with_token(raw).get("/version")).code == 401
        review = obj("TokenReview", "", "authentication.k8s.io/v1", spec={"token": raw})
        error = (await world.admin.post(REVIEWS, review)).ok(201)["status"]["error"]
        assert "issuer did not match the issuer returned by provider" in error
        assert (await who(world.with_token(await token(world))))["username"]  # others are not concerned


RULES = [
    # what the file says; claims; the user's name and groups, or None
    ({"claimMappings": {"username": {"expression": "'u:' + claims.sub"}}}, {}, "u:jane"),
    ({"claimMappings": {"username": {"expression": "claims.email"}},
      "claimValidationRules": [{"expression": "claims.email_verified == true", "message": "verify it"}]},
     {"email": "j@x.org", "email_verified": True}, "j@x.org"),
    ({"claimMappings": {"username": {"expression": "claims.email"}},
      "claimValidationRules": [{"expression": "claims.email_verified == true", "message": "verify it"}]},
     {"email": "j@x.org", "email_verified": False}, None),
    ({"claimMappings": {"username": {"claim": "email", "prefix": ""}}}, {"email": "j@x.org"}, "j@x.org"),
    ({"claimMappings": {"username": {"claim": "email", "prefix": ""}}},
     {"email": "j@x.org", "email_verified": False}, None),
    ({"claimValidationRules": [{"claim": "hd", "requiredValue": "x.org"}]}, {"hd": "x.org"}, "idp:jane"),
    ({"claimValidationRules": [{"claim": "hd", "requiredValue": "x.org"}]}, {"hd": "y.org"}, None),
    ({"claimValidationRules": [{"claim": "hd", "requiredValue": "x.org"}]}, {}, None),
    ({"userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "no"}]},
     {}, "idp:jane"),
    ({"claimMappings": {"username": {"expression": "claims.sub"}},
      "userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "no"}]},
     {"sub": "system:admin"}, None),
    ({"userValidationRules": [{"expression": "user.groups.all(g, g.startsWith('idp:'))"}]},
     {"groups": ["a"]}, "idp:jane"),
    ({"claimMappings": {"username": {"expression": "claims.nothing"}}}, {}, None),
    ({"claimMappings": {"username": {"expression": "claims.roles"}}}, {"roles": ["a"]}, None),
]  # fmt: skip


@pytest.mark.parametrize(("says", "claims", "name"), RULES)
async def test_what_claims_mean(tmp_path, says: dict, claims: dict, name: str | None) -> None:
    async with trusting(tmp_path, **says) as (world, each):
        api = world.with_token(signed(each.claims(world, **claims)))
        if name is None:
            assert (await api.get("/version")).code == 401
        else:
            assert (await who(api))["username"] == name


async def test_groups_uid_and_extra_by_expression(tmp_path) -> None:
    mappings = {
        "username": {"expression": "claims.sub"}, "uid": {"claim": "oid"},
        "groups": {"expression": "claims.roles.map(r, 'role:' + r) + (claims.admin ? ['admins'] : [])"},
        "extra": [{"key": "example.org/tenant", "valueExpression": "claims.tenant"},
                  {"key": "example.org/none", "valueExpression": "''"}],
    }  # fmt: skip
    async with trusting(tmp_path, claimMappings=mappings) as (world, each):
        user = await who(world.with_token(signed(each.claims(world, oid="o1", roles=["a"], admin=True, tenant="t"))))
        assert user == {"username": "jane", "uid": "o1", "groups": ["role:a", "admins", "system:authenticated"],
                        "extra": {"example.org/tenant": ["t"]}}  # fmt: skip


WRONG = [
    ({"issuer": {"url": "http://x"}}, "URL scheme must be https"),
    ({"issuer": {"audiences": []}}, "at least one jwt[].issuer.audiences is required"),
    ({"issuer": {"audiences": ["a", "b"]}}, "audienceMatchPolicy must be MatchAny for multiple audiences"),
    ({"issuer": {"egressSelectorType": "cluster"}}, "egress selectors are not served"),
    ({"claimMappings": {}}, "claim or expression is required"),
    ({"claimMappings": {"username": {"claim": "sub"}}}, "prefix is required when claim is set"),
    ({"claimMappings": {"username": {"claim": "sub", "prefix": "", "expression": "claims.sub"}}},
     "claim and expression can't both be set"),
    ({"claimMappings": {"username": {"expression": "claims.email"}}}, "claims.email_verified must be used"),
    ({"claimMappings": {"username": {"expression": "claims."}}}, "compilation failed"),
    ({"claimMappings": {"username": {"expression": "1"}}}, "must evaluate to string"),
    ({"claimValidationRules": [{"expression": "claims.a == 1 ? 'x' : 'y'"}]}, "must evaluate to bool"),
    ({"claimMappings": {"username": {"claim": "sub", "prefix": ""},
                        "extra": [{"key": "kubernetes.io/x", "valueExpression": "'a'"}]}},
     "are reserved for Kubernetes"),
    ({"claimMappings": {"username": {"claim": "sub", "prefix": ""}, "extra": [{"key": "X", "valueExpression": "'a'"}]}},
     "must be a domain-prefixed path"),
    ({"userValidationRules": [{"expression": "user.name == ''"}]}, "compilation failed"),
    ({"surprise": 1}, 'unknown field "surprise"'),
]  # fmt: skip


@pytest.mark.parametrize(("says", "message"), WRONG, ids=[row[1][:40] for row in WRONG])
async def test_what_a_file_may_not_say(tmp_path, says: dict, message: str) -> None:
    file = configuration(tmp_path / "authn.yaml", issuer(Provider("https://127.0.0.1:1"), **says))
    server = ApiServer(MemoryStore(), ServerSettings(authentication_config=file))
    with pytest.raises(ConfigError, match=r"authn\.yaml") as caught:
        await server.start(listen=False)
    await server.stop()
    assert message in str(caught.value)


async def test_anonymous_for_some_paths_and_a_file_that_changes(tmp_path) -> None:
    some = {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]}
    file = configuration(tmp_path / "authn.yaml", anonymous=some)
    async for world in running(authentication_config=file):
        nobody = world.nobody()
        assert (await nobody.get("/livez")).code == 200
        assert (await nobody.get("/healthz")).code == 401
        configuration(file, anonymous={"enabled": False})
        assert world.server.authentication.refresh()
        assert (await nobody.get("/livez")).code == 401
        configuration(file)
        assert world.server.authentication.refresh()
        assert (await nobody.get("/healthz")).code == 200
        file.write_text("kind: Nothing")
        assert not world.server.authentication.refresh()
        assert (await nobody.get("/healthz")).code == 200


# --- a webhook that knows tokens


async def test_a_webhook_knows_tokens(tmp_path) -> None:
    def answer(question: dict) -> dict:
        known = question["spec"]["token"] == "sesame"
        user = {"username": "ali", "uid": "u1", "groups": ["dev"], "extra": {"scopes": ["a"]}}
        return {"status": {"authenticated": known, "user": user if known else {}}}

    async with hook(tmp_path, answer) as each:
        config = kubeconfig(tmp_path / "hook.yaml", each)
        async for world in running(authentication_token_webhook_config_file=config):
            api = world.with_token("sesame")
            for _ in range(3):
                user = await who(api)
            assert user == {"username": "ali", "uid": "u1", "groups": ["dev", "system:authenticated"],
                            "extra": {"scopes": ["a"]}}  # fmt: skip
            assert len(each.asked) == 1
            assert each.asked[0]["spec"] == {
                "token": "sesame", "audiences": ["https://kubernetes.default.svc.cluster.local"]}  # fmt: skip
            assert (await world.with_token("wrong").get("/version")).code == 401
            await who(world.with_token(await token(world)))
            assert len(each.asked) == 2  # the cluster's own tokens are nobody else's business


# --- a front proxy


def issue(name: str, groups: tuple[str, ...] = ()) -> tuple[x509.Certificate, bytes]:
    """An authority, and a certificate that it has issued."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}-ca")])

    def made(public, whose: x509.Name, authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(whose).issuer_name(subject).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        return builder.add_extension(x509.BasicConstraints(authority, None), True).sign(key, hashes.SHA256())

    names = [x509.NameAttribute(NameOID.COMMON_NAME, name),
             *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups)]  # fmt: skip
    leaf = made(ec.generate_private_key(ec.SECP256R1()).public_key(), x509.Name(names), False)
    return made(key.public_key(), subject, True), leaf.public_bytes(serialization.Encoding.DER)


async def test_a_front_proxy_names_users(tmp_path) -> None:
    users, user = issue("jane", ("dev",))
    proxies, proxy = issue("front-proxy")
    for name, authority in (("users.crt", users), ("proxies.crt", proxies)):
        (tmp_path / name).write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    fields = (("X-Remote-User", "ali"), ("X-Remote-Group", "dev"), ("X-Remote-Group", "ops"),
              ("X-Remote-Extra-Example.org%2fScopes", "a"))  # fmt: skip
    async for world in running(client_ca_file=tmp_path / "users.crt",
                               requestheader_client_ca_file=tmp_path / "proxies.crt", account=False):  # fmt: skip

        def api(der: bytes | None, headers=fields, world: World = world) -> Api:
            return Api(InProcess(world.server.app, Peer("test", der), headers=lambda: headers))

        named = await who(api(proxy))
        assert named["username"] == "ali" and named["groups"][-1] == "system:authenticated"
        assert {"dev", "ops"} & set(named["groups"]) and named["extra"] == {"example.org/scopes": ["a"]}
        # Of others, the headers are nothing.
        assert (await who(api(user)))["username"] == "jane"
        assert (await api(None).get("/api")).message.startswith('forbidden: User "system:anonymous"')
        # A proxy is no user by itself: its authority is not that of users.
        assert (await api(proxy, ()).get("/version")).code == 401
        assert (await api(issue("stranger")[1]).get("/version")).code == 401
