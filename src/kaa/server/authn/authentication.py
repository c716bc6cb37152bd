"""Every way to say who one is, in order."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.http.api import Request
from kaa.meta import errors
from kaa.server.authn.certificates import CertificateError, CertificateUsers
from kaa.server.authn.configuration import Anonymous, AuthenticationConfig, read_authentication
from kaa.server.authn.issuers import IssuerTokens
from kaa.server.authn.remembered import Found, Remembered
from kaa.server.authn.requestheader import RequestHeaders
from kaa.server.authn.serviceaccounts import ServiceAccountTokens
from kaa.server.authn.tokenwebhook import TokenWebhook
from kaa.server.configfile import ConfigError, FileOf
from kaa.server.request import ANONYMOUS, User

__all__ = ["Authentication", "Reviewed", "bearer_of"]

TokenAuthenticator = Callable[[str], User | None]
INVALID = "invalid bearer token"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What is known of a token: whose it is, for which of the audiences asked about, or why not."""

    user: User | None
    audiences: tuple[str, ...] = ()
    error: str = ""


class Authentication:
    """Finds out who makes a request.

    `tokens` are the cluster's own, `others` authenticators that answer at once, asked before; issuers of the
    configuration file come behind, then the webhook.
    """

    def __init__(
        self,
        tokens: ServiceAccountTokens,
        clock: Clock,
        *,
        others: Sequence[TokenAuthenticator] = (),
        behind: Sequence[TokenAuthenticator] = (),
        anonymous: bool = True,
        certificates: CertificateUsers | None = None,
        proxies: RequestHeaders | None = None,
        webhook: TokenWebhook | None = None,
        config: Path | None = None,
    ) -> None:
        self._tokens, self._clock = tokens, clock
        self._others, self._behind = tuple(others), tuple(behind)
        self._anonymous_by_default = Anonymous(anonymous)
        self._anonymous = self._anonymous_by_default
        self._certificates = certificates or CertificateUsers()
        self._proxies = proxies
        self._webhook = webhook
        self._remembered_webhook = Remembered(webhook, clock) if webhook is not None else None
        self._issuers: list[tuple[IssuerTokens, Remembered]] = []
        self._scope = Scope("authentication")
        self._file: FileOf[AuthenticationConfig] | None = None
        if config is not None:
            self._file = FileOf(config, lambda raw: self._read(raw, config, anonymous), self._take)

    def __call__(self, request: Request) -> User | Awaitable[User]:
        """The user; raises 401."""
        der = request.peer.certificate_der
        if der is not None:
            now = self._clock.now()
            if self._proxies is not None:
                named = self._proxies(request, now)
                if named is not None:
                    return named
            try:
                return self._certificates(der, now)
            except CertificateError:
                if bearer_of(request) is None:
                    raise errors.unauthorized() from None
        token = bearer_of(request)
        if token is not None:
            found = self.of_token(token)
            if isinstance(found, Found):
                if found.user is None:
                    raise errors.unauthorized()
                return found.user
            return self._awaited(found)
        anonymous = self._anonymous
        if not anonymous.enabled or "authorization" in request.headers:
            raise errors.unauthorized()
        if anonymous.paths and request.path not in anonymous.paths:
            raise errors.unauthorized()
        return ANONYMOUS

    def of_token(self, token: str) -> Found | Awaitable[Found]:
        """Whose token it is, of those meant for this server."""
        for authenticator in self._others:
            user = authenticator(token)
            if user is not None:
                return Found(user, 0.0)
        user, _, error = self._tokens.review(token, self._tokens.audiences)
        if user is not None:
            return Found(user, 0.0)
        return self._of_others(token, error)

    def _of_others(self, token: str, error: str) -> Found | Awaitable[Found]:
        for authenticator in self._behind:
            user = authenticator(token)
            if user is not None:
                return Found(user, 0.0)
        asked: list[Remembered] = [each for issuer, each in self._issuers if issuer.claims_to_be(token)]
        if self._remembered_webhook is not None:
            asked.append(self._remembered_webhook)
        return self._ask(asked, token, error)

    def _ask(self, asked: Sequence[Remembered], token: str, error: str) -> Found | Awaitable[Found]:
        for number, each in enumerate(asked):
            found = each(token)
            if not isinstance(found, Found):
                return self._ask_on(found, asked[number + 1 :], token, error)
            if found.user is not None:
                return found
            error = ", ".join(filter(None, (error, found.error)))
        return Found(None, 0.0, error)

    async def _ask_on(self, coming: Awaitable[Found], asked: Sequence[Remembered], token: str, error: str) -> Found:
        found = await coming
        if found.user is not None:
            return found
        rest = self._ask(asked, token, ", ".join(filter(None, (error, found.error))))
        return rest if isinstance(rest, Found) else await rest

    async def _awaited(self, coming: Awaitable[Found]) -> User:
        found = await coming
        if found.user is None:
            raise errors.unauthorized()
        return found.user

    async def review(self, token: str, audiences: tuple[str, ...]) -> Reviewed:
        """What a TokenReview asks. Only the cluster's own tokens are for other audiences than its own."""
        user, shared, error = self._tokens.review(token, audiences)
        if user is not None:
            return Reviewed(user, shared)
        own = tuple(each for each in audiences if each in self._tokens.audiences)
        if own:
            coming = self.of_token(token)
            found = coming if isinstance(coming, Found) else await coming
            if found.user is not None:
                return Reviewed(found.user, own)
            error = found.error or error
        return Reviewed(None, (), f"[{INVALID}, {error}]" if error else f"[{INVALID}]")

    def start(self) -> None:
        """Follow the configuration file."""
        if self._file is not None:
            self._scope.spawn(self._file.run(self._clock), name="configuration", eternal=True)

    def refresh(self) -> bool:
        """Read the configuration file again now; whether it changed."""
        return self._file is not None and self._file.refresh()

    async def close(self) -> None:
        """End what runs, and connections to others."""
        await self._scope.close()
        for issuer, remembered in self._issuers:
            await remembered.close()
            await issuer.close()
        if self._remembered_webhook is not None:
            await self._remembered_webhook.close()
        if self._webhook is not None:
            await self._webhook.close()

    def _read(self, raw: bytes, path: Path, anonymous: bool) -> AuthenticationConfig:
        read = read_authentication(raw, path, self._tokens.issuer)
        if read.anonymous is not None and not anonymous:
            raise ConfigError(f"{path}: anonymous: must not be set together with --anonymous-auth=false")
        return read

    def _take(self, config: AuthenticationConfig) -> None:
        before, self._issuers = self._issuers, []
        for issuer in config.issuers:
            tokens = IssuerTokens(issuer, self._clock)
            self._issuers.append((tokens, Remembered(tokens, self._clock)))
        self._anonymous = config.anonymous or self._anonymous_by_default
        for old, remembered in before:
            self._scope.spawn(_end(old, remembered), name="close")


async def _end(issuer: IssuerTokens, remembered: Remembered) -> None:
    await remembered.close()
    await issuer.close()


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
