"""Bootstrap tokens: `ID.SECRET`, kept as a Secret `bootstrap-token-ID` in kube-system, for machines that join."""

import base64
import hmac
import re
from typing import Any

from kaa.base.clock import Clock, parse_seconds
from kaa.server.objects import Objects
from kaa.server.request import User

__all__ = ["BootstrapTokens"]

Json = dict[str, Any]

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})\Z")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\Z")
TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"


class BootstrapTokens:
    """Users by bootstrap tokens, as they stand at the moment."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects, self._clock = objects, clock

    def __call__(self, token: str) -> User | None:
        """The user of a token, or None."""
        match = _TOKEN.match(token)
        if match is None:
            return None
        ident, secret = match.groups()
        spec = self._objects.registry.get("", "v1", "secrets")
        entry = self._objects.find(spec, NAMESPACE, f"bootstrap-token-{ident}") if spec is not None else None
        if entry is None:
            return None
        found = entry.decode()
        if found["metadata"].get("deletionTimestamp") or found.get("type") != TYPE:
            return None
        data = {key: _text(value) for key, value in (found.get("data") or {}).items()}
        if not hmac.compare_digest(data.get("token-secret", "").encode(), secret.encode()):
            return None
        if data.get("token-id") != ident or data.get("usage-bootstrap-authentication") != "true":
            return None
        if data.get("expiration") and not self._lasts(data["expiration"]):
            return None
        extra = {each.strip() for each in data.get("auth-extra-groups", "").split(",")} - {""}
        if not all(_GROUP.match(each) for each in extra):
            return None
        return User(f"system:bootstrap:{ident}", ("system:bootstrappers", *sorted(extra), "system:authenticated"))

    def _lasts(self, text: str) -> bool:
        try:
            return parse_seconds(text) > self._clock.now()
        except ValueError:
            return False  # what cannot be read has expired


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return ""
