"""The authorization configuration file: several authorizers in order, webhooks with conditions among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaa import cel
from kaa.server.authz.webhook import WebhookSettings, match_environment
from kaa.server.configfile import ConfigError, Section, read_config, seconds
from kaa.server.remote import read_kubeconfig

__all__ = ["AuthorizerEntry", "read_authorization"]

TYPES = ("RBAC", "Node", "Webhook", "AlwaysAllow", "AlwaysDeny")
VERSIONS = ("v1", "v1beta1")
EXPRESSION_BYTES_MAX = 10_240
MATCH_CONDITIONS_MAX = 64


@dataclass(frozen=True)
class AuthorizerEntry:
    """One authorizer of the list."""

    type: str
    name: str
    webhook: WebhookSettings | None = None


def read_authorization(raw: bytes, path: Path) -> tuple[AuthorizerEntry, ...]:
    """The authorizers of a file, in order. Raises ConfigError."""
    root = read_config(raw, "AuthorizationConfiguration", VERSIONS, path)
    entries: list[AuthorizerEntry] = []
    try:
        for section in root.sections("authorizers"):
            entries.append(_entry(section, path))
        root.end()
        if not entries:
            raise ConfigError("authorizers: Required value: at least one authorization mode must be defined")
        names = [each.name for each in entries]
        for number, entry in enumerate(entries):
            if entry.name in names[:number]:
                raise ConfigError(f'authorizers[{number}].name: Duplicate value: "{entry.name}"')
            if entry.type != "Webhook" and any(each.type == entry.type for each in entries[:number]):
                raise ConfigError(f'authorizers[{number}].type: Duplicate value: "{entry.type}"')
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return tuple(entries)


def _entry(section: Section, path: Path) -> AuthorizerEntry:
    kind = section.text("type", required=True)
    if kind == "ABAC":
        raise ConfigError(f"{section.path}.type: ABAC is not served by this release: write its policy as roles of RBAC")
    if kind not in TYPES:
        supported = ", ".join(f'"{each}"' for each in TYPES)
        raise ConfigError(f'{section.path}.type: Unsupported value: "{kind}": supported values: {supported}')
    name = section.text("name", required=True)
    webhook = section.section("webhook")
    section.end()
    if kind != "Webhook":
        if webhook is not None:
            raise ConfigError(f"{section.path}.webhook: Invalid value: may only be specified when type=Webhook")
        return AuthorizerEntry(kind, name)
    if webhook is None:
        raise ConfigError(f"{section.path}.webhook: Required value: required when type=Webhook")
    return AuthorizerEntry(kind, name, _webhook(webhook, name, path))


def _webhook(section: Section, name: str, path: Path) -> WebhookSettings:
    timeout = seconds(section, "timeout", 0.0)
    if not 0 < timeout <= 30:
        raise ConfigError(f"{section.path}.timeout: Invalid value: must be > 0s and <= 30s")
    authorized = seconds(section, "authorizedTTL", 300.0)
    unauthorized = seconds(section, "unauthorizedTTL", 30.0)
    if not section.flag("cacheAuthorizedRequests", True):
        authorized = 0.0
    if not section.flag("cacheUnauthorizedRequests", True):
        unauthorized = 0.0
    section.text("subjectAccessReviewVersion", required=True, among=("v1",))
    failure = section.text("failurePolicy", required=True, among=("NoOpinion", "Deny"))
    conditions = section.sections("matchConditions")
    version = section.text("matchConditionSubjectAccessReviewVersion", among=("v1",))
    if conditions and not version:
        raise ConfigError(
            f"{section.path}.matchConditionSubjectAccessReviewVersion: Required value: required if match conditions "
            "are specified"
        )
    connection = section.section("connectionInfo")
    if connection is None:
        raise ConfigError(f"{section.path}.connectionInfo: Required value")
    if connection.text("type", required=True, among=("KubeConfigFile", "InClusterConfig")) != "KubeConfigFile":
        raise ConfigError(f"{connection.path}.type: InClusterConfig is not served by this release: use KubeConfigFile")
    kubeconfig = connection.text("kubeConfigFile", required=True)
    connection.end()
    section.end()
    return WebhookSettings(
        place=read_kubeconfig(path.parent / kubeconfig),
        name=name,
        authorized_ttl_seconds=authorized,
        unauthorized_ttl_seconds=unauthorized,
        timeout_seconds=timeout,
        deny_on_failure=failure == "Deny",
        match_conditions=tuple(_condition(each) for each in _bounded(conditions, section.path)),
    )


def _bounded(conditions: list[Section], path: str) -> list[Section]:
    if len(conditions) > MATCH_CONDITIONS_MAX:
        raise ConfigError(f"{path}.matchConditions: Too many: {len(conditions)}: must have at most "
                          f"{MATCH_CONDITIONS_MAX} items")  # fmt: skip
    return conditions


def _condition(section: Section) -> cel.Program:
    text = section.text("expression", required=True)
    section.end()
    if len(text) > EXPRESSION_BYTES_MAX:
        raise ConfigError(f"{section.path}.expression: Too long: may not be more than {EXPRESSION_BYTES_MAX} bytes")
    try:
        return match_environment().compile(text, cel.BOOL)
    except cel.CompileError as error:
        raise ConfigError(f'{section.path}.expression: Invalid value: "{text}": compilation failed: {error}') from error
