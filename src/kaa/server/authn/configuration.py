"""The authentication configuration file: issuers whose tokens count, what claims mean, and who may be anonymous."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kaa import cel
from kaa.server.configfile import ConfigError, Section, read_config

__all__ = ["Anonymous", "AuthenticationConfig", "ClaimOrExpression", "Issuer", "Rule", "read_authentication"]

VERSIONS = ("v1", "v1beta1")
ISSUERS_MAX = 64
EXPRESSION_BYTES_MAX = 10_240

#: Keys of extra: `example.org/name`, in small letters.
_KEY = re.compile(r"(?P<domain>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)/[a-z0-9!$&'()*+,;=:@%/._~-]+\Z")


@cache
def _claims() -> cel.Environment:
    """What expressions about claims may mention."""
    return cel.Environment({"claims": cel.map_of(cel.STRING, cel.DYN)})


@cache
def _user() -> cel.Environment:
    """What rules about the user may mention."""
    texts = cel.list_of(cel.STRING)
    fields = {"username": cel.STRING, "uid": cel.STRING, "groups": texts, "extra": cel.map_of(cel.STRING, texts)}
    return cel.Environment({"user": cel.object_of("kubernetes.UserInfo", fields)})


@dataclass(frozen=True)
class ClaimOrExpression:
    """Where a part of a user comes from."""

    claim: str = ""
    prefix: str = ""
    expression: cel.Program | None = None


@dataclass(frozen=True)
class Rule:
    """What must hold: an expression, or a claim with a value."""

    message: str = ""
    claim: str = ""
    value: str = ""
    expression: cel.Program | None = None


@dataclass(frozen=True)
class Issuer:
    """One issuer of tokens."""

    url: str
    audiences: tuple[str, ...]
    username: ClaimOrExpression
    discovery_url: str = ""
    ca_pem: bytes | None = None
    groups: ClaimOrExpression | None = None
    uid: ClaimOrExpression | None = None
    extra: tuple[tuple[str, cel.Program], ...] = ()
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Anonymous:
    """Whether requests without credentials are somebody; with `paths` only requests for one of them."""

    enabled: bool
    paths: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class AuthenticationConfig:
    """What a file says."""

    issuers: tuple[Issuer, ...] = ()
    #: None where the file says nothing: `--anonymous-auth` counts.
    anonymous: Anonymous | None = None


def read_authentication(raw: bytes, path: Path, own_issuer: str = "") -> AuthenticationConfig:
    """The configuration in a file. Raises ConfigError."""
    try:
        root = read_config(raw, "AuthenticationConfiguration", VERSIONS, path)
        sections = root.sections("jwt")
        if len(sections) > ISSUERS_MAX:
            raise ConfigError(f"jwt: Too many: {len(sections)}: must have at most {ISSUERS_MAX} items")
        issuers: list[Issuer] = []
        for section in sections:
            issuer = _issuer(section, own_issuer)
            if any(each.url == issuer.url for each in issuers):
                raise ConfigError(f'{section.path}.issuer.url: Duplicate value: "{issuer.url}"')
            issuers.append(issuer)
        anonymous = root.section("anonymous")
        root.end()
        return AuthenticationConfig(tuple(issuers), _anonymous(anonymous) if anonymous is not None else None)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _anonymous(section: Section) -> Anonymous:
    enabled = section.flag("enabled", False)
    paths = []
    for condition in section.sections("conditions"):
        paths.append(condition.text("path", required=True))
        condition.end()
    section.end()
    if paths and not enabled:
        raise ConfigError(f"{section.path}.conditions: Invalid value: enabled should be set to true when conditions "
                          "are defined")  # fmt: skip
    return Anonymous(enabled, frozenset(paths))


def _url(text: str, path: str) -> str:
    if not text.startswith("https://") or len(text) == len("https://"):
        raise ConfigError(f'{path}: Invalid value: "{text}": URL scheme must be https')
    if "@" in text.split("/")[2]:
        raise ConfigError(f'{path}: Invalid value: "{text}": URL must not contain a username or password')
    for letter, what in (("?", "query"), ("#", "fragment")):
        if letter in text:
            raise ConfigError(f'{path}: Invalid value: "{text}": URL must not contain a {what}')
    return text


def _issuer(section: Section, own_issuer: str) -> Issuer:
    place = section.section("issuer")
    if place is None:
        raise ConfigError(f"{section.path}.issuer: Required value")
    url = _url(place.text("url", required=True), f"{place.path}.url")
    if url == own_issuer:
        raise ConfigError(f'{place.path}.url: Invalid value: "{url}": URL must not overlap with disallowed issuers: '
                          f"[{own_issuer}]")  # fmt: skip
    discovery = place.text("discoveryURL")
    if discovery:
        _url(discovery, f"{place.path}.discoveryURL")
        if discovery.rstrip("/") == url.rstrip("/"):
            raise ConfigError(f'{place.path}.discoveryURL: Invalid value: "{discovery}": discoveryURL must be '
                              "different from URL")  # fmt: skip
    authority = place.text("certificateAuthority")
    audiences = place.texts("audiences")
    if not audiences:
        raise ConfigError(f"{place.path}.audiences: Required value: at least one jwt[].issuer.audiences is required")
    policy = place.text("audienceMatchPolicy", among=("MatchAny",))
    if len(audiences) > 1 and not policy:
        raise ConfigError(f'{place.path}.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be '
                          "MatchAny for multiple audiences")  # fmt: skip
    if place.text("egressSelectorType"):
        raise ConfigError(f"{place.path}.egressSelectorType: egress selectors are not served by this release")
    place.end()
    mappings = section.section("claimMappings")
    if mappings is None:
        raise ConfigError(f"{section.path}.claimMappings.username: Required value: claim or expression is required")
    username = _mapping(mappings.section("username"), cel.STRING, prefixed=True)
    groups = _mapping(mappings.section("groups"), None, prefixed=True)
    uid = _mapping(mappings.section("uid"), cel.STRING, prefixed=False)
    extra = _extra(mappings)
    mappings.end()
    if username is None:
        raise ConfigError(f"{mappings.path}.username: Required value: claim or expression is required")
    claim_rules = tuple(_claim_rule(each) for each in section.sections("claimValidationRules"))
    user_rules = tuple(_user_rule(each) for each in section.sections("userValidationRules"))
    section.end()
    _check_email(username, claim_rules, extra, f"{mappings.path}.username.expression")
    return Issuer(
        url, tuple(audiences), username, discovery, authority.encode() if authority else None, groups, uid, extra,
        claim_rules, user_rules,
    )  # fmt: skip


def _check_email(username: ClaimOrExpression, rules: tuple[Rule, ...], extra: tuple[tuple[str, cel.Program], ...],
                 path: str) -> None:  # fmt: skip
    """A name that is an address must be one that the issuer has verified."""
    program = username.expression
    if program is None or "claims.email" not in program.source.replace("claims.email_verified", ""):
        return
    others = [program.source, *(each.expression.source for each in rules if each.expression is not None),
              *(each.source for _, each in extra)]  # fmt: skip
    if not any("claims.email_verified" in each for each in others):
        raise ConfigError(
            f'{path}: Invalid value: "{program.source}": claims.email_verified must be used in '
            "claimMappings.username.expression or claimMappings.extra[*].valueExpression or "
            "claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression"
        )


def _mapping(section: Section | None, result: cel.Type | None, *, prefixed: bool) -> ClaimOrExpression | None:
    if section is None:
        return None
    claim, expression = section.text("claim"), section.text("expression")
    prefix = section.optional("prefix") if prefixed else None
    section.end()
    if claim and expression:
        raise ConfigError(f"{section.path}: Invalid value: claim and expression can't both be set")
    if expression:
        if prefix:
            raise ConfigError(f'{section.path}.prefix: Invalid value: "{prefix}": prefix can\'t be set when '
                              "expression is set")  # fmt: skip
        return ClaimOrExpression(expression=_compiled(_claims(), expression, result, f"{section.path}.expression"))
    if not claim:
        raise ConfigError(f"{section.path}: Required value: claim or expression is required")
    if prefixed and prefix is None:
        raise ConfigError(f"{section.path}.prefix: Required value: prefix is required when claim is set. It can be "
                          "set to an empty string to disable prefixing")  # fmt: skip
    return ClaimOrExpression(claim, prefix or "")


def _extra(mappings: Section) -> tuple[tuple[str, cel.Program], ...]:
    found: list[tuple[str, cel.Program]] = []
    for each in mappings.sections("extra"):
        key = each.text("key", required=True)
        match = _KEY.match(key)
        if match is None:
            raise ConfigError(f'{each.path}.key: Invalid value: "{key}": must be a domain-prefixed path (such as '
                              '"acme.io/foo"), in lowercase')  # fmt: skip
        domain = match["domain"]
        if any(domain == own or domain.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io")):
            raise ConfigError(f'{each.path}.key: Invalid value: "{key}": k8s.io, kubernetes.io and their subdomains '
                              "are reserved for Kubernetes use")  # fmt: skip
        if any(key == other for other, _ in found):
            raise ConfigError(f'{each.path}.key: Duplicate value: "{key}"')
        text = each.text("valueExpression", required=True)
        each.end()
        found.append((key, _compiled(_claims(), text, None, f"{each.path}.valueExpression")))
    return tuple(found)


def _claim_rule(section: Section) -> Rule:
    claim, value = section.text("claim"), section.text("requiredValue")
    text, message = section.text("expression"), section.text("message")
    section.end()
    if bool(claim) == bool(text):
        raise ConfigError(f"{section.path}: Required value: claim or expression is required, and not both")
    if text:
        return Rule(message, expression=_compiled(_claims(), text, cel.BOOL, f"{section.path}.expression"))
    if message:
        raise ConfigError(
            f'{section.path}.message: Invalid value: "{message}": message can\'t be set when claim is set'
        )
    return Rule(claim=claim, value=value)


def _user_rule(section: Section) -> Rule:
    text, message = section.text("expression", required=True), section.text("message")
    section.end()
    return Rule(message, expression=_compiled(_user(), text, cel.BOOL, f"{section.path}.expression"))


def _compiled(environment: cel.Environment, text: str, result: cel.Type | None, path: str) -> cel.Program:
    if len(text) > EXPRESSION_BYTES_MAX:
        raise ConfigError(f"{path}: Too long: may not be more than {EXPRESSION_BYTES_MAX} bytes")
    try:
        program = environment.compile(text)
    except cel.CompileError as error:
        raise ConfigError(f'{path}: Invalid value: "{text}": compilation failed: {error}') from error
    allowed = (str(result),) if result is not None else ("string", "list(string)")
    if program.result.kind != "dyn" and str(program.result) not in (*allowed, "list(dyn)"):
        raise ConfigError(f'{path}: Invalid value: "{text}": must evaluate to {" or a ".join(allowed)}')
    return program
