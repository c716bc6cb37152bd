"""Keys, bytes, revisions, events: etcd's model in few methods. Knows no kinds.

- *entry*: one key with its value and the revisions of its creation and last change.
- *revision*: the store's counter. A commit that changes something takes the next one; it is never used twice.
- *commit*: some puts and deletes that happen all together or not at all, under compare-and-swap conditions.
- *event*: what one commit did to one key, with the value before it.
- *apply*: handing committed events to the callbacks, in revision order, before the writers are answered.
- *compaction*: forgetting what entries were before a revision; reading earlier than that is refused as `Compacted`.
- *expiry*: the store deletes an entry whose time to live has passed, as an ordinary delete.

`api` is the contract, `memory` and `sqlite` are drivers of it, and `open_store` chooses one from a URL. What a value
means, how a key is built from a name, and who may read it belong to the server.
"""

from kaa.store.api import (
    Commits,
    Compacted,
    Delete,
    Entry,
    Event,
    FutureRevision,
    Mismatch,
    Put,
    Range,
    SlowWatcher,
    Store,
    StoreBusy,
    StoreClosed,
    StoreError,
    StoreFailed,
    StoreFull,
    StoreUnusable,
    Watch,
)
from kaa.store.factory import open_store

__all__ = [
    "Commits",
    "Compacted",
    "Delete",
    "Entry",
    "Event",
    "FutureRevision",
    "Mismatch",
    "Put",
    "Range",
    "SlowWatcher",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreUnusable",
    "Watch",
    "open_store",
]
