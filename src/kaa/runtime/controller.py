"""What a controller states about itself, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from kaa.base.clock import REAL, Clock
from kaa.base.log import Logger
from kaa.client.client import Client
from kaa.client.informers import Informers
from kaa.kinds.views.base import View
from kaa.runtime.events import Recorder
from kaa.runtime.queue import WorkQueue

if TYPE_CHECKING:
    from kaa.base.tasks import Scope
    from kaa.runtime.session import Session

__all__ = ["Controller", "For", "Maps", "Owns", "Parts", "Result", "Watch", "key_of"]

V = TypeVar("V", bound=View)
Change = Callable[[Any, Any], bool]
"""(old, new) -> whether the change matters; either is None for an addition or a deletion."""


@dataclass(frozen=True)
class Result:
    """How a reconcile went on: look again after so many seconds, or (None) when something changes."""

    requeue_after: float | None = None


@dataclass(frozen=True)
class For:
    """The kind a controller is for: each change of an object queues its key. One per controller."""

    view: type[View]
    #: Which changes matter; None: all.
    when: Change | None = None
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True)
class Owns:
    """A kind whose objects the For objects control: a change queues the controlling owner, the old and the new one."""

    view: type[View]
    when: Change | None = None
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True)
class Maps:
    """A kind that matters in another way: `fn(object, controller)` gives the keys to queue.

    Called for the old and for the new state of each change, on the loop: it must be quick (an index, not a scan).
    """

    view: type[View]
    fn: Callable[[Any, Any], Iterable[str]]
    when: Change | None = None
    labels: str = ""
    fields: str = ""


Watch = For | Owns | Maps


@dataclass
class Parts:
    """What controllers are built from. One per process."""

    client: Client
    informers: Informers
    #: Makes the recorder of a component: `parts.recorder("replicaset-controller")`.
    recorder: Callable[[str], Recorder]
    clock: Clock = REAL
    #: The settings tree of the process; each controller reads its own branch.
    settings: Any = None
    #: Whatever else the assembler wants to hand to its own controllers.
    extras: dict[str, Any] = field(default_factory=dict)


class Controller(Generic[V]):
    """Brings each object of one kind to what its spec says. Subclasses take their listers in `__init__`.

    `reconcile` is called for a key when something about it may have changed, by one worker at a time per key, with
    the object as the cache shows it: not older than the controller's own last write to it. It must be right from any
    state, may be cancelled at any await, and must not keep what it learned (the next call may come after a restart).
    Raise to be called again after a back-off.
    """

    #: Lower-case name: for logs, metrics and the settings that switch it on and off.
    name: ClassVar[str]
    #: Reconciles in flight at once.
    workers: ClassVar[int] = 1
    watches: ClassVar[tuple[Watch, ...]] = ()
    #: What events say they come from; `<name>-controller` when empty.
    component: ClassVar[str] = ""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.clock = parts.clock
        self.log = Logger(self.name)
        self.recorder = parts.recorder(self.component or f"{self.name}-controller")
        self.queue = WorkQueue(parts.clock, self.name)

    @classmethod
    def for_watch(cls) -> For | None:
        """The For among the watches; None for a controller that works on keys of its own making."""
        found = [watch for watch in cls.watches if isinstance(watch, For)]
        if len(found) > 1 or (not found and any(isinstance(watch, Owns) for watch in cls.watches)):
            raise TypeError(f"{cls.__name__}.watches must hold one For (none only without Owns), it holds {len(found)}")
        return found[0] if found else None

    async def start(self, scope: Scope) -> None:
        """Called once the caches are filled, before the workers: for periodic work, in tasks of `scope`.

        Called again after each election won.
        """

    async def reconcile(self, obj: V, io: Session) -> Result | None:
        """Bring one object to its spec."""
        raise NotImplementedError

    async def reconcile_gone(self, key: str, io: Session) -> Result | None:
        """The object with this key does not exist (any more). Default: nothing to do."""
        return None

    async def reconcile_key(self, key: str, io: Session) -> Result | None:
        """Instead of the two above, for a controller without a For: its keys mean what it likes."""
        raise NotImplementedError

    def enqueue(self, key: str, after_seconds: float = 0.0) -> None:
        """Have a key looked at."""
        self.queue.add_after(key, after_seconds)


def key_of(namespace: str, name: str) -> str:
    """The key of an object that may have no namespace."""
    return f"{namespace}/{name}" if namespace else name
