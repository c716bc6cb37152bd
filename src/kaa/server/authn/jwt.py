"""JSON Web Tokens: read without trusting them, verified by public keys, signed by ours. RFC 7515, 7517, 7518."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

__all__ = ["ALGORITHMS", "Token", "b64", "public_keys", "read_token", "sign", "unb64", "verifies"]

Json = dict[str, Any]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

#: Longer than any token that is meant; a request's headers are bounded, too.
TOKEN_LENGTH_MAX = 16384
RSA_BITS_MIN = 2048
_HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
_CURVES_OF_KEYS = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
#: What is verified. Never `none`, and never what is signed with a shared secret.
ALGORITHMS = (*(f"RS{size}" for size in _HASHES), *(f"PS{size}" for size in _HASHES), *_CURVES)


def b64(raw: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """The opposite. Raises ValueError, also for letters that are none of the alphabet."""
    raw = text.encode("ascii") + b"=" * (-len(text) % 4)
    return base64.b64decode(raw, altchars=b"-_", validate=True)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it says it is; nothing of it is true before `verifies`."""

    algorithm: str
    key_id: str
    claims: Json
    signed: bytes
    signature: bytes


def read_token(text: str) -> Token | None:
    """The parts of a token, or None for what is none."""
    if len(text) > TOKEN_LENGTH_MAX or text.count(".") != 2 or not text.isascii():
        return None
    head, body, tail = text.split(".")
    try:
        header, claims, signature = orjson.loads(unb64(head)), orjson.loads(unb64(body)), unb64(tail)
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:
        return None
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS or not isinstance(key_id, str):
        return None
    return Token(algorithm, key_id, claims, f"{head}.{body}".encode(), signature)


def verifies(token: Token, key: PublicKey) -> bool:
    """The token was signed with the private half of the key, by the algorithm it names."""
    algorithm = token.algorithm
    kind, hashed = algorithm[:2], _HASHES[algorithm[2:]]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if kind == "RS":
                key.verify(token.signature, token.signed, padding.PKCS1v15(), hashed)
            elif kind == "PS":
                key.verify(token.signature, token.signed, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
            else:
                return False
            return True
        if kind != "ES" or key.curve.name != _CURVES[algorithm].name:
            return False
        size = (key.curve.key_size + 7) // 8
        if len(token.signature) != 2 * size:
            return False
        r, s = int.from_bytes(token.signature[:size]), int.from_bytes(token.signature[size:])
        key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(hashed))
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(claims: Json, key: ec.EllipticCurvePrivateKey, key_id: str) -> str:
    """A token of ours (ES256)."""
    head = b64(orjson.dumps({"alg": "ES256", "kid": key_id}))
    signed = f"{head}.{b64(orjson.dumps(claims))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def public_keys(key_set: Mapping[str, Any]) -> list[tuple[str, str, PublicKey]]:
    """The keys of a JSON Web Key Set that tokens can be verified with, each as (id, algorithm or "", key).

    Keys of other uses, kinds and sizes are left out: an issuer may publish them beside.
    """
    found: list[tuple[str, str, PublicKey]] = []
    for each in key_set.get("keys") or ():
        make = _MAKERS.get(each.get("kty")) if isinstance(each, dict) else None
        if make is None or each.get("use", "sig") != "sig":
            continue
        try:
            key = make(each)
        except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
            continue
        found.append((str(each.get("kid", "")), str(each.get("alg", "")), key))
    return found


def _rsa(each: Json) -> PublicKey:
    numbers = rsa.RSAPublicNumbers(int.from_bytes(unb64(each["e"])), int.from_bytes(unb64(each["n"])))
    if not RSA_BITS_MIN <= numbers.n.bit_length() <= 16384:
        raise ValueError("RSA keys are to have 2048 bits or more")
    return numbers.public_key()


def _curve(each: Json) -> PublicKey:
    x, y = int.from_bytes(unb64(each["x"])), int.from_bytes(unb64(each["y"]))
    return ec.EllipticCurvePublicNumbers(x, y, _CURVES_OF_KEYS[each["crv"]]).public_key()


_MAKERS: dict[Any, Callable[[Json], PublicKey]] = {"RSA": _rsa, "EC": _curve}
