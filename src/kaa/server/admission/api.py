"""The contract of admission plugins, and the chain that runs them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from kaa.kinds.spec import KindSpec
from kaa.meta import errors
from kaa.server.request import RequestInfo, User

__all__ = ["Attributes", "Authorizing", "Chain", "Operation", "Plugin"]

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
    #: The options of the write as the API has them (`CreateOptions`, ...), made when somebody asks; None: it has none.
    options_of: Callable[[], Json] | None = None
    #: 1 while the plugins mutate for the second time, because a webhook or policy has changed the object.
    round: int = 0
    #: Set by a webhook or policy that has changed the object: all plugins are to see it once more.
    again: bool = False
    #: What plugins remember from one round to the next, by their name.
    memory: dict[str, Any] = field(default_factory=dict)
    #: What takes back what `validate` has reserved, when the write is not done after all.
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`."""
        return self.spec.resource.qualified

    def replace_object(self, new: Json) -> None:
        """Make the object another one, in place: whoever holds it holds the new one."""
        assert self.object is not None
        if new is not self.object:
            self.object.clear()
            self.object.update(new)

    def forbidden(self, why: str) -> errors.StatusError:
        """403 for this write, to be raised."""
        return errors.forbidden(self.spec.resource, self.name, why)

    async def give_back(self) -> None:
        """The write was not done: take back what was reserved for it."""
        while self.undo:
            await self.undo.pop()()


class Authorizing(Protocol):
    """The server's authorizer, for plugins that ask whether a user may do something else too."""

    def __call__(self, user: User, info: RequestInfo, /) -> Any: ...


class Plugin:
    """One concern of admission. `handles` is asked once per (resource, subresource, operation) and kept, until the
    plugin calls `changed`.

    Both hooks may be plain or async; a refusal is a raised StatusError, as a rule `errors.forbidden(...)`.
    """

    name = ""
    #: To be called when `handles` would answer differently from now on; put in by the chain.
    changed: Callable[[], None] = staticmethod(lambda: None)

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
        for plugin in self.plugins:
            plugin.changed = self._kept.clear

    def _of(self, attributes: Attributes) -> tuple[tuple[Plugin, ...], tuple[Plugin, ...]]:
        return self._of_key((attributes.spec, attributes.subresource, attributes.operation))

    def _of_key(self, key: tuple[KindSpec, str, Operation]) -> tuple[tuple[Plugin, ...], tuple[Plugin, ...]]:
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

    def handles(self, spec: KindSpec, subresource: str, operation: Operation) -> bool:
        """Whether any plugin wants to see such writes."""
        return any(self._of_key((spec, subresource, operation)))

    async def mutate(self, attributes: Attributes) -> None:
        """Let every plugin change the object; all of them once more, where a webhook or a policy has."""
        plugins = self._of(attributes)[0]
        for plugin in plugins:
            waiting = plugin.mutate(attributes)
            if waiting is not None:
                await waiting
        if attributes.again and not attributes.round:
            attributes.round = 1
            for plugin in plugins:
                waiting = plugin.mutate(attributes)
                if waiting is not None:
                    await waiting

    async def validate(self, attributes: Attributes) -> None:
        """Let every plugin refuse."""
        for plugin in self._of(attributes)[1]:
            waiting = plugin.validate(attributes)
            if waiting is not None:
                await waiting
