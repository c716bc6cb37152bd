"""What runs controllers: they decide, the runtime does the rest (queues, caches, logs, metrics, election).

- `controller`: `Controller`, what a controller states (`For`, `Owns`, `Maps`), and `Parts`, what it is given.
- `session`: `Session`, the effects of one reconcile; it remembers what was written.
- `gate`: the write gate; a key rests until the caches show what its last reconcile wrote.
- `queue`: `WorkQueue`, keys to look at: each once, one worker per key at a time, failures further and further apart.
- `runner`: one controller's queue, workers and subscriptions.
- `manager`: `Manager`, an explicit list of controllers in one process, with election, health and metrics.
- `leader`: `LeaderElector`, one of several processes acts, by a Lease.
- `events`, `correlate`: `Recorder`, Events that people read; repeats are counted, floods are cut.
- `timers`, `metrics`: many deadlines in one task; counters and their rendering.

Level-triggered: an event only names a key. A reconcile looks at the present state, never at what happened, so events
may be merged, and a reconcile may be stopped at any await and run again.

What does not belong here: anything a particular kind needs. No controller imports another.
"""

from kaa.runtime.controller import Controller, For, Maps, Owns, Parts, Result
from kaa.runtime.events import EventBroadcaster, ObjectRef, Recorder
from kaa.runtime.leader import Election, LeaderElector
from kaa.runtime.manager import Manager
from kaa.runtime.queue import WorkQueue
from kaa.runtime.session import Session

__all__ = [
    "Controller",
    "Election",
    "EventBroadcaster",
    "For",
    "LeaderElector",
    "Manager",
    "Maps",
    "ObjectRef",
    "Owns",
    "Parts",
    "Recorder",
    "Result",
    "Session",
    "WorkQueue",
]
