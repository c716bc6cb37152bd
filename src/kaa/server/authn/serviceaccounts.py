"""Tokens of service accounts: made by TokenRequest, bound to a pod, secret or node, expiring; verified here.

A token is a JWT signed with the cluster's key. Its signature is checked once and remembered; that its account and what
it is bound to still exist, with the same UIDs, is checked each time.
"""

import base64
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from kaa.base import ids
from kaa.base.clock import Clock
from kaa.server.objects import Objects
from kaa.server.request import User

__all__ = ["Binding", "ServiceAccountTokens"]

Json = dict[str, Any]

REMEMBERED_MAX = 4096
USER_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Binding:
    """The object whose end ends the token: a Pod, a Secret or a Node."""

    kind: str
    name: str
    uid: str


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class ServiceAccountTokens:
    """Signs and verifies (ES256). One per server; the key is the cluster's."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, issuer: str, audiences: tuple[str, ...], objects: Objects,
                 clock: Clock) -> None:  # fmt: skip
        self.issuer = issuer
        #: What the API server answers to; the first is put into tokens that ask for no audience.
        self.audiences = audiences
        self._key = key
        self._public = key.public_key()
        self._objects = objects
        self._clock = clock
        self._verified: OrderedDict[bytes, Json] = OrderedDict()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.key_id = _b64(hashlib.sha256(der).digest())

    def issue(self, account: Json, *, audiences: tuple[str, ...], expires_at: float, binding: Binding | None,
              node: Binding | None = None) -> str:  # fmt: skip
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
        head = _b64(orjson.dumps({"alg": "ES256", "kid": self.key_id}))
        signed = f"{head}.{_b64(orjson.dumps(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_b64(r.to_bytes(32) + s.to_bytes(32))}"

    def __call__(self, token: str) -> User | None:
        """The user of a token meant for this server, or None."""
        return self.review(token, self.audiences)[0]

    def review(self, token: str, audiences: tuple[str, ...]) -> tuple[User | None, tuple[str, ...]]:
        """The user, and which of the audiences the token is for; None when it is not valid, or for none of them."""
        claims = self._claims(token)
        if claims is None:
            return None, ()
        now = self._clock.now()
        if not claims.get("nbf", 0) - 60 <= now < claims.get("exp", 0):
            return None, ()
        shared = tuple(each for each in claims.get("aud") or () if each in audiences)
        if not shared:
            return None, ()
        return self._user(claims), shared

    def _claims(self, token: str) -> Json | None:
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None:
            self._verified.move_to_end(digest)
            return known
        parts = token.split(".")
        if len(parts) != 3 or len(token) > 16384:
            return None
        try:
            header, claims, signature = orjson.loads(_unb64(parts[0])), orjson.loads(_unb64(parts[1])), _unb64(parts[2])
            if header.get("alg") != "ES256" or claims.get("iss") != self.issuer or len(signature) != 64:
                return None
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            self._public.verify(
                encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(hashes.SHA256())
            )
        except (ValueError, AttributeError, InvalidSignature):
            return None
        self._verified[digest] = claims
        while len(self._verified) > REMEMBERED_MAX:
            self._verified.popitem(last=False)
        return dict(claims)

    def _user(self, claims: Json) -> User | None:
        about = claims.get("kubernetes.io") or {}
        namespace = about.get("namespace", "")
        account = about.get("serviceaccount") or {}
        if not self._stands("serviceaccounts", namespace, account):
            return None
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        pod, node, secret = about.get("pod"), about.get("node"), about.get("secret")
        if pod is not None:
            if not self._stands("pods", namespace, pod):
                return None
            extra["authentication.kubernetes.io/pod-name"] = (pod["name"],)
            extra["authentication.kubernetes.io/pod-uid"] = (pod["uid"],)
        if secret is not None and not self._stands("secrets", namespace, secret):
            return None
        if node is not None:
            if pod is None and not self._stands("nodes", "", node):
                return None
            extra["authentication.kubernetes.io/node-name"] = (node["name"],)
            if node.get("uid"):
                extra["authentication.kubernetes.io/node-uid"] = (node["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(f"{USER_PREFIX}{namespace}:{account['name']}", groups, account["uid"], extra)

    def _stands(self, plural: str, namespace: str, reference: Json) -> bool:
        """The object is still there, and is the same one."""
        spec = self._objects.registry.get("", "v1", plural)
        entry = self._objects.find(spec, namespace, reference.get("name", "")) if spec is not None else None
        if entry is None:
            return False
        return f'"uid":"{reference.get("uid", "")}"'.encode() in entry.metadata_wire

    def jwks(self) -> Json:
        """The public key as a JSON Web Key Set, for those who verify the cluster's tokens themselves."""
        numbers = self._public.public_numbers()
        return {
            "keys": [
                {
                    "use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
                    "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32)),
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
