"""The plugin interface: its moments in the order they come, and what each answer means.

A plugin subclasses `Plugin` and implements the moments it has something to say at. All answers are vectors over the
nodes asked about (`rows`), in that order: a mask, or integers. The rules of the house:

- `reach` says what the answers of `filter` and `score` depend on, and with that how long they are kept. A plugin
  that reads more than it says is wrong without anyone noticing at once: state it honestly.
- Nothing here may wait, except `post_filter` and `bind`. A moment may cost some microseconds; 5,000 nodes are
  one vector, not 5,000 calls.
- A plugin that cannot be vectorised sets `sample` and implements `filter_one` and `score_one`: these are asked node
  by node, after all others, for candidates in random order until there are `sample` feasible ones.
- A plugin imports no other plugin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any, ClassVar

from kaa.kinds.views.core import Pod
from kaa.scheduler.arrays import EVERY, Bools, Ints, Rows, np

if TYPE_CHECKING:
    from kaa.scheduler.shapes import Shape
    from kaa.scheduler.snapshot import Snapshot

__all__ = [
    "EVERY", "SCORE_MAX", "SUCCESS", "Change", "Code", "Cycle", "Hint", "Narrowed", "Nomination", "Plugin", "Reach",
    "Status", "Why", "normalized",
]  # fmt: skip

SCORE_MAX = 100


class Code(Enum):
    """How a moment ended."""

    SUCCESS = "Success"
    #: Not now; removing pods from the node could help.
    UNSCHEDULABLE = "Unschedulable"
    #: Not now, and removing pods would not help.
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    #: Permit only: later, by the plugin's own word.
    WAIT = "Wait"
    #: PreFilter, PreScore, Bind: nothing to do for this pod; the plugin's next moments are left out.
    SKIP = "Skip"
    #: Something broke; the pod is tried again after a back-off.
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Status:
    """An answer with its reason, as users will read it."""

    code: Code = Code.SUCCESS
    message: str = ""

    @property
    def ok(self) -> bool:
        """Success."""
        return self.code is Code.SUCCESS


SUCCESS = Status()
SKIP = Status(Code.SKIP)


@dataclass(frozen=True, slots=True)
class Why:
    """A reason why nodes do not pass, for the message: where it applies, and whether preemption could help there."""

    message: str
    where: Bools
    code: Code = Code.UNSCHEDULABLE


@dataclass(frozen=True, slots=True)
class Narrowed:
    """PreFilter: only these rows can pass, so nothing else need be looked at."""

    rows: Any
    status: Status = SUCCESS


@dataclass(frozen=True, slots=True)
class Nomination:
    """PostFilter: the node that room is being made on ("" takes an earlier nomination back; None leaves it)."""

    status: Status
    node: str | None = None
    #: What must be done before the pod is tried again: carried out outside of the scheduling loop.
    work: Callable[[], Awaitable[None]] | None = None


class Reach(Enum):
    """What a plugin's filter and score of one node depend on, besides the pod's shape."""

    #: The node itself: labels, taints, spec, images. Kept until the node changes.
    NODE = 0
    #: The node and the pods on it. Kept until either changes.
    ROW = 1
    #: Anything in the cluster. Asked in every cycle.
    CLUSTER = 2


class Change(Flag):
    """What happened in the cluster, as the queue tells it to plugins that refused pods."""

    NODE_ADDED = auto()
    NODE_REMOVED = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABELS = auto()
    NODE_TAINTS = auto()
    #: A pod was bound, or assumed to be.
    POD_ADDED = auto()
    POD_REMOVED = auto()
    POD_LABELS = auto()
    #: A bound pod asks for less than before.
    POD_SHRUNK = auto()
    #: Services, replica sets, namespaces.
    OTHER = auto()
    #: Time has passed: every pod is tried again once in a while, in case a hint was wrong.
    FLUSH = auto()
    NODE = NODE_ADDED | NODE_REMOVED | NODE_ALLOCATABLE | NODE_LABELS | NODE_TAINTS
    POD = POD_ADDED | POD_REMOVED | POD_LABELS | POD_SHRUNK


Hint = Callable[["Shape", Any, Any], bool]
"""(shape of the refused pod, the object before, after) -> whether it might pass now."""


@dataclass(slots=True)
class Cycle:
    """One pod's way through the moments."""

    pod: Pod
    shape: Shape
    snapshot: Snapshot
    #: What plugins hand from one moment of this cycle to a later one, under their own names.
    data: dict[str, Any] = field(default_factory=dict)
    #: For dry runs in PostFilter: why the pod does not pass on one row as the snapshot is now; empty when it does.
    failures: Callable[[int], list[str]] = lambda row: []
    #: Gives way to other tasks when enough time has passed.
    pause: Callable[[], Awaitable[None]] | None = None

    @property
    def priority(self) -> int:
        """The pod's; 0 when nothing was said."""
        return self.pod.spec.priority or 0


class Plugin:
    """The moments. Each default says nothing; the runner leaves out what a plugin does not override."""

    name: ClassVar[str]
    reach: ClassVar[Reach] = Reach.CLUSTER
    #: 0 for plugins that answer in vectors; otherwise how many feasible nodes to look for one by one.
    sample: ClassVar[int] = 0
    #: Which changes can turn this plugin's refusal, with a hint that looks closer; None: always worth a try.
    turned_by: ClassVar[Mapping[Change, Hint | None]] = {}

    def pre_enqueue(self, pod: Pod) -> Status:
        """May the pod enter the active queue? Called on each change of a waiting pod: must be cheap."""
        return SUCCESS

    def sort_key(self, pod: Pod, since: float) -> tuple[Any, ...]:
        """QueueSort: smaller goes first. Exactly one plugin of a profile implements it."""
        raise NotImplementedError

    def pre_filter(self, cycle: Cycle) -> Status | Narrowed:
        """Before the nodes are looked at. SKIP leaves the filter out; UNRESOLVABLE refuses the pod everywhere.

        Plugins that reach no further than ROW are asked once per shape and layout of the table, others every cycle.
        """
        return SUCCESS

    def filter(self, cycle: Cycle, rows: Rows) -> Bools:
        """Which nodes could run the pod."""
        raise NotImplementedError

    def explain(self, cycle: Cycle, rows: Rows) -> Iterable[Why]:
        """Why the nodes that fail the filter do; asked only when no node passed. Several reasons may hold for one."""
        raise NotImplementedError

    def post_filter(self, cycle: Cycle, helpable: Bools) -> Awaitable[Nomination]:
        """No node passed; `helpable` says where fewer pods could change that. The first success ends the round.

        May wait (`cycle.pause`), but must leave the snapshot as it was each time it does; rows may have moved after."""
        raise NotImplementedError

    def pre_score(self, cycle: Cycle, feasible: Rows) -> Status:
        """Before the feasible nodes are scored; SKIP leaves the score out.

        Plugins that reach no further than ROW are asked once per shape, with EVERY: only the shape may decide."""
        return SUCCESS

    def score(self, cycle: Cycle, rows: Rows) -> Ints:
        """How good each node would be; 0..100, or any scale that `normalize` maps to it."""
        raise NotImplementedError

    def normalize(self, cycle: Cycle, scores: Ints, feasible: Rows) -> Ints:
        """Raw scores of the feasible nodes to 0..100. Depends on all of them, so it is done anew each time."""
        raise NotImplementedError

    def filter_one(self, cycle: Cycle, row: int) -> Status:
        """For a plugin with `sample`: could this node run the pod?"""
        return SUCCESS

    def score_one(self, cycle: Cycle, row: int) -> int:
        """For a plugin with `sample`: 0..100."""
        return 0

    def reserve(self, cycle: Cycle, node: str) -> Status:
        """The node is chosen and the pod assumed there. Anything but success undoes it."""
        return SUCCESS

    def unreserve(self, cycle: Cycle, node: str) -> None:
        """What `reserve` did must be undone; also called when it was never called."""

    def permit(self, cycle: Cycle, node: str) -> Status:
        """The last moment to refuse a binding. WAIT is refused by name: no plugin of this release needs it."""
        return SUCCESS

    def pre_bind(self, cycle: Cycle, node: str) -> Awaitable[Status]:
        """Before the binding is written; may wait."""
        raise NotImplementedError

    def bind(self, cycle: Cycle, node: str) -> Awaitable[Status]:
        """Write the binding. The first that does not SKIP does it. Raises what the API raises."""
        raise NotImplementedError

    def post_bind(self, cycle: Cycle, node: str) -> None:
        """It is bound; for information only."""

    @classmethod
    def has(cls, moment: str) -> bool:
        """Whether this plugin has something to say at a moment."""
        return getattr(cls, moment) is not getattr(Plugin, moment)


def normalized(scores: Ints, *, reverse: bool = False) -> Ints:
    """Scores scaled so that the largest is 100; `reverse` makes the smallest the best. Integer division throughout."""
    largest = int(scores.max(initial=0))
    if largest == 0:
        return np.full(len(scores), SCORE_MAX, np.int64) if reverse else scores
    scaled = scores * SCORE_MAX // largest
    return SCORE_MAX - scaled if reverse else scaled
