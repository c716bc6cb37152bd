"""The contract of admission plugins, and the chain that runs them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.request import User

__all__ = ["Attributes", "Chain", "Operation", "Plugin"]

Json = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True)
class Attributes:
    """One write, as plugins see it."""

    operation: Operation
    #: The kind of the resource in the path (of a subresource: the kind it belongs to).
    spec: KindSpec
    namespace: str
    name: str
    subresource: str
    #: What is written, to be changed in place by `mutate`; None for DELETE. For a subresource with a kind of its own
    #: (Binding, Eviction, TokenRequest) it is that.
    object: Json | None
    #: What is there now; None for CREATE.
    old: Json | None
    user: User
    dry_run: bool = False
    options: Json = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    #: What the audit log is to be told, by `plugin.domain/key`.
    audit: dict[str, str] = field(default_factory=dict)
    #: What takes back what `validate` has reserved, when the write is not done after all.
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`."""
        return self.spec.resource.qualified

    def forbidden(self, why: str) -> errors.StatusError:
        """403 for this write, to be raised."""
        return errors.forbidden(self.spec.resource, self.name, why)

    async def give_back(self) -> None:
        """The write was not done: take back what was reserved for it."""
        while self.undo:
            await self.undo.pop()()


class Plugin:
    """One concern of admission. `handles` is asked once per (resource, subresource, operation) and kept.

    Both hooks may be plain or async; a refusal is a raised StatusError, as a rule `errors.forbidden(...)`.
    """

    name = ""

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Whether the plugin wants to see such writes at all."""
        raise NotImplementedError

    def mutate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Change `attributes.object` in place, or raise. May run more than once for one write (retries)."""
        return None

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Raise to refuse. Must not change the object, and reserves nothing in a dry run; what it reserves otherwise it
        puts into `attributes.undo` too."""
        return None


class Chain:
    """The plugins of a server, in order. A plugin that has only one of the two hooks costs nothing at the other."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self._kept: dict[tuple[KindSpec, str, Operation], tuple[tuple[Plugin, ...], tuple[Plugin, ...]]] = {}

    def _of(self, attributes: Attributes) -> tuple[tuple[Plugin, ...], tuple[Plugin, ...]]:
        key = (attributes.spec, attributes.subresource, attributes.operation)
        found = self._kept.get(key)
        if found is None:
            handling = [plugin for plugin in self.plugins if plugin.handles(*key)]
            found = (
                tuple(each for each in handling if type(each).mutate is not Plugin.mutate),
                tuple(each for each in handling if type(each).validate is not Plugin.validate),
            )
            if len(self._kept) > 4096:  # custom resources come and go
                self._kept.clear()
            self._kept[key] = found
        return found

    async def mutate(self, attributes: Attributes) -> None:
        """Let every plugin change the object."""
        for plugin in self._of(attributes)[0]:
            waiting = plugin.mutate(attributes)
            if waiting is not None:
                await waiting

    async def validate(self, attributes: Attributes) -> None:
        """Let every plugin refuse."""
        for plugin in self._of(attributes)[1]:
            waiting = plugin.validate(attributes)
            if waiting is not None:
                await waiting
