"""What they may: the authorizers of a server, in order.

- `rbac`: roles and bindings, compiled per set of subjects; `escalation`: nobody grants what they do not have;
  `aggregation`: roles that gather the rules of others.
- `node`: what a kubelet may see; `noderefs`: which objects the pods of a node refer to.
- `webhook`: authorization by others; `configuration`: the file that lists authorizers.
- `union`: one after another.

An authorizer **allows**, **denies** (nobody behind it is asked), or has **no opinion**, perhaps with a reason.
"""

from collections.abc import Awaitable, Sequence
from pathlib import Path

from kaa.base.clock import Clock
from kaa.base.tasks import Scope
from kaa.server.app import Authorize, Decision
from kaa.server.authz.aggregation import Aggregation
from kaa.server.authz.configuration import AuthorizerEntry, read_authorization
from kaa.server.authz.escalation import EscalationCheck
from kaa.server.authz.node import NodeAuthorizer, node_of
from kaa.server.authz.rbac import Rbac
from kaa.server.authz.union import Union, always_allow, always_deny
from kaa.server.authz.webhook import WebhookAuthorizer, WebhookSettings
from kaa.server.configfile import ConfigError, FileOf
from kaa.server.objects import Objects
from kaa.server.remote import read_kubeconfig
from kaa.server.request import RequestInfo, User

__all__ = ["MODES", "Aggregation", "Authorization", "EscalationCheck", "Rbac", "node_of"]

MODES = ("RBAC", "Node", "Webhook", "AlwaysAllow", "AlwaysDeny")


class Authorization:
    """The authorizer of `--authorization-mode`, or of the configuration file, which is followed when it changes.

    Raises ConfigError for a mode or a file that cannot be served, by name. `rbac` is None where RBAC is not among them.
    """

    def __init__(self, objects: Objects, clock: Clock, modes: Sequence[str], *, config: Path | None = None,
                 webhook_config: Path | None = None) -> None:  # fmt: skip
        self._objects, self._clock = objects, clock
        self._rbac: Rbac | None = None
        self._node: NodeAuthorizer | None = None
        self._webhooks: list[WebhookAuthorizer] = []
        self._scope = Scope("authorization")
        self._union = Union(())
        self._file: FileOf[tuple[AuthorizerEntry, ...]] | None = None
        if config is not None:
            self._file = FileOf(config, lambda raw: read_authorization(raw, config), self._take)
        else:
            self._take(tuple(_entry(mode, webhook_config) for mode in modes))

    def __call__(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        """The decision of the first authorizer that decides."""
        return self._union(user, info)

    @property
    def rbac(self) -> Rbac | None:
        """RBAC, where it is asked at all."""
        return self._rbac if self._rbac in self._union.authorizers else None

    @property
    def authorizers(self) -> Sequence[Authorize]:
        """In order."""
        return self._union.authorizers

    def start(self) -> None:
        """Follow the configuration file."""
        if self._file is not None:
            self._scope.spawn(self._file.run(self._clock), name="configuration", eternal=True)

    def refresh(self) -> bool:
        """Read the configuration file again now; whether it changed."""
        return self._file is not None and self._file.refresh()

    async def close(self) -> None:
        """End what runs, and connections to webhooks."""
        await self._scope.close()
        for webhook in self._webhooks:
            await webhook.close()

    def _take(self, entries: tuple[AuthorizerEntry, ...]) -> None:
        before, self._webhooks = self._webhooks, []
        self._union = Union([self._made(each) for each in entries])
        for webhook in before:
            self._scope.spawn(webhook.close(), name="close")

    def _made(self, entry: AuthorizerEntry) -> Authorize:
        match entry.type:
            case "RBAC":
                self._rbac = self._rbac or Rbac(self._objects)
                return self._rbac
            case "Node":
                self._node = self._node or NodeAuthorizer(self._objects)
                return self._node
            case "Webhook":
                assert entry.webhook is not None
                webhook = WebhookAuthorizer(entry.webhook, self._clock)
                self._webhooks.append(webhook)
                return webhook
            case "AlwaysAllow":
                return always_allow
        return always_deny


def _entry(mode: str, webhook_config: Path | None) -> AuthorizerEntry:
    if mode == "ABAC":
        raise ConfigError('authorization mode "ABAC" is not served: write its policy as roles of RBAC')
    if mode not in MODES:
        raise ConfigError(f'authorization mode "{mode}" is not served: use one or more of {", ".join(MODES)}')
    if mode != "Webhook":
        return AuthorizerEntry(mode, mode.lower())
    if webhook_config is None:
        raise ConfigError("authorization mode Webhook needs --authorization-webhook-config-file")
    return AuthorizerEntry(mode, "default", WebhookSettings(read_kubeconfig(webhook_config)))
