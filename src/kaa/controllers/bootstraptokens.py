"""Bootstrap tokens: taken away when they have expired, and the signatures by which who joins knows the cluster.

Who holds a token can tell by `kube-public/cluster-info`, which anybody may read, that it speaks to the right cluster:
the kubeconfig in it is signed with the token's secret.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from typing import Any

from kaa.base.clock import parse_seconds
from kaa.kinds.views.core import ConfigMap, Secret
from kaa.meta.errors import StatusError
from kaa.runtime import Controller, For, Maps, Parts, Result, Session

__all__ = ["BootstrapSignerController", "TokenCleanerController", "detached_signature"]

NAMESPACE = "kube-system"
TOKENS = f"metadata.namespace={NAMESPACE},type=bootstrap.kubernetes.io/token"
INFO_NAMESPACE, INFO = "kube-public", "cluster-info"
SIGNATURE = "jws-kubeconfig-"


def text_of(secret: Secret, key: str) -> str:
    """A value of a secret; "" for what is absent or no text."""
    try:
        return base64.b64decode(secret.data.get(key, "")).decode()
    except ValueError:
        return ""


def seconds_left(secret: Secret, now: float) -> float | None:
    """How long a token still counts; None for ever, 0 for what cannot be read."""
    text = text_of(secret, "expiration")
    if not text:
        return None
    try:
        return max(0.0, parse_seconds(text) - now)
    except ValueError:
        return 0.0


class TokenCleanerController(Controller[Secret]):
    """Delete each bootstrap token once it has expired."""

    name, component = "token-cleaner", "token-cleaner"
    watches = (For(Secret, fields=TOKENS),)

    async def reconcile(self, obj: Secret, io: Session) -> Result | None:
        left = seconds_left(obj, io.clock.now())
        if left is None or obj.deleting:
            return None
        if left > 0:
            return Result(requeue_after=left)
        try:
            await io.delete(obj)
        except StatusError as error:
            if error.code != 409:  # the name is another's by now
                raise
        return None


def the_info(_secret: Secret, _controller: Any) -> Iterable[str]:
    """Every token matters to one object."""
    return (f"{INFO_NAMESPACE}/{INFO}",)


class BootstrapSignerController(Controller[ConfigMap]):
    """Keep a signature for each signing token in `kube-public/cluster-info`, once somebody has made that."""

    name, component = "bootstrap-signer", "bootstrap-signer"
    watches = (
        For(ConfigMap, fields=f"metadata.name={INFO},metadata.namespace={INFO_NAMESPACE}"),
        Maps(Secret, the_info, fields=TOKENS),
    )

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.secrets = parts.informers.of(Secret, fields=TOKENS).lister

    async def reconcile(self, obj: ConfigMap, io: Session) -> Result | None:
        content = obj.data.get("kubeconfig")
        if obj.deleting or not content:
            return None
        held = {key: value for key, value in obj.data.items() if key.startswith(SIGNATURE)}
        tokens = dict(signing_tokens(self.secrets.in_namespace(NAMESPACE), io.clock.now()))
        wanted = {f"{SIGNATURE}{ident}": detached_signature(content, ident, key) for ident, key in tokens.items()}
        if held == wanted:
            return None
        changed: dict[str, str | None] = {**{key: None for key in held if key not in wanted}, **wanted}
        await io.patch(ConfigMap.resource, INFO, {"data": changed}, namespace=INFO_NAMESPACE)
        return None


def signing_tokens(secrets: Iterable[Secret], now: float) -> Iterator[tuple[str, str]]:
    """IDs and secrets of the tokens that sign."""
    for secret in secrets:
        ident = text_of(secret, "token-id")
        usable = text_of(secret, "usage-bootstrap-signing") == "true" and seconds_left(secret, now) != 0
        if usable and ident and secret.name == f"bootstrap-token-{ident}":
            yield ident, text_of(secret, "token-secret")


def detached_signature(content: str, ident: str, secret: str) -> str:
    """A JSON Web Signature (RFC 7515, HS256) of a text that does not hold the text itself."""

    def b64(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    head = b64(json.dumps({"alg": "HS256", "kid": ident}, separators=(",", ":")).encode())
    signed = hmac.new(secret.encode(), f"{head}.{b64(content.encode())}".encode(), hashlib.sha256).digest()
    return f"{head}..{b64(signed)}"
