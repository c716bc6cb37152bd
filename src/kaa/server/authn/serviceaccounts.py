"""Tokens of service accounts: made by TokenRequest, bound to a pod, secret or node, expiring; verified here.

A token is a JWT signed with the cluster's key. Its signature is checked once and remembered; that its account and what
it is bound to still exist, with the same UIDs, is checked each time. Legacy tokens, which stand in a Secret and do not
expire, end with that Secret.
"""

import base64
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kaa.base import ids
from kaa.base.clock import Clock, parse_seconds
from kaa.base.log import Logger
from kaa.kinds.spec import KindSpec
from kaa.server.authn import jwt
from kaa.server.cache import Cached
from kaa.server.objects import Objects
from kaa.server.request import User

__all__ = ["LEGACY_ISSUER", "Binding", "ServiceAccountTokens"]

Json = dict[str, Any]
_log = Logger("apiserver")

REMEMBERED_MAX = 4096
USER_PREFIX = "system:serviceaccount:"
LEGACY_ISSUER = "kubernetes/serviceaccount"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
#: Something that is being deleted is good for so long: a pod ends in order.
DELETED_LEEWAY_SECONDS = 60.0
#: What kubelets ask for; such a token lasts a year, and use of it after this time is reported (KEP 1205).
WARN_ONLY_SECONDS, EXTENDED_SECONDS = 3607, 365 * 24 * 3600
INVALIDATED = "service account token has been invalidated"


@dataclass(frozen=True, slots=True)
class Binding:
    """The object whose end ends the token: a Pod, a Secret or a Node."""

    kind: str
    name: str
    uid: str


class _Refused(Exception):
    """The token is of this server, and not good."""


@dataclass(slots=True)
class _Known:
    """A token whose signature is good, and whose it was when what it depends on was as in `stood`."""

    claims: Json
    user: User | None = None
    begins: float = 0.0
    ends: float = 0.0
    shared: tuple[str, ...] = ()
    stood: tuple[tuple[dict[str, Cached], str, Cached], ...] = ()

    def same(self, now: float) -> bool:
        """As long as every object that was looked at is the very same, so is the answer."""
        if not self.begins <= now < self.ends:
            return False
        for objects, key, entry in self.stood:  # noqa: SIM110 - on the path of every request
            if objects.get(key) is not entry:
                return False
        return True


class ServiceAccountTokens:
    """Signs and verifies (ES256). One per server; the key is the cluster's."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, issuer: str, audiences: tuple[str, ...], objects: Objects,
                 clock: Clock) -> None:  # fmt: skip
        self.issuer = issuer
        #: What the API server answers to; the first is put into tokens that ask for no audience.
        self.audiences = audiences
        #: Told of each Secret whose legacy token is used.
        self.legacy_used: Callable[[Cached], None] = lambda entry: None
        #: Uses of tokens past the time that was asked for: for /metrics.
        self.stale_uses = 0
        self._key = key
        self._public = key.public_key()
        self._objects = objects
        self._clock = clock
        self._verified: OrderedDict[str, _Known] = OrderedDict()
        self._specs: dict[str, KindSpec] = {}
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = jwt.b64(hashlib.sha256(der).digest())

    def issue(self, account: Json, *, audiences: tuple[str, ...], expires_at: float, binding: Binding | None,
              node: Binding | None = None, warn_after: float | None = None) -> str:  # fmt: skip
        """A token for an account, until `expires_at` (seconds since the epoch)."""
        meta = account["metadata"]
        now = int(self._clock.now())
        about: Json = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        for each in (binding, node):
            if each is not None:
                about[each.kind.lower()] = {"name": each.name, "uid": each.uid}
        if warn_after is not None:
            about["warnafter"] = int(warn_after)
        claims = {
            "aud": list(audiences or self.audiences[:1]),
            "exp": int(expires_at),
            "iat": now,
            "iss": self.issuer,
            "jti": ids.uid(),
            "kubernetes.io": about,
            "nbf": now,
            "sub": f"{USER_PREFIX}{meta['namespace']}:{meta['name']}",
        }
        return jwt.sign(claims, self._key, self.key_id)

    def issue_legacy(self, account: Json, secret_name: str) -> str:
        """A token that stands in a Secret, and lasts as long as it does."""
        meta, prefix = account["metadata"], "kubernetes.io/serviceaccount"
        claims = {
            "iss": LEGACY_ISSUER,
            f"{prefix}/namespace": meta["namespace"],
            f"{prefix}/secret.name": secret_name,
            f"{prefix}/service-account.name": meta["name"],
            f"{prefix}/service-account.uid": meta["uid"],
            "sub": f"{USER_PREFIX}{meta['namespace']}:{meta['name']}",
        }
        return jwt.sign(claims, self._key, self.key_id)

    def __call__(self, token: str) -> User | None:
        """The user of a token meant for this server, or None."""
        return self.review(token, self.audiences)[0]

    def review(self, token: str, audiences: tuple[str, ...]) -> tuple[User | None, tuple[str, ...], str]:
        """The user, which of the audiences the token is for, and why there is none; nothing for what is not ours."""
        known = self._verified.get(token)
        if (
            known is not None
            and known.user is not None
            and audiences is self.audiences
            and known.same(self._clock.now())
        ):
            return known.user, known.shared, ""
        try:
            known = self._known(token)
            if known is None:
                return None, (), ""
            claims = known.claims
            if claims["iss"] == LEGACY_ISSUER:
                user = self._legacy_user(claims, token)
                # A legacy token is meant for the API server, and for nobody else.
                return user, tuple(each for each in audiences if each in self.audiences), ""
            now = self._clock.now()
            if now >= claims.get("exp", 0):
                raise _Refused("service account token has expired")
            if claims.get("nbf", 0) - 60 > now:
                raise _Refused("service account token is not valid yet")
            named = claims.get("aud") or ()
            shared = tuple(each for each in named if each in audiences)
            if not shared:
                raise _Refused(f"token audiences [{' '.join(f'{each}' for each in named)}] is invalid for the target "
                               f"audiences [{' '.join(audiences)}]")  # fmt: skip
            stood: list[tuple[dict[str, Cached], str, Cached]] = []
            user = self._user(claims, now, stood)
            about = claims.get("kubernetes.io") or {}
            if audiences is self.audiences and not any(_identity(each[2])[1] for each in stood):
                known.user, known.shared, known.stood = user, shared, tuple(stood)
                known.begins, known.ends = (
                    claims.get("nbf", 0) - 60,
                    min(claims["exp"], about.get("warnafter", math.inf)),
                )
            return user, shared, ""
        except _Refused as refused:
            return None, (), str(refused)

    def _known(self, token: str) -> _Known | None:
        known = self._verified.get(token)
        if known is not None:
            self._verified.move_to_end(token)
            return known
        read = jwt.read_token(token)
        if read is None or read.claims.get("iss") not in (self.issuer, LEGACY_ISSUER):
            return None
        if read.algorithm != "ES256" or not jwt.verifies(read, self._public):
            raise _Refused("error in cryptographic primitive")
        known = self._verified[token] = _Known(read.claims)
        while len(self._verified) > REMEMBERED_MAX:
            self._verified.popitem(last=False)
        return known

    def _user(self, claims: Json, now: float, stood: list[tuple[dict[str, Cached], str, Cached]]) -> User:
        about = claims.get("kubernetes.io") or {}
        namespace = about.get("namespace", "")
        account = about.get("serviceaccount") or {}
        stood.append(self._stands("serviceaccounts", namespace, account, now))
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        pod, node, secret = about.get("pod"), about.get("node"), about.get("secret")
        if pod is not None:
            stood.append(self._stands("pods", namespace, pod, now))
            extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
        if secret is not None:
            stood.append(self._stands("secrets", namespace, secret, now))
        if node is not None:
            if pod is None:
                stood.append(self._stands("nodes", "", node, now))
            extra["authentication.kubernetes.io/node-name"] = (node["name"],)
            if node.get("uid"):
                extra["authentication.kubernetes.io/node-uid"] = (node["uid"],)
        if now > about.get("warnafter", now):
            self.stale_uses += 1
        return User(f"{USER_PREFIX}{namespace}:{account['name']}", _groups(namespace), account["uid"], extra)

    def _legacy_user(self, claims: Json, token: str) -> User:
        prefix = "kubernetes.io/serviceaccount"
        namespace, name = claims.get(f"{prefix}/namespace", ""), claims.get(f"{prefix}/service-account.name", "")
        uid, secret_name = claims.get(f"{prefix}/service-account.uid", ""), claims.get(f"{prefix}/secret.name", "")
        if not (namespace and name and uid and secret_name):
            raise _Refused("validation failed: a claim of the legacy token is missing")
        entry = self._find("secrets", namespace, secret_name)
        if entry is None or _identity(entry)[1]:
            raise _Refused("Token has been invalidated")
        stands = entry.form(("token",), _token_in)
        if stands != token.encode():
            raise _Refused("Token does not match server's copy")
        if INVALID_SINCE in entry.labels:
            raise _Refused(f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has "
                           "been marked invalid. Use tokens from the TokenRequest API or manually created secret-based "
                           f"tokens, or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of "
                           "this token")  # fmt: skip
        self._stands("serviceaccounts", namespace, {"name": name, "uid": uid}, self._clock.now())
        self.legacy_used(entry)
        return User(f"{USER_PREFIX}{namespace}:{name}", _groups(namespace), uid)

    def _find(self, plural: str, namespace: str, name: str) -> Cached | None:
        spec = self._specs.get(plural)
        if spec is None:
            found = self._objects.registry.get("", "v1", plural)
            assert found is not None
            spec = self._specs[plural] = found
        return self._objects.find(spec, namespace, name)

    def _stands(self, plural: str, namespace: str, reference: Json,
                now: float) -> tuple[dict[str, Cached], str, Cached]:  # fmt: skip
        """The object is still there, and is the same one; raises otherwise. Returns where it stands, and its entry."""
        entry = self._find(plural, namespace, reference.get("name", ""))
        if entry is None:
            raise _Refused(
                f'serviceaccounts "{reference.get("name", "")}" not found'
                if plural == "serviceaccounts"
                else INVALIDATED
            )
        uid, deleted = _identity(entry)
        if uid != reference.get("uid"):
            if plural == "serviceaccounts":
                raise _Refused(f"service account UID ({uid}) does not match claim ({reference.get('uid', '')})")
            raise _Refused(f"{plural[:-1]} UID ({uid}) does not match service account {plural[:-1]} ref claim "
                           f"({reference.get('uid', '')})")  # fmt: skip
        if deleted and parse_seconds(deleted) < now - DELETED_LEEWAY_SECONDS:
            raise _Refused("service account has been deleted" if plural == "serviceaccounts" else INVALIDATED)
        return self._objects.of(self._specs[plural]).objects, entry.key, entry

    def jwks(self) -> Json:
        """The public key as a JSON Web Key Set, for those who verify the cluster's tokens themselves."""
        numbers = self._public.public_numbers()
        return {
            "keys": [
                {
                    "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
                    "x": jwt.b64(numbers.x.to_bytes(32)), "y": jwt.b64(numbers.y.to_bytes(32)),
                }
            ]
        }  # fmt: skip

    def openid_configuration(self, jwks_uri: str) -> Json:
        """The discovery document that goes with the keys."""
        return {
            "issuer": self.issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


def _groups(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")


def _identity(entry: Cached) -> tuple[str, str]:
    """UID and time of deletion of an entry; read off its bytes once per revision."""
    uid, _, deleted = entry.form(("identity",), _read_identity).decode().partition(" ")
    return uid, deleted


def _read_identity(entry: Cached) -> bytes:
    meta = entry.decode()["metadata"]
    return f"{meta.get('uid', '')} {meta.get('deletionTimestamp') or ''}".encode()


def _token_in(entry: Cached) -> bytes:
    return base64.b64decode((entry.decode().get("data") or {}).get("token") or "")
