"""Who asks: client certificates, then bearer tokens (static ones, those of service accounts), then nobody.

Each authenticator answers a `User`, or None when the request carries nothing for it; `Authentication` asks them in
order. What a request claims and cannot prove is refused with 401, never taken for anonymous.
"""

import base64
from collections.abc import Callable, Sequence

from kaa.http.api import Request
from kaa.meta import errors
from kaa.server.authn.certificates import user_of_certificate
from kaa.server.authn.serviceaccounts import ServiceAccountTokens
from kaa.server.authn.statictokens import StaticTokens
from kaa.server.request import ANONYMOUS, User

__all__ = ["Authentication", "ServiceAccountTokens", "StaticTokens", "bearer_of"]

TokenAuthenticator = Callable[[str], User | None]


class Authentication:
    """Finds out who makes a request."""

    def __init__(self, tokens: Sequence[TokenAuthenticator], *, anonymous: bool = True) -> None:
        self._tokens = tuple(tokens)
        self._anonymous = anonymous

    def __call__(self, request: Request) -> User:
        """The user; raises 401, and 403 for who wants to be taken for another."""
        user = self._of(request)
        for name in request.headers:
            if name.startswith("impersonate-"):
                raise errors.forbidden(
                    None, "", f'User "{user.name}" asks to be taken for another by {name}, but impersonation is not '
                    "served by this release: use credentials of that user (see docs/conformance.md)",
                )  # fmt: skip
        return user

    def _of(self, request: Request) -> User:
        if request.peer.certificate_der is not None:
            return user_of_certificate(request.peer.certificate_der)
        token = bearer_of(request)
        if token is not None:
            return self.of_token(token)
        if not self._anonymous or "authorization" in request.headers:
            raise errors.unauthorized()
        return ANONYMOUS

    def of_token(self, token: str) -> User:
        """The user a bearer token stands for; raises 401."""
        for authenticator in self._tokens:
            user = authenticator(token)
            if user is not None:
                return user
        raise errors.unauthorized()


def bearer_of(request: Request) -> str | None:
    """The bearer token of a request, from its header or, for browsers' WebSockets, its subprotocol."""
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, token = header.partition(" ")
        token = token.strip()
        return token if kind.lower() == "bearer" and token else None
    if "sec-websocket-protocol" not in request.headers:
        return None
    prefix = "base64url.bearer.authorization.k8s.io."
    for each in request.headers["sec-websocket-protocol"].split(","):
        if each.strip().startswith(prefix):
            raw = each.strip()[len(prefix) :]
            try:
                return base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)).decode()
            except ValueError as error:
                raise errors.unauthorized() from error
    return None
