"""Which driver a URL names."""

from kaa.base.clock import REAL, Clock
from kaa.store.api import Store, StoreUnusable
from kaa.store.memory import MemoryStore

__all__ = ["open_store"]


async def open_store(url: str, clock: Clock = REAL) -> Store:
    """Open `memory:` or `sqlite:/path/to/file`. The caller closes it. Raises StoreUnusable with what to do."""
    kind, colon, rest = url.partition(":")
    if colon and kind == "memory" and not rest.strip("/"):
        return MemoryStore(clock)
    if colon and kind == "sqlite":
        from kaa.store.sqlite import SqliteStore  # late: a cluster in memory does not load SQLite

        path = rest[2:] if rest.startswith("//") else rest
        if not path.startswith("/"):
            raise StoreUnusable(f"the store {url!r} needs an absolute path: sqlite:/var/lib/kaa/store.db")
        return await SqliteStore.open(path, clock)
    if kind in ("etcd", "etcds", "http", "https"):
        raise StoreUnusable(f"etcd is not served yet, so {url!r} can't be used: choose sqlite:/path or memory:")
    raise StoreUnusable(f"no store is called {url!r}: choose sqlite:/path or memory:")
