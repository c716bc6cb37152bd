"""Tokens of other issuers (OpenID Connect): their keys are fetched, and fetched again when a token names another."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson

from kaa import cel
from kaa.base.clock import Clock
from kaa.base.log import Logger
from kaa.http.api import CallError
from kaa.http.call import Caller, CallLimits
from kaa.http.tls import TlsClient
from kaa.server.authn.configuration import ClaimOrExpression, Issuer
from kaa.server.authn.jwt import PublicKey, Token, public_keys, read_token, verifies
from kaa.server.authn.remembered import Found
from kaa.server.request import User

__all__ = ["IssuerTokens", "RefusedToken"]

Json = dict[str, Any]
_log = Logger("apiserver")

#: How long a verified token is not verified again.
TTL_SECONDS = 10.0
#: Keys are fetched at most so often, whatever tokens people send.
FETCH_SECONDS_MIN = 5.0
FETCH_TIMEOUT_SECONDS = 10.0
DOCUMENT_BYTES_MAX = 1 << 20
KEYS_MAX = 64
#: What `nbf` may be ahead of our clock.
EARLY_SECONDS = 300.0


class RefusedToken(Exception):
    """The token is of this issuer, and not good; the text says why."""


class IssuerTokens:
    """Users by the tokens of one issuer."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self.issuer = issuer
        self._clock = clock
        self._keys: list[tuple[str, str, PublicKey]] = []
        self._fetched = float("-inf")
        self._trouble = "authenticator not initialized"
        self._callers: dict[str, Caller] = {}

    def claims_to_be(self, token: str) -> bool:
        """Whether a token says that it is of this issuer."""
        read = read_token(token)
        return read is not None and read.claims.get("iss") == self.issuer.url

    async def __call__(self, token: str) -> Found:
        """Whose token it is."""
        read = read_token(token)
        if read is None or read.claims.get("iss") != self.issuer.url:
            return Found(None, 0.0)
        try:
            await self._verify(read)
            now = self._clock.now()
            ends = self._check_times(read.claims, now)
            self._check_audience(read.claims)
            return Found(self.user_of(read.claims), min(TTL_SECONDS, ends - now))
        except RefusedToken as error:
            return Found(None, 0.0, f"oidc: {error}")

    async def close(self) -> None:
        """End its connections."""
        for caller in self._callers.values():
            await caller.close()
        self._callers.clear()

    # --- keys

    async def _verify(self, token: Token) -> None:
        if self._verified(token):
            return
        if self._clock.monotonic() - self._fetched >= FETCH_SECONDS_MIN:
            await self._fetch()
            if self._verified(token):
                return
        raise RefusedToken(self._trouble or "failed to verify signature: failed to verify id token signature")

    def _verified(self, token: Token) -> bool:
        return any(
            verifies(token, key)
            for key_id, algorithm, key in self._keys
            if (not token.key_id or not key_id or key_id == token.key_id) and algorithm in ("", token.algorithm)
        )

    async def _fetch(self) -> None:
        self._fetched = self._clock.monotonic()
        url = self.issuer.discovery_url or f"{self.issuer.url.rstrip('/')}/.well-known/openid-configuration"
        try:
            document = await self._document(url)
            if document.get("issuer") != self.issuer.url:
                raise RefusedToken(
                    f'issuer did not match the issuer returned by provider, expected "{self.issuer.url}" got '
                    f'"{document.get("issuer")}"'
                )
            place = document.get("jwks_uri")
            if not isinstance(place, str) or not place.startswith("https://"):
                raise RefusedToken("the provider's jwks_uri is no https URL")
            keys = public_keys(await self._document(place))[:KEYS_MAX]
        except (RefusedToken, CallError) as error:
            self._trouble = f"authenticator not initialized: {error}" if not self._keys else ""
            _log.warning("keys of an issuer could not be fetched", issuer=self.issuer.url, error=str(error))
            return
        self._keys, self._trouble = keys, ""

    async def _document(self, url: str) -> Json:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        caller = self._callers.get(base)
        if caller is None:
            limits = CallLimits(connections_max=1, reply_bytes_max=DOCUMENT_BYTES_MAX)
            caller = self._callers[base] = Caller(
                base, tls=TlsClient(ca_pem=self.issuer.ca_pem), user_agent="kube-apiserver", limits=limits,
                clock=self._clock,
            )  # fmt: skip
        reply = await caller.call("GET", parts.path or "/", query=parts.query, timeout_seconds=FETCH_TIMEOUT_SECONDS)
        if reply.status != 200:
            raise RefusedToken(f"{url} answered {reply.status}")
        try:
            document = orjson.loads(reply.body)
        except ValueError as error:
            raise RefusedToken(f"{url} is no JSON") from error
        if not isinstance(document, dict):
            raise RefusedToken(f"{url} is no object")
        return document

    # --- claims

    def _check_times(self, claims: Json, now: float) -> float:
        ends, begins = claims.get("exp"), claims.get("nbf")
        if ends is None or not _number(ends):
            raise RefusedToken("verify token: the token has no expiry")
        if now >= ends:
            raise RefusedToken("verify token: oidc: token is expired")
        if begins is not None and (not _number(begins) or begins > now + EARLY_SECONDS):
            raise RefusedToken("verify token: the token is not valid yet")
        return float(ends)

    def _check_audience(self, claims: Json) -> None:
        named = claims.get("aud")
        audiences = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        if not any(each in self.issuer.audiences for each in audiences):
            wanted = ", ".join(f'"{each}"' for each in self.issuer.audiences)
            raise RefusedToken(f"verify token: expected audience in [{wanted}] got {orjson.dumps(audiences).decode()}")

    def user_of(self, claims: Json) -> User:
        """The user that verified claims stand for. Raises RefusedToken."""
        issuer, budget = self.issuer, cel.Budget()
        if "_claim_names" in claims:
            raise RefusedToken("distributed claims are not served by this release")
        name = self._text(issuer.username, "username", claims, budget)
        if not name:
            raise RefusedToken("username claim is empty")
        if issuer.username.claim == "email" and claims.get("email_verified", True) is not True:
            raise RefusedToken("email not verified")
        if issuer.username.claim and issuer.username.prefix:
            name = issuer.username.prefix + name
        groups: list[str] = []
        if issuer.groups is not None:
            prefix = issuer.groups.prefix
            groups = [prefix + each for each in self._texts(issuer.groups, "groups", claims, budget)]
        uid = self._text(issuer.uid, "uid", claims, budget) if issuer.uid is not None else ""
        extra: dict[str, tuple[str, ...]] = {}
        if isinstance(claims.get("jti"), str) and claims["jti"]:
            extra["authentication.kubernetes.io/credential-id"] = (f"JTI={claims['jti']}",)
        for key, program in issuer.extra:
            values = _listed(_value(program, {"claims": claims}, budget), key)
            if values:
                extra[key] = tuple(values)
        for rule in issuer.claim_rules:
            if rule.expression is not None:
                if _value(rule.expression, {"claims": claims}, budget) is not True:
                    raise RefusedToken(f"error evaluating claim validation expression: validation expression "
                                       f"'{rule.expression.source}' failed: {rule.message}")  # fmt: skip
            elif rule.claim not in claims:
                raise RefusedToken(f"required claim {rule.claim} not present in ID token")
            elif claims[rule.claim] != rule.value:
                raise RefusedToken(f"required claim {rule.claim} value does not match. Got = {claims[rule.claim]}, "
                                   f"want = {rule.value}")  # fmt: skip
        shown = {"username": name, "uid": uid, "groups": groups, "extra": {key: list(v) for key, v in extra.items()}}
        for rule in issuer.user_rules:
            assert rule.expression is not None
            if _value(rule.expression, {"user": shown}, budget) is not True:
                raise RefusedToken(f"error evaluating user info validation rule: validation expression "
                                   f"'{rule.expression.source}' failed: {rule.message}")  # fmt: skip
        if "system:authenticated" not in groups:
            groups.append("system:authenticated")
        return User(name, tuple(groups), uid, extra)

    def _text(self, source: ClaimOrExpression, part: str, claims: Json, budget: cel.Budget) -> str:
        if source.expression is not None:
            value = _value(source.expression, {"claims": claims}, budget)
        elif source.claim not in claims:
            raise RefusedToken(f'parse {part} claims "{source.claim}": claim not present')
        else:
            value = claims[source.claim]
        if not isinstance(value, str):
            raise RefusedToken(f"{part} claim must evaluate to a string")
        return value

    def _texts(self, source: ClaimOrExpression, part: str, claims: Json, budget: cel.Budget) -> list[str]:
        if source.expression is not None:
            return _listed(_value(source.expression, {"claims": claims}, budget), part)
        return _listed(claims.get(source.claim), part)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(value: Any, part: str) -> list[str]:
    """A text, or a list of texts; what is empty is left out."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return [each for each in value if each]
    raise RefusedToken(f"{part}: expression must evaluate to a string or a list of strings")


def _value(program: cel.Program, bindings: Json, budget: cel.Budget) -> Any:
    try:
        return cel.to_json(program.evaluate(bindings, budget))
    except (cel.EvaluationError, cel.BudgetExceeded) as error:
        raise RefusedToken(f"expression '{program.source}' resulted in error: {error}") from error
